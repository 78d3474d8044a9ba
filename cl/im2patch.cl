/* im2patch.cl - cuts images into patches: pixels [B,3,Hi,Wi] -> patches [B,N,3*ph*pw], columns in the order channel,
 * y, x, so that the patch convolution becomes a matmul. One work-item per number. Pixels that fill no whole patch at
 * the right and bottom are dropped. */
__kernel void im2patch(__global const float *pixels, __global output_t *patches, int image_height, int image_width,
                       int patch_height, int patch_width, int grid_height, int grid_width)
{
    const int column = get_global_id(0), patch = get_global_id(1), image = get_global_id(2);
    const int columns = 3 * patch_height * patch_width;
    if (column >= columns)
        return;
    const int channel = column / (patch_height * patch_width);
    const int y = patch / grid_width * patch_height + column / patch_width % patch_height;
    const int x = patch % grid_width * patch_width + column % patch_width;
    write_output(pixels[((image * 3 + channel) * image_height + y) * image_width + x],
                 patches + (image * grid_height * grid_width + patch) * columns + column);
}

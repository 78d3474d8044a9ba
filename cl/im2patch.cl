/* im2patch.cl - cuts images into patches: pixels [B,3,Hi,Wi] -> patches [B,N,3*ph*pw], columns in the order channel,
 * y, x, so that the patch convolution becomes a matmul. One work-item copies a row of a channel of a patch. Pixels that
 * fill no whole patch at the right and bottom are dropped. */
__kernel GROUP(16) void im2patch(__global const float *restrict pixels, __global output_t *restrict patches,
                                 int image_height, int image_width, int patch_height, int patch_width, int grid_height,
                                 int grid_width)
{
    const int line = get_global_id(0), patch = get_global_id(1), image = get_global_id(2);
    if (line >= 3 * patch_height)
        return;
    const int channel = line / patch_height;
    const int y = patch / grid_width * patch_height + line % patch_height, x = patch % grid_width * patch_width;
    __global const float *from = pixels + ((image * 3 + channel) * image_height + y) * image_width + x;
    __global output_t *to =
        patches + ((image * grid_height * grid_width + patch) * 3 * patch_height + line) * patch_width;
    int i = 0;
    for (; i + 8 <= patch_width; i += 8)
        write_output8(vload8(0, from + i), to + i);
    for (; i < patch_width; i++)
        write_output(from[i], to + i);
}

/* The same with one work-item per number: neighbours touch neighbouring numbers, as GPUs like it. */
__kernel GROUP(64) void im2patch_numbers(__global const float *restrict pixels, __global output_t *restrict patches,
                                         int image_height, int image_width, int patch_height, int patch_width,
                                         int grid_height, int grid_width)
{
    const int i = get_global_id(0), patch = get_global_id(1), image = get_global_id(2);
    const int columns = 3 * patch_height * patch_width, line = i / patch_width;
    if (i >= columns)
        return;
    const int channel = line / patch_height;
    const int y = patch / grid_width * patch_height + line % patch_height;
    const int x = patch % grid_width * patch_width + i % patch_width;
    write_output(pixels[((image * 3 + channel) * image_height + y) * image_width + x],
                 patches + (image * grid_height * grid_width + patch) * columns + i);
}

/* gate.cl - y [rows,M] = activation(x's left half) * x's right half, x [rows,2M]: the gated MLP (Shazeer, "GLU Variants
 * Improve Transformer"). One work-item per eight numbers. */
__kernel GROUP(64) void gate(__global const float *restrict x, __global output_t *restrict y, int M, int activation)
{
    const int i = 8 * get_global_id(0), row = get_global_id(1);
    __global const float *left = x + row * 2 * M + i, *right = left + M;
    y += row * M + i;
    if (i + 8 <= M)
        write_output8(activate_float8(vload8(0, left), activation) * vload8(0, right), y);
    else
        for (int c = 0; c < M - i; c++)
            write_output(activate_float(left[c], activation) * right[c], y + c);
}

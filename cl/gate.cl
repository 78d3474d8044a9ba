/* gate.cl - y [rows,M] = activation(x's left half) * x's right half, x [rows,2M]: the gated MLP (Shazeer, "GLU Variants
 * Improve Transformer"). One work-item per number. */
__kernel void gate(__global const float *x, __global output_t *y, int M, int activation)
{
    const int i = get_global_id(0), row = get_global_id(1);
    if (i < M)
        write_output(activate_float(x[row * 2 * M + i], activation) * x[row * 2 * M + M + i], y + row * M + i);
}

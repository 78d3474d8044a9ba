/* bias_act.cl - y [rows,N] = activation(y + bias [N]), in place: what CLBlast's gemm leaves to do. One work-item per
 * eight numbers. */
__kernel void bias_act(__global float *restrict y, __global const float *restrict bias, int N, int activation)
{
    const int i = 8 * get_global_id(0);
    y += get_global_id(1) * N;
    if (i + 8 <= N)
        vstore8(activate_float8(vload8(0, y + i) + vload8(0, bias + i), activation), 0, y + i);
    else
        for (int c = i; c < N; c++)
            y[c] = activate_float(y[c] + bias[c], activation);
}

/* bias_act.cl - y [rows,N] = activation(y + bias [N]), in place: what CLBlast's gemm leaves to do. One work-item per
 * number, count = rows * N. */
__kernel void bias_act(__global float *y, __global const float *bias, int count, int N, int activation)
{
    const int i = get_global_id(0);
    if (i < count)
        y[i] = activate_float(y[i] + bias[i % N], activation);
}

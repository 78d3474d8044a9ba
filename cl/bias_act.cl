/* bias_act.cl - y [rows,N] = activation(y + bias [N]), in place: what CLBlast's gemm leaves to do. One work-item per
 * number. */
__kernel void bias_act(__global float *y, __global const float *bias, int N, int activation)
{
    const int n = get_global_id(0), row = get_global_id(1);
    if (n < N)
        y[row * N + n] = activate_float(y[row * N + n] + bias[n], activation);
}

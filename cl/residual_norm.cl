/* residual_norm.cl - the residual stream: sum = x + y, normed = LayerNorm(sum). One work-item per row of D numbers.
 *
 * LayerNorm has the biased variance, computed around the mean in a second pass: the one-pass formula cancels badly
 * where the mean is large.
 */
inline void layer_norm(__global const float *x, __global const float *weight, __global const float *bias,
                       __global float *normed, int D, float eps)
{
    float mean = 0.0f, variance = 0.0f;
    for (int i = 0; i < D; i++)
        mean += x[i];
    mean /= (float)D;
    for (int i = 0; i < D; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    const float scale = 1.0f / sqrt(variance / (float)D + eps);
    for (int i = 0; i < D; i++)
        normed[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

__kernel void norm(__global const float *x, __global const float *weight, __global const float *bias,
                   __global float *normed, int rows, int D, float eps)
{
    const int row = get_global_id(0);
    if (row < rows)
        layer_norm(x + row * D, weight, bias, normed + row * D, D, eps);
}

/* sum may be x itself. */
__kernel void residual_norm(__global const float *x, __global const float *y, __global const float *weight,
                            __global const float *bias, __global float *normed, __global float *sum, int rows, int D,
                            float eps)
{
    const int row = get_global_id(0);
    if (row >= rows)
        return;
    for (int i = row * D; i < (row + 1) * D; i++)
        sum[i] = x[i] + y[i];
    layer_norm(sum + row * D, weight, bias, normed + row * D, D, eps);
}

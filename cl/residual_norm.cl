/* residual_norm.cl - the residual stream: sum = x + y, normed = LayerNorm(sum), or one of the two. One work-item per
 * row of D numbers.
 *
 * LayerNorm has the biased variance. Mean and variance are taken in two passes, and what rounding left in the mean is
 * corrected by the sum of the differences (Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance"):
 * with an eps of 1e-12 a row of nearly equal numbers would otherwise be normalised to noise.
 */
static inline void layer_norm(__global const float *x, __global const float *weight, __global const float *bias,
                              __global output_t *normed, int D, float eps)
{
    float mean = 0.0f, differences = 0.0f, squares = 0.0f;
    for (int i = 0; i < D; i++)
        mean += x[i];
    mean /= (float)D;
    for (int i = 0; i < D; i++) {
        const float difference = x[i] - mean;
        differences += difference;
        squares += difference * difference;
    }
    const float rest = differences / (float)D;
    const float scale = 1.0f / sqrt(fmax(squares / (float)D - rest * rest, 0.0f) + eps);
    for (int i = 0; i < D; i++)
        write_output((x[i] - mean - rest) * scale * weight[i] + bias[i], normed + i);
}

__kernel GROUP(64) void norm(__global const float *restrict x, __global const float *restrict weight,
                             __global const float *restrict bias, __global output_t *restrict normed, int rows, int D,
                             float eps)
{
    const int row = get_global_id(0);
    if (row < rows)
        layer_norm(x + row * D, weight, bias, normed + row * D, D, eps);
}

/* sum may be x itself. */
__kernel GROUP(64) void residual_norm(__global const float *x, __global const float *restrict y,
                                      __global const float *restrict weight, __global const float *restrict bias,
                                      __global output_t *restrict normed, __global float *sum, int rows, int D,
                                      float eps)
{
    const int row = get_global_id(0);
    if (row >= rows)
        return;
    for (int i = row * D; i < (row + 1) * D; i++)
        sum[i] = x[i] + y[i];
    layer_norm(sum + row * D, weight, bias, normed + row * D, D, eps);
}

/* sum may be x itself. */
__kernel GROUP(64) void residual(__global const float *x, __global const float *restrict y, __global float *sum,
                                 int count)
{
    const int i = get_global_id(0);
    if (i < count)
        sum[i] = x[i] + y[i];
}

/* LayerNorm of each head's query and key on its own: qkv [rows,3,H,d] -> normed, of the same shape, which may be qkv
 * itself. One work-item per row and head. */
__kernel GROUP(16) void qk_norm(__global const float *qkv, __global const float *restrict q_weight,
                                __global const float *restrict q_bias, __global const float *restrict k_weight,
                                __global const float *restrict k_bias, __global output_t *normed, int H, int d,
                                float eps)
{
    const int head = get_global_id(0), row = get_global_id(1);
    if (head >= H)
        return;
    const int q = (row * 3 * H + head) * d, k = q + H * d, v = k + H * d;
    layer_norm(qkv + q, q_weight, q_bias, normed + q, d, eps);
    layer_norm(qkv + k, k_weight, k_bias, normed + k, d, eps);
    for (int c = 0; c < d; c++)
        write_output(qkv[v + c], normed + v + c);
}

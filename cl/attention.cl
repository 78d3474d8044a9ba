/* attention.cl - context = softmax(q k^T / sqrt(d)) v for each image and head, in one pass over the keys: no scores are
 * stored, so memory does not grow with the square of T.
 *
 * qkv [B,T,3D] holds q, k and v beside each other, each [H,d]; context is [B,T,H,d]. One work-item computes one query of
 * one head, four keys at a time. It keeps the largest score so far; when a larger one comes along, what has been summed
 * is scaled down (Milakov and Gimelshein, "Online normalizer calculation for softmax").
 */

static inline float dot_product(__global const float *a, __global const float *b, int count)
{
    float8 sums = 0.0f;
    int c = 0;
    for (; c + 8 <= count; c += 8)
        sums += vload8(0, a + c) * vload8(0, b + c);
    const float4 half_sum = sums.lo + sums.hi;
    float sum = half_sum.x + half_sum.y + half_sum.z + half_sum.w;
    for (; c < count; c++)
        sum += a[c] * b[c];
    return sum;
}

static inline void scale_row(__global float *y, float scale, int count)
{
    for (int c = 0; c < count; c++)
        y[c] *= scale;
}

/* y += the sum of four rows of x, each with its weight. */
static inline void add_rows(__global float *y, __global const float *x, int4 row, float4 weight, int count)
{
    int c = 0;
    for (; c + 8 <= count; c += 8)
        vstore8(vload8(0, y + c) + weight.x * vload8(0, x + row.x + c) + weight.y * vload8(0, x + row.y + c) +
                    weight.z * vload8(0, x + row.z + c) + weight.w * vload8(0, x + row.w + c),
                0, y + c);
    for (; c < count; c++)
        y[c] += weight.x * x[row.x + c] + weight.y * x[row.y + c] + weight.z * x[row.z + c] + weight.w * x[row.w + c];
}

__kernel void attention(__global const float *restrict qkv, __global float *restrict context, int T, int H, int d,
                        float scale)
{
    const int i = get_global_id(0), head = get_global_id(1), image = get_global_id(2);
    const int width = H * d, stride = 3 * width;
    if (i >= T)
        return;
    __global const float *q = qkv + (image * T + i) * stride + head * d;
    __global const float *k = qkv + image * T * stride + width + head * d;
    __global float *out = context + (image * T + i) * width + head * d;
    float largest = -INFINITY, sum = 0.0f;

    for (int c = 0; c < d; c++)
        out[c] = 0.0f;
    for (int j = 0; j < T; j += 4) {
        /* past the last key, the last one again with the weight 0 */
        const int4 key = (int4)(j, j + 1, j + 2, j + 3), row = min(key, (int4)(T - 1)) * stride;
        float4 score = scale * (float4)(dot_product(q, k + row.x, d), dot_product(q, k + row.y, d),
                                        dot_product(q, k + row.z, d), dot_product(q, k + row.w, d));
        score = key < T ? score : -INFINITY;
        const float largest_here = fmax(fmax(score.x, score.y), fmax(score.z, score.w));
        if (largest_here > largest) {
            const float shrink = exp(largest - largest_here);
            scale_row(out, shrink, d);
            sum *= shrink;
            largest = largest_here;
        }
        const float4 weight = exp(score - largest);
        sum += weight.x + weight.y + weight.z + weight.w;
        add_rows(out, k + width, row, weight, d);
    }
    scale_row(out, 1.0f / sum, d);
}

/* attention.cl - context = softmax(q k^T / sqrt(d) + bias) v for each image and head, in one pass over the keys: no
 * scores are stored, so memory does not grow with the square of T.
 *
 * qkv [B,T,3D] holds q, k and v beside each other, each [H,d]; context is [B,T,H,d]. One work-item computes one query
 * of one head, four keys at a time. It keeps the largest score so far; when a larger one comes along, what has been
 * summed is scaled down (Milakov and Gimelshein, "Online normalizer calculation for softmax").
 */

/* The keys and values of one image and head. Their first `count` rows count. */
struct keys {
    __global const float *k, *v;
    int stride, count;
};

/* BEiT's relative position bias: score (i,j) gets table [R,H] at a row that depends on where j's patch lies from i's,
 * in a grid of height x width patches behind a class token. Without a bias, table is 0. */
struct bias {
    __global const float *table;
    int height, width, heads, head;
};

static inline float bias_at(const struct bias bias, int i, int j)
{
    const int special = (2 * bias.height - 1) * (2 * bias.width - 1); /* three rows for pairs with the class token */
    int row;
    if (i > 0 && j > 0)
        row = ((i - 1) / bias.width - (j - 1) / bias.width + bias.height - 1) * (2 * bias.width - 1) +
              (i - 1) % bias.width - (j - 1) % bias.width + bias.width - 1;
    else
        row = special + (i == 0 ? (j == 0 ? 2 : 0) : 1);
    return bias.table[row * bias.heads + bias.head];
}

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

/* out [d] = the context of query q, which is number i. */
static inline void attend(__global const float *q, int i, const struct keys keys, const struct bias bias,
                          __global float *out, int d, float scale)
{
    float largest = -INFINITY, sum = 0.0f;
    for (int c = 0; c < d; c++)
        out[c] = 0.0f;
    for (int j = 0; j < keys.count; j += 4) {
        /* past the last key, the last one again with the weight 0 */
        const int4 key = (int4)(j, j + 1, j + 2, j + 3), used = min(key, (int4)(keys.count - 1));
        const int4 row = used * keys.stride;
        float4 score = scale * (float4)(dot_product(q, keys.k + row.x, d), dot_product(q, keys.k + row.y, d),
                                        dot_product(q, keys.k + row.z, d), dot_product(q, keys.k + row.w, d));
        if (bias.table)
            score += (float4)(bias_at(bias, i, used.x), bias_at(bias, i, used.y), bias_at(bias, i, used.z),
                              bias_at(bias, i, used.w));
        score = key < keys.count ? score : -INFINITY;
        const float largest_here = fmax(fmax(score.x, score.y), fmax(score.z, score.w));
        if (largest_here > largest) {
            const float shrink = exp(largest - largest_here);
            scale_row(out, shrink, d);
            sum *= shrink;
            largest = largest_here;
        }
        const float4 weight = exp(score - largest);
        sum += weight.x + weight.y + weight.z + weight.w;
        add_rows(out, keys.v, row, weight, d);
    }
    scale_row(out, 1.0f / sum, d);
}

/* Query i of every image and head, over the first `count` keys. */
static inline void attend_image(__global const float *qkv, __global float *context, int image, int count, int T, int d,
                                float scale, const struct bias bias)
{
    const int i = get_global_id(0), width = bias.heads * d;
    if (i >= T)
        return;
    __global const float *q = qkv + (image * T + i) * 3 * width + bias.head * d;
    __global const float *k = qkv + image * T * 3 * width + width + bias.head * d;
    const struct keys keys = {k, k + width, 3 * width, count};
    attend(q, i, keys, bias, context + (image * T + i) * width + bias.head * d, d, scale);
}

__kernel GROUP(16) void attention(__global const float *restrict qkv, __global float *restrict context, int T, int H,
                                  int d, float scale)
{
    const struct bias none = {0, 0, 0, H, get_global_id(1)};
    attend_image(qkv, context, get_global_id(2), T, T, d, scale, none);
}

__kernel GROUP(16) void attention_biased(__global const float *restrict qkv, __global const float *restrict table,
                                         __global float *restrict context, int T, int H, int d, float scale,
                                         int grid_height, int grid_width)
{
    const struct bias bias = {table, grid_height, grid_width, H, get_global_id(1)};
    attend_image(qkv, context, get_global_id(2), T, T, d, scale, bias);
}

/* Only the first lengths[image] keys count. */
__kernel GROUP(16) void attention_masked(__global const float *restrict qkv, __global const float *restrict lengths,
                                         __global float *restrict context, int T, int H, int d, float scale)
{
    const struct bias none = {0, 0, 0, H, get_global_id(1)};
    attend_image(qkv, context, get_global_id(2), (int)lengths[get_global_id(2)], T, d, scale, none);
}

/* One query q [D] for all images, as a pooling head asks it: context [B,D] over kv [B,T,2D], from token `first` on. One
 * work-item per head. */
static inline void attend_pool(__global const float *q, __global const float *kv, __global float *context, int count,
                               int T, int first, int H, int d, float scale)
{
    const int head = get_global_id(0), image = get_global_id(1), width = H * d;
    if (head >= H)
        return;
    __global const float *k = kv + (image * T + first) * 2 * width + head * d;
    const struct keys keys = {k, k + width, 2 * width, count - first};
    const struct bias none = {0, 0, 0, H, head};
    attend(q + head * d, 0, keys, none, context + image * width + head * d, d, scale);
}

__kernel GROUP(16) void attention_pool(__global const float *restrict q, __global const float *restrict kv,
                                       __global float *restrict context, int T, int first, int H, int d, float scale)
{
    attend_pool(q, kv, context, T, T, first, H, d, scale);
}

__kernel GROUP(16) void attention_pool_masked(__global const float *restrict q, __global const float *restrict kv,
                                              __global const float *restrict lengths, __global float *restrict context,
                                              int T, int first, int H, int d, float scale)
{
    attend_pool(q, kv, context, (int)lengths[get_global_id(1)], T, first, H, d, scale);
}

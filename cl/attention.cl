/* attention.cl - context = softmax(q k^T / sqrt(d)) v for each image and head, in three passes over scores [B,H,T,T].
 *
 * qkv [B,T,3D] holds q, k and v beside each other, each [H,d]; context is [B,T,H,d]. The third axis of the launch
 * counts image and head together.
 */

/* The row of one token in qkv: part 0 is q, 1 is k, 2 is v. */
static inline int qkv_row(int image_head, int token, int part, int T, int H, int d)
{
    return ((image_head / H * T + token) * 3 + part) * H * d + image_head % H * d;
}

static inline float sum8(float8 v)
{
    const float4 half_sum = v.lo + v.hi;
    return half_sum.x + half_sum.y + half_sum.z + half_sum.w;
}

/* scores[i,j] = scale * q_i . k_j. One work-item computes one query against four keys. */
__kernel void attention_scores(__global const float *qkv, __global float *scores, int T, int H, int d, float scale)
{
    const int i = get_global_id(1), image_head = get_global_id(2);
    for (int j = 4 * get_global_id(0); j < min(4 * (int)get_global_id(0) + 4, T); j++) {
        __global const float *q = qkv + qkv_row(image_head, i, 0, T, H, d);
        __global const float *k = qkv + qkv_row(image_head, j, 1, T, H, d);
        float8 sums = 0.0f;
        int c = 0;
        for (; c + 8 <= d; c += 8)
            sums += vload8(0, q + c) * vload8(0, k + c);
        float sum = sum8(sums);
        for (; c < d; c++)
            sum += q[c] * k[c];
        scores[(image_head * T + i) * T + j] = scale * sum;
    }
}

/* Each row of scores becomes exp(s - max) / sum. One work-item per row. */
__kernel void attention_softmax(__global float *scores, int rows, int T)
{
    const int row = get_global_id(0);
    if (row >= rows)
        return;
    __global float *s = scores + row * T;
    float largest = s[0], sum = 0.0f;
    for (int j = 1; j < T; j++)
        largest = fmax(largest, s[j]);
    for (int j = 0; j < T; j++) {
        s[j] = exp(s[j] - largest);
        sum += s[j];
    }
    for (int j = 0; j < T; j++)
        s[j] /= sum;
}

/* context_i = sum over j of scores[i,j] v_j. One work-item computes eight neighbouring numbers. */
__kernel void attention_context(__global const float *qkv, __global const float *scores, __global float *context,
                                int T, int H, int d)
{
    const int first = 8 * get_global_id(0), i = get_global_id(1), image_head = get_global_id(2);
    const int stride = 3 * H * d;
    __global const float *s = scores + (image_head * T + i) * T;
    __global const float *v = qkv + qkv_row(image_head, 0, 2, T, H, d);
    __global float *out = context + ((image_head / H * T + i) * H + image_head % H) * d;

    if (first + 8 <= d) {
        float8 sum = 0.0f;
        for (int j = 0; j < T; j++)
            sum += s[j] * vload8(0, v + j * stride + first);
        vstore8(sum, 0, out + first);
        return;
    }
    for (int c = first; c < d; c++) { /* the last numbers of a head size that 8 does not divide */
        float sum = 0.0f;
        for (int j = 0; j < T; j++)
            sum += s[j] * v[j * stride + c];
        out[c] = sum;
    }
}

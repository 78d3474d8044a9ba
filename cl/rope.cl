/* rope.cl - rotary position embedding (Su et al., "RoFormer"): turns each pair of a query's and a key's numbers by the
 * pair's angle at the patch. qkv [B,T,3,H,d] -> rotated, of the same shape, which may be qkv itself; values and the P
 * tokens before the patches stay. table [N,d]: cosines of the d/2 angles, then sines. One work-item per head of a
 * query, key or value; the two numbers of a pair lie `apart` from each other: d/2 (halves) or 1 (neighbours). */

static inline void copy(__global const float *x, __global float *y, int count)
{
    int c = 0;
    for (; c + 8 <= count; c += 8)
        vstore8(vload8(0, x + c), 0, y + c);
    for (; c < count; c++)
        y[c] = x[c];
}

/* y = x, its pairs turned by the angles whose cosines and sines [half_size] are given; eight at a time. */
static inline void turn(__global const float *x, __global const float *cosines, __global const float *sines,
                        __global float *y, int half_size, int apart)
{
    int i = 0;
    for (; i + 8 <= half_size; i += 8) {
        const float8 cosine = vload8(0, cosines + i), sine = vload8(0, sines + i);
        if (apart == 1) {
            const float16 pairs = vload16(0, x + 2 * i);
            float16 turned;
            turned.even = pairs.even * cosine - pairs.odd * sine;
            turned.odd = pairs.odd * cosine + pairs.even * sine;
            vstore16(turned, 0, y + 2 * i);
        } else {
            const float8 a = vload8(0, x + i), b = vload8(0, x + apart + i);
            vstore8(a * cosine - b * sine, 0, y + i);
            vstore8(b * cosine + a * sine, 0, y + apart + i);
        }
    }
    for (; i < half_size; i++) {
        const int first = apart == 1 ? 2 * i : i, second = first + apart;
        const float a = x[first], b = x[second];
        y[first] = a * cosines[i] - b * sines[i];
        y[second] = b * cosines[i] + a * sines[i];
    }
}

__kernel GROUP(64) void rope(__global const float *qkv, __global const float *restrict table, __global float *rotated,
                             int T, int H, int d, int P, int apart)
{
    const int head = get_global_id(0), token = get_global_id(1), image = get_global_id(2);
    const int first = ((image * T + token) * 3 * H + head) * d;
    if (head >= 3 * H)
        return;
    if (head < 2 * H && token >= P) {
        __global const float *cosines = table + (token - P) * d;
        turn(qkv + first, cosines, cosines + d / 2, rotated + first, d / 2, apart);
    } else if (rotated != qkv) {
        copy(qkv + first, rotated + first, d);
    }
}

/* The same with one work-item per pair: neighbours touch neighbouring numbers, as GPUs like it. */
__kernel GROUP(64) void rope_pairs(__global const float *qkv, __global const float *restrict table,
                                   __global float *rotated, int T, int H, int d, int P, int apart)
{
    const int pair = get_global_id(0), token = get_global_id(1), image = get_global_id(2);
    const int half_size = d / 2, head = pair / half_size, i = pair % half_size;
    const int first = ((image * T + token) * 3 * H + head) * d + (apart == 1 ? 2 * i : i), second = first + apart;
    if (head >= 3 * H)
        return;
    const float a = qkv[first], b = qkv[second];
    if (head < 2 * H && token >= P) {
        const float cosine = table[(token - P) * d + i], sine = table[(token - P) * d + half_size + i];
        rotated[first] = a * cosine - b * sine;
        rotated[second] = b * cosine + a * sine;
    } else if (rotated != qkv) {
        rotated[first] = a;
        rotated[second] = b;
    }
}

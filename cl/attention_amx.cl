/* attention_amx.cl - context = softmax(q k^T / sqrt(d)) v by Intel's tile registers: qkv [B,T,3,H,d] -> context
 * [B,T,H,d], both bf16; sums and softmax are float.
 *
 * One work-item computes some queries of one head. First it lays out all keys and values of the head as the registers
 * take them: keys transposed in pairs, values in pairs of rows. Then it takes QUERIES at a time: scores against all
 * keys, softmax row by row, and the weights, rounded to bf16, times the values. Without AMX this file is empty.
 */
#ifdef AMX
#ifndef HEAD_SIZE
#define HEAD_SIZE 64 /* d */
#endif
#ifndef KEYS
#define KEYS 224 /* T, rounded up to 32 */
#endif

#define QUERIES 32
#define WIDE    ((HEAD_SIZE + 31) / 32 * 32) /* d in whole registers */
#define LOG2_E  1.44269504f

/* ---- laying out ---- */

/* Square [16,16], in place: each round interleaves the first half of the rows with the second. */
static inline void transpose(uint16 *rows)
{
    uint16 next[16];
    for (int round = 0; round < 4; round++) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            next[2 * i].even = rows[i].lo;
            next[2 * i].odd = rows[i + 8].lo;
            next[2 * i + 1].even = rows[i].hi;
            next[2 * i + 1].odd = rows[i + 8].hi;
        }
#pragma unroll
        for (int i = 0; i < 16; i++)
            rows[i] = next[i];
    }
}

/* 16 pairs of a row, from number `pair`; zeros beyond d, where NaN may lie. */
static inline uint16 load_pairs(__global const ushort *row, int pair)
{
    const uint16 pairs = vload16(0, (__global const uint *)row + pair);
    const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return WIDE == HEAD_SIZE ? pairs : lane + pair < HEAD_SIZE / 2 ? pairs : (uint16)(0);
}

/* keys [WIDE/2][KEYS] pairs of the first `used` keys' numbers, zeros from `count` on. */
static inline void load_keys(__global const ushort *k, int stride, int count, int used, uint *keys)
{
    for (int j = 0; j < used; j += 16)
        for (int c = 0; c < WIDE / 2; c += 16) {
            uint16 square[16];
#pragma unroll
            for (int i = 0; i < 16; i++)
                square[i] = j + i < count ? load_pairs(k + (j + i) * stride, c) : (uint16)(0);
            transpose(square);
#pragma unroll
            for (int i = 0; i < 16; i++)
                vstore16(square[i], 0, keys + (c + i) * KEYS + j);
        }
}

/* values [KEYS/2][WIDE] pairs of rows, likewise. What lies beyond d becomes columns that nobody reads. */
static inline void load_values(__global const ushort *v, int stride, int count, int used, uint *values)
{
    for (int j = 0; j < used; j += 2)
        for (int c = 0; c < WIDE; c += 16) {
            const uint16 low = j < count ? convert_uint16(*(__global const vushort_anywhere *)(v + j * stride + c)) : 0;
            const uint16 high = j + 1 < count ? convert_uint16(*(__global const vushort_anywhere *)(v + (j + 1) * stride + c)) : 0;
            vstore16(low | high << 16, 0, values + j / 2 * WIDE + c);
        }
}

/* q [QUERIES][WIDE], zeros beyond d and beyond the last query. */
static inline void load_queries(__global const ushort *rows, int stride, int count, ushort *q)
{
    for (int i = 0; i < QUERIES; i++) {
        int c = 0;
        for (; c + 16 <= HEAD_SIZE; c += 16)
            *(vushort_anywhere *)(q + i * WIDE + c) =
                i < count ? *(__global const vushort_anywhere *)(rows + i * stride + c) : (vushort)(0);
        for (; c < WIDE; c++)
            q[i * WIDE + c] = i < count && c < HEAD_SIZE ? rows[i * stride + c] : 0;
    }
}

/* ---- the two products ---- */

/* y [QUERIES][32], rows `y_stride` floats apart, = x [QUERIES][count] w, for count a multiple of 32; w holds pairs of
 * its rows, `w_stride` pairs apart. Only the first 16 rows, where `both` is 0. */
static inline void multiply(const ushort *x, int x_stride, const uint *w, int w_stride, int count, int both, float *y,
                            int y_stride)
{
    CLEAR_TILE(0);
    CLEAR_TILE(1);
    CLEAR_TILE(2);
    CLEAR_TILE(3);
    for (int k = 0; k < count; k += 32) {
        LOAD_TILE(4, x + k, 2 * x_stride);
        LOAD_TILE(6, w + k / 2 * w_stride, 4 * w_stride);
        LOAD_TILE(7, w + k / 2 * w_stride + 16, 4 * w_stride);
        MULTIPLY_TILES(0, 4, 6);
        MULTIPLY_TILES(1, 4, 7);
        if (both) {
            LOAD_TILE(5, x + 16 * x_stride + k, 2 * x_stride);
            MULTIPLY_TILES(2, 5, 6);
            MULTIPLY_TILES(3, 5, 7);
        }
    }
    STORE_TILE(0, y, 4 * y_stride);
    STORE_TILE(1, y + 16, 4 * y_stride);
    if (both) {
        STORE_TILE(2, y + 16 * y_stride, 4 * y_stride);
        STORE_TILE(3, y + 16 * y_stride + 16, 4 * y_stride);
    }
}

/* ---- softmax ---- */

static inline float largest_of(float16 x)
{
    const float8 a = fmax(x.lo, x.hi);
    const float4 b = fmax(a.lo, a.hi);
    const float2 c = fmax(b.lo, b.hi);
    return fmax(c.x, c.y);
}

static inline float sum_of(float16 x)
{
    const float8 a = x.lo + x.hi;
    const float4 b = a.lo + a.hi;
    const float2 c = b.lo + b.hi;
    return c.x + c.y;
}

/* weights [used] = 2^(factor (score - the largest)); returns their sum. Scores from `count` on have no weight. */
static inline float find_weights(float *scores, int count, int used, float factor, ushort *weights)
{
    float16 largest = -INFINITY, total = 0.0f;
    for (int j = count; j < used; j++)
        scores[j] = -INFINITY;
    for (int j = 0; j < used; j += 16) {
        const float16 score = vload16(0, scores + j);
        largest = score > largest ? score : largest; /* one instruction; fmax, which minds NaN, is three */
    }
    const float shift = -factor * largest_of(largest);
    for (int j = 0; j < used; j += 16) {
        const float16 weight = vexp2(fma(vload16(0, scores + j), (float16)(factor), (float16)(shift)));
        total += weight;
        *(vushort_anywhere *)(weights + j) = vto_bf16(weight);
    }
    return sum_of(total);
}

/* row [d] = share * sums */
static inline void store_row(const float *sums, float share, __global ushort *row)
{
    int c = 0;
    for (; c + 16 <= HEAD_SIZE; c += 16)
        *(__global vushort_anywhere *)(row + c) = vto_bf16(share * vload16(0, sums + c));
    for (; c < HEAD_SIZE; c++)
        row[c] = to_bf16(share * sums[c]);
}

/* ---- the kernels: a work-item takes blocks of queries, `step` apart, of a head of an image ---- */

static inline void attend(__global const ushort *qkv, __global ushort *context, int T, int H, int count, float scale)
{
    const int head = get_global_id(1), image = get_global_id(2), width = H * HEAD_SIZE, stride = 3 * width;
    const int used = (count + 31) / 32 * 32;
    __global const ushort *rows = qkv + image * T * stride + head * HEAD_SIZE;
    uint keys[WIDE / 2 * KEYS], values[KEYS / 2 * WIDE];
    float scores[QUERIES * KEYS], sums[QUERIES * WIDE];
    ushort q[QUERIES * WIDE], weights[QUERIES * KEYS];

    load_keys(rows + width, stride, count, used, keys);
    load_values(rows + 2 * width, stride, count, used, values);
    configure_tiles(16, 16);
    for (int first = get_global_id(0) * QUERIES; first < T; first += get_global_size(0) * QUERIES) {
        const int queries = min(QUERIES, T - first), both = queries > 16;
        float share[QUERIES];
        load_queries(rows + first * stride, stride, queries, q);
        for (int j = 0; j < used; j += 32)
            multiply(q, WIDE, keys + j, KEYS, WIDE, both, scores + j, KEYS);
        for (int i = 0; i < (both ? 32 : 16); i++)
            share[i] = 1.0f / find_weights(scores + i * KEYS, count, used, scale * LOG2_E, weights + i * KEYS);
        for (int c = 0; c < WIDE; c += 32)
            multiply(weights, KEYS, values + c, WIDE, used, both, sums + c, WIDE);
        for (int i = 0; i < queries; i++)
            store_row(sums + i * WIDE, share[i], context + (image * T + first + i) * width + head * HEAD_SIZE);
    }
    __asm__ volatile("tilerelease" : :);
}

#define AMX_KERNEL __kernel __attribute__((reqd_work_group_size(1, 1, 1))) void

AMX_KERNEL attention_amx(__global const ushort *restrict qkv, __global ushort *restrict context, int T, int H,
                         float scale)
{
    attend(qkv, context, T, H, T, scale);
}

/* Only the first lengths[image] keys count. */
AMX_KERNEL attention_amx_masked(__global const ushort *restrict qkv, __global const float *restrict lengths,
                                __global ushort *restrict context, int T, int H, float scale)
{
    attend(qkv, context, T, H, (int)lengths[get_global_id(2)], scale);
}

#endif

/* attention_mma.cl - context = softmax(q k^T / sqrt(d) + bias) v by the matrix instructions of a GPU (matrix.cl), of
 * 16-bit numbers: qkv [B,T,3,H,d] -> context [B,T,H,d], d a multiple of 8.
 *
 * One work-group computes QUERIES queries of one head, 16 in each wave, KEYS keys at a time. What has been summed is
 * scaled down when a larger score comes along (Dao, "FlashAttention-2"). A wave's queries and its sums stay in
 * registers; keys and values lie in local memory, keys as pairs of neighbours in a row, values as pairs of neighbours in
 * a column, as the two products take them. Weights, powers of 2 of scores in units of log2, are rounded to 16 bits, and
 * go from the layout of sums to that of factors through the keys' place. Strides bring what a wave reads at once into
 * different banks.
 */
#ifdef MATRIX

#ifndef HEAD_SIZE
#define HEAD_SIZE 64 /* d */
#endif
#ifndef KEYS
#define KEYS 64
#endif
#ifndef WAVES
#define WAVES 4
#endif

#define ITEMS   (WAVES * WAVE)
#define QUERIES (WAVES * 16)
#define LOG2_E  1.44269504f

#define WIDE          ((HEAD_SIZE + 15) / 16 * 16) /* zeros behind d */
#define HEAD_PARTS    (WIDE / 16)                  /* factors of one instruction */
#define KEY_PARTS     (KEYS / FRAGMENT_COLUMNS)    /* sums of one */
#define CONTEXT_PARTS (WIDE / FRAGMENT_COLUMNS)

/* In pairs. */
#define KEY_STRIDE    (WIDE / 2 + 4)
#define VALUE_STRIDE  (WIDE + 8)
#define WEIGHT_STRIDE (KEYS / 2 + 4)
#define KEY_PAIRS     (KEYS * KEY_STRIDE)
#define WEIGHT_PAIRS  (QUERIES * WEIGHT_STRIDE)

/* As many bytes as tile_bytes in host/ops/attention_mma.c says. */
struct tiles {
    uint4 keys[(KEY_PAIRS > WEIGHT_PAIRS ? KEY_PAIRS : WEIGHT_PAIRS) / 4]; /* [KEYS][KEY_STRIDE]; then weights,
                                                                              [QUERIES][WEIGHT_STRIDE] */
    uint4 values[KEYS / 2 * VALUE_STRIDE / 4];                             /* [KEYS/2][VALUE_STRIDE] */
    float4 shared[QUERIES * FRAGMENT_COLUMNS / 4]; /* one number of each work-item for each of its sums */
};

/* What is written as something else. */
typedef uint pair_t __attribute__((may_alias));

/* A block's queries, all keys and values that they meet, and where their context goes. */
struct block {
    __global const input_t *q, *k, *v;
    __global output_t *context;
    int first, queries, count;    /* first query of its image; queries; keys */
    int stride, context_stride;   /* between rows */
};

/* ---- from global memory ---- */

/* Queries that there are none of repeat the last one. */
static inline void load_queries(const struct block *block, uint q[HEAD_PARTS][X_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE, first = get_local_id(0) / WAVE * 16;
    UNROLL for (int c = 0; c < HEAD_PARTS; c++)
        UNROLL for (int i = 0; i < X_REGISTERS; i++) {
            const int row = min(first + x_row(lane, i), block->queries - 1), at = c * 16 + 2 * x_pair(lane, i);
            q[c][i] = at < HEAD_SIZE ? *(__global const uint *)(block->q + row * block->stride + at) : 0;
        }
}

/* Eight numbers of a key's or value's row; zeros where there are none: what lies there may be NaN. */
static inline uint4 load_numbers(__global const input_t *rows, const struct block *block, int row, int at)
{
    return row < block->count && at < HEAD_SIZE ? *(__global const uint4 *)(rows + row * block->stride + at)
                                                : (uint4)(0);
}

static inline void load_keys(const struct block *block, int first, __local struct tiles *tiles)
{
#pragma unroll 4
    for (int i = get_local_id(0); i < KEYS * WIDE / 8; i += ITEMS) {
        const int key = i / (WIDE / 8), at = i % (WIDE / 8) * 8;
        tiles->keys[(key * KEY_STRIDE + at / 2) / 4] = load_numbers(block->k, block, first + key, at);
    }
}

static inline void load_values(const struct block *block, int first, __local struct tiles *tiles)
{
#pragma unroll 2
    for (int i = get_local_id(0); i < KEYS / 2 * WIDE / 8; i += ITEMS) {
        const int pair = i / (WIDE / 8), at = i % (WIDE / 8) * 8;
        const uint4 even = load_numbers(block->v, block, first + 2 * pair, at);
        const uint4 odd = load_numbers(block->v, block, first + 2 * pair + 1, at);
        const uint4 low = (even & 0xffff) | odd << 16, high = even >> 16 | (odd & 0xffff0000u);
        __local uint4 *to = tiles->values + (pair * VALUE_STRIDE + at) / 4;
        to[0] = (uint4)(low.x, high.x, low.y, high.y);
        to[1] = (uint4)(low.z, high.z, low.w, high.w);
    }
}

/* ---- one wave's part: 16 queries ---- */

/* Of each of a work-item's sums in a fragment, which belong to a query each. */
struct part {
    float largest[SUM_REGISTERS]; /* score of the query so far */
    float total[SUM_REGISTERS];   /* of its own keys' weights */
    float sum[CONTEXT_PARTS][SUM_REGISTERS];
};

static inline void find_scores(uint q[HEAD_PARTS][X_REGISTERS], __local const pair_t *keys, __local uint *scratch,
                               float score[KEY_PARTS][SUM_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE;
    UNROLL for (int j = 0; j < KEY_PARTS; j++) {
        UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
            score[j][i] = 0.0f;
        UNROLL for (int c = 0; c < HEAD_PARTS; c++) {
            uint w[W_REGISTERS];
            UNROLL for (int i = 0; i < W_REGISTERS; i++)
                w[i] = keys[(j * FRAGMENT_COLUMNS + w_column(lane, i)) * KEY_STRIDE + c * 8 + w_pair(lane, i)];
            multiply_fragments(score[j], q[c], w, scratch);
        }
    }
}

static inline void share(__local float *row_numbers, const float number[SUM_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE;
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
        row_numbers[y_row(lane, i) * FRAGMENT_COLUMNS + y_column(lane, i)] = number[i];
}

static inline void share_largest(__local float *shared, float score[KEY_PARTS][SUM_REGISTERS])
{
    float largest[SUM_REGISTERS];
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        largest[i] = score[0][i];
        UNROLL for (int j = 1; j < KEY_PARTS; j++)
            largest[i] = fmax(largest[i], score[j][i]);
    }
    share(shared, largest);
}

static inline float largest_of(__local const float4 *numbers)
{
    float4 largest = numbers[0];
    UNROLL for (int v = 1; v < FRAGMENT_COLUMNS / 4; v++)
        largest = fmax(largest, numbers[v]);
    return fmax(fmax(largest.x, largest.y), fmax(largest.z, largest.w));
}

static inline float sum_of(__local const float4 *numbers)
{
    float4 sum = numbers[0];
    UNROLL for (int v = 1; v < FRAGMENT_COLUMNS / 4; v++)
        sum += numbers[v];
    return (sum.x + sum.y) + (sum.z + sum.w);
}

static inline void write_weight(float weight, __local ushort *at)
{
#ifdef F16_INPUT
    vstore_half_rte(weight, 0, (__local half *)at);
#else
    *at = to_bf16(weight);
#endif
}

/* Scores become weights, in the wave's rows of local memory. */
static inline void find_weights(__local const float4 *shared, float score[KEY_PARTS][SUM_REGISTERS], struct part *part,
                                __local ushort *weights)
{
    const int lane = get_local_id(0) % WAVE;
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        const float largest =
            fmax(part->largest[i], largest_of(shared + y_row(lane, i) * (FRAGMENT_COLUMNS / 4)));
        const float shrink = exp2(part->largest[i] - largest);
        part->largest[i] = largest;
        part->total[i] *= shrink;
        UNROLL for (int v = 0; v < CONTEXT_PARTS; v++)
            part->sum[v][i] *= shrink;
        UNROLL for (int j = 0; j < KEY_PARTS; j++) {
            const float weight = exp2(score[j][i] - largest);
            part->total[i] += weight;
            write_weight(weight, weights + y_row(lane, i) * 2 * WEIGHT_STRIDE + j * FRAGMENT_COLUMNS + y_column(lane, i));
        }
    }
}

static inline void add_values(__local const pair_t *weights, __local const pair_t *values, __local uint *scratch,
                              struct part *part)
{
    const int lane = get_local_id(0) % WAVE;
    UNROLL for (int p = 0; p < KEYS / 2; p += 8) {
        uint x[X_REGISTERS];
        UNROLL for (int i = 0; i < X_REGISTERS; i++)
            x[i] = weights[x_row(lane, i) * WEIGHT_STRIDE + p + x_pair(lane, i)];
        UNROLL for (int v = 0; v < CONTEXT_PARTS; v++) {
            uint w[W_REGISTERS];
            UNROLL for (int i = 0; i < W_REGISTERS; i++)
                w[i] = values[(p + w_pair(lane, i)) * VALUE_STRIDE + v * FRAGMENT_COLUMNS + w_column(lane, i)];
            multiply_fragments(part->sum[v], x, w, scratch);
        }
    }
}

/* Sums divided by the totals, of which each work-item has its share. */
static inline void write_context(const struct block *block, __local const float4 *shared, const struct part *part)
{
    const int lane = get_local_id(0) % WAVE, first = get_local_id(0) / WAVE * 16;
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        const int row = first + y_row(lane, i);
        const float share = 1.0f / sum_of(shared + y_row(lane, i) * (FRAGMENT_COLUMNS / 4));
        UNROLL for (int v = 0; v < CONTEXT_PARTS; v++) {
            const int column = v * FRAGMENT_COLUMNS + y_column(lane, i);
            if (row < block->queries && column < HEAD_SIZE)
                write_output(share * part->sum[v][i], block->context + row * block->context_stride + column);
        }
    }
}

/* ---- BEiT's relative position bias ---- */

/* See struct bias in attention.cl. Query i and key j take row i's `offset` - i's `slope` * j's place in the grid. */
struct bias {
    __global const float *table;
    int height, width, heads, head;
};

/* A patch's place: rows of the grid are as far apart as rows of the table's. */
static inline int place(const struct bias *bias, int patch)
{
    return patch / bias->width * (2 * bias->width - 1) + patch % bias->width;
}

static inline void add_bias(const struct bias *bias, int first_query, int first_key,
                            float score[KEY_PARTS][SUM_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE;
    const int patches = bias->height * bias->width, middle = place(bias, patches - 1);
    const int special = (2 * bias->height - 1) * (2 * bias->width - 1); /* three rows for pairs with the class token */
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        const int query = min(first_query + y_row(lane, i), patches), slope = query > 0;
        const int offset = query > 0 ? place(bias, query - 1) + middle : special;
        UNROLL for (int j = 0; j < KEY_PARTS; j++) {
            const int key = min(first_key + j * FRAGMENT_COLUMNS + y_column(lane, i), patches);
            const int row = key > 0 ? offset - slope * place(bias, key - 1) : special + 2 - slope;
            score[j][i] += LOG2_E * bias->table[row * bias->heads + bias->head];
        }
    }
}

/* ---- kernels: one work-group per block of queries, head and image ---- */

/* Scores in units of log2; those of keys behind the last become those of keys with no weight. */
static inline void finish_scores(const struct block *block, const struct bias *bias, int first_key, float scale,
                                 float score[KEY_PARTS][SUM_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE;
    UNROLL for (int j = 0; j < KEY_PARTS; j++)
        UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
            score[j][i] *= scale * LOG2_E;
    if (bias)
        add_bias(bias, block->first + (int)get_local_id(0) / WAVE * 16, first_key, score);
    UNROLL for (int j = 0; j < KEY_PARTS; j++)
        UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
            score[j][i] = first_key + j * FRAGMENT_COLUMNS + y_column(lane, i) < block->count ? score[j][i] : -INFINITY;
}

/* As a call it would keep its variables in memory. */
__attribute__((always_inline)) static inline void attend(const struct block block, const struct bias *bias, float scale,
                                                         __local struct tiles *tiles, __local uint *scratch)
{
    const int wave = get_local_id(0) / WAVE;
    __local const pair_t *keys = (__local const pair_t *)tiles->keys, *values = (__local const pair_t *)tiles->values;
    __local float4 *shared = tiles->shared + wave * 16 * FRAGMENT_COLUMNS / 4;
    uint q[HEAD_PARTS][X_REGISTERS];
    struct part part;

    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        part.largest[i] = -INFINITY;
        part.total[i] = 0.0f;
        UNROLL for (int v = 0; v < CONTEXT_PARTS; v++)
            part.sum[v][i] = 0.0f;
    }
    load_queries(&block, q);
    for (int first = 0; first < block.count; first += KEYS) {
        float score[KEY_PARTS][SUM_REGISTERS];
        load_keys(&block, first, tiles);
        load_values(&block, first, tiles);
        barrier(CLK_LOCAL_MEM_FENCE);
        find_scores(q, keys, scratch, score);
        finish_scores(&block, bias, first, scale, score);
        share_largest((__local float *)shared, score);
        barrier(CLK_LOCAL_MEM_FENCE);
        find_weights(shared, score, &part, (__local ushort *)tiles->keys + wave * 16 * 2 * WEIGHT_STRIDE);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_values(keys + wave * 16 * WEIGHT_STRIDE, values, scratch, &part);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    share((__local float *)shared, part.total);
    barrier(CLK_LOCAL_MEM_FENCE);
    write_context(&block, shared, &part);
}

static inline struct block block_of(__global const input_t *qkv, __global output_t *context, int T, int H, int count)
{
    const int first = get_group_id(0) * QUERIES, head = get_group_id(1), image = get_group_id(2);
    const int width = H * HEAD_SIZE, stride = 3 * width;
    __global const input_t *k = qkv + image * T * stride + width + head * HEAD_SIZE;
    const struct block block = {k - width + first * stride,
                                k,
                                k + width,
                                context + (image * T + first) * width + head * HEAD_SIZE,
                                first,
                                min(QUERIES, T - first),
                                count,
                                stride,
                                width};
    return block;
}

/* The program has one kernel alone: compilers take their time for each. The numbers are those of enum form in
 * host/ops/attention_internal.h. */
#ifndef ONLY
#define ONLY PLAIN
#endif
#define PLAIN  0
#define BIASED 1
#define MASKED 2

#define MMA_KERNEL __kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void

#if ONLY == PLAIN
MMA_KERNEL attention_mma(__global const input_t *restrict qkv, __global output_t *restrict context, int T, int H,
                         float scale)
{
    __local struct tiles tiles;
    DECLARE_SCRATCH(scratch, WAVES);
    attend(block_of(qkv, context, T, H, T), 0, scale, &tiles, scratch);
}
#elif ONLY == BIASED
MMA_KERNEL attention_mma_biased(__global const input_t *restrict qkv, __global const float *restrict table,
                                __global output_t *restrict context, int T, int H, float scale, int grid_height,
                                int grid_width)
{
    __local struct tiles tiles;
    DECLARE_SCRATCH(scratch, WAVES);
    const struct bias bias = {table, grid_height, grid_width, H, get_group_id(1)};
    attend(block_of(qkv, context, T, H, T), &bias, scale, &tiles, scratch);
}
#else
/* Only the first lengths[image] keys count. */
MMA_KERNEL attention_mma_masked(__global const input_t *restrict qkv, __global const float *restrict lengths,
                                __global output_t *restrict context, int T, int H, float scale)
{
    __local struct tiles tiles;
    DECLARE_SCRATCH(scratch, WAVES);
    attend(block_of(qkv, context, T, H, (int)lengths[get_group_id(2)]), 0, scale, &tiles, scratch);
}
#endif

#endif

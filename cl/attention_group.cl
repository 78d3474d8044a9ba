/* attention_group.cl - context = softmax(q k^T / sqrt(d) + bias) v on a GPU: scores never leave the chip. qkv
 * [B,T,3,H,d] -> context [B,T,H,d].
 *
 * One work-group computes QUERIES queries of one head. KEYS keys come into local memory at a time, and then their
 * values into the same place; what has been summed is scaled down when a larger score comes along (Milakov and
 * Gimelshein, "Online normalizer calculation for softmax"; Dao et al., "FlashAttention"). Of both products each of
 * DOWN x ACROSS work-items computes a tile in registers: ROWS queries by COLUMNS keys, then the same queries by PARTS
 * vectors of the context. Whatever work-items next to each other read lies in different banks: neighbours take
 * neighbouring rows, and rows lie an odd number of float4 apart. Scores are in units of log2, so that weights are powers
 * of 2.
 */
#ifndef HEAD_SIZE
#define HEAD_SIZE 64 /* d */
#endif
#ifndef ROWS
#define ROWS 2 /* queries of a work-item */
#endif
#ifndef KEY_VECTORS
#define KEY_VECTORS 1 /* its keys, in vectors of four */
#endif

#define ACROSS  8 /* work-items that share their queries */
#define DOWN    16
#define WORKERS (DOWN * ACROSS)
#define COLUMNS (4 * KEY_VECTORS)
#define QUERIES (DOWN * ROWS)
#define KEYS    (ACROSS * COLUMNS)
#define LOG2_E  1.44269504f

#define VECTORS       ((HEAD_SIZE + 3) / 4) /* of a head, zeros behind its end */
#define STRIDE        (VECTORS | 1)
#define PARTS         ((VECTORS + ACROSS - 1) / ACROSS)
#define WEIGHT_STRIDE (KEYS / 4 + 1)

/* As many bytes as tile_bytes in host/ops/attention_group.c says. */
struct tiles {
    float4 q[QUERIES * STRIDE]; /* in the end the context */
    float4 kv[KEYS * STRIDE];
    float4 weights[QUERIES * WEIGHT_STRIDE]; /* of keys n, n + ACROSS, n + 2 ACROSS, n + 3 ACROSS beside each other */
    float4 shared[QUERIES * ACROSS / 4];     /* one number of each work-item for each of its queries */
};

/* ---- to and from global memory: neighbours take neighbouring numbers ---- */

/* The first `count` of `room` rows; zeros behind them. */
static inline void load_rows(__global const input_t *rows, int stride, int count, int room, __local float4 *to)
{
    __local float *numbers = (__local float *)to;
#pragma unroll 4
    for (int i = get_local_id(0); i < room * 4 * VECTORS; i += WORKERS) {
        const int row = i / (4 * VECTORS), c = i % (4 * VECTORS);
        numbers[row * 4 * STRIDE + c] = row < count && c < HEAD_SIZE ? read_input(rows + row * stride + c) : 0.0f;
    }
}

static inline void store_rows(__local const float4 *from, int count, __global output_t *rows, int stride)
{
    __local const float *numbers = (__local const float *)from;
    for (int i = get_local_id(0); i < count * HEAD_SIZE; i += WORKERS)
        write_output(numbers[i / HEAD_SIZE * 4 * STRIDE + i % HEAD_SIZE],
                     rows + i / HEAD_SIZE * stride + i % HEAD_SIZE);
}

/* ---- one work-item's part: queries down + DOWN r, keys across + ACROSS j, vectors across + ACROSS p ---- */

struct part {
    float largest[ROWS], total[ROWS]; /* score so far; sum of its own keys' weights */
    float4 sum[ROWS][PARTS];          /* of weighted values */
};

static inline void find_scores(__local const struct tiles *tiles, int down, int across, float score[ROWS][COLUMNS])
{
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++)
            score[r][j] = 0.0f;
#pragma unroll 1
    for (int c = 0; c < VECTORS; c++) {
        float4 q[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            q[r] = tiles->q[(down + DOWN * r) * STRIDE + c];
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            const float4 k = tiles->kv[(across + ACROSS * j) * STRIDE + c];
#pragma unroll
            for (int r = 0; r < ROWS; r++) { /* one after the other: a multiply-add each */
                score[r][j] += q[r].x * k.x;
                score[r][j] += q[r].y * k.y;
                score[r][j] += q[r].z * k.z;
                score[r][j] += q[r].w * k.w;
            }
        }
    }
}

/* Scores of keys behind the first `count` become those of keys with no weight. */
static inline void leave_out(int first_key, int count, float score[ROWS][COLUMNS])
{
#pragma unroll
    for (int j = 0; j < COLUMNS; j++)
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            score[r][j] = first_key + ACROSS * j < count ? score[r][j] : -INFINITY;
}

static inline void share(__local struct tiles *tiles, int down, int across, const float number[ROWS])
{
    __local float *shared = (__local float *)tiles->shared;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        shared[(down + DOWN * r) * ACROSS + across] = number[r];
}

static inline void share_largest(__local struct tiles *tiles, int down, int across, const float score[ROWS][COLUMNS])
{
    float largest[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        largest[r] = score[r][0];
#pragma unroll
        for (int j = 1; j < COLUMNS; j++)
            largest[r] = fmax(largest[r], score[r][j]);
    }
    share(tiles, down, across, largest);
}

/* Scores become weights: powers of 2 of their distance from the largest score so far. */
static inline void find_weights(__local struct tiles *tiles, int down, int across, float score[ROWS][COLUMNS],
                                struct part *part)
{
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int row = down + DOWN * r;
        const float4 four = fmax(tiles->shared[2 * row], tiles->shared[2 * row + 1]);
        const float largest = fmax(part->largest[r], fmax(fmax(four.x, four.y), fmax(four.z, four.w)));
        const float shrink = exp2(part->largest[r] - largest);
        part->largest[r] = largest;
        part->total[r] *= shrink;
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            part->sum[r][p] *= shrink;
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            score[r][j] = exp2(score[r][j] - largest);
            part->total[r] += score[r][j];
        }
#pragma unroll
        for (int v = 0; v < KEY_VECTORS; v++)
            tiles->weights[row * WEIGHT_STRIDE + v * ACROSS + across] =
                (float4)(score[r][4 * v], score[r][4 * v + 1], score[r][4 * v + 2], score[r][4 * v + 3]);
    }
}

static inline void add_key(__local const float4 *values, int across, const float weight[ROWS], struct part *part)
{
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const float4 value = values[min(across + ACROSS * p, VECTORS - 1)];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            part->sum[r][p] += weight[r] * value;
    }
}

static inline void add_values(__local const struct tiles *tiles, int down, int across, struct part *part)
{
#pragma unroll 1
    for (int n = 0; n < KEYS / 4; n++) {
        float weight[4][ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const float4 four = tiles->weights[(down + DOWN * r) * WEIGHT_STRIDE + n];
            weight[0][r] = four.x;
            weight[1][r] = four.y;
            weight[2][r] = four.z;
            weight[3][r] = four.w;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
            add_key(tiles->kv + (n / ACROSS * 4 * ACROSS + n % ACROSS + ACROSS * i) * STRIDE, across, weight[i], part);
    }
}

/* All work-items' sums, divided by the totals of which each has its share, replace the queries. */
static inline void put_context(__local struct tiles *tiles, int down, int across, const struct part *part)
{
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int row = down + DOWN * r;
        const float4 four = tiles->shared[2 * row] + tiles->shared[2 * row + 1];
        const float share = 1.0f / ((four.x + four.y) + (four.z + four.w));
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            if (across + ACROSS * p < VECTORS)
                tiles->q[row * STRIDE + across + ACROSS * p] = share * part->sum[r][p];
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

static inline void add_bias(const struct bias *bias, int first_query, int first_key, float score[ROWS][COLUMNS])
{
    const int patches = bias->height * bias->width, middle = place(bias, patches - 1);
    const int special = (2 * bias->height - 1) * (2 * bias->width - 1); /* three rows for pairs with the class token */
    int offset[ROWS], slope[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int i = min(first_query + DOWN * r, patches), query_place = place(bias, max(i - 1, 0));
        slope[r] = i > 0;
        offset[r] = i > 0 ? query_place + middle : special;
    }
#pragma unroll
    for (int j = 0; j < COLUMNS; j++) {
        const int key = min(first_key + ACROSS * j, patches), key_place = place(bias, max(key - 1, 0));
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const int row = key > 0 ? offset[r] - slope[r] * key_place : special + 2 - slope[r];
            score[r][j] += LOG2_E * bias->table[row * bias->heads + bias->head];
        }
    }
}

/* ---- kernels: one work-group per block of queries, head and image ---- */

/* A block's queries, all keys and values that they meet, and where their context goes. */
struct block {
    __global const input_t *q, *k, *v;
    __global output_t *context;
    int first, queries, count;               /* first query of its image; queries; keys */
    int q_stride, kv_stride, context_stride; /* between rows */
};

/* As a call it would keep its variables in memory. */
__attribute__((always_inline)) static inline void attend(const struct block block, const struct bias *bias, float scale,
                                                         __local struct tiles *tiles)
{
    const int down = get_local_id(0) / ACROSS, across = get_local_id(0) % ACROSS;
    struct part part;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        part.largest[r] = -INFINITY;
        part.total[r] = 0.0f;
#pragma unroll
        for (int p = 0; p < PARTS; p++)
            part.sum[r][p] = 0.0f;
    }
    load_rows(block.q, block.q_stride, block.queries, QUERIES, tiles->q);
    for (int first = 0; first < block.count; first += KEYS) {
        float score[ROWS][COLUMNS];
        load_rows(block.k + first * block.kv_stride, block.kv_stride, block.count - first, KEYS, tiles->kv);
        barrier(CLK_LOCAL_MEM_FENCE);
        find_scores(tiles, down, across, score);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int j = 0; j < COLUMNS; j++)
                score[r][j] *= scale * LOG2_E;
        if (bias)
            add_bias(bias, block.first + down, first + across, score);
        leave_out(first + across, block.count, score);
        share_largest(tiles, down, across, score);
        barrier(CLK_LOCAL_MEM_FENCE);
        find_weights(tiles, down, across, score, &part);
        load_rows(block.v + first * block.kv_stride, block.kv_stride, block.count - first, KEYS, tiles->kv);
        barrier(CLK_LOCAL_MEM_FENCE);
        add_values(tiles, down, across, &part);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    share(tiles, down, across, part.total);
    barrier(CLK_LOCAL_MEM_FENCE);
    put_context(tiles, down, across, &part);
    barrier(CLK_LOCAL_MEM_FENCE);
    store_rows(tiles->q, block.queries, block.context, block.context_stride);
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
                                stride,
                                width};
    return block;
}

/* Where ONLY is given, the program has one kernel alone: compilers take their time for each, and Oclgrind adds up the
 * local memory of all. The numbers are those of enum form in host/ops/attention_internal.h. */
#ifdef ONLY
#define HAS(form) (ONLY == form)
#else
#define HAS(form) 1
#endif
#define PLAIN       0
#define BIASED      1
#define MASKED      2
#define POOL        3
#define POOL_MASKED 4

#define GROUP_KERNEL __kernel __attribute__((reqd_work_group_size(WORKERS, 1, 1))) void

#if HAS(PLAIN)
GROUP_KERNEL attention_group(__global const input_t *restrict qkv, __global output_t *restrict context, int T, int H,
                             float scale)
{
    __local struct tiles tiles;
    attend(block_of(qkv, context, T, H, T), 0, scale, &tiles);
}
#endif

#if HAS(BIASED)
GROUP_KERNEL attention_group_biased(__global const input_t *restrict qkv, __global const float *restrict table,
                                    __global output_t *restrict context, int T, int H, float scale, int grid_height,
                                    int grid_width)
{
    __local struct tiles tiles;
    const struct bias bias = {table, grid_height, grid_width, H, get_group_id(1)};
    attend(block_of(qkv, context, T, H, T), &bias, scale, &tiles);
}
#endif

#if HAS(MASKED)
/* Only the first lengths[image] keys count. */
GROUP_KERNEL attention_group_masked(__global const input_t *restrict qkv, __global const float *restrict lengths,
                                    __global output_t *restrict context, int T, int H, float scale)
{
    __local struct tiles tiles;
    attend(block_of(qkv, context, T, H, (int)lengths[get_group_id(2)]), 0, scale, &tiles);
}
#endif

/* One query q [D] for all images, as a pooling head asks it: context [B,D] over kv [B,T,2D], from token `first` on.
 * One work-group per head and image; what its other queries would be is zero, and goes nowhere. */
static inline struct block pool_block_of(__global const input_t *q, __global const input_t *kv,
                                         __global output_t *context, int T, int first, int H, int count)
{
    const int head = get_group_id(0), image = get_group_id(1), width = H * HEAD_SIZE;
    __global const input_t *k = kv + (image * T + first) * 2 * width + head * HEAD_SIZE;
    const struct block block = {
        q + head * HEAD_SIZE, k, k + width, context + image * width + head * HEAD_SIZE, 0, 1, count - first,
        width,                2 * width, width};
    return block;
}

#if HAS(POOL)
GROUP_KERNEL attention_pool_group(__global const input_t *restrict q, __global const input_t *restrict kv,
                                  __global output_t *restrict context, int T, int first, int H, float scale)
{
    __local struct tiles tiles;
    attend(pool_block_of(q, kv, context, T, first, H, T), 0, scale, &tiles);
}
#endif

#if HAS(POOL_MASKED)
GROUP_KERNEL attention_pool_group_masked(__global const input_t *restrict q, __global const input_t *restrict kv,
                                         __global const float *restrict lengths, __global output_t *restrict context,
                                         int T, int first, int H, float scale)
{
    __local struct tiles tiles;
    attend(pool_block_of(q, kv, context, T, first, H, (int)lengths[get_group_id(1)]), 0, scale, &tiles);
}
#endif

/* attention_fused.cl - context = softmax(q k^T / sqrt(d) + bias) v on a CPU: scores never leave the core's cache. qkv
 * [B,T,3,H,d] -> context [B,T,H,d].
 *
 * One work-item computes LANES queries of one head, which are the lanes of its vectors: so softmax needs no sum across
 * lanes, and both products are like those of matmul_panel.cl. Rows of keys and values are read as they lie in qkv, a
 * number at a time; the vectors are the queries, transposed once, and then the weights of the keys. KEYS keys come at
 * a time: what has been summed is scaled down when a larger score comes along (Milakov and Gimelshein, "Online
 * normalizer calculation for softmax"). Scores are in units of log2, so that weights are powers of 2.
 */
#ifndef HEAD_SIZE
#define HEAD_SIZE 64 /* d */
#endif
#ifndef KEY_TILE
#define KEY_TILE 13 /* keys whose scores are summed in registers at a time */
#endif
#ifndef VALUE_TILE
#define VALUE_TILE 8 /* columns of v likewise: a divisor of d */
#endif

#define LANES  (2 * VECTOR)
#define KEYS   224 /* at a time; at most */
#define LOG2_E 1.44269504f

/* ---- transposing ---- */

/* Square [VECTOR,VECTOR], in place: each round interleaves the first half of the rows with the second. */
static inline void transpose(vfloat *rows)
{
    vfloat next[VECTOR];
    for (int round = 1; round < VECTOR; round *= 2) {
#pragma unroll
        for (int i = 0; i < VECTOR / 2; i++) {
            next[2 * i].even = rows[i].lo;
            next[2 * i].odd = rows[i + VECTOR / 2].lo;
            next[2 * i + 1].even = rows[i].hi;
            next[2 * i + 1].odd = rows[i + VECTOR / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < VECTOR; i++)
            rows[i] = next[i];
    }
}

/* to [count][HEAD_SIZE] = rows of keys or values: beside each other they take few pages of memory and are float. */
static inline void load_rows(__global const input_t *rows, int stride, int count, float *to)
{
    for (int j = 0; j < count; j++) {
        int c = 0;
        for (; c + VECTOR <= HEAD_SIZE; c += VECTOR)
            store_vector(read_input_vector(rows + j * stride + c), 0, to + j * HEAD_SIZE + c);
        for (; c < HEAD_SIZE; c++)
            to[j * HEAD_SIZE + c] = read_input(rows + j * stride + c);
    }
}

/* q [HEAD_SIZE][LANES] = scale * the queries at `rows`, transposed; the last one again in the lanes beyond `count`. */
static inline void load_queries(__global const input_t *rows, int stride, int count, float scale, float *q)
{
    for (int lane = 0; lane < LANES; lane += VECTOR) {
        int c = 0;
        for (; c + VECTOR <= HEAD_SIZE; c += VECTOR) {
            vfloat square[VECTOR];
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                square[i] = scale * read_input_vector(rows + min(lane + i, count - 1) * stride + c);
            transpose(square);
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                store_vector(square[i], 0, q + (c + i) * LANES + lane);
        }
        for (; c < HEAD_SIZE; c++)
            for (int i = 0; i < VECTOR; i++)
                q[c * LANES + lane + i] = scale * read_input(rows + min(lane + i, count - 1) * stride + c);
    }
}

/* The first `count` lanes of sums [HEAD_SIZE][LANES], transposed, become rows of the context. */
static inline void store_context(const float *sums, int count, __global output_t *rows, int stride)
{
    for (int lane = 0; lane < count; lane += VECTOR) {
        int c = 0;
        for (; c + VECTOR <= HEAD_SIZE; c += VECTOR) {
            vfloat square[VECTOR];
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                square[i] = load_vector(0, sums + (c + i) * LANES + lane);
            transpose(square);
#pragma unroll
            for (int i = 0; i < VECTOR; i++)
                if (lane + i < count)
                    write_output_vector(square[i], rows + (lane + i) * stride + c);
        }
        for (; c < HEAD_SIZE; c++)
            for (int i = lane; i < min(lane + VECTOR, count); i++)
                write_output(sums[c * LANES + i], rows + i * stride + c);
    }
}

/* ---- the two products, for one vector of queries or two ---- */

/* scores [ROWS][LANES] of ROWS keys at k. */
#define DEFINE_SCORES(NAME, ROWS, VECTORS)                                                                             \
    static inline void NAME(const float *restrict k, const float *restrict q, float *restrict scores)                  \
    {                                                                                                                  \
        vfloat sum[ROWS][VECTORS];                                                                                     \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                               \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) sum[r][v] = 0.0f;                                      \
        _Pragma("unroll 2") for (int c = 0; c < HEAD_SIZE; c++)                                                        \
        {                                                                                                              \
            _Pragma("unroll") for (int r = 0; r < ROWS; r++) _Pragma("unroll") for (int v = 0; v < VECTORS; v++)       \
                sum[r][v] = fma((vfloat)(k[r * HEAD_SIZE + c]), load_vector(v, q + c * LANES), sum[r][v]);                \
        }                                                                                                              \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                               \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) store_vector(sum[r][v], v, scores + r * LANES);        \
    }

DEFINE_SCORES(scores_tile_1, KEY_TILE, 1)
DEFINE_SCORES(scores_tile_2, KEY_TILE, 2)
DEFINE_SCORES(scores_row, 1, 2)

/* sums [COLUMNS][LANES] += weights [count][LANES] times COLUMNS columns of the `count` rows at v. */
#define DEFINE_VALUES(NAME, COLUMNS, VECTORS)                                                                          \
    static inline void NAME(const float *restrict values, const float *restrict weights, int count,                    \
                            float *restrict sums)                                                                         \
    {                                                                                                                  \
        vfloat sum[COLUMNS][VECTORS];                                                                                  \
        _Pragma("unroll") for (int c = 0; c < COLUMNS; c++)                                                            \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) sum[c][v] = load_vector(v, sums + c * LANES);          \
        for (int j = 0; j < count; j++) {                                                                              \
            _Pragma("unroll") for (int c = 0; c < COLUMNS; c++) _Pragma("unroll") for (int v = 0; v < VECTORS; v++)    \
                sum[c][v] = fma((vfloat)(values[j * HEAD_SIZE + c]), load_vector(v, weights + j * LANES), sum[c][v]);     \
        }                                                                                                              \
        _Pragma("unroll") for (int c = 0; c < COLUMNS; c++)                                                            \
            _Pragma("unroll") for (int v = 0; v < VECTORS; v++) store_vector(sum[c][v], v, sums + c * LANES);          \
    }

DEFINE_VALUES(values_tile_1, VALUE_TILE, 1)
DEFINE_VALUES(values_tile_2, VALUE_TILE, 2)

/* A last tile that would reach too far begins earlier, and finds some scores twice. */
static inline void find_scores(const float *k, const float *q, int count, int vectors, float *scores)
{
    for (int j = 0; j < count && count < KEY_TILE; j++)
        scores_row(k + j * HEAD_SIZE, q, scores + j * LANES);
    for (int j = 0; j < count && count >= KEY_TILE; j += KEY_TILE) {
        const int first = min(j, count - KEY_TILE);
        if (vectors == 1)
            scores_tile_1(k + first * HEAD_SIZE, q, scores + first * LANES);
        else
            scores_tile_2(k + first * HEAD_SIZE, q, scores + first * LANES);
    }
}

static inline void add_values(const float *values, const float *weights, int count, int vectors, float *sums)
{
    for (int c = 0; c < HEAD_SIZE; c += VALUE_TILE)
        if (vectors == 1)
            values_tile_1(values + c, weights, count, sums + c * LANES);
        else
            values_tile_2(values + c, weights, count, sums + c * LANES);
}

/* ---- softmax ---- */

/* What the queries of a block have met so far. */
struct block {
    float sums[HEAD_SIZE * LANES]; /* of weighted values */
    vfloat largest[2], total[2];   /* score, and sum of weights, for each lane */
};

/* scores [count][LANES] become weights: powers of 2 of their distance from the largest score so far. */
static inline void find_weights(struct block *block, float *scores, int count, int vectors)
{
    for (int v = 0; v < vectors; v++) {
        vfloat largest = block->largest[v], total = 0.0f;
        for (int j = 0; j < count; j++)
            largest = load_vector(v, scores + j * LANES) > largest ? load_vector(v, scores + j * LANES) : largest;
        const vfloat shrink = vexp2(block->largest[v] - largest);
        for (int j = 0; j < count; j++) {
            const vfloat weight = vexp2(load_vector(v, scores + j * LANES) - largest);
            total += weight;
            store_vector(weight, v, scores + j * LANES);
        }
        for (int c = 0; c < HEAD_SIZE; c++)
            store_vector(shrink * load_vector(v, block->sums + c * LANES), v, block->sums + c * LANES);
        block->total[v] = shrink * block->total[v] + total;
        block->largest[v] = largest;
    }
}

/* ---- BEiT's relative position bias ---- */

/* See struct bias in attention.cl. Query i and key j take row i's `offset` - i's `slope` * j's place in the grid; without
 * a bias, table is 0. */
struct bias {
    __global const float *table;
    int height, width, heads, head, first; /* first: the query of lane 0 */
};

/* A patch's place: rows of the grid are as far apart as rows of the table's. */
static inline int place(const struct bias *bias, int patch)
{
    return patch / bias->width * (2 * bias->width - 1) + patch % bias->width;
}

static inline void add_bias(const struct bias *bias, int first_key, int count, float *scores)
{
    const int special = (2 * bias->height - 1) * (2 * bias->width - 1); /* three rows for pairs with the class token */
    const int middle = place(bias, bias->height * bias->width - 1);
    int offset[LANES], slope[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        const int i = min(bias->first + lane, bias->height * bias->width);
        slope[lane] = i > 0;
        offset[lane] = i > 0 ? place(bias, i - 1) + middle : special;
    }
    for (int j = 0; j < count; j++) {
        const int key = first_key + j, key_place = place(bias, max(key - 1, 0));
        for (int lane = 0; lane < LANES; lane++) {
            const int row = key > 0 ? offset[lane] - slope[lane] * key_place : special + 2 - slope[lane];
            scores[j * LANES + lane] += LOG2_E * bias->table[row * bias->heads + bias->head];
        }
    }
}

/* ---- kernels: one work-item per block of queries, head and image ---- */

/* The first `count` keys count, `keys` at a time. */
static inline void attend(__global const input_t *qkv, const struct bias *bias, __global output_t *context, int T, int H,
                          int keys, int count, float scale)
{
    const int first = get_global_id(0) * LANES, head = get_global_id(1), image = get_global_id(2);
    const int queries = min(LANES, T - first), vectors = queries > VECTOR ? 2 : 1;
    const int width = H * HEAD_SIZE, stride = 3 * width;
    __global const input_t *k = qkv + image * T * stride + width + head * HEAD_SIZE, *v = k + width;
    float q[HEAD_SIZE * LANES], rows[KEYS * HEAD_SIZE], scores[KEYS * LANES];
    struct block block;

    load_queries(qkv + (image * T + first) * stride + head * HEAD_SIZE, stride, queries, scale * LOG2_E, q);
    for (int c = 0; c < HEAD_SIZE * LANES; c++)
        block.sums[c] = 0.0f;
    block.largest[0] = block.largest[1] = -INFINITY;
    block.total[0] = block.total[1] = 0.0f;
    for (int j = 0; j < count; j += keys) {
        const int here = min(keys, count - j);
        load_rows(k + j * stride, stride, here, rows);
        find_scores(rows, q, here, vectors, scores);
        if (bias)
            add_bias(bias, j, here, scores);
        find_weights(&block, scores, here, vectors);
        load_rows(v + j * stride, stride, here, rows);
        add_values(rows, scores, here, vectors, block.sums);
    }
    for (int lane = 0; lane < vectors; lane++) {
        const vfloat share = 1.0f / block.total[lane];
        for (int c = 0; c < HEAD_SIZE; c++)
            store_vector(share * load_vector(lane, block.sums + c * LANES), lane, block.sums + c * LANES);
    }
    store_context(block.sums, queries, context + (image * T + first) * width + head * HEAD_SIZE, width);
}

#define FUSED_KERNEL __kernel __attribute__((reqd_work_group_size(1, 1, 1))) void

FUSED_KERNEL attention_fused(__global const input_t *restrict qkv, __global output_t *restrict context, int T, int H,
                             int keys, float scale)
{
    attend(qkv, 0, context, T, H, keys, T, scale);
}

FUSED_KERNEL attention_fused_biased(__global const input_t *restrict qkv, __global const float *restrict table,
                                    __global output_t *restrict context, int T, int H, int keys, float scale,
                                    int grid_height, int grid_width)
{
    const struct bias bias = {table, grid_height, grid_width, H, get_global_id(1), get_global_id(0) * LANES};
    attend(qkv, &bias, context, T, H, keys, T, scale);
}

/* Only the first lengths[image] keys count. */
FUSED_KERNEL attention_fused_masked(__global const input_t *restrict qkv, __global const float *restrict lengths,
                                    __global output_t *restrict context, int T, int H, int keys, float scale)
{
    attend(qkv, 0, context, T, H, keys, (int)lengths[get_global_id(2)], scale);
}

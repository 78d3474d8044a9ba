/* matmul_panel.cl - y [rows,N] = activation(x [rows,K] w + bias [N]) on a CPU, with all sums in registers: no local
 * memory, no barrier. w lies in panels of COLUMNS columns, [panels][K][COLUMNS], with zeros beyond N.
 *
 * One work-item computes one tile: the columns of PANELS panels for HEIGHT or HEIGHT - 1 rows, which is its share when
 * `tiles` tiles share all rows evenly. Tiles that follow each other walk down the rows of one panel, which so stays in
 * the core's cache; after `block` of them the next panel begins, so that these rows of x stay there, too.
 */
#ifndef HEIGHT
#define HEIGHT 14
#endif
#ifndef K
#define K 768 /* known to the compiler, rows of x are at constant distances: no arithmetic competes with the sums' */
#endif

#ifndef PANELS
#define PANELS 1 /* of one work-item */
#endif
#ifndef ACTIVATION
#define ACTIVATION GELU
#endif

#define COLUMNS (2 * VECTOR)
#ifdef BF16_INPUT
#define PADDED_K ((K + 1) / 2 * 2)
#else
#define PADDED_K K
#endif

/* ---- sums [panels][HEIGHT,COLUMNS] = x w; x and w begin where the tile does, height is HEIGHT or one less ---- */

#if defined(AMX)

#define DEPTH 384 /* of K at a time: so much of x stays in the core's first cache while the panels of w pass by */

/* From k on, for the rest of K or DEPTH. Registers 0 to 3 hold the sums, which begin with 0 where k does; 4 and 5 rows
 * of x, 6 and 7 columns of w. */
static inline void multiply_part(__global const ushort *x, __global const ushort *w, int k, float *sums)
{
    const int end = min(k + DEPTH, K);
    if (k == 0) {
        CLEAR_TILE(0);
        CLEAR_TILE(1);
        CLEAR_TILE(2);
        CLEAR_TILE(3);
    } else {
        LOAD_TILE(0, sums, 2 * TILE_ROW);
        LOAD_TILE(1, sums + 16, 2 * TILE_ROW);
#if HEIGHT > 16
        LOAD_TILE(2, sums + 16 * COLUMNS, 2 * TILE_ROW);
        LOAD_TILE(3, sums + 16 * COLUMNS + 16, 2 * TILE_ROW);
#endif
    }
    for (; k < end; k += 32) {
        LOAD_TILE(4, x + k, 2 * K);
        for (int pair = 0; pair < 16; pair++) { /* what the next round takes of w */
            fetch_line(w + (k + 32 + 2 * pair) * COLUMNS);
            fetch_line(w + (k + 33 + 2 * pair) * COLUMNS);
        }
        LOAD_TILE(6, w + k * COLUMNS, 2 * TILE_ROW);
        LOAD_TILE(7, w + k * COLUMNS + 32, 2 * TILE_ROW);
        MULTIPLY_TILES(0, 4, 6);
        MULTIPLY_TILES(1, 4, 7);
#if HEIGHT > 16
        LOAD_TILE(5, x + 16 * K + k, 2 * K);
        MULTIPLY_TILES(2, 5, 6);
        MULTIPLY_TILES(3, 5, 7);
#endif
    }
    STORE_TILE(0, sums, 2 * TILE_ROW);
    STORE_TILE(1, sums + 16, 2 * TILE_ROW);
#if HEIGHT > 16
    STORE_TILE(2, sums + 16 * COLUMNS, 2 * TILE_ROW);
    STORE_TILE(3, sums + 16 * COLUMNS + 16, 2 * TILE_ROW);
#endif
}

static inline void multiply(__global const ushort *x, __global const ushort *w, int height, int panels, float *sums)
{
    configure_tiles(min(height, 16), max(height - 16, 1)); /* a register has one row at least */
    for (int k = 0; k < K; k += DEPTH)
        for (int p = 0; p < panels; p++)
            multiply_part(x, w + p * COLUMNS * K, k, sums + p * HEIGHT * COLUMNS);
    __asm__ volatile("tilerelease" : :);
}

#else

#if !defined(BF16_INPUT)

typedef vfloat factor_t;
#define STEP_SIZE        COLUMNS /* numbers of w that one step takes */
#define load_w(i, w)     read_input_vector((w) + (i) * VECTOR)
#define multiply_add(x, w, sum) fma(x, w, sum)

#if defined(F16_INPUT)
/* So much of x becomes float at a time, in the core's first cache, while the panels of w pass by. */
#define DEPTH           256
typedef const float *restrict rows_of_x;
#define load_x(x, r, k) ((vfloat)((x)[(r) * DEPTH + (k)]))
#else
typedef __global const float *restrict rows_of_x;
#define load_x(x, r, k) ((vfloat)((x)[(r) * K + (k)]))
#endif

#else

/* Pairs of neighbours along K. x is read a pair at a time: K is even, or the last pair's second weight is 0. */
typedef vuint factor_t;
typedef __global const ushort *restrict rows_of_x;
#define STEP_SIZE       (2 * COLUMNS)
#define load_x(x, r, k) ((vuint)(*(__global const uint *)((x) + (r) * K + 2 * (k))))
#define load_w(i, w)    load_vector(i, (__global const uint *)(w))

#if defined(BF16_DOT)
static inline vfloat multiply_add(vuint x, vuint w, vfloat sum)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}
#else
static inline vfloat multiply_add(vuint x, vuint w, vfloat sum)
{
    sum = fma(as_vfloat(x << 16), as_vfloat(w << 16), sum);
    return fma(as_vfloat(x & 0xffff0000u), as_vfloat(w & 0xffff0000u), sum);
}
#endif
#endif

#define AHEAD 16 /* steps, for which w is asked for before it is needed */

/* From the sums that are there, or from 0 on. */
#define DEFINE_TILE(NAME, ROWS)                                                                                        \
    static inline void NAME(rows_of_x x, __global const input_t *restrict w, int steps, bool first, float *sums)       \
    {                                                                                                                  \
        vfloat left[ROWS], right[ROWS];                                                                                \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                               \
        {                                                                                                              \
            left[r] = first ? (vfloat)(0.0f) : load_vector(2 * r, sums);                                               \
            right[r] = first ? (vfloat)(0.0f) : load_vector(2 * r + 1, sums);                                          \
        }                                                                                                              \
        for (int k = 0; k < steps; k++) {                                                                              \
            const factor_t w_left = load_w(2 * k, w), w_right = load_w(2 * k + 1, w);                                  \
            fetch_line(w + (k + AHEAD) * STEP_SIZE);                                                                   \
            fetch_line(w + (k + AHEAD) * STEP_SIZE + STEP_SIZE / 2);                                                   \
            _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                           \
            {                                                                                                          \
                const factor_t x_k = load_x(x, r, k);                                                                  \
                left[r] = multiply_add(x_k, w_left, left[r]);                                                          \
                right[r] = multiply_add(x_k, w_right, right[r]);                                                       \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                               \
        {                                                                                                              \
            store_vector(left[r], 2 * r, sums);                                                                        \
            store_vector(right[r], 2 * r + 1, sums);                                                                   \
        }                                                                                                              \
    }

DEFINE_TILE(high_tile, HEIGHT)
#if HEIGHT > 1
DEFINE_TILE(low_tile, (HEIGHT - 1))
#else
#define low_tile high_tile
#endif

static inline void multiply_part(rows_of_x x, __global const input_t *w, int height, int panels, int steps, bool first,
                                 float *sums)
{
    for (int p = 0; p < panels; p++)
        if (height == HEIGHT)
            high_tile(x, w + p * COLUMNS * PADDED_K, steps, first, sums + p * HEIGHT * COLUMNS);
        else
            low_tile(x, w + p * COLUMNS * PADDED_K, steps, first, sums + p * HEIGHT * COLUMNS);
}

#if defined(F16_INPUT)

static inline void read_row(__global const input_t *x, int count, float *row)
{
    int k = 0;
    for (; k + VECTOR <= count; k += VECTOR)
        store_vector(read_input_vector(x + k), 0, row + k);
    for (; k < count; k++)
        row[k] = read_input(x + k);
}

static inline void multiply(__global const input_t *x, __global const input_t *w, int height, int panels, float *sums)
{
    float rows[HEIGHT * DEPTH];
    for (int k = 0; k < K; k += DEPTH) {
        const int depth = min(DEPTH, K - k);
        for (int r = 0; r < height; r++)
            read_row(x + r * K + k, depth, rows + r * DEPTH);
        multiply_part(rows, w + k * COLUMNS, height, panels, depth, k == 0, sums);
    }
}

#else

static inline void multiply(__global const input_t *x, __global const input_t *w, int height, int panels, float *sums)
{
    multiply_part(x, w, height, panels, PADDED_K / (STEP_SIZE / COLUMNS), true, sums);
}

#endif

#endif

/* ---- what is done with the sums ---- */

/* y [height,COLUMNS] = activation(sums + bias). */
static inline void finish(const float *sums, __global const float *bias, __global output_t *y, int N, int height)
{
    const vfloat left = load_vector(0, bias), right = load_vector(1, bias);
    for (int r = 0; r < height; r++) {
        write_output_vector(vactivate(load_vector(2 * r, sums) + left, ACTIVATION), y + r * N);
        write_output_vector(vactivate(load_vector(2 * r + 1, sums) + right, ACTIVATION), y + r * N + VECTOR);
    }
}

/* The same in the last panel, of which only the first `columns` are there. */
static inline void finish_some(float *sums, __global const float *bias, __global output_t *y, int N, int height,
                               int columns)
{
    for (int r = 0; r < height; r++) {
        float *row = sums + r * COLUMNS;
        for (int i = 0; i < columns; i++)
            row[i] += bias[i];
        store_vector(vactivate(load_vector(0, row), ACTIVATION), 0, row);
        store_vector(vactivate(load_vector(1, row), ACTIVATION), 1, row);
        for (int i = 0; i < columns; i++)
            write_output(row[i], y + r * N + i);
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
matmul_panel(__global const input_t *restrict x, __global const input_t *restrict w, __global const float *restrict bias,
             __global output_t *restrict y, int rows, int N, int tiles, int block)
{
    const int panels = (N + COLUMNS - 1) / COLUMNS, groups = (panels + PANELS - 1) / PANELS;
    const int first = (int)get_global_id(0) / (block * groups) * block; /* tile of this block */
    const int in_block = (int)get_global_id(0) % (block * groups), height_of_block = min(block, tiles - first);
    const int tile = first + in_block % height_of_block, panel = in_block / height_of_block * PANELS;
    const int low = rows / tiles, high_tiles = rows % tiles; /* so many tiles have low + 1 rows */
    const int row = tile * low + min(tile, high_tiles), height = low + (tile < high_tiles);
    const int end = min(panel + PANELS, panels);
    float sums[PANELS * HEIGHT * COLUMNS];

    multiply(x + row * K, w + panel * COLUMNS * PADDED_K, height, end - panel, sums);
    for (int p = panel; p < end; p++) {
        float *sums_p = sums + (p - panel) * HEIGHT * COLUMNS;
        __global output_t *y_p = y + row * N + p * COLUMNS;
        if (N - p * COLUMNS >= COLUMNS)
            finish(sums_p, bias + p * COLUMNS, y_p, N, height);
        else
            finish_some(sums_p, bias + p * COLUMNS, y_p, N, height, N - p * COLUMNS);
    }
}

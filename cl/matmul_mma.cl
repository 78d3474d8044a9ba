/* matmul_mma.cl - y [rows,N] = activation(x [rows,K] w + bias [N]) by the matrix instructions of a GPU (matrix.cl), of
 * 16-bit numbers; K is a multiple of 8. w lies in panels of PANEL columns, as [panels][K/2][PANEL][2], with zeros behind
 * the last column.
 *
 * A work-group computes a tile of y, TILE_ROWS x TILE_COLUMNS; a wave WAVE_ROWS x WAVE_COLUMNS sums of it, which stay
 * in its registers. TILE_PAIRS pairs of numbers of each row and column at a time lie in local memory; meanwhile the
 * next ones are on their way from global memory into registers. Rows and columns that y does not have repeat others,
 * and are not written.
 */
#ifdef MATRIX

#ifndef TILE_ROWS
#define TILE_ROWS    128
#define TILE_COLUMNS 128
#define WAVE_ROWS    64
#define WAVE_COLUMNS 32
#endif

#define TILE_PAIRS   16
#define WAVES_DOWN   (TILE_ROWS / WAVE_ROWS)
#define WAVES_ACROSS (TILE_COLUMNS / WAVE_COLUMNS)
#define ITEMS        (WAVES_DOWN * WAVES_ACROSS * WAVE)
#define FRAGMENTS_DOWN   (WAVE_ROWS / 16) /* of a wave */
#define FRAGMENTS_ACROSS (WAVE_COLUMNS / FRAGMENT_COLUMNS)

/* Loads of four pairs by each work-item. */
#define X_LOADS (TILE_ROWS * TILE_PAIRS / 4 / ITEMS)
#define W_LOADS (TILE_COLUMNS * TILE_PAIRS / 4 / ITEMS)

/* Local memory: x [TILE_ROWS][X_STRIDE], w [TILE_PAIRS][W_STRIDE] pairs, and in their place at the end sums [16 rows of
 * each wave][W_STRIDE]. The strides bring what a wave reads or writes at once into different banks. */
#define X_STRIDE (TILE_PAIRS + 4)
#define W_STRIDE (TILE_COLUMNS + 8)
#define FACTORS  (TILE_ROWS * X_STRIDE + TILE_PAIRS * W_STRIDE)
#define STAGED   (WAVES_DOWN * 16 * W_STRIDE)

/* What each work-item brings of the tile from pair p of all `pairs` on. */
static inline void fetch(__global const uint *x, __global const uint *w, int2 first, int rows, int N, int p, int pairs,
                         uint4 x_next[X_LOADS], uint4 w_next[W_LOADS])
{
    const int id = get_local_id(0), last_panel = (N - 1) / PANEL;
#pragma unroll
    for (int i = 0; i < X_LOADS; i++) {
        const int q = id + i * ITEMS, row = min(first.s0 + q / (TILE_PAIRS / 4), rows - 1);
        const int pair = p + q % (TILE_PAIRS / 4) * 4;
        x_next[i] = pair < pairs ? *(__global const uint4 *)(x + row * pairs + pair) : (uint4)(0);
    }
#pragma unroll
    for (int i = 0; i < W_LOADS; i++) {
        const int q = id + i * ITEMS, column = first.s1 + q % (TILE_COLUMNS / 4) * 4;
        const int panel = min(column / PANEL, last_panel), pair = p + q / (TILE_COLUMNS / 4);
        w_next[i] = pair < pairs ? *(__global const uint4 *)(w + (panel * pairs + pair) * PANEL + column % PANEL) : (uint4)(0);
    }
}

static inline void store(const uint4 x_next[X_LOADS], const uint4 w_next[W_LOADS], __local uint *x_tile,
                         __local uint *w_tile)
{
    const int id = get_local_id(0);
#pragma unroll
    for (int i = 0; i < X_LOADS; i++) {
        const int q = id + i * ITEMS;
        *(__local uint4 *)(x_tile + q / (TILE_PAIRS / 4) * X_STRIDE + q % (TILE_PAIRS / 4) * 4) = x_next[i];
    }
#pragma unroll
    for (int i = 0; i < W_LOADS; i++) {
        const int q = id + i * ITEMS;
        *(__local uint4 *)(w_tile + q / (TILE_COLUMNS / 4) * W_STRIDE + q % (TILE_COLUMNS / 4) * 4) = w_next[i];
    }
}

/* sums += x w of 8 pairs in local memory, which begin where the wave's do. */
static inline void multiply(__local const uint *x, __local const uint *w, __local uint *scratch,
                            float sums[FRAGMENTS_DOWN][FRAGMENTS_ACROSS][SUM_REGISTERS])
{
    const int lane = get_local_id(0) % WAVE;
    uint w_parts[FRAGMENTS_ACROSS][W_REGISTERS];
    UNROLL for (int j = 0; j < FRAGMENTS_ACROSS; j++)
        UNROLL for (int i = 0; i < W_REGISTERS; i++)
            w_parts[j][i] = w[w_pair(lane, i) * W_STRIDE + j * FRAGMENT_COLUMNS + w_column(lane, i)];
    UNROLL for (int r = 0; r < FRAGMENTS_DOWN; r++) {
        uint x_part[X_REGISTERS];
        UNROLL for (int i = 0; i < X_REGISTERS; i++)
            x_part[i] = x[(r * 16 + x_row(lane, i)) * X_STRIDE + x_pair(lane, i)];
        UNROLL for (int j = 0; j < FRAGMENTS_ACROSS; j++)
            multiply_fragments(sums[r][j], x_part, w_parts[j], scratch);
    }
}

/* Through local memory, 16 rows of each wave at a time, so that rows are written by whole vectors; those behind move up.
 */
static inline void finish(float sums[FRAGMENTS_DOWN][FRAGMENTS_ACROSS][SUM_REGISTERS], __local float *staged,
                          __global const float *bias, __global output_t *y, int2 first, int rows, int N, int activation)
{
    const int id = get_local_id(0), wave = id / WAVE, lane = id % WAVE;
    __local float *own = staged + wave / WAVES_ACROSS * 16 * W_STRIDE + wave % WAVES_ACROSS * WAVE_COLUMNS;
    for (int part = 0; part < FRAGMENTS_DOWN; part++) {
        barrier(CLK_LOCAL_MEM_FENCE);
        UNROLL for (int j = 0; j < FRAGMENTS_ACROSS; j++)
            UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
                own[y_row(lane, i) * W_STRIDE + j * FRAGMENT_COLUMNS + y_column(lane, i)] = sums[0][j][i];
                UNROLL for (int r = 1; r < FRAGMENTS_DOWN; r++)
                    sums[r - 1][j][i] = sums[r][j][i];
            }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int q = id; q < WAVES_DOWN * 16 * TILE_COLUMNS / 4; q += ITEMS) {
            const int s = q / (TILE_COLUMNS / 4), in_tile = q % (TILE_COLUMNS / 4) * 4;
            const int row = first.s0 + s / 16 * WAVE_ROWS + part * 16 + s % 16, column = first.s1 + in_tile;
            if (row < rows && column < N)
                finish_sums(*(__local const float4 *)(staged + s * W_STRIDE + in_tile), bias, y, row, column, N,
                            activation);
        }
    }
}

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
matmul_mma(__global const uint *restrict x, __global const uint *restrict w, __global const float *restrict bias,
           __global output_t *restrict y, int rows, int N, int K, int activation)
{
    __local uint4 memory[(FACTORS > STAGED ? FACTORS : STAGED) / 4];
    DECLARE_SCRATCH(scratch, WAVES_DOWN *WAVES_ACROSS);
    __local uint *x_tile = (__local uint *)memory, *w_tile = x_tile + TILE_ROWS * X_STRIDE;
    const int wave = get_local_id(0) / WAVE, pairs = K / 2;
    const int2 first = tile_of(get_group_id(0), (rows + TILE_ROWS - 1) / TILE_ROWS, (N + TILE_COLUMNS - 1) / TILE_COLUMNS) *
                       (int2)(TILE_ROWS, TILE_COLUMNS);
    __local const uint *own_x = x_tile + wave / WAVES_ACROSS * WAVE_ROWS * X_STRIDE;
    __local const uint *own_w = w_tile + wave % WAVES_ACROSS * WAVE_COLUMNS;
    uint4 x_next[X_LOADS], w_next[W_LOADS];
    float sums[FRAGMENTS_DOWN][FRAGMENTS_ACROSS][SUM_REGISTERS];

    UNROLL for (int r = 0; r < FRAGMENTS_DOWN; r++)
        UNROLL for (int j = 0; j < FRAGMENTS_ACROSS; j++)
            UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
                sums[r][j][i] = 0.0f;
    fetch(x, w, first, rows, N, 0, pairs, x_next, w_next);
    for (int p = 0; p < pairs; p += TILE_PAIRS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        store(x_next, w_next, x_tile, w_tile);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(x, w, first, rows, N, p + TILE_PAIRS, pairs, x_next, w_next);
        UNROLL for (int part = 0; part < TILE_PAIRS; part += 8)
            multiply(own_x + part, own_w + part * W_STRIDE, scratch, sums);
    }
    finish(sums, (__local float *)memory, bias, y, first, rows, N, activation);
}

#endif

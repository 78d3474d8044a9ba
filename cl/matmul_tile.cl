/* matmul_tile.cl - y [rows,N] = activation(x [rows,K] w + bias [N]) on a GPU. w lies in panels of PANEL columns, as
 * [panels][K][PANEL], of 16-bit numbers as [panels][K/2][PANEL][2], with zeros behind the last column and number.
 *
 * A work-group computes a tile of y, TILE_ROWS x TILE_COLUMNS; a work-item WORK_ROWS x WORK_COLUMNS sums of it, in
 * squares of 4 x 4 that are spread over the tile so that neighbours read neighbouring vectors. TILE_K numbers of each
 * row and column at a time lie in local memory, x transposed; meanwhile the next ones are on their way from global
 * memory into registers. Rows and columns that y does not have repeat others, and are not written.
 */
#ifndef TILE_ROWS
#define TILE_ROWS    128
#define TILE_COLUMNS 128
#define WORK_ROWS    8
#define WORK_COLUMNS 8
#endif

#define TILE_K   16
#define DOWN     (TILE_ROWS / WORK_ROWS) /* work-items */
#define ACROSS   (TILE_COLUMNS / WORK_COLUMNS)
#define ITEMS    (DOWN * ACROSS)
#define X_STRIDE (TILE_ROWS + 4) /* of a number along K to the next: what is stored at once is in different banks */
#define X_LOADS  (TILE_ROWS * TILE_K / 4 / ITEMS)        /* of four numbers, by each work-item */
#define W_LOADS  (TILE_COLUMNS / 4 * TILE_K / 2 / ITEMS) /* of four pairs */
#define STAGED   2                                       /* rows of each work-item, that are finished together */

/* Four numbers of a row of x; zeros from K on. */
static inline float4 fetch_x(__global const input_t *row, int k, int K)
{
    if (K % 4 == 0)
        return k < K ? read_aligned4(row + k) : (float4)(0.0f);
    return (float4)(k < K ? read_input(row + k) : 0.0f, k + 1 < K ? read_input(row + k + 1) : 0.0f,
                    k + 2 < K ? read_input(row + k + 2) : 0.0f, k + 3 < K ? read_input(row + k + 3) : 0.0f);
}

/* Four columns of w at k, which is even, and at k + 1; zeros from K on. */
static inline void fetch_w(__global const input_t *w, int column, int k, int K, float4 *even, float4 *odd)
{
    const int panel = column / PANEL, in_panel = column % PANEL;
    *even = *odd = 0.0f;
    if (k >= K)
        return;
    if (sizeof(input_t) == 2) {
        const float8 pairs = read_aligned8(w + ((panel * ((K + 1) / 2) + k / 2) * PANEL + in_panel) * 2);
        *even = pairs.even;
        *odd = pairs.odd;
    } else {
        w += (panel * K + k) * PANEL + in_panel;
        *even = read_aligned4(w);
        if (k + 1 < K)
            *odd = read_aligned4(w + PANEL);
    }
}

/* What each work-item brings of the tile from k on: of x in rows `q / 4`, of w in pairs of rows. */
static inline void fetch(__global const input_t *x, __global const input_t *w, int2 first, int rows, int N, int k, int K,
                         float4 x_next[X_LOADS], float4 w_next[2 * W_LOADS])
{
    const int id = get_local_id(0), last_panel = (N - 1) / PANEL * PANEL;
#pragma unroll
    for (int i = 0; i < X_LOADS; i++) {
        const int q = id + i * ITEMS, row = min(first.s0 + q / (TILE_K / 4), rows - 1);
        x_next[i] = fetch_x(x + row * K, k + q % (TILE_K / 4) * 4, K);
    }
#pragma unroll
    for (int i = 0; i < W_LOADS; i++) {
        const int q = id + i * ITEMS, column = first.s1 + q % (TILE_COLUMNS / 4) * 4;
        fetch_w(w, min(column / PANEL * PANEL, last_panel) + column % PANEL, k + q / (TILE_COLUMNS / 4) * 2, K,
                &w_next[2 * i], &w_next[2 * i + 1]);
    }
}

/* Puts it into local memory: x as [TILE_K][X_STRIDE], w as [TILE_K][TILE_COLUMNS]. */
static inline void store(const float4 x_next[X_LOADS], const float4 w_next[2 * W_LOADS], __local float *x_tile,
                         __local float *w_tile)
{
    const int id = get_local_id(0);
#pragma unroll
    for (int i = 0; i < X_LOADS; i++) {
        const int q = id + i * ITEMS;
        __local float *at = x_tile + q % (TILE_K / 4) * 4 * X_STRIDE + q / (TILE_K / 4);
        at[0] = x_next[i].s0;
        at[X_STRIDE] = x_next[i].s1;
        at[2 * X_STRIDE] = x_next[i].s2;
        at[3 * X_STRIDE] = x_next[i].s3;
    }
#pragma unroll
    for (int i = 0; i < W_LOADS; i++) {
        const int q = id + i * ITEMS;
        __local float *at = w_tile + q / (TILE_COLUMNS / 4) * 2 * TILE_COLUMNS + q % (TILE_COLUMNS / 4) * 4;
        *(__local float4 *)at = w_next[2 * i];
        *(__local float4 *)(at + TILE_COLUMNS) = w_next[2 * i + 1];
    }
}

/* sums += x w of what lies in local memory. */
static inline void multiply(__local const float *x, __local const float *w, float4 sums[WORK_ROWS][WORK_COLUMNS / 4])
{
    for (int k = 0; k < TILE_K; k++) {
        float4 w_k[WORK_COLUMNS / 4];
#pragma unroll
        for (int j = 0; j < WORK_COLUMNS / 4; j++)
            w_k[j] = *(__local const float4 *)(w + k * TILE_COLUMNS + 4 * ACROSS * j);
#pragma unroll
        for (int i = 0; i < WORK_ROWS / 4; i++) {
            const float4 x_k = *(__local const float4 *)(x + k * X_STRIDE + 4 * DOWN * i);
#pragma unroll
            for (int j = 0; j < WORK_COLUMNS / 4; j++) {
                sums[4 * i][j] += x_k.s0 * w_k[j];
                sums[4 * i + 1][j] += x_k.s1 * w_k[j];
                sums[4 * i + 2][j] += x_k.s2 * w_k[j];
                sums[4 * i + 3][j] += x_k.s3 * w_k[j];
            }
        }
    }
}

/* Through local memory, STAGED rows of each work-item at a time; the rows behind move up. So the loop over them need not
 * be unrolled to have its sums in registers, and the code of all activations stands there once. */
static inline void finish(float4 sums[WORK_ROWS][WORK_COLUMNS / 4], __local float *staged, __global const float *bias,
                          __global output_t *y, int2 first, int rows, int N, int activation)
{
    const int id = get_local_id(0), across = id % ACROSS, down = id / ACROSS;
    for (int part = 0; part < WORK_ROWS; part += STAGED) {
        barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
        for (int r = 0; r < WORK_ROWS; r++)
#pragma unroll
            for (int j = 0; j < WORK_COLUMNS / 4; j++)
                if (r < STAGED)
                    *(__local float4 *)(staged + (r * DOWN + down) * TILE_COLUMNS + 4 * (j * ACROSS + across)) =
                        sums[r][j];
                else
                    sums[r - STAGED][j] = sums[r][j];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int q = id; q < STAGED * DOWN * TILE_COLUMNS / 4; q += ITEMS) {
            const int s = q / (DOWN * TILE_COLUMNS / 4), owner = q / (TILE_COLUMNS / 4) % DOWN;
            const int row = first.s0 + 4 * (part / 4 * DOWN + owner) + part % 4 + s;
            const int column = first.s1 + q % (TILE_COLUMNS / 4) * 4;
            if (row < rows && column < N)
                finish_sums(*(__local const float4 *)(staged + 4 * q), bias, y, row, column, N, activation);
        }
    }
}

/* Of so small a work-item Intel's compiler runs 32 side by side on some devices, and has too few registers for them. */
#if defined(cl_intel_required_subgroup_size) && WORK_ROWS * WORK_COLUMNS <= 16
#define SIDE_BY_SIDE __attribute__((intel_reqd_sub_group_size(16)))
#else
#define SIDE_BY_SIDE
#endif

__kernel SIDE_BY_SIDE __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
matmul_tile(__global const input_t *restrict x, __global const input_t *restrict w, __global const float *restrict bias,
            __global output_t *restrict y, int rows, int N, int K, int activation)
{
    __local float4 memory[TILE_K * (X_STRIDE + TILE_COLUMNS) / 4];
    __local float *x_tile = (__local float *)memory, *w_tile = x_tile + TILE_K * X_STRIDE;
    const int id = get_local_id(0);
    const int2 first = tile_of(get_group_id(0), (rows + TILE_ROWS - 1) / TILE_ROWS, (N + TILE_COLUMNS - 1) / TILE_COLUMNS) *
                       (int2)(TILE_ROWS, TILE_COLUMNS);
    float4 x_next[X_LOADS], w_next[2 * W_LOADS], sums[WORK_ROWS][WORK_COLUMNS / 4];

#pragma unroll
    for (int r = 0; r < WORK_ROWS; r++)
#pragma unroll
        for (int j = 0; j < WORK_COLUMNS / 4; j++)
            sums[r][j] = 0.0f;
    fetch(x, w, first, rows, N, 0, K, x_next, w_next);
    for (int k = 0; k < K; k += TILE_K) {
        barrier(CLK_LOCAL_MEM_FENCE);
        store(x_next, w_next, x_tile, w_tile);
        barrier(CLK_LOCAL_MEM_FENCE);
        fetch(x, w, first, rows, N, k + TILE_K, K, x_next, w_next);
        multiply(x_tile + 4 * (id / ACROSS), w_tile + 4 * (id % ACROSS), sums);
    }
    finish(sums, x_tile, bias, y, first, rows, N, activation);
}

/* matmul_panel.cl - y [rows,N] = activation(x [rows,K] w + bias [N]) on a CPU, with all sums in registers: no local
 * memory, no barrier. w lies in panels of COLUMNS columns, [panels][K][COLUMNS], with zeros beyond N.
 *
 * One work-item computes one tile: the columns of a panel for HEIGHT or HEIGHT - 1 rows, which is its share when
 * `tiles` tiles share all rows evenly. Tiles that follow each other walk down the rows of one panel, which so stays in
 * the core's cache; after `block` of them the next panel begins, so that these rows of x stay there, too.
 */
#ifndef HEIGHT
#define HEIGHT 14
#endif
#ifndef K
#define K 768 /* known to the compiler, rows of x are at constant distances: no arithmetic competes with the sums' */
#endif

#define COLUMNS (2 * VECTOR)

/* sums [ROWS,COLUMNS] = x w; x and w begin where the tile does. Each number of x is read once. */
#define DEFINE_TILE(NAME, ROWS)                                                                                        \
    static inline void NAME(__global const float *restrict x, __global const float *restrict w, float *sums)           \
    {                                                                                                                  \
        vfloat left[ROWS], right[ROWS];                                                                                \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++) left[r] = right[r] = 0.0f;                                    \
        for (int k = 0; k < K; k++) {                                                                                  \
            const vfloat w_left = load_vector(2 * k, w), w_right = load_vector(2 * k + 1, w);                                      \
            _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                           \
            {                                                                                                          \
                const vfloat x_k = x[r * K + k];                                                                       \
                left[r] = fma(x_k, w_left, left[r]);                                                                   \
                right[r] = fma(x_k, w_right, right[r]);                                                                \
            }                                                                                                          \
        }                                                                                                              \
        _Pragma("unroll") for (int r = 0; r < ROWS; r++)                                                               \
        {                                                                                                              \
            store_vector(left[r], 2 * r, sums);                                                                              \
            store_vector(right[r], 2 * r + 1, sums);                                                                         \
        }                                                                                                              \
    }

DEFINE_TILE(high_tile, HEIGHT)
#if HEIGHT > 1
DEFINE_TILE(low_tile, (HEIGHT - 1))
#endif

/* One row of a tile: y [count] = activation(sums + bias), for the first `count` of COLUMNS. */
static inline void finish_row(float *sums, __global const float *bias, __global float *y, int count, int activation)
{
    if (count == COLUMNS) {
        store_vector(vactivate(load_vector(0, sums) + load_vector(0, bias), activation), 0, y);
        store_vector(vactivate(load_vector(1, sums) + load_vector(1, bias), activation), 1, y);
        return;
    }
    for (int i = 0; i < count; i++)
        sums[i] += bias[i];
    store_vector(vactivate(load_vector(0, sums), activation), 0, sums);
    store_vector(vactivate(load_vector(1, sums), activation), 1, sums);
    for (int i = 0; i < count; i++)
        y[i] = sums[i];
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
matmul_panel(__global const float *restrict x, __global const float *restrict w, __global const float *restrict bias,
             __global float *restrict y, int rows, int N, int tiles, int block, int activation)
{
    const int panels = (N + COLUMNS - 1) / COLUMNS;
    const int first = (int)get_global_id(0) / (block * panels) * block; /* tile of this block */
    const int in_block = (int)get_global_id(0) % (block * panels), height_of_block = min(block, tiles - first);
    const int tile = first + in_block % height_of_block, column = in_block / height_of_block * COLUMNS;
    const int low = rows / tiles, high_tiles = rows % tiles; /* so many tiles have low + 1 rows */
    const int row = tile * low + min(tile, high_tiles), height = low + (tile < high_tiles);
    float sums[HEIGHT * COLUMNS];

#if HEIGHT > 1
    if (height < HEIGHT)
        low_tile(x + row * K, w + column * K, sums);
    else
#endif
        high_tile(x + row * K, w + column * K, sums);
    for (int r = 0; r < height; r++)
        finish_row(sums + r * COLUMNS, bias + column, y + (row + r) * N + column, min(COLUMNS, N - column), activation);
}

/* matmul.cl - y [rows,N] = activation(x [rows,K] * w [K,N] + bias [N]). One work-item computes 8 rows x 8 columns.
 *
 * Work-groups walk down the rows before they move on to the next columns, so that the columns of w which a group
 * reads stay in the cache; inside a group, neighbours read neighbouring columns. All sums of a work-item run through
 * one loop over K: Mesa's llvmpipe ends a work-item's loops, and quietly, after 65535 rounds in all.
 */
#define TILE 8

/* The first `count` of 8 numbers; zeros behind them. */
static inline float8 load_some(__global const float *numbers, int count)
{
    float values[TILE];
#pragma unroll
    for (int i = 0; i < TILE; i++)
        values[i] = i < count ? numbers[i] : 0.0f;
    return vload8(0, values);
}

static inline float8 load_some_inputs(__global const input_t *numbers, int count)
{
    float values[TILE];
#pragma unroll
    for (int i = 0; i < TILE; i++)
        values[i] = i < count ? read_input(numbers + i) : 0.0f;
    return vload8(0, values);
}

static inline void store_some(float8 x, __global output_t *numbers, int count)
{
    float values[TILE];
    vstore8(x, 0, values);
#pragma unroll
    for (int i = 0; i < TILE; i++)
        if (i < count)
            write_output(values[i], numbers + i);
}

__kernel GROUP(64) void matmul_portable(__global const input_t *restrict x, __global const input_t *restrict w,
                                        __global const float *restrict bias, __global output_t *restrict y, int rows,
                                        int N, int K, int activation)
{
    const int row_tiles = (rows + TILE - 1) / TILE;
    const int group = get_group_id(0);
    const int row = group % row_tiles * TILE;
    const int column = (group / row_tiles * (int)get_local_size(0) + (int)get_local_id(0)) * TILE;
    const int columns = N - column; /* the last tile of a width that 8 does not divide has fewer than 8 */
    float8 sum[TILE];

    if (columns <= 0)
        return;
    if (columns >= TILE) {
#pragma unroll
        for (int r = 0; r < TILE; r++)
            sum[r] = vload8(0, bias + column);
        for (int k = 0; k < K; k++) {
            const float8 wk = read_input8(w + k * N + column);
#pragma unroll
            for (int r = 0; r < TILE; r++)
                sum[r] += read_input(x + (row + r) * K + k) * wk;
        }
#pragma unroll
        for (int r = 0; r < TILE; r++)
            write_output8(activate_float8(sum[r], activation), y + (row + r) * N + column);
    } else {
#pragma unroll
        for (int r = 0; r < TILE; r++)
            sum[r] = load_some(bias + column, columns);
        for (int k = 0; k < K; k++) {
            const float8 wk = load_some_inputs(w + k * N + column, columns);
#pragma unroll
            for (int r = 0; r < TILE; r++)
                sum[r] += read_input(x + (row + r) * K + k) * wk;
        }
#pragma unroll
        for (int r = 0; r < TILE; r++)
            store_some(activate_float8(sum[r], activation), y + (row + r) * N + column, columns);
    }
}

/* matmul.cl - y [rows,N] = activation(x [rows,K] * w [K,N] + bias [N]). One work-item computes 8 rows x 8 columns.
 *
 * Work-groups walk down the rows before they move on to the next columns, so that the columns of w which a group
 * reads stay in the cache; inside a group, neighbours read neighbouring columns.
 */
#define TILE 8

__kernel void matmul_portable(__global const float *x, __global const float *w, __global const float *bias,
                              __global float *y, int rows, int N, int K, int activation)
{
    const int row_tiles = (rows + TILE - 1) / TILE;
    const int group = get_group_id(0);
    const int row = group % row_tiles * TILE;
    const int column = (group / row_tiles * (int)get_local_size(0) + (int)get_local_id(0)) * TILE;

    if (column + TILE <= N) {
        float8 sum[TILE];
#pragma unroll
        for (int r = 0; r < TILE; r++)
            sum[r] = vload8(0, bias + column);
        for (int k = 0; k < K; k++) {
            const float8 wk = vload8(0, w + k * N + column);
#pragma unroll
            for (int r = 0; r < TILE; r++)
                sum[r] += x[(row + r) * K + k] * wk;
        }
#pragma unroll
        for (int r = 0; r < TILE; r++)
            vstore8(activate_float8(sum[r], activation), 0, y + (row + r) * N + column);
        return;
    }
    for (int n = column; n < N; n++) { /* the last columns of a width that 8 does not divide */
        for (int r = 0; r < TILE; r++) {
            float sum = bias[n];
            for (int k = 0; k < K; k++)
                sum += x[(row + r) * K + k] * w[k * N + n];
            y[(row + r) * N + n] = activate_float(sum, activation);
        }
    }
}

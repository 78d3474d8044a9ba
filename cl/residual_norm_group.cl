/* residual_norm_group.cl - the residual stream as in residual_norm.cl, for GPUs: one work-group per row of D numbers.
 *
 * Each work-item keeps its VALUES numbers of the row, WORKERS apart from each other, in registers: a row is read once,
 * and neighbours read neighbouring numbers. LayerNorm takes the same two passes over them.
 */
#ifndef WORKERS
#define WORKERS 64
#endif
#ifndef VALUES
#define VALUES 16 /* at least D / WORKERS */
#endif

struct sums {
    float4 values[WORKERS / 4], differences[WORKERS / 4], squares[WORKERS / 4];
};

static inline float total(__local const float4 *sums)
{
    float4 sum = 0.0f;
    for (int i = 0; i < WORKERS / 4; i++)
        sum += sums[i];
    return (sum.x + sum.y) + (sum.z + sum.w);
}

static inline void load_row(__global const float *row, int D, float x[VALUES])
{
#pragma unroll
    for (int v = 0; v < VALUES; v++) {
        const int i = get_local_id(0) + v * WORKERS;
        x[v] = i < D ? row[i] : 0.0f;
    }
}

static inline void layer_norm(const float x[VALUES], __global const float *weight, __global const float *bias,
                              __global output_t *normed, int D, float eps, __local struct sums *sums)
{
    const int item = get_local_id(0);
    float value_sum = 0.0f, difference_sum = 0.0f, square_sum = 0.0f;
#pragma unroll
    for (int v = 0; v < VALUES; v++)
        value_sum += x[v];
    ((__local float *)sums->values)[item] = value_sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    const float mean = total(sums->values) / (float)D;
#pragma unroll
    for (int v = 0; v < VALUES; v++) {
        const float difference = item + v * WORKERS < D ? x[v] - mean : 0.0f;
        difference_sum += difference;
        square_sum += difference * difference;
    }
    ((__local float *)sums->differences)[item] = difference_sum;
    ((__local float *)sums->squares)[item] = square_sum;
    barrier(CLK_LOCAL_MEM_FENCE);
    const float rest = total(sums->differences) / (float)D;
    const float scale = 1.0f / sqrt(fmax(total(sums->squares) / (float)D - rest * rest, 0.0f) + eps);
#pragma unroll
    for (int v = 0; v < VALUES; v++) {
        const int i = item + v * WORKERS;
        if (i < D)
            write_output((x[v] - mean - rest) * scale * weight[i] + bias[i], normed + i);
    }
}

#define GROUP_KERNEL __kernel __attribute__((reqd_work_group_size(WORKERS, 1, 1))) void

GROUP_KERNEL norm_group(__global const float *restrict x, __global const float *restrict weight,
                        __global const float *restrict bias, __global output_t *restrict normed, int D, float eps)
{
    __local struct sums sums;
    const int row = get_group_id(0) * D;
    float values[VALUES];
    load_row(x + row, D, values);
    layer_norm(values, weight, bias, normed + row, D, eps, &sums);
}

/* sum may be x itself. */
GROUP_KERNEL residual_norm_group(__global const float *x, __global const float *restrict y,
                                 __global const float *restrict weight, __global const float *restrict bias,
                                 __global output_t *restrict normed, __global float *sum, int D, float eps)
{
    __local struct sums sums;
    const int row = get_group_id(0) * D;
    float values[VALUES], more[VALUES];
    load_row(x + row, D, values);
    load_row(y + row, D, more);
#pragma unroll
    for (int v = 0; v < VALUES; v++) {
        const int i = get_local_id(0) + v * WORKERS;
        values[v] += more[v];
        if (i < D)
            sum[row + i] = values[v];
    }
    layer_norm(values, weight, bias, normed + row, D, eps, &sums);
}

/* LayerNorm of each head's query and key on its own: qkv [rows,3,H,d] -> normed, of the same shape, which may be qkv
 * itself. One work-group per head of a query, key or value. */
GROUP_KERNEL qk_norm_group(__global const float *qkv, __global const float *restrict q_weight,
                           __global const float *restrict q_bias, __global const float *restrict k_weight,
                           __global const float *restrict k_bias, __global output_t *normed, int H, int d, float eps)
{
    __local struct sums sums;
    const int head = get_group_id(0), first = (get_group_id(1) * 3 * H + head) * d;
    float values[VALUES];
    if (head < 2 * H) {
        load_row(qkv + first, d, values);
        layer_norm(values, head < H ? q_weight : k_weight, head < H ? q_bias : k_bias, normed + first, d, eps, &sums);
    } else {
        for (int i = first + get_local_id(0); i < first + d; i += WORKERS)
            write_output(qkv[i], normed + i);
    }
}

/* residual_norm_wide.cl - the residual stream as in residual_norm.cl, for CPUs: one work-item per row of D numbers, in
 * vectors. LayerNorm takes the same two passes over a row, which stays in the core's cache from one to the next.
 *
 * Each pass has four vectors of sums, as many additions as a core has under way at a time. What no group of four
 * vectors takes, at the end of a row, is done number by number; rows of common models leave nothing.
 */
#define PARTS 4
#define WIDE  (PARTS * VECTOR)

struct sums {
    vfloat part[PARTS];
};

static inline float total(struct sums sums)
{
    float lanes[VECTOR];
    store_vector((sums.part[0] + sums.part[1]) + (sums.part[2] + sums.part[3]), 0, lanes);
    _Pragma("unroll") for (int half_count = VECTOR / 2; half_count > 0; half_count /= 2)
    {
        _Pragma("unroll") for (int i = 0; i < half_count; i++) lanes[i] += lanes[i + half_count];
    }
    return lanes[0];
}

static inline float sum_row(__global const float *x, int D)
{
    struct sums sums = {{0.0f, 0.0f, 0.0f, 0.0f}};
    int i = 0;
    for (; i + WIDE <= D; i += WIDE)
        _Pragma("unroll") for (int p = 0; p < PARTS; p++) sums.part[p] += load_vector(p, x + i);
    float sum = total(sums);
    for (; i < D; i++)
        sum += x[i];
    return sum;
}

/* sum = x + y; returns the row's sum. sum may be x itself. */
static inline float add_row(__global const float *x, __global const float *y, __global float *sum, int D)
{
    struct sums sums = {{0.0f, 0.0f, 0.0f, 0.0f}};
    int i = 0;
    for (; i + WIDE <= D; i += WIDE)
        _Pragma("unroll") for (int p = 0; p < PARTS; p++)
        {
            const vfloat value = load_vector(p, x + i) + load_vector(p, y + i);
            store_vector(value, p, sum + i);
            sums.part[p] += value;
        }
    float all = total(sums);
    for (; i < D; i++)
        all += sum[i] = x[i] + y[i];
    return all;
}

static inline void layer_norm(__global const float *x, float sum, __global const float *weight,
                              __global const float *bias, __global output_t *normed, int D, float eps)
{
    struct sums differences = {{0.0f, 0.0f, 0.0f, 0.0f}}, squares = differences;
    const float mean = sum / (float)D;
    int i = 0;
    for (; i + WIDE <= D; i += WIDE)
        _Pragma("unroll") for (int p = 0; p < PARTS; p++)
        {
            const vfloat difference = load_vector(p, x + i) - mean;
            differences.part[p] += difference;
            squares.part[p] = fma(difference, difference, squares.part[p]);
        }
    float difference_sum = total(differences), square_sum = total(squares);
    for (; i < D; i++) {
        const float difference = x[i] - mean;
        difference_sum += difference;
        square_sum += difference * difference;
    }
    const float rest = difference_sum / (float)D;
    const float scale = 1.0f / sqrt(fmax(square_sum / (float)D - rest * rest, 0.0f) + eps);
    for (i = 0; i + VECTOR <= D; i += VECTOR)
        write_output_vector(
            fma((load_vector(0, x + i) - mean - rest) * scale, load_vector(0, weight + i), load_vector(0, bias + i)),
            normed + i);
    for (; i < D; i++)
        write_output((x[i] - mean - rest) * scale * weight[i] + bias[i], normed + i);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
norm_wide(__global const float *x, __global const float *weight, __global const float *bias, __global output_t *normed,
          int D, float eps)
{
    const int row = get_global_id(0) * D;
    layer_norm(x + row, sum_row(x + row, D), weight, bias, normed + row, D, eps);
}

/* sum may be x itself. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
residual_norm_wide(__global const float *x, __global const float *y, __global const float *weight,
                   __global const float *bias, __global output_t *normed, __global float *sum, int D, float eps)
{
    const int row = get_global_id(0) * D;
    layer_norm(sum + row, add_row(x + row, y + row, sum + row, D), weight, bias, normed + row, D, eps);
}

/* sum may be x itself. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
residual_wide(__global const float *x, __global const float *y, __global float *sum, int D)
{
    const int row = get_global_id(0) * D;
    add_row(x + row, y + row, sum + row, D);
}

/* LayerNorm of each head's query and key on its own: qkv [rows,3,H,d] -> normed, of the same shape, which may be qkv
 * itself. One work-item per row. */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
qk_norm_wide(__global const float *qkv, __global const float *q_weight, __global const float *q_bias,
             __global const float *k_weight, __global const float *k_bias, __global output_t *normed, int H, int d,
             float eps)
{
    const int D = H * d;
    qkv += get_global_id(0) * 3 * D;
    normed += get_global_id(0) * 3 * D;
    for (int q = 0, k = D; q < D; q += d, k += d) {
        layer_norm(qkv + q, sum_row(qkv + q, d), q_weight, q_bias, normed + q, d, eps);
        layer_norm(qkv + k, sum_row(qkv + k, d), k_weight, k_bias, normed + k, d, eps);
    }
    for (int v = 2 * D; v < 3 * D; v++)
        write_output(qkv[v], normed + v);
}

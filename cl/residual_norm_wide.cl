/* residual_norm_wide.cl - residual_norm.cl on a CPU: sum = x + y, normed = LayerNorm(sum), or one of the two, by vectors
 * of the device's width. A work-item does ROWS rows, one after the other; what is left of a row of D numbers behind the
 * last whole vector is done number by number. Mean and variance as in residual_norm.cl.
 */
#define ROWS 4

static inline float sum_of(vfloat x)
{
    float lanes[VECTOR], sum = 0.0f;
    store_vector(x, 0, lanes);
    for (int i = 0; i < VECTOR; i++)
        sum += lanes[i];
    return sum;
}

/* x is the row's first number, and stays in the core's first cache through all three passes. */
static inline void layer_norm(__global const float *x, __global const float *weight, __global const float *bias,
                              __global output_t *normed, int D, float eps)
{
    const int whole = D / VECTOR * VECTOR;
    vfloat sums = 0.0f, differences = 0.0f, squares = 0.0f;
    float sum = 0.0f, difference = 0.0f, square = 0.0f;

    for (int i = 0; i < whole; i += VECTOR)
        sums += load_vector(0, x + i);
    for (int i = whole; i < D; i++)
        sum += x[i];
    const float mean = (sum + sum_of(sums)) / (float)D;

    for (int i = 0; i < whole; i += VECTOR) {
        const vfloat d = load_vector(0, x + i) - mean;
        differences += d;
        squares = fma(d, d, squares);
    }
    for (int i = whole; i < D; i++) {
        difference += x[i] - mean;
        square += (x[i] - mean) * (x[i] - mean);
    }
    const float rest = (difference + sum_of(differences)) / (float)D;
    const float variance = fmax((square + sum_of(squares)) / (float)D - rest * rest, 0.0f);
    const float scale = 1.0f / sqrt(variance + eps);

    for (int i = 0; i < whole; i += VECTOR) {
        const vfloat d = load_vector(0, x + i) - mean - rest;
        write_output_vector(fma(d * scale, load_vector(0, weight + i), load_vector(0, bias + i)), normed + i);
    }
    for (int i = whole; i < D; i++)
        write_output((x[i] - mean - rest) * scale * weight[i] + bias[i], normed + i);
}

/* sum may be x itself. */
static inline void add(__global const float *x, __global const float *y, __global float *sum, int count)
{
    int i = 0;
    for (; i + VECTOR <= count; i += VECTOR)
        store_vector(load_vector(0, x + i) + load_vector(0, y + i), 0, sum + i);
    for (; i < count; i++)
        sum[i] = x[i] + y[i];
}

#define ROW_KERNEL __kernel __attribute__((reqd_work_group_size(1, 1, 1))) void

ROW_KERNEL norm_wide(__global const float *x, __global const float *weight, __global const float *bias,
                     __global output_t *normed, int rows, int D, float eps)
{
    const int first = get_global_id(0) * ROWS;
    for (int row = first; row < min(first + ROWS, rows); row++)
        layer_norm(x + row * D, weight, bias, normed + row * D, D, eps);
}

ROW_KERNEL residual_norm_wide(__global const float *x, __global const float *y, __global const float *weight,
                              __global const float *bias, __global output_t *normed, __global float *sum, int rows,
                              int D, float eps)
{
    const int first = get_global_id(0) * ROWS;
    for (int row = first; row < min(first + ROWS, rows); row++) {
        add(x + row * D, y + row * D, sum + row * D, D);
        layer_norm(sum + row * D, weight, bias, normed + row * D, D, eps);
    }
}

ROW_KERNEL residual_wide(__global const float *x, __global const float *y, __global float *sum, int rows, int D)
{
    const int first = get_global_id(0) * ROWS, count = min(ROWS, rows - first);
    add(x + first * D, y + first * D, sum + first * D, count * D);
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

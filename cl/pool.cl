/* pool.cl - one vector per image: pooled [B,columns] from x [B,T,D]. One work-item per number.
 *
 * The tokens from `first` on are averaged, or their largest number is taken; with POOL_CLS and POOL_CLS_DIST the
 * leading rows are copied as they lie, with POOL_CLS_MEAN the first row and the average lie beside each other.
 */

/* The numbers of enum pool in host/model/families.h. */
#define POOL_CLS      1
#define POOL_CLS_DIST 2
#define POOL_CLS_MEAN 3
#define POOL_MEAN     4
#define POOL_MAX      5
#define POOL_MEAN_MAX 6

#define PART 64 /* tokens summed at a time */

static inline float pool_column(__global const float *x, int T, int D, int column, int first, int kind)
{
    if (kind == POOL_CLS || kind == POOL_CLS_DIST || (kind == POOL_CLS_MEAN && column < D))
        return x[column];
    float sum = 0.0f, largest = -INFINITY;
    for (int token = first; token < T;) { /* by parts: thousands of rounding errors may all point the same way */
        float part = 0.0f;
        for (const int end = min(token + PART, T); token < end; token++) {
            const float value = x[token * D + column % D];
            part += value;
            largest = value > largest || isnan(value) ? value : largest;
        }
        sum += part;
    }
    const float mean = sum / (float)(T - first);
    return kind == POOL_MAX ? largest : kind == POOL_MEAN_MAX ? 0.5f * (mean + largest) : mean;
}

__kernel void pool(__global const float *x, __global float *pooled, int T, int D, int columns, int first, int kind)
{
    const int column = get_global_id(0), image = get_global_id(1);
    if (column < columns)
        pooled[image * columns + column] = pool_column(x + image * T * D, T, D, column, first, kind);
}

/* Only the first lengths[image] tokens count. */
__kernel void pool_masked(__global const float *x, __global const float *lengths, __global float *pooled, int T, int D,
                          int columns, int first, int kind)
{
    const int column = get_global_id(0), image = get_global_id(1);
    if (column < columns)
        pooled[image * columns + column] = pool_column(x + image * T * D, (int)lengths[image], D, column, first, kind);
}

/* pool.cl - one vector per image: pooled [B,columns] from x [B,T,D]. One work-item per eight columns.
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

#define DEFINE_POOL(TYPE, load)                                                                                        \
    static inline TYPE pool_##TYPE(__global const float *x, int T, int D, int column, int first, int kind)             \
    {                                                                                                                  \
        if (kind == POOL_CLS || kind == POOL_CLS_DIST || (kind == POOL_CLS_MEAN && column < D))                        \
            return load(x + column);                                                                                   \
        TYPE sum = 0.0f, largest = -INFINITY;                                                                          \
        for (int token = first; token < T;) { /* by parts: thousands of rounding errors may all point the same way */  \
            TYPE part = 0.0f;                                                                                          \
            for (const int end = min(token + PART, T); token < end; token++) {                                         \
                const TYPE value = load(x + token * D + column % D);                                                   \
                part += value;                                                                                         \
                largest = (value > largest) | isnan(value) ? value : largest;                                           \
            }                                                                                                          \
            sum += part;                                                                                               \
        }                                                                                                              \
        const TYPE mean = sum / (float)(T - first);                                                                    \
        return kind == POOL_MAX ? largest : kind == POOL_MEAN_MAX ? 0.5f * (mean + largest) : mean;                    \
    }

#define load_one(at)   (*(at))
#define load_eight(at) vload8(0, at)
DEFINE_POOL(float, load_one)
DEFINE_POOL(float8, load_eight)

/* Eight columns from `column` on, or as many as there are; one by one where they come from two vectors of D. */
static inline void pool_columns(__global const float *x, __global float *pooled, int T, int D, int columns, int first,
                                int kind)
{
    const int column = 8 * get_global_id(0), end = min(column + 8, columns);
    if (column + 8 == end && column % D + 8 <= D)
        vstore8(pool_float8(x, T, D, column, first, kind), 0, pooled + column);
    else
        for (int c = column; c < end; c++)
            pooled[c] = pool_float(x, T, D, c, first, kind);
}

__kernel GROUP(8) void pool(__global const float *restrict x, __global float *restrict pooled, int T, int D,
                            int columns, int first, int kind)
{
    const int image = get_global_id(1);
    pool_columns(x + image * T * D, pooled + image * columns, T, D, columns, first, kind);
}

/* Only the first lengths[image] tokens count. */
__kernel GROUP(8) void pool_masked(__global const float *restrict x, __global const float *restrict lengths,
                                   __global float *restrict pooled, int T, int D, int columns, int first, int kind)
{
    const int image = get_global_id(1);
    pool_columns(x + image * T * D, pooled + image * columns, (int)lengths[image], D, columns, first, kind);
}

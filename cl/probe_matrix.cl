/* probe_matrix.cl - tries the matrix instruction MATRIX on numbers whose products are known, in two waves of a group. A
 * compiler that does not know it stops at this file: then there is none.
 */
#ifdef MATRIX

/* Small whole numbers, of which 16 bits make no others; not the same in both waves. */
static inline float number(int i, int k)
{
    return (float)((3 * i + 5 * k + (int)get_local_id(0) / WAVE) % 7 - 3);
}

static inline uint pair_of(int i, int pair)
{
    const float even = number(i, 2 * pair), odd = number(i, 2 * pair + 1);
#ifdef F16_INPUT
    uint bits;
    vstore_half2((float2)(even, odd), 0, (half *)&bits);
    return bits;
#else
    return to_bf16(even) | (uint)to_bf16(odd) << 16;
#endif
}

static inline int found_right(__local uint *scratch)
{
    const int lane = get_local_id(0) % WAVE;
    uint x[X_REGISTERS], w[W_REGISTERS];
    float sums[SUM_REGISTERS];
    int right = 1;
    UNROLL for (int i = 0; i < X_REGISTERS; i++)
        x[i] = pair_of(x_row(lane, i), x_pair(lane, i));
    UNROLL for (int i = 0; i < W_REGISTERS; i++)
        w[i] = pair_of(2 * w_column(lane, i) + 1, w_pair(lane, i));
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++)
        sums[i] = (float)i;
    multiply_fragments(sums, x, w, scratch);
    UNROLL for (int i = 0; i < SUM_REGISTERS; i++) {
        float sum = (float)i;
        for (int k = 0; k < 16; k++)
            sum += number(y_row(lane, i), k) * number(2 * y_column(lane, i) + 1, k);
        right &= sums[i] == sum;
    }
    return right;
}

/* found [2 * WAVE]: 1 where a work-item's sums are right. */
__kernel __attribute__((reqd_work_group_size(2 * WAVE, 1, 1))) void probe_matrix(__global int *found)
{
    DECLARE_SCRATCH(scratch, 2);
    found[get_local_id(0)] = found_right(scratch);
}

#endif

/* peak.cl - measures what a device can do at most, for benchmarks: multiply-adds that never leave the registers, and
 * a copy. */

/* Ten independent sums hide the latency of a multiply-add, and fit the registers of any vector width that suits the
 * device; the bench tries the widths and takes the fastest. FLOPs per work-item: rounds * 10 * 2 * width. */
#define DEFINE_FMA_PEAK(TYPE)                                                                                          \
    __kernel void fma_peak_##TYPE(__global float *out, int rounds, float factor)                                       \
    {                                                                                                                  \
        const TYPE m = (TYPE)(factor);                                                                                 \
        TYPE a0 = (TYPE)(0.0f), a1 = a0 + 1.0f, a2 = a0 + 2.0f, a3 = a0 + 3.0f, a4 = a0 + 4.0f;                        \
        TYPE a5 = a0 + 5.0f, a6 = a0 + 6.0f, a7 = a0 + 7.0f, a8 = a0 + 8.0f, a9 = a0 + 9.0f;                           \
        for (int i = 0; i < rounds; i++) {                                                                             \
            a0 = fma(a0, m, m);                                                                                        \
            a1 = fma(a1, m, m);                                                                                        \
            a2 = fma(a2, m, m);                                                                                        \
            a3 = fma(a3, m, m);                                                                                        \
            a4 = fma(a4, m, m);                                                                                        \
            a5 = fma(a5, m, m);                                                                                        \
            a6 = fma(a6, m, m);                                                                                        \
            a7 = fma(a7, m, m);                                                                                        \
            a8 = fma(a8, m, m);                                                                                        \
            a9 = fma(a9, m, m);                                                                                        \
        }                                                                                                              \
        TYPE sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9;                                                    \
        out[get_global_id(0)] = dot(sum.s0123, (float4)(1.0f));                                                        \
    }

DEFINE_FMA_PEAK(float4)
DEFINE_FMA_PEAK(float8)
DEFINE_FMA_PEAK(float16)

/* One work-item copies 16 floats. */
__kernel void copy_peak(__global const float *from, __global float *to)
{
    vstore16(vload16(get_global_id(0), from), get_global_id(0), to);
}

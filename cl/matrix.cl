/* matrix.cl - matrix instructions of GPUs, each behind the same few names; MATRIX says which. It stands
 * behind the prelude, and is empty for kernels that are compiled without.
 *
 * A wave is WAVE work-items side by side in their group, which run in step (a warp, a wavefront). One instruction adds
 * to 16 x FRAGMENT_COLUMNS sums, which are floats, the products of 16 rows of x with columns of w, 16 numbers of 16 bits
 * long. These come as pairs of neighbours, a uint each. Who holds what of such a fragment, register i of work-item
 * `lane` of the wave:
 *   x    X_REGISTERS    pair x_pair of row x_row
 *   w    W_REGISTERS    pair w_pair of column w_column
 *   sum  SUM_REGISTERS  row y_row, column y_column of y
 *
 * EMULATED puts plain C in the instruction's place, with the same layout, for devices without: what one work-item holds
 * comes to the others through local memory. There every work-item of the group must come past multiply_fragments.
 */
#ifdef MATRIX

/* The numbers of enum matrix_unit in host/base/facts.h. */
#define MMA  1
#define MFMA 2
#define WMMA 3

#if MATRIX == MMA /* NVIDIA, PTX ISA: mma.m16n8k16 */
#define WAVE                32
#define FRAGMENT_COLUMNS    8
#define X_REGISTERS         4
#define W_REGISTERS         2
#define SUM_REGISTERS       4
#define x_row(lane, i)      ((lane) / 4 + (i) % 2 * 8)
#define x_pair(lane, i)     ((lane) % 4 + (i) / 2 * 4)
#define w_pair(lane, i)     ((lane) % 4 + (i) * 4)
#define w_column(lane, i)   ((lane) / 4)
#define y_row(lane, i)      ((lane) / 4 + (i) / 2 * 8)
#define y_column(lane, i)   ((lane) % 4 * 2 + (i) % 2)
#elif MATRIX == MFMA /* AMD, "Instinct MI200 Instruction Set Architecture": V_MFMA_F32_16X16X16_BF16_1K */
#define WAVE                64
#define FRAGMENT_COLUMNS    16
#define X_REGISTERS         2
#define W_REGISTERS         2
#define SUM_REGISTERS       4
#define x_row(lane, i)      ((lane) % 16)
#define x_pair(lane, i)     ((lane) / 16 * 2 + (i))
#define w_pair(lane, i)     ((lane) / 16 * 2 + (i))
#define w_column(lane, i)   ((lane) % 16)
#define y_row(lane, i)      ((lane) / 16 * 4 + (i))
#define y_column(lane, i)   ((lane) % 16)
#else /* AMD, "RDNA3 Instruction Set Architecture": V_WMMA_F32_16X16X16_BF16; both halves of a wave hold all of x and w */
#define WAVE                32
#define FRAGMENT_COLUMNS    16
#define X_REGISTERS         8
#define W_REGISTERS         8
#define SUM_REGISTERS       8
#define x_row(lane, i)      ((lane) % 16)
#define x_pair(lane, i)     (i)
#define w_pair(lane, i)     (i)
#define w_column(lane, i)   ((lane) % 16)
#define y_row(lane, i)      ((lane) / 16 + (i) * 2)
#define y_column(lane, i)   ((lane) % 16)
#endif

/* Where registers are indexed by a loop's variable, a GPU needs it unrolled; a CPU would compile for minutes. */
#ifdef EMULATED
#define UNROLL
#else
#define UNROLL _Pragma("unroll")
#endif

#if defined(EMULATED)

/* Local memory for the waves of a group. */
#define DECLARE_SCRATCH(name, waves) __local uint name[(waves) * 8 * (16 + FRAGMENT_COLUMNS)]

static inline float2 pair_to_float(uint pair)
{
#ifdef F16_INPUT
    return vload_half2(0, (const half *)&pair);
#else
    return as_float2((uint2)(pair << 16, pair & 0xffff0000u));
#endif
}

static inline float add_products(float sum, uint x, uint w)
{
    const float2 a = pair_to_float(x), b = pair_to_float(w);
    return fma(a.s1, b.s1, fma(a.s0, b.s0, sum));
}

/* As a call it might have the address of `scratch` for a constant, and then PoCL (3.1) gives all groups the same. */
__attribute__((always_inline)) static inline void multiply_fragments(float *sums, const uint *x, const uint *w,
                                                                     __local uint *scratch)
{
    const int id = get_local_id(0), lane = id % WAVE;
    __local uint *rows = scratch + id / WAVE * 8 * (16 + FRAGMENT_COLUMNS), *columns = rows + 8 * 16;
    for (int i = 0; i < X_REGISTERS; i++)
        rows[x_row(lane, i) * 8 + x_pair(lane, i)] = x[i];
    for (int i = 0; i < W_REGISTERS; i++)
        columns[w_column(lane, i) * 8 + w_pair(lane, i)] = w[i];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < SUM_REGISTERS; i++)
        for (int p = 0; p < 8; p++)
            sums[i] = add_products(sums[i], rows[y_row(lane, i) * 8 + p], columns[y_column(lane, i) * 8 + p]);
    barrier(CLK_LOCAL_MEM_FENCE);
}

#else

#define DECLARE_SCRATCH(name, waves) __local uint *const name = 0

#ifdef F16_INPUT
#define PTX_TYPE "f16"
#if MATRIX != MMA
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#endif
#define as_factors4   as_half4
#define as_factors16  as_half16
#define multiply_mfma __builtin_amdgcn_mfma_f32_16x16x16f16
#define multiply_wmma __builtin_amdgcn_wmma_f32_16x16x16_f16_w32
#else
#define PTX_TYPE      "bf16"
#define as_factors4   as_short4
#define as_factors16  as_short16
#define multiply_mfma __builtin_amdgcn_mfma_f32_16x16x16bf16_1k
#define multiply_wmma __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32
#endif

static inline void multiply_fragments(float *sums, const uint *x, const uint *w, __local uint *scratch)
{
    (void)scratch;
#if MATRIX == MMA
    __asm__ volatile("mma.sync.aligned.m16n8k16.row.col.f32." PTX_TYPE "." PTX_TYPE ".f32 "
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                     : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]), "r"(w[0]), "r"(w[1]));
#elif MATRIX == MFMA
    const float4 sum = multiply_mfma(as_factors4((uint2)(x[0], x[1])), as_factors4((uint2)(w[0], w[1])),
                                     vload4(0, sums), 0, 0, 0);
    vstore4(sum, 0, sums);
#else
    const float8 sum = multiply_wmma(as_factors16(vload8(0, x)), as_factors16(vload8(0, w)), vload8(0, sums));
    vstore8(sum, 0, sums);
#endif
}

#endif

#endif

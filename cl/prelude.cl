/* prelude.cl - stands before every kernel file: the activations, for one float and for eight.
 *
 * All kernels are OpenCL C 1.2 without extensions. Sizes are run-time arguments. Arrays are row-major; activations
 * have their rows padded (ROW_PAD in host/plan/plan.h), so writing a whole tile of rows is always allowed.
 */

/* The numbers of enum activation in host/model/families.h. */
#define GELU       1
#define GELU_TANH  2
#define QUICK_GELU 3
#define SILU       4
#define RELU       5
#define TANH       6

#define DEFINE_ACTIVATE(TYPE)                                                                                          \
    static inline TYPE activate_##TYPE(TYPE x, int activation)                                                         \
    {                                                                                                                  \
        switch (activation) {                                                                                          \
        case GELU:                                                                                                     \
            return 0.5f * x * (1.0f + erf(x * 0.70710678f));                                                           \
        case GELU_TANH:                                                                                                \
            return 0.5f * x * (1.0f + tanh(0.79788456f * (x + 0.044715f * x * x * x)));                                \
        case QUICK_GELU:                                                                                               \
            return x / (1.0f + exp(-1.702f * x));                                                                      \
        case SILU:                                                                                                     \
            return x / (1.0f + exp(-x));                                                                               \
        case RELU:                                                                                                     \
            return x < (TYPE)(0.0f) ? (TYPE)(0.0f) : x; /* NaN stays NaN, unlike with fmax */                          \
        case TANH:                                                                                                     \
            return tanh(x);                                                                                            \
        default:                                                                                                       \
            return x;                                                                                                  \
        }                                                                                                              \
    }

DEFINE_ACTIVATE(float)
DEFINE_ACTIVATE(float4)
DEFINE_ACTIVATE(float8)

/* ---- the size of a kernel's groups, which a device without a compiler makes its hardware for; elsewhere it depends on
 * the device ---- */

#ifdef FIXED_GROUPS
#define GROUP(size) __attribute__((reqd_work_group_size(size, 1, 1)))
#else
#define GROUP(size)
#endif

/* ---- how numbers are stored: a step's first input and output, and a matmul's weight with its input, may be bf16, the
 * upper half of a float, or f16, rounded to the nearest. What f16 can not hold is NaN: of Infinity softmax might make
 * something that looks right, but NaN goes on to the outputs, where it is found. "aligned": a number of so many numbers
 * lies before it. ---- */

static inline float from_bf16(ushort bits)
{
    return as_float((uint)bits << 16);
}

static inline ushort to_bf16(float x)
{
    const uint bits = as_uint(x);
    return isnan(x) ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static inline ushort4 to_bf16_4(float4 x)
{
    const uint4 bits = as_uint4(x), rounded = bits + 0x7fff + (bits >> 16 & 1);
    return convert_ushort4((isnan(x) ? bits | 0x400000 : rounded) >> 16);
}

static inline ushort8 to_bf16_8(float8 x)
{
    const uint8 bits = as_uint8(x), rounded = bits + 0x7fff + (bits >> 16 & 1);
    return convert_ushort8((isnan(x) ? bits | 0x400000 : rounded) >> 16);
}

static inline float to_held(float x)
{
    return fabs(x) < 65520.0f ? x : NAN;
}

static inline float4 to_held_4(float4 x)
{
    return fabs(x) < 65520.0f ? x : NAN;
}

static inline float8 to_held_8(float8 x)
{
    return fabs(x) < 65520.0f ? x : NAN;
}

/* `at` is in __global memory. */
#if defined(F16_INPUT)
typedef ushort input_t;
#define read_input(at)        vload_half(0, (__global const half *)(at))
#define read_input8(at)       vload_half8(0, (__global const half *)(at))
#define read_aligned4(at)     vloada_half4(0, (__global const half *)(at))
#define read_aligned8(at)     vloada_half8(0, (__global const half *)(at))
#define read_input_vector(at) JOIN(vload_half, VECTOR)(0, (__global const half *)(at))
#elif defined(BF16_INPUT)
typedef ushort input_t;
#define read_input(at)  from_bf16(*(at))
#define read_input8(at) as_float8(convert_uint8(vload8(0, at)) << 16)
#define read_aligned4(at) as_float4(convert_uint4(*(__global const ushort4 *)(at)) << 16)
#define read_aligned8(at) as_float8(convert_uint8(*(__global const ushort8 *)(at)) << 16)
#define read_input_vector(at) as_vfloat(JOIN(convert_uint, VECTOR)(load_vector(0, at)) << 16)
#else
typedef float input_t;
#define read_input(at)  (*(at))
#define read_input8(at) vload8(0, at)
#define read_aligned4(at) (*(__global const float4 *)(at))
#define read_aligned8(at) (*(__global const float8 *)(at))
#define read_input_vector(at) load_vector(0, at)
#endif

#if defined(F16_OUTPUT)
typedef ushort output_t;
#define write_output(value, at)        vstore_half_rte(to_held(value), 0, (__global half *)(at))
#define write_output8(value, at)       vstore_half8_rte(to_held_8(value), 0, (__global half *)(at))
#define write_aligned4(value, at)      vstorea_half4_rte(to_held_4(value), 0, (__global half *)(at))
#define write_output_vector(value, at) JOIN(JOIN(vstore_half, VECTOR), _rte)(vto_held(value), 0, (__global half *)(at))
#elif defined(BF16_OUTPUT)
typedef ushort output_t;
#define write_output(value, at)        (*(at) = to_bf16(value))
#define write_output8(value, at)       vstore8(to_bf16_8(value), 0, at)
#define write_aligned4(value, at)      (*(__global ushort4 *)(at) = to_bf16_4(value))
#define write_output_vector(value, at) (*(__global vushort_anywhere *)(at) = vto_bf16(value))
#else
typedef float output_t;
#define write_output(value, at)        (*(at) = (value))
#define write_output8(value, at)       vstore8(value, 0, at)
#define write_aligned4(value, at)      (*(__global float4 *)(at) = (value))
#define write_output_vector(value, at) store_vector(value, 0, at)
#endif

/* ---- products in tiles: what a work-group computes in local memory ---- */

#define PANEL 64 /* columns of w that lie together; as in host/ops/matmul_internal.h */

/* The tile (row, column) of a group: eight rows of tiles are walked down before the next column, so that groups which
 * run at the same time share rows of x and columns of w. */
static inline int2 tile_of(int group, int row_tiles, int column_tiles)
{
    const int block = 8, first = group / (block * column_tiles) * block, in_block = group % (block * column_tiles);
    const int height = min(block, row_tiles - first);
    return (int2)(first + in_block % height, in_block / height);
}

/* y [rows,N] = activation(sums + bias) in four columns of a row; column is a multiple of 4, beyond N there is nothing. */
static inline void finish_sums(float4 sums, __global const float *bias, __global output_t *y, int row, int column,
                               int N, int activation)
{
    const int columns = N - column;
    y += row * N + column;
    bias += column;
    if (N % 4 == 0)
        sums += *(__global const float4 *)bias;
    else
        sums += (float4)(bias[0], columns > 1 ? bias[1] : 0.0f, columns > 2 ? bias[2] : 0.0f,
                         columns > 3 ? bias[3] : 0.0f);
    sums = activate_float4(sums, activation);
    if (N % 4 == 0) {
        write_aligned4(sums, y);
        return;
    }
    write_output(sums.s0, y);
    if (columns > 1)
        write_output(sums.s1, y + 1);
    if (columns > 2)
        write_output(sums.s2, y + 2);
    if (columns > 3)
        write_output(sums.s3, y + 3);
}

/* ---- vectors of the device's own width, for kernels that a CPU runs ---- */

#ifndef VECTOR
#define VECTOR 16 /* floats in a register: facts.vector_width */
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define vfloat      JOIN(float, VECTOR)
#define vint        JOIN(int, VECTOR)
#define as_vfloat   JOIN(as_float, VECTOR)
#define as_vint     JOIN(as_int, VECTOR)
#define vuint        JOIN(uint, VECTOR)
#define as_vuint     JOIN(as_uint, VECTOR)
#define vushort      JOIN(ushort, VECTOR)
#define to_vushort   JOIN(convert_ushort, VECTOR)
/* Of ushorts PoCL's vstore16 makes sixteen stores. */
typedef vushort vushort_anywhere __attribute__((aligned(2)));
#define load_vector  JOIN(vload, VECTOR)
#define store_vector JOIN(vstore, VECTOR)

static inline vfloat vto_held(vfloat x)
{
    return fabs(x) < 65520.0f ? x : NAN;
}

static inline vushort vto_bf16(vfloat x)
{
#if defined(AMX) || defined(BF16_DOT) /* then the CPU has an instruction for it, too */
    vushort rounded;
    __asm__("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(x));
    return rounded;
#else
    const vuint bits = as_vuint(x), rounded = bits + 0x7fff + (bits >> 16 & 1);
    return to_vushort((isnan(x) ? bits | 0x400000 : rounded) >> 16);
#endif
}

/* Asks for the cache line at a __global address, where the compiler makes instructions of a CPU and can say so: what its
 * own prefetcher brings too late, because memory is far or the loop short. (PoCL's prefetch() does nothing; and what
 * goes through SPIR-V has no word for it: Mesa's translator ends the process.) */
#if defined(__has_builtin) && (defined(__x86_64__) || defined(__aarch64__))
#if __has_builtin(__builtin_prefetch)
#define fetch_line(at) __builtin_prefetch((const void *)(size_t)(at))
#endif
#endif
#ifndef fetch_line
#define fetch_line(at)
#endif

/* 2^x. Adding 1.5 * 2^23 rounds x to a whole number, whose bits then count up from that sum's; 2 to the rest, within
 * half of 1, is a minimax polynomial (relative error 8e-8), and the whole number goes into its exponent. */
static inline vfloat vexp2(vfloat x)
{
    const vfloat limited = x < -126.0f ? -126.0f : x > 127.0f ? 127.0f : x; /* NaN stays NaN */
    const vfloat shifted = limited + 12582912.0f;
    const vfloat rest = limited - (shifted - 12582912.0f);
    vfloat y = 0.001327647f;
    y = fma(y, rest, 0.009675541f);
    y = fma(y, rest, 0.055507135f);
    y = fma(y, rest, 0.2402212f);
    y = fma(y, rest, 0.69314694f);
    y = fma(y, rest, 1.0000001f);
    return as_vfloat(as_vint(y) + (as_vint(shifted) << 23));
}

static inline vfloat vexp(vfloat x)
{
    return vexp2(1.44269504f * x);
}

/* x / 2 * (1 + erf(x / sqrt(2))). erf(x / sqrt(2)) / x is a minimax polynomial in x^2 where |x| is at most 5.3: the
 * variable runs from -1 to 1 there, so that rounding errors stay small. Error of the erf 2e-7. */
static inline vfloat vgelu(vfloat x)
{
    const vfloat near = x < -5.3f ? -5.3f : x > 5.3f ? 5.3f : x;
    const vfloat v = fma(near, 0.071199715f * near, -1.0f), v2 = v * v;
    vfloat even = 0.00062046055f, odd = -0.0015641991f; /* powers of v: two short chains instead of a long one */
    even = fma(even, v2, 0.0012982524f);
    odd = fma(odd, v2, -0.0020890003f);
    even = fma(even, v2, 0.00647086f);
    odd = fma(odd, v2, -0.011814154f);
    even = fma(even, v2, 0.017537188f);
    odd = fma(odd, v2, -0.026309872f);
    even = fma(even, v2, 0.037887346f);
    odd = fma(odd, v2, -0.050612155f);
    even = fma(even, v2, 0.06415406f);
    odd = fma(odd, v2, -0.079176195f);
    even = fma(even, v2, 0.09852858f);
    odd = fma(odd, v2, -0.13303706f);
    even = fma(even, v2, 0.26678512f);
    const vfloat y = fma(odd, v, even);
    return x < -5.3f ? 0.0f : 0.5f * x * fma(y, near, 1.0f);
}

/* As activate_float, where (1 + tanh(x)) / 2 = 1 - 1 / (1 + exp(2x)). */
static inline vfloat vactivate(vfloat x, int activation)
{
    switch (activation) {
    case GELU:
        return vgelu(x);
    case GELU_TANH:
        return x - x / (1.0f + vexp(1.59576912f * (x + 0.044715f * x * x * x)));
    case QUICK_GELU:
        return x / (1.0f + vexp(-1.702f * x));
    case SILU:
        return x / (1.0f + vexp(-x));
    case RELU:
        return x < 0.0f ? 0.0f : x;
    case TANH:
        return tanh(x);
    default:
        return x;
    }
}

/* ---- Intel's tile registers (AMX, "Advanced Matrix Extensions Programming Reference"): tdpbf16ps adds to 16 x 16 floats
 * the product of 16 rows of 16 pairs of bf16 with 16 pairs of 16 columns. Strides are bytes. ---- */

#ifdef AMX

#define TILE_ROW 64 /* bytes */

struct tile_shapes {
    uchar palette, start_row, reserved[14];
    ushort row_bytes[16];
    uchar rows[16];
};

/* Registers 0, 1 and 4 get `upper` rows, 2, 3 and 5 `lower`, the others 16. */
static inline void configure_tiles(int upper, int lower)
{
    struct tile_shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = TILE_ROW;
        shapes.rows[i] = i > 5 ? 16 : i == 4 || i < 2 ? upper : lower;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}

#define LOAD_TILE(tile, at, stride)                                                                                    \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile : : "r"(at), "r"((long)(stride)) : "memory")
#define STORE_TILE(tile, at, stride)                                                                                   \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r"(at), "r"((long)(stride)) : "memory")
#define CLEAR_TILE(tile)         __asm__ volatile("tilezero %%tmm" #tile : :)
#define MULTIPLY_TILES(sum, x, w) __asm__ volatile("tdpbf16ps %%tmm" #w ", %%tmm" #x ", %%tmm" #sum : :)

#endif

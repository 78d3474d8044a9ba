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
DEFINE_ACTIVATE(float8)

/* ops.c - the table of operations, and what they share. */
#include "ops/ops.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct operation *const OPERATIONS[OP_COUNT] = {
    [OP_IM2PATCH] = &IM2PATCH,   [OP_MATMUL] = &MATMUL,
    [OP_TOKENS] = &TOKENS,       [OP_RESIDUAL_NORM] = &RESIDUAL_NORM,
    [OP_QK_NORM] = &QK_NORM,     [OP_ROPE] = &ROPE,
    [OP_ATTENTION] = &ATTENTION, [OP_GATE] = &GATE,
    [OP_POOL] = &POOL,           [OP_ATTENTION_POOL] = &ATTENTION_POOL,
};

const struct operation *operation_of(enum op op)
{
    return OPERATIONS[op];
}

bool numbers_have(unsigned numbers, enum number number)
{
    return (numbers ? numbers : NUMBERS(NUMBER_F32)) & NUMBERS(number);
}

struct arg arg_tensor(int tensor)
{
    return (struct arg){.kind = ARG_TENSOR, .tensor = tensor};
}

struct arg arg_int(size_t value)
{
    return (struct arg){.kind = ARG_INT, .integer = (int)value};
}

struct arg arg_float(float value)
{
    return (struct arg){.kind = ARG_FLOAT, .real = value};
}

struct launch make_launch(const char *program, const char *kernel, const struct facts *facts, size_t group,
                          const size_t items[3])
{
    struct launch launch = {.program = program, .kernel = kernel};
    for (size_t axis = 0; axis < 3; axis++) {
        launch.local[axis] = axis == 0 ? size_min(group, facts->max_work_group) : 1;
        launch.global[axis] = size_round_up(items[axis], launch.local[axis]);
    }
    return launch;
}

void add_arg(struct launch *launch, struct arg arg)
{
    launch->args[launch->arg_count++] = arg;
}

bool suits_groups(const struct facts *facts)
{
    return !facts->is_cpu && facts->has_compiler && facts->local_memory > 0;
}

const char *vector_obstacle(const struct facts *facts)
{
    if (!facts->is_cpu || !facts->has_compiler)
        return "it is made for CPUs with a compiler";
    if (facts->vector_width != 4 && facts->vector_width != 8 && facts->vector_width != 16)
        return "the device has no vectors of 4, 8 or 16 floats";
    return NULL;
}

const char *dot_obstacle(const struct facts *facts)
{
    const char *why = vector_obstacle(facts);
    return why ? why : facts->bf16_dot && facts->vector_width == 16 ? NULL : "the CPU has no vdpbf16ps";
}

const char *amx_obstacle(const struct facts *facts)
{
    const char *why = dot_obstacle(facts);
    return why ? why : facts->bf16_tiles ? NULL : "the CPU has no tdpbf16ps";
}

size_t vector_rows(const struct facts *facts)
{
    return facts->vector_width == 16 ? 14 : 6; /* 32 registers, or 16 */
}

size_t tile_candidate(size_t most, size_t k)
{
    size_t less = k * size_max(1, most / 7);
    return less < most && most - less > most * 2 / 5 ? most - less : 0;
}

bool variant_suits(const struct variant *variant, const struct facts *facts)
{
    return (!variant->obstacle || !variant->obstacle(facts)) && (!variant->suits || variant->suits(facts));
}

void add_candidate(struct tuning *candidates, size_t *count, struct tuning tuning)
{
    for (size_t i = 0; i < *count; i++)
        if (candidates[i].tile == tuning.tile && candidates[i].block == tuning.block)
            return;
    if (*count < MAX_CANDIDATES)
        candidates[(*count)++] = tuning;
}

void add_option(struct launch *launch, const char *name, size_t value)
{
    size_t length = strlen(launch->options);
    snprintf(launch->options + length, sizeof launch->options - length, " -D %s=%zu", name, value);
}

const float *optional(float *const *data, int tensor)
{
    return tensor == NO_TENSOR ? NULL : data[tensor];
}

double activate(enum activation activation, double x)
{
    switch (activation) {
    case ACTIVATION_GELU:
        return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case ACTIVATION_QUICK_GELU:
        return x / (1 + exp(-1.702 * x));
    case ACTIVATION_SILU:
        return x / (1 + exp(-x));
    case ACTIVATION_RELU:
        return x < 0 ? 0 : x; /* NaN stays NaN */
    case ACTIVATION_TANH:
        return tanh(x);
    case ACTIVATION_NONE:
    case ACTIVATION_COUNT:
        break;
    }
    return x;
}

/* ops.c - the table of operations, and the choice of a variant for each step. */
#include "ops/ops.h"
#include "base/size.h"
#include "base/text.h"

#include <limits.h>
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

/* ---- overrides: "matmul=portable,attention=portable" ---- */

static bool same_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && strncmp(name, text, length) == 0;
}

static const struct variant *find_variant(const struct operation *operation, const char *name, size_t length)
{
    for (size_t v = 0; v < MAX_VARIANTS && operation->variants[v]; v++)
        if (same_name(operation->variants[v]->name, name, length))
            return operation->variants[v];
    return NULL;
}

static vitcl_status fail_choices(const char *item, size_t length, vitcl_error *err)
{
    struct text choices = {0};
    for (size_t op = 0; op < OP_COUNT; op++)
        for (size_t v = 0; v < MAX_VARIANTS && OPERATIONS[op]->variants[v]; v++)
            text_add(&choices, " %s=%s", plan_op_name((enum op)op), OPERATIONS[op]->variants[v]->name);
    fail(err, VITCL_ERROR_ARGUMENT, "unknown variant \"%.*s\"; the choices are:%s", (int)size_min(length, 80), item,
         choices.chars ? choices.chars : "");
    text_free(&choices);
    return VITCL_ERROR_ARGUMENT;
}

static vitcl_status parse_override(const char *item, size_t length, const struct facts *facts,
                                   const struct variant *forced[OP_COUNT], vitcl_error *err)
{
    const char *equals = memchr(item, '=', length);
    for (size_t op = 0; equals && op < OP_COUNT; op++) {
        const struct variant *variant;
        const char *obstacle;
        if (!same_name(plan_op_name((enum op)op), item, (size_t)(equals - item)))
            continue;
        variant = find_variant(OPERATIONS[op], equals + 1, length - (size_t)(equals + 1 - item));
        if (!variant)
            break;
        obstacle = variant->obstacle ? variant->obstacle(facts) : NULL;
        if (obstacle)
            return fail(err, VITCL_ERROR_ARGUMENT, "%s=%s can not run here: %s", plan_op_name((enum op)op),
                        variant->name, obstacle);
        forced[op] = variant;
        return VITCL_OK;
    }
    return fail_choices(item, length, err);
}

static vitcl_status parse_overrides(const char *text, const struct facts *facts, const struct variant *forced[OP_COUNT],
                                    vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    while (text && *text && status == VITCL_OK) {
        size_t length = strcspn(text, ",");
        status = parse_override(text, length, facts, forced, err);
        text += length + (text[length] == ',');
    }
    return status;
}

/* ---- selection ---- */

/* Kernels index with 32-bit integers: no tensor may have more elements than they can count. */
static vitcl_status check_index_range(const struct plan *plan, vitcl_error *err)
{
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (tensor->bytes / sizeof(float) > INT_MAX)
            return fail(err, VITCL_ERROR_MEMORY,
                        "%s: %zu bytes are more than one kernel can address; use a smaller batch (-b) than %zu",
                        tensor->name, tensor->bytes, plan->geometry.batch);
    }
    return VITCL_OK;
}

static void give_variant(struct plan *plan, struct step *step, const struct variant *variant, const char *reason,
                         const struct facts *facts)
{
    step->variant = variant;
    step->variant_name = variant->name;
    step->reason = reason;
    if (step->weight[0] != NO_TENSOR)
        plan_set_layout(plan, step->weight[0], variant->layout, PANEL_VECTORS * facts->vector_width);
}

/* The first variant that can run there, and why; the last one always can. */
static const struct variant *first_fit(const struct operation *operation, const struct facts *facts,
                                       const char **reason)
{
    size_t v = 0;
    *reason = operation->variants[1] ? "the first that can run here" : "the only variant";
    while (operation->variants[v]->obstacle && operation->variants[v]->obstacle(facts))
        v++;
    return operation->variants[v];
}

vitcl_status ops_select(struct plan *plan, const struct facts *facts, const char *overrides, vitcl_error *err)
{
    const struct variant *chosen[OP_COUNT] = {0};
    const char *reason[OP_COUNT] = {0};
    vitcl_status status = parse_overrides(overrides, facts, chosen, err);
    if (status != VITCL_OK)
        return status;
    for (size_t s = 0; s < plan->step_count; s++)
        operation_of(plan->steps[s].op)->cost(plan, &plan->steps[s]);
    for (size_t op = 0; op < OP_COUNT; op++) {
        const struct operation *operation = OPERATIONS[op];
        reason[op] = "asked for";
        if (!chosen[op])
            chosen[op] = operation->choose ? operation->choose(plan, facts, &reason[op])
                                           : first_fit(operation, facts, &reason[op]);
    }
    for (size_t s = 0; s < plan->step_count; s++) {
        enum op op = plan->steps[s].op;
        give_variant(plan, &plan->steps[s], chosen[op], reason[op], facts);
    }
    return check_index_range(plan, err);
}

/* ---- helpers of the operations ---- */

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

const char *vector_obstacle(const struct facts *facts)
{
    if (!facts->is_cpu || !facts->has_compiler)
        return "it is made for CPUs with a compiler";
    if (facts->vector_width != 4 && facts->vector_width != 8 && facts->vector_width != 16)
        return "the device has no vectors of 4, 8 or 16 floats";
    return NULL;
}

size_t vector_rows(const struct facts *facts)
{
    return facts->vector_width == 16 ? 14 : 6; /* 32 registers, or 16 */
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

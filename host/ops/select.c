/* select.c - the choice of a variant for each step, and of how its numbers are stored. */
#include "base/size.h"
#include "base/text.h"
#include "ops/ops.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* What runs an operation's steps: those whose input is float, and those whose input the plan's precision makes
 * narrower.
 */
struct choice {
    const struct variant *forced, *plain, *narrow;
    const char *reason; /* for plain */
};

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
        for (size_t v = 0; v < MAX_VARIANTS && operation_of((enum op)op)->variants[v]; v++)
            text_add(&choices, " %s=%s", plan_op_name((enum op)op), operation_of((enum op)op)->variants[v]->name);
    fail(err, VITCL_ERROR_ARGUMENT, "unknown variant \"%.*s\"; the choices are:%s", (int)size_min(length, 80), item,
         choices.chars ? choices.chars : "");
    text_free(&choices);
    return VITCL_ERROR_ARGUMENT;
}

static vitcl_status parse_override(const char *item, size_t length, const struct facts *facts,
                                   struct choice choices[OP_COUNT], vitcl_error *err)
{
    const char *equals = memchr(item, '=', length);
    for (size_t op = 0; equals && op < OP_COUNT; op++) {
        const struct variant *variant;
        const char *obstacle;
        if (!same_name(plan_op_name((enum op)op), item, (size_t)(equals - item)))
            continue;
        variant = find_variant(operation_of((enum op)op), equals + 1, length - (size_t)(equals + 1 - item));
        if (!variant)
            break;
        obstacle = variant->obstacle ? variant->obstacle(facts) : NULL;
        if (obstacle)
            return fail(err, VITCL_ERROR_ARGUMENT, "%s=%s can not run here: %s", plan_op_name((enum op)op),
                        variant->name, obstacle);
        choices[op].forced = variant;
        return VITCL_OK;
    }
    return fail_choices(item, length, err);
}

static vitcl_status parse_overrides(const char *text, const struct facts *facts, struct choice choices[OP_COUNT],
                                    vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    while (text && *text && status == VITCL_OK) {
        size_t length = strcspn(text, ",");
        status = parse_override(text, length, facts, choices, err);
        text += length + (text[length] == ',');
    }
    return status;
}

/* Kernels index with 32-bit integers: no tensor may have more elements than they can count. */
static vitcl_status check_index_range(const struct plan *plan, vitcl_error *err)
{
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (tensor->bytes / sizeof(float) > INT_MAX)
            return fail(err, VITCL_ERROR_MEMORY, "%s has %zu bytes in a batch of %zu, more than a kernel can address",
                        tensor->name, tensor->bytes, plan->geometry.batch);
    }
    return VITCL_OK;
}

/* ---- which variant runs which step ---- */

static bool fits(const struct variant *variant, const struct plan *plan, const struct step *step,
                 const struct facts *facts)
{
    return !variant->fits || variant->fits(plan, step, facts);
}

/* The first variant that is made for the device and reads such numbers; with a step one that fits it. NULL for none. */
static const struct variant *first_of(const struct operation *operation, const struct facts *facts, enum number number,
                                      const struct plan *plan, const struct step *step)
{
    for (size_t v = 0; v < MAX_VARIANTS && operation->variants[v]; v++) {
        const struct variant *variant = operation->variants[v];
        if (variant_suits(variant, facts) && numbers_have(variant->reads, number) &&
            (!step || fits(variant, plan, step, facts)))
            return variant;
    }
    return NULL;
}

static void choose(const struct plan *plan, const struct facts *facts, const struct operation *operation,
                   struct choice *choice)
{
    const enum number number = number_of_precision(plan->precision);
    choice->plain = choice->narrow = choice->forced;
    if (choice->forced && !numbers_have(choice->forced->reads, number))
        choice->narrow = NULL;
    if (!choice->forced)
        choice->narrow = first_of(operation, facts, number, NULL, NULL);
    if (choice->forced && numbers_have(choice->forced->reads, NUMBER_F32))
        return;
    choice->plain = operation->choose ? operation->choose(plan, facts, &choice->reason)
                                      : first_of(operation, facts, NUMBER_F32, NULL, NULL);
    if (!operation->choose)
        choice->reason = operation->variants[1] ? "the first made for such a device" : "the only variant";
}

/* What runs a step whose input is stored so; NULL where nothing reads it. */
static const struct variant *variant_for(const struct plan *plan, const struct step *step, const struct choice *choice,
                                         const struct facts *facts, enum number number)
{
    const struct variant *variant = number == NUMBER_F32 ? choice->plain
                                    : choice->forced     ? choice->forced
                                                         : choice->narrow;
    if (!variant || !numbers_have(variant->reads, number) || !fits(variant, plan, step, facts))
        variant = first_of(operation_of(step->op), facts, number, plan, step);
    return variant;
}

/* The same for an input in the plan's precision; NULL, too, where another variant was asked for. */
static const struct variant *narrow_variant(const struct plan *plan, const struct step *step,
                                            const struct choice *choice, const struct facts *facts)
{
    return choice->narrow ? variant_for(plan, step, choice, facts, number_of_precision(plan->precision)) : NULL;
}

/* ---- which tensors are narrower than float: what feeds only matmul and attention, and is no output ---- */

static bool multiplies(enum op op)
{
    return op == OP_MATMUL || op == OP_ATTENTION;
}

/* Whether all that read a tensor multiply it, and can read it so. */
static bool feeds_products(const struct plan *plan, int tensor, const struct choice choices[OP_COUNT],
                           const struct facts *facts)
{
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct step *step = &plan->steps[s];
        bool first = step->input[0] == tensor;
        if (step->input[1] == tensor ||
            (first && (!multiplies(step->op) || !narrow_variant(plan, step, &choices[step->op], facts))))
            return false;
    }
    return true;
}

static bool writes(const struct plan *plan, const struct step *step, const struct choice *choice,
                   const struct facts *facts)
{
    const enum number number = number_of_precision(plan->precision);
    const struct variant *narrow = narrow_variant(plan, step, choice, facts);
    return numbers_have(variant_for(plan, step, choice, facts, NUMBER_F32)->writes, number) &&
           (!narrow || numbers_have(narrow->writes, number));
}

static void give_types(struct plan *plan, const struct choice choices[OP_COUNT], const struct facts *facts)
{
    const enum number number = number_of_precision(plan->precision);
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct step *step = &plan->steps[s];
        struct tensor *output = &plan->tensors[step->output[0]];
        if (!output->keep && writes(plan, step, &choices[step->op], facts) &&
            feeds_products(plan, step->output[0], choices, facts))
            output->number = number;
    }
}

static const char *reason_for(const struct choice *choice, const struct variant *variant, enum number number)
{
    if (variant == choice->forced)
        return "asked for";
    if (number != NUMBER_F32)
        return number == NUMBER_F16 ? "the first that reads f16 here" : "the first that multiplies bf16 here";
    return variant == choice->plain ? choice->reason : "the first that fits";
}

static void give_variant(struct plan *plan, struct step *step, const struct choice *choice, const struct facts *facts)
{
    const enum number number = plan->tensors[step->input[0]].number;
    const struct variant *variant = variant_for(plan, step, choice, facts, number);
    step->reason = reason_for(choice, variant, number);
    step->variant = variant;
    step->variant_name = variant->name;
    if (step->weight[0] != NO_TENSOR)
        plan_set_layout(plan, step->weight[0], step->op == OP_MATMUL ? number : NUMBER_F32, variant->layout,
                        variant->panel ? variant->panel : PANEL_VECTORS * facts->vector_width);
}

static vitcl_status check_narrow(const struct plan *plan, const struct choice choices[OP_COUNT], vitcl_error *err)
{
    if (choices[OP_MATMUL].narrow)
        return VITCL_OK;
    return fail(err, VITCL_ERROR_ARGUMENT, "matmul=%s does not read %s: choose another variant or another precision",
                choices[OP_MATMUL].forced->name, number_name(number_of_precision(plan->precision)));
}

vitcl_status ops_select(struct plan *plan, const struct facts *facts, const char *overrides, vitcl_error *err)
{
    struct choice choices[OP_COUNT] = {{0}};
    vitcl_status status;
    TRY(parse_overrides(overrides, facts, choices, err));
    for (size_t s = 0; s < plan->step_count; s++)
        operation_of(plan->steps[s].op)->cost(plan, &plan->steps[s]);
    for (size_t op = 0; op < OP_COUNT; op++)
        choose(plan, facts, operation_of((enum op)op), &choices[op]);
    if (plan->precision != VITCL_PRECISION_F32) {
        TRY(check_narrow(plan, choices, err));
        give_types(plan, choices, facts);
    }
    for (size_t s = 0; s < plan->step_count; s++)
        give_variant(plan, &plan->steps[s], &choices[plan->steps[s].op], facts);
    TRY(check_index_range(plan, err));
done:
    return status;
}

/* reference.c - runs each step's plain-C function, on all cores. */
#include "run/reference.h"
#include "base/parallel.h"
#include "ops/ops.h"
#include "run/number.h"
#include "run/pack.h"

#include <stdlib.h>
#include <string.h>

/* Rounds as the device does where it stores 16 bits, so that what is left to differ is the order of sums. */
static void round_to(enum number number, float *values, size_t count)
{
    for (size_t i = 0; number != NUMBER_F32 && i < count; i++)
        values[i] = number_round(number, values[i]);
}

/* A weight's numbers where they lie in the file, if they are one tensor of aligned floats there. */
static float *in_place(const struct tensor *tensor)
{
    const struct weight *weight = tensor->weight;
    const struct tensor_entry *entry = weight->part[0].tensor;
    if (tensor->number != NUMBER_F32 || weight->parts != 1 || !entry || weight->part[0].first || weight->scale ||
        entry->dtype != DTYPE_F32 || (uintptr_t)entry->data % sizeof(float))
        return NULL;
    return (float *)(uintptr_t)entry->data; /* the reference only reads weights */
}

static vitcl_status convert(const struct tensor *tensor, float **converted, vitcl_error *err)
{
    const struct weight *weight = tensor->weight;
    const size_t count = weight->rows * weight->cols;
    *converted = malloc(count * sizeof **converted);
    if (!*converted)
        return fail_memory(err, count * sizeof **converted);
    for (size_t row = 0; row < weight->rows; row++)
        weight_read_row(weight, row, *converted + row * weight->cols);
    for (size_t i = 0; i < count; i++)
        if (!number_holds(tensor->number, (*converted)[i]))
            return fail_weight_overflow(tensor, err);
    round_to(tensor->number, *converted, count);
    return VITCL_OK;
}

vitcl_status reference_create(struct reference *reference, const struct plan *plan, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct reference *r = reference;

    *r = (struct reference){.plan = plan};
    r->arena = calloc(plan->arena_bytes ? plan->arena_bytes : 1, 1);
    r->data = calloc(plan->tensor_count, sizeof(float *));
    r->converted = calloc(plan->tensor_count, sizeof(float *));
    if (!r->arena || !r->data || !r->converted)
        TRY(fail_memory(err, plan->arena_bytes));
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (!tensor->weight) {
            r->data[t] = r->arena + tensor->offset / sizeof(float);
            continue;
        }
        r->data[t] = in_place(tensor);
        if (!r->data[t]) {
            TRY(convert(tensor, &r->converted[t], err));
            r->data[t] = r->converted[t];
        }
    }
done:
    if (status != VITCL_OK)
        reference_destroy(r);
    return status;
}

void reference_destroy(struct reference *reference)
{
    for (size_t t = 0; reference->converted && t < reference->plan->tensor_count; t++)
        free(reference->converted[t]);
    free(reference->converted);
    free(reference->data);
    free(reference->arena);
    memset(reference, 0, sizeof *reference);
}

struct part {
    struct reference *reference;
    const struct step *step;
};

static void run_rows(void *context, size_t first, size_t last)
{
    struct part *part = context;
    const struct plan *plan = part->reference->plan;
    const int output = part->step->output[0];
    const size_t cols = plan->tensors[output].cols;
    operation_of(part->step->op)->reference(plan, part->step, part->reference->data, first, last);
    round_to(plan->tensors[output].number, part->reference->data[output] + first * cols, (last - first) * cols);
}

void reference_run_step(struct reference *reference, size_t step)
{
    struct part part = {reference, &reference->plan->steps[step]};
    parallel_for(reference->plan->tensors[part.step->output[0]].rows, run_rows, &part);
}

void reference_run(struct reference *reference)
{
    for (size_t s = 0; s < reference->plan->step_count; s++)
        reference_run_step(reference, s);
}

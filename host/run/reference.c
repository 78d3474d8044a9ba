/* reference.c - runs each step's plain-C function, on all cores. */
#include "run/reference.h"
#include "base/parallel.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

/* A weight's numbers where they lie in the file, if they are one tensor of aligned floats there. */
static float *in_place(const struct weight *weight)
{
    const struct tensor_entry *tensor = weight->part[0].tensor;
    if (weight->parts != 1 || !tensor || weight->part[0].first || weight->scale || tensor->dtype != DTYPE_F32 ||
        (uintptr_t)tensor->data % sizeof(float))
        return NULL;
    return (float *)(uintptr_t)tensor->data; /* the reference only reads weights */
}

static vitcl_status convert(const struct weight *weight, float **converted, vitcl_error *err)
{
    *converted = malloc(weight->rows * weight->cols * sizeof **converted);
    if (!*converted)
        return fail_memory(err, weight->rows * weight->cols * sizeof **converted);
    for (size_t row = 0; row < weight->rows; row++)
        weight_read_row(weight, row, *converted + row * weight->cols);
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
        r->data[t] = in_place(tensor->weight);
        if (!r->data[t]) {
            TRY(convert(tensor->weight, &r->converted[t], err));
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
    operation_of(part->step->op)->reference(part->reference->plan, part->step, part->reference->data, first, last);
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

/* fit.c - a plan knows its bytes before anything is allocated. */
#include "run/fit.h"
#include "ops/ops.h"

#include <stdio.h>

#define MEGA 1e6

vitcl_status plan_for(struct plan *plan, const struct request *r, const struct facts *facts, vitcl_error *err)
{
    vitcl_status status = plan_build(plan, r, err);
    if (status != VITCL_OK)
        return status;
    TRY(ops_select(plan, facts, r->variants, err));
    TRY(plan_place(plan, facts->buffer_align, err));
done:
    if (status != VITCL_OK)
        plan_free(plan);
    return status;
}

static bool fits(const struct plan *plan, const struct facts *facts)
{
    uint64_t room = facts->memory > plan->weight_bytes ? facts->memory - plan->weight_bytes : 0;
    return plan->arena_bytes <= room && plan->arena_bytes <= facts->max_alloc;
}

/* The largest batch that fits, 0 for none, found by planning: `high` is known not to fit. */
static size_t largest_batch(const struct request *request, const struct facts *facts, size_t high)
{
    size_t low = 0;
    while (high - low > 1) {
        struct request smaller = *request;
        struct plan plan;
        bool fitting;
        smaller.batch = low + (high - low) / 2;
        fitting = plan_for(&plan, &smaller, facts, NULL) == VITCL_OK;
        if (fitting) {
            fitting = fits(&plan, facts);
            plan_free(&plan);
        }
        *(fitting ? &low : &high) = smaller.batch;
    }
    return low;
}

vitcl_status check_fit(const struct plan *plan, const struct request *request, const struct facts *facts,
                       vitcl_error *err)
{
    size_t batch;
    char advice[80] = "no batch fits";
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (plan->tensors[t].weight && plan->tensors[t].bytes > facts->max_alloc)
            return fail(err, VITCL_ERROR_MEMORY, "%s has %zu bytes; the device takes at most %llu in one buffer",
                        plan->tensors[t].name, plan->tensors[t].bytes, (unsigned long long)facts->max_alloc);
    if (fits(plan, facts))
        return VITCL_OK;
    batch = largest_batch(request, facts, request->batch);
    if (batch)
        snprintf(advice, sizeof advice, "a batch of %zu fits (-b %zu)", batch, batch);
    return fail(
        err, VITCL_ERROR_MEMORY,
        "batch %zu needs %.1f MB of activations beside %.1f MB of weights; the device has %.1f MB, at most %.1f "
        "MB in one buffer: %s",
        request->batch, (double)plan->arena_bytes / MEGA, (double)plan->weight_bytes / MEGA,
        (double)facts->memory / MEGA, (double)facts->max_alloc / MEGA, advice);
}

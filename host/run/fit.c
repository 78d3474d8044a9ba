/* fit.c - how many images a device takes at once. A plan knows its bytes and its FLOPs before anything is allocated, so
 * all of this is found by planning. */
#include "run/fit.h"
#include "base/size.h"
#include "ops/ops.h"
#include "run/programs.h"

#include <math.h>
#include <stdio.h>

#define MEGA 1e6

/* Where a GPU shows a desktop, too, a launch that takes seconds freezes it, and its driver may then reset the device.
 */
#define LAUNCH_SECONDS 0.1

/* What one compute unit does in a cycle at least, whatever a driver calls a unit: a quarter of the peak of the smallest
 * one, eight lanes of multiply-adds. Most units are many times larger: there the limit comes early, when a pass has
 * long enough work for the device. */
#define FLOPS_PER_CYCLE 4.0
#define UNKNOWN_CLOCK   500 /* MHz */

/* OpenCL has no such limit, but the hardware below may: CUDA's grids end here in y and z. */
#define MOST_GROUPS 65535

/* Images that are worth running at once. Eight give every core of a CPU full tiles and many of them (of a 224-pixel
 * image with patches of 16, 1576 rows of each product); more only leave its caches. A GPU wants some tiles of 128 rows
 * for each of its units to even out the last ones: 64 such images give about a hundred in each column of tiles. */
#define WORTH_CPU 8
#define WORTH_GPU 64

/* ---- plans ---- */

static vitcl_status plan_batch(struct plan *plan, const struct request *r, const struct facts *facts, vitcl_error *err)
{
    vitcl_status status = plan_build(plan, r, err);
    if (status != VITCL_OK)
        return status;
    TRY(ops_select(plan, facts, r->variants, err));
    TRY(plan_place(plan, facts->buffer_align, facts->max_alloc < SIZE_MAX ? (size_t)facts->max_alloc : SIZE_MAX, err));
done:
    if (status != VITCL_OK)
        plan_free(plan);
    return status;
}

/* The most groups that a launch has along its second or third axis. */
static size_t most_groups(const struct plan *plan, const struct facts *facts)
{
    size_t most = 1;
    for (size_t s = 0; s < plan->step_count; s++) {
        struct launch launches[MAX_LAUNCHES] = {0};
        const size_t count = step_launches(plan, &plan->steps[s], facts, launches);
        for (size_t i = 0; i < count; i++)
            for (size_t axis = 1; axis < 3 && launches[i].kernel; axis++)
                most = size_max(most, launches[i].global[axis] / launches[i].local[axis]);
    }
    return most;
}

/* In how many passes a plan's images are to run so that no launch is predicted to take too long, or is too large. One
 * image's steps are never divided. */
static size_t passes_needed(const struct plan *plan, const struct facts *facts)
{
    const double clock = 1e6 * (double)(facts->clock_mhz ? facts->clock_mhz : UNKNOWN_CLOCK);
    const double limit = LAUNCH_SECONDS * FLOPS_PER_CYCLE * clock * (double)size_max(facts->units, 1);
    double most = 0, share;
    if (facts->is_cpu)
        return 1;
    for (size_t s = 0; s < plan->step_count; s++)
        most = plan->steps[s].flops > most ? plan->steps[s].flops : most;
    share = fmin(limit / most, (double)MOST_GROUPS / (double)most_groups(plan, facts));
    if (share >= 1)
        return 1;
    return size_ceil_div(plan->images, size_max(1, (size_t)(share * (double)plan->images)));
}

/* A plan for the whole batch, or for a part of it that runs several times. */
static vitcl_status plan_in_passes(struct plan *plan, const struct request *request, const struct facts *facts,
                                   vitcl_error *err)
{
    struct request pass = *request;
    size_t passes;
    vitcl_status status = plan_batch(plan, request, facts, err);
    if (status != VITCL_OK)
        return status;
    passes = passes_needed(plan, facts);
    if (passes == 1)
        return VITCL_OK;
    plan_free(plan);
    pass.batch = size_ceil_div(request->batch, passes);
    status = plan_batch(plan, &pass, facts, err);
    if (status == VITCL_OK)
        plan->images = request->batch;
    return status;
}

/* ---- what fits ---- */

/* The first weight that no buffer can hold; NULL for none. Of activations plan_place has made sure. */
static const struct tensor *oversized(const struct plan *plan, const struct facts *facts)
{
    for (size_t t = 0; t < plan->tensor_count && facts->max_alloc; t++)
        if (plan->tensors[t].weight && plan->tensors[t].bytes > facts->max_alloc)
            return &plan->tensors[t];
    return NULL;
}

static bool fits(const struct plan *plan, const struct facts *facts)
{
    if (oversized(plan, facts))
        return false;
    return !facts->memory ||
           (plan->weight_bytes <= facts->memory && plan->arena_bytes <= facts->memory - plan->weight_bytes);
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
        fitting = plan_in_passes(&plan, &smaller, facts, NULL) == VITCL_OK;
        if (fitting) {
            fitting = fits(&plan, facts);
            plan_free(&plan);
        }
        *(fitting ? &low : &high) = smaller.batch;
    }
    return low;
}

/* Fails with what is too large, and the batch that is not. */
static vitcl_status fail_with_advice(const struct request *request, const struct facts *facts, const char *what,
                                     vitcl_error *err)
{
    size_t batch = largest_batch(request, facts, request->batch);
    if (batch)
        return fail(err, VITCL_ERROR_MEMORY, "%s: a batch of %zu fits (-b %zu)", what, batch, batch);
    return fail(err, VITCL_ERROR_MEMORY, "%s: no batch fits; try another device%s", what,
                request->precision == VITCL_PRECISION_F32 ? ", or --precision bf16, which halves most weights" : "");
}

vitcl_status plan_for(struct plan *plan, const struct request *request, const struct facts *facts, vitcl_error *err)
{
    vitcl_error why = {0};
    vitcl_status status = plan_in_passes(plan, request, facts, &why);
    if (status == VITCL_ERROR_MEMORY)
        return fail_with_advice(request, facts, why.message, err);
    return status == VITCL_OK ? VITCL_OK : fail(err, status, "%s", why.message);
}

vitcl_status check_fit(const struct plan *plan, const struct request *request, const struct facts *facts,
                       vitcl_error *err)
{
    const double weights = (double)plan->weight_bytes / MEGA, arena = (double)plan->arena_bytes / MEGA,
                 memory = (double)facts->memory / MEGA;
    const struct tensor *weight = oversized(plan, facts);
    char what[300];
    if (fits(plan, facts))
        return VITCL_OK;
    if (weight)
        snprintf(what, sizeof what, "%s has %zu bytes; the device takes at most %llu in one buffer", weight->name,
                 weight->bytes, (unsigned long long)facts->max_alloc);
    else if (plan->weight_bytes > facts->memory)
        snprintf(what, sizeof what, "the weights alone have %.1f MB, %.1f MB more than the %.1f MB of the device",
                 weights, weights - memory, memory);
    else
        snprintf(what, sizeof what,
                 "batch %zu needs %.1f MB, %.1f MB of activations beside %.1f MB of weights; the device has %.1f MB",
                 request->batch, arena + weights, arena, weights, memory);
    return fail_with_advice(request, facts, what, err);
}

vitcl_status choose_batch(const struct request *request, const struct facts *facts, size_t *batch, vitcl_error *err)
{
    struct request chosen = *request;
    struct facts half = *facts;
    struct plan plan;
    vitcl_status status;

    chosen.batch = 1;
    status = plan_for(&plan, &chosen, facts, err);
    if (status != VITCL_OK)
        return status;
    status = check_fit(&plan, &chosen, facts, err);
    if (status == VITCL_OK && facts->memory) /* half of the rest is for the driver, and whatever else runs there */
        half.memory = plan.weight_bytes + (facts->memory - plan.weight_bytes) / 2;
    plan_free(&plan);
    if (status != VITCL_OK)
        return status;

    *batch = largest_batch(request, &half, size_min(request->batch, facts->is_cpu ? WORTH_CPU : WORTH_GPU) + 1);
    chosen.batch = *batch = size_max(*batch, 1);
    status = plan_for(&plan, &chosen, facts, err);
    if (status == VITCL_OK) { /* what is divided again gains nothing */
        *batch = plan.geometry.batch;
        plan_free(&plan);
    }
    return status;
}

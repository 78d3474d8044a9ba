/* single_step.c - see single_step.h. */
#include "single_step.h"
#include "base/size.h"
#include "run/executor.h"
#include "run/number.h"
#include "run/reference.h"
#include "run/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 4096 /* bytes of poison before and behind every tensor */

struct step single_step(enum op op)
{
    struct step step = {.op = op,
                        .label = "single step",
                        .input = {NO_TENSOR, NO_TENSOR},
                        .weight = {NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
                        .output = {NO_TENSOR, NO_TENSOR}};
    return step;
}

int add_weight(struct plan *plan, struct weight *weight, size_t rows, size_t cols)
{
    *weight = (struct weight){.part = {{.rows = rows, .cols = cols}}, .parts = 1, .rows = rows, .cols = cols};
    return plan_add_weight(plan, weight, "weight");
}

void add_single_step(struct plan *plan, const struct step *step)
{
    assert_int_equal(plan_add_step(plan, step), 0);
}

static void draw_weight(struct suite *suite, struct weight *weight, struct tensor_entry *entry, const struct draw *draw)
{
    size_t count = weight->rows * weight->cols;
    float *values = allocate(count, sizeof *values);
    random_fill(&suite->random, values, count, draw->mean, draw->deviation);
    *entry =
        (struct tensor_entry){.dtype = DTYPE_F32, .data = (unsigned char *)values, .bytes = count * sizeof *values};
    weight->part[0].tensor = entry;
}

/* Instead of plan_place: every tensor has a place and a gap of its own, but for one that takes the place of another.
 * One more tensor is the whole arena; its number is returned. */
static int spread_out(struct plan *plan, size_t align)
{
    size_t offset = size_round_up(GAP, align);
    int arena;
    for (size_t t = 0; t < plan->tensor_count; t++) {
        struct tensor *tensor = &plan->tensors[t];
        if (tensor->weight)
            continue;
        if (tensor->reuse != NO_TENSOR) {
            tensor->offset = plan->tensors[tensor->reuse].offset;
            continue;
        }
        tensor->offset = offset;
        offset = size_round_up(offset + tensor->bytes + GAP, align);
    }
    plan->arena_bytes = offset;
    plan->segment_count = 1;
    arena = plan_add_tensor(plan, "arena", (size_t[]){1, 1}, 2);
    plan->tensors[arena].bytes = offset;
    return arena;
}

void poison(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = i % 2 ? 1e30f + 1e24f * (float)i : float_from_bits(0x7fc00000u | ((uint32_t)i & 0x3fffff));
}

static float *place_of(float *arena, const struct tensor *tensor)
{
    return arena + tensor->offset / sizeof *arena;
}

static void draw_inputs(struct suite *suite, const struct plan *plan, const struct job *job, float *arena)
{
    float *inputs[STEP_INPUTS] = {NULL, NULL};
    poison(arena, plan->arena_bytes / sizeof *arena);
    for (size_t i = 0; i < STEP_INPUTS; i++) {
        const struct tensor *tensor = &plan->tensors[plan->steps[0].input[i]];
        if (plan->steps[0].input[i] == NO_TENSOR)
            continue;
        inputs[i] = place_of(arena, tensor);
        random_fill(&suite->random, inputs[i], tensor->rows * tensor->cols, job->input.mean, job->input.deviation);
    }
    if (job->spoil)
        job->spoil(job, inputs);
    if (job->broken) {
        const struct tensor *first = &plan->tensors[plan->steps[0].input[0]];
        for (size_t i = 3; i < first->rows * first->cols; i += 5 * first->cols + 7)
            inputs[0][i] = NAN;
    }
}

/* Runs the step on the device; `after` becomes the arena as the step leaves it. false: its kernel allows only groups
 * that are too small for it. */
static bool run_on_device(struct suite *suite, const struct plan *plan, int arena, const float *before, float *after)
{
    struct executor *executor;
    struct facts facts = *device_facts(suite->device);
    vitcl_error err;
    vitcl_status status = executor_create(&executor, suite->device, plan, &facts, &err);
    const char *(*obstacle)(const struct facts *) = plan->steps[0].variant->obstacle;
    if (status != VITCL_OK && obstacle && obstacle(&facts)) {
        executor_destroy(&executor);
        return false;
    }
    assert_ok(status, &err);
    assert_ok(buffer_write(executor_buffer(executor, arena), before, plan->arena_bytes, &err), &err);
    assert_ok(executor_enqueue(executor, &err), &err);
    assert_ok(buffer_read(executor_buffer(executor, arena), after, plan->arena_bytes, &err), &err);
    assert_ok(device_finish(suite->device, &err), &err);
    executor_destroy(&executor);
    return true;
}

/* NaN in both, which is right, becomes 0; there must be some. */
static void accept_nan(float *found, float *expected, size_t count)
{
    size_t accepted = 0;
    for (size_t i = 0; i < count; i++)
        if (isnan(found[i]) && isnan(expected[i])) {
            found[i] = expected[i] = 0;
            accepted++;
        }
    assert_true(accepted > 0);
}

/* Compares the outputs; returns the largest deviation. What the step may write becomes as it was before. */
static double compare(const struct plan *plan, const struct reference *reference, const struct job *job,
                      const float *before, float *after)
{
    const struct step *step = &plan->steps[0];
    double largest = 0;
    for (size_t i = 0; i < STEP_OUTPUTS; i++) {
        const int output = step->output[i];
        const struct tensor *tensor = &plan->tensors[output];
        size_t place;
        double deviation;
        if (output == NO_TENSOR)
            continue;
        place = tensor->offset / sizeof *after;
        numbers_to_float(tensor->number, after + place, tensor->rows * tensor->cols);
        if (job->broken)
            accept_nan(after + place, reference->data[output], tensor->rows * tensor->cols);
        deviation = deviation_of(after + place, reference->data[output], tensor->rows * tensor->cols);
        largest = deviation > largest ? deviation : largest;
        memcpy(after + place, before + place, tensor->bytes);
    }
    return largest;
}

/* What the device reads of an input that is stored in 16 bits; the floats behind become poison. */
static void store_narrow(const struct tensor *tensor, float *values)
{
    uint16_t *stored = (uint16_t *)(void *)values;
    const size_t count = tensor->rows * tensor->cols, floats = (count + 1) / 2;
    for (size_t i = 0; i < count; i++) {
        const uint16_t bits = number_from_float(tensor->number, values[i]);
        memcpy(stored + i, &bits, sizeof bits);
    }
    poison(values + floats, count - floats);
}

/* The same rounded, as the reference reads it. */
static void round_narrow(const struct tensor *tensor, float *values)
{
    for (size_t i = 0; i < tensor->rows * tensor->cols; i++)
        values[i] = number_round(tensor->number, values[i]);
}

/* The deviation of a plan's step on the device, or -1 where it can not run; fails where anything else was written. */
static double run_step(struct suite *suite, struct plan *plan, const struct job *job)
{
    struct reference reference;
    vitcl_error err;
    int arena = spread_out(plan, device_facts(suite->device)->buffer_align);
    float *before = allocate(plan->arena_bytes, 1), *after = allocate(plan->arena_bytes, 1);
    const struct tensor *input = &plan->tensors[plan->steps[0].input[0]];
    double deviation = -1;

    draw_inputs(suite, plan, job, before);
    assert_ok(reference_create(&reference, plan, &err), &err);
    memcpy(reference.arena, before, plan->arena_bytes);
    if (input->number != NUMBER_F32) {
        round_narrow(input, place_of(reference.arena, input));
        store_narrow(input, place_of(before, input));
    }
    reference_run(&reference);
    if (run_on_device(suite, plan, arena, before, after))
        deviation = compare(plan, &reference, job, before, after);
    else
        memcpy(after, before, plan->arena_bytes);
    if (memcmp(before, after, plan->arena_bytes) != 0)
        fail_msg("%s writes outside its output", plan->steps[0].variant_name);
    reference_destroy(&reference);
    free(before);
    free(after);
    return deviation;
}

static void fail_job(const struct job *job, const struct plan *plan, double deviation)
{
    const struct geometry *g = &job->g;
    print_message("rows %zu, K %zu, N %zu, activation %s, pool %s, rope %d, first %zu, %s -> %s, broken %d, "
                  "residual %d, unnormed %d, in place %d, masked %d, biased %d, own positions %d, batch %zu, patches "
                  "%zu, prefix %zu, tokens %zu, grid "
                  "%zux%zu, width %zu, heads %zu of %zu, image %zux%zu, patch %zux%zu, numbers %g +- %g\n",
                  job->rows, job->k, job->n, activation_name(job->activation), pool_name(job->pool), job->rope,
                  job->first, number_name(job->input_number), number_name(job->output_number), job->broken,
                  job->residual, job->unnormed, job->in_place, job->masked, job->biased, job->own_positions, g->batch,
                  g->patches, g->prefix, g->tokens, g->grid_width, g->grid_height, g->width, g->heads, g->head_size,
                  g->image_width, g->image_height, g->patch_width, g->patch_height, job->input.mean,
                  job->input.deviation);
    fail_msg("%s=%s: the job above deviates by %.3g, at most %.3g passes", plan_op_name(plan->steps[0].op),
             plan->steps[0].variant_name, deviation, job->tolerance);
}

static void run_variant(struct suite *suite, const struct job *job, size_t v)
{
    struct plan plan = {.geometry = job->g};
    struct weight weights[STEP_WEIGHTS] = {{.parts = 0}};
    struct tensor_entry entries[STEP_WEIGHTS] = {{.data = NULL}};
    const struct variant *variant = operation_of(suite->op)->variants[v];
    double *largest = job->input_number || job->output_number ? &suite->largest_narrow[v] : &suite->largest[v];
    double deviation;
    char override[64];
    vitcl_error err;

    job->build(&plan, weights, job);
    for (size_t w = 0; w < STEP_WEIGHTS; w++)
        if (weights[w].parts)
            draw_weight(suite, &weights[w], &entries[w], w % 2 ? &job->bias : &job->weight);
    snprintf(override, sizeof override, "%s=%s", plan_op_name(suite->op), variant->name);
    if (job->input_number)
        plan.tensors[plan.steps[0].input[0]].number = job->input_number;
    if (job->output_number)
        plan.tensors[plan.steps[0].output[0]].number = job->output_number;
    if (!variant->fits || variant->fits(&plan, &plan.steps[0], device_facts(suite->device))) {
        assert_ok(ops_select(&plan, device_facts(suite->device), override, &err), &err);
        assert_ptr_equal(plan.steps[0].variant, variant);
        deviation = run_step(suite, &plan, job);
        if (!(deviation <= job->tolerance))
            fail_job(job, &plan, deviation);
        *largest = deviation > *largest ? deviation : *largest;
        suite->jobs[v] += deviation >= 0;
    }
    for (size_t w = 0; w < STEP_WEIGHTS; w++)
        free((void *)(uintptr_t)entries[w].data);
    plan_free(&plan);
}

/* Why variant v can not run; NULL where it can. */
static const char *obstacle(const struct suite *suite, size_t v)
{
    const struct variant *variant = operation_of(suite->op)->variants[v];
    return variant->obstacle ? variant->obstacle(device_facts(suite->device)) : NULL;
}

void suite_run(struct suite *suite, const struct job *job)
{
    const struct random start = suite->random;
    device_probe_bf16(suite->device);
    for (size_t v = 0; v < MAX_VARIANTS && operation_of(suite->op)->variants[v]; v++) {
        const struct variant *variant = operation_of(suite->op)->variants[v];
        suite->random = start;
        if (suite->only && strcmp(variant->name, suite->only) != 0)
            continue;
        if (!obstacle(suite, v) && numbers_have(variant->reads, job->input_number) &&
            numbers_have(variant->writes, job->output_number))
            run_variant(suite, job, v);
    }
}

void suite_narrow(struct suite *suite, size_t vector_width)
{
    struct facts *facts = (struct facts *)(uintptr_t)device_facts(suite->device);
    if (!suite->own_width)
        suite->own_width = facts->vector_width;
    if (suite->own_width >= 4 && vector_width < suite->own_width)
        facts->vector_width = vector_width ? vector_width : suite->own_width;
}

void suite_matrix(struct suite *suite, enum matrix_unit unit)
{
    struct facts *facts = (struct facts *)(uintptr_t)device_facts(suite->device);
    device_probe_bf16(suite->device);
    if (facts->is_cpu)
        facts->matrix = unit;
}

void suite_report(const struct suite *suite)
{
    for (size_t v = 0; v < MAX_VARIANTS && operation_of(suite->op)->variants[v]; v++) {
        const char *name = operation_of(suite->op)->variants[v]->name, *why = obstacle(suite, v);
        if (!suite->jobs[v])
            print_message("SKIP: %s=%s: %s\n", plan_op_name(suite->op), name,
                          why ? why : "it fits none of the jobs, or its kernel allows smaller groups only");
        else
            print_message("%s=%s: %zu jobs, largest deviation %.2g, in 16 bits %.2g\n", plan_op_name(suite->op), name,
                          suite->jobs[v], suite->largest[v], suite->largest_narrow[v]);
    }
}

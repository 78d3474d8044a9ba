/* test_fit.c - what fits devices that are made up: which batch is refused and with what advice, which one is chosen,
 * and when a batch is divided.
 */
#include "made_up_model.h"
#include "run/fit.h"
#include "support.h"

#include <stdio.h>
#include <string.h>

#define GIGA 1e9

static const struct facts SMALL_CPU = {.is_cpu = true, .max_work_group = 64, .buffer_align = 64, .memory = 1u << 30};
static const struct facts LARGE_GPU = {
    .units = 100, .clock_mhz = 2000, .max_work_group = 256, .buffer_align = 128, .memory = 80ull << 30};

static struct plan plan_of(const struct request *request, const struct facts *facts)
{
    struct plan plan;
    vitcl_error err;
    assert_ok(plan_for(&plan, request, facts, &err), &err);
    return plan;
}

/* Whether a batch can be planned and fits; else err says why. */
static vitcl_status try_batch(struct request request, const struct facts *facts, size_t batch, vitcl_error *err)
{
    struct plan plan;
    vitcl_status status;
    request.batch = batch;
    status = plan_for(&plan, &request, facts, err);
    if (status != VITCL_OK)
        return status;
    status = check_fit(&plan, &request, facts, err);
    plan_free(&plan);
    return status;
}

/* The batch that the message about a larger one names is the largest that fits. */
static void check_advice(const struct request *request, const struct facts *facts, size_t refused, const char *what)
{
    vitcl_error err;
    size_t fitting = 0;
    const char *advice;
    assert_int_equal(try_batch(*request, facts, refused, &err), VITCL_ERROR_MEMORY);
    assert_contains(err.message, what);
    assert_contains(err.message, "a batch of ");
    advice = strstr(err.message, "a batch of ");
    while (strstr(advice + 1, "a batch of ")) /* the refused one may be named before */
        advice = strstr(advice + 1, "a batch of ");
    assert_int_equal(sscanf(advice, "a batch of %zu fits", &fitting), 1);
    assert_true(fitting > 1 && fitting < refused);
    assert_ok(try_batch(*request, facts, fitting, &err), &err);
    assert_int_equal(try_batch(*request, facts, fitting + 1, &err), VITCL_ERROR_MEMORY);
}

static void assert_refused_with(const struct request *request, const struct facts *facts, const char *what)
{
    vitcl_error err;
    assert_int_equal(try_batch(*request, facts, request->batch, &err), VITCL_ERROR_MEMORY);
    assert_contains(err.message, what);
    assert_contains(err.message, "no batch fits");
}

static void test_too_large(void **state)
{
    struct model model;
    struct facts facts = SMALL_CPU;
    struct plan plan;
    struct request request;
    vitcl_error err;
    size_t weights;
    (void)state;

    make_digits(&model);
    request = request_of(&model, 100, VITCL_OUTPUT_LOGITS);
    plan = plan_of(&request, &facts);
    facts.memory = plan.weight_bytes + plan.arena_bytes / 3;
    check_advice(&request, &facts, 100, "batch 100 needs");
    facts.memory = SMALL_CPU.memory;
    facts.max_alloc = plan.arena_bytes / 3; /* of one activation, too */
    check_advice(&request, &facts, 100, "block 0 fc1 has ");
    weights = plan.weight_bytes;
    plan_free(&plan);

    request.batch = 1;
    facts.max_alloc = 0;
    facts.memory = weights + 1000; /* the weights fit, one image does not */
    assert_refused_with(&request, &facts, "batch 1 needs");
    facts.memory = weights - 500000;
    assert_refused_with(&request, &facts, "the weights alone have 0.8 MB, 0.5 MB more than the 0.3 MB of the device");
    free_model(&model);

    make_model(&model, 32, 4, 64, 1, 4, 256, 100000); /* its classifier is larger than any activation of one image */
    request = request_of(&model, 1, VITCL_OUTPUT_LOGITS);
    facts = SMALL_CPU;
    facts.max_alloc = 64 * 100000 * sizeof(float) - 1;
    assert_refused_with(&request, &facts, " has 25600000 bytes; the device takes at most 25599999 in one buffer");
    facts.max_alloc++;
    plan = plan_of(&request, &facts);
    assert_ok(check_fit(&plan, &request, &facts, &err), &err);
    plan_free(&plan);
    free_model(&model);
}

/* An arena of several buffers fits where one buffer would be too large. */
static void test_segments_fit(void **state)
{
    struct model model;
    struct facts facts = SMALL_CPU;
    struct plan plan;
    struct request request;
    vitcl_error err;
    char *text;
    (void)state;

    make_digits(&model);
    request = request_of(&model, 100, VITCL_OUTPUT_LOGITS);
    plan = plan_of(&request, &facts);
    facts.max_alloc = plan.arena_bytes - 1;
    plan_free(&plan);
    plan = plan_of(&request, &facts);
    assert_int_equal(plan.segment_count, 2);
    assert_ok(check_fit(&plan, &request, &facts, &err), &err);
    assert_ok(plan_describe(&plan, &text, &err), &err);
    assert_contains(text, "in one arena of 2 buffers");
    free(text);
    plan_free(&plan);
    free_model(&model);
}

static size_t chosen(const struct request *request, const struct facts *facts)
{
    vitcl_error err;
    size_t batch = 0;
    assert_ok(choose_batch(request, facts, &batch, &err), &err);
    return batch;
}

static void test_chosen_batch(void **state)
{
    struct model model;
    struct facts facts = SMALL_CPU;
    struct plan plan;
    struct request request;
    vitcl_error err;
    size_t batch, room;
    (void)state;

    make_digits(&model);
    request = request_of(&model, VITCL_MAX_BATCH, VITCL_OUTPUT_LOGITS);
    assert_int_equal(chosen(&request, &facts), 8);
    assert_int_equal(chosen(&request, &LARGE_GPU), 64);
    facts.memory = 0; /* unknown */
    assert_int_equal(chosen(&request, &facts), 8);
    request.batch = 5;
    assert_int_equal(chosen(&request, &facts), 5);
    assert_int_equal(chosen(&request, &LARGE_GPU), 5);

    /* Half of what the weights leave, and not more. */
    request.batch = 8;
    plan = plan_of(&request, &facts);
    room = plan.arena_bytes;
    facts.memory = plan.weight_bytes + room;
    plan_free(&plan);
    request.batch = batch = chosen(&request, &facts);
    assert_true(batch > 1 && batch < 8);
    plan = plan_of(&request, &facts);
    assert_true(plan.arena_bytes <= room / 2);
    plan_free(&plan);
    request.batch++;
    plan = plan_of(&request, &facts);
    assert_true(plan.arena_bytes > room / 2);
    plan_free(&plan);

    /* One image may take all of it; if not even that suffices, the reason is told. */
    request.batch = 1;
    plan = plan_of(&request, &facts);
    facts.memory = plan.weight_bytes + plan.arena_bytes;
    plan_free(&plan);
    request.batch = 8;
    assert_int_equal(chosen(&request, &facts), 1);
    facts.memory--;
    assert_int_equal(choose_batch(&request, &facts, &batch, &err), VITCL_ERROR_MEMORY);
    assert_contains(err.message, "no batch fits");
    free_model(&model);
}

static double largest_step(const struct plan *plan)
{
    double most = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        most = plan->steps[s].flops > most ? plan->steps[s].flops : most;
    return most;
}

/* ViT-B/16 on devices of many speeds: no launch has more FLOPs than 0.1 s of 4 per unit and cycle, no image is left
 * out, and no pass is without one. */
static void test_passes(void **state)
{
    static const size_t units[] = {1, 8, 24, 132}, batches[] = {1, 2, 7, 64, 129};
    struct model model;
    size_t divided = 0;
    (void)state;
    make_model(&model, 224, 16, 768, 12, 12, 3072, 1000);
    for (size_t i = 0; i < COUNT(units) * COUNT(batches); i++) {
        struct facts facts = LARGE_GPU;
        struct request request = request_of(&model, batches[i % COUNT(batches)], VITCL_OUTPUT_LOGITS);
        struct plan plan;
        size_t batch, passes;
        facts.units = units[i / COUNT(batches)];
        plan = plan_of(&request, &facts);
        batch = plan.geometry.batch;
        passes = plan_passes(&plan);
        assert_int_equal(plan.images, request.batch);
        assert_true(passes * batch >= request.batch && (passes - 1) * batch < request.batch);
        assert_true(batch == 1 || largest_step(&plan) <= 0.1 * 4 * 2 * GIGA * (double)facts.units);
        divided += passes > 1;
        plan_free(&plan);
        facts.is_cpu = true;
        plan = plan_of(&request, &facts);
        assert_int_equal(plan_passes(&plan), 1);
        plan_free(&plan);
    }
    assert_true(divided > 5 && divided < COUNT(units) * COUNT(batches) - 5);
    free_model(&model);
}

/* No launch has more groups along its second axis than CUDA's grids: of CLBlast's products those are the rows. */
static void test_many_rows(void **state)
{
    struct facts facts = LARGE_GPU;
    struct model model;
    struct request request;
    struct plan plan;
    (void)state;
    make_model(&model, 32, 4, 64, 2, 4, 256, 10); /* 65 tokens */
    request = request_of(&model, 2017, VITCL_OUTPUT_LOGITS);
    facts.has_compiler = true;
    request.variants = "matmul=clblast";
    plan = plan_of(&request, &facts);
    assert_int_equal(plan_passes(&plan), 3);
    plan_free(&plan);
    request.batch = 1008;
    plan = plan_of(&request, &facts);
    assert_int_equal(plan_passes(&plan), 1);
    plan_free(&plan);
    free_model(&model);
}

/* The plan says so; a clock that nobody knows is taken for a slow one; auto takes what one pass does. */
static void test_divided_batch(void **state)
{
    struct model model;
    struct facts facts = LARGE_GPU;
    struct request request;
    struct plan plan;
    vitcl_error err;
    char *text;
    (void)state;
    make_model(&model, 224, 16, 768, 12, 12, 3072, 1000);
    request = request_of(&model, 64, VITCL_OUTPUT_LOGITS);
    facts.units = 32;
    facts.clock_mhz = 1000; /* 12.8 GFLOP in 0.1 s; an image's fc1 has 0.93 */
    plan = plan_of(&request, &facts);
    assert_int_equal(plan.geometry.batch, 13);
    assert_ok(plan_describe(&plan, &text, &err), &err);
    assert_contains(text, "batch 13: ");
    assert_contains(text, "64 images run in 5 passes of this plan");
    free(text);
    plan_free(&plan);
    assert_int_equal(chosen(&request, &facts), 13);
    facts.clock_mhz = 0;
    plan = plan_of(&request, &facts);
    assert_int_equal(plan.geometry.batch, 6); /* 500 MHz */
    plan_free(&plan);
    free_model(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_segments_fit), cmocka_unit_test(test_chosen_batch),
        cmocka_unit_test(test_passes),    cmocka_unit_test(test_many_rows),    cmocka_unit_test(test_divided_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_limits.c - sessions within limits that are narrower than this device's: an arena of several buffers, and a batch
 * that is divided into passes, give the same results to the bit as without.
 */
#include "base/size.h"
#include "run/bench.h"
#include "session_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The second is so small that it takes many images until a launch has work for a cycle of a megahertz and 0.1 s. */
static const struct {
    const char *folder;
    size_t batch;
} MODELS[] = {{"vit/odd", 5}, {"models/siglip2_naflex_classifier", 25}};

/* The facts of the device, to be changed: it plays a smaller one. */
static struct facts *facts_of(struct device *device)
{
    return (struct facts *)(uintptr_t)device_facts(device);
}

enum { RUNS = 5 };

/* Images of a run: all, then some of the other batch, then all again. */
static size_t count_of_run(const struct run *run, size_t i)
{
    const size_t counts[RUNS] = {run->batch, 1, run->batch / 2 + 1, run->batch - 1, run->batch};
    return counts[i];
}

struct answers {
    struct answer run[RUNS];
};

static struct answers ask(struct run *run)
{
    struct answers answers;
    for (size_t i = 0; i < RUNS; i++)
        answers.run[i] = run_ask(run, i > 0 && i < RUNS - 1, count_of_run(run, i));
    return answers;
}

static void compare_and_free(const struct run *run, struct answers *a, struct answers *b)
{
    for (size_t i = 0; i < RUNS; i++) {
        assert_same(run, &a->run[i], &b->run[i], count_of_run(run, i));
        answer_free(&a->run[i]);
        answer_free(&b->run[i]);
    }
}

/* ---- buffers ---- */

static size_t largest_tensor(const struct plan *plan)
{
    size_t most = 0;
    for (size_t t = 0; t < plan->tensor_count; t++)
        most = size_max(most, plan->tensors[t].bytes);
    return most;
}

static void test_several_buffers(void **state)
{
    struct device *device = device_or_skip(state);
    struct facts *facts = facts_of(device);
    const struct facts own = *facts;
    for (size_t i = 0; i < COUNT(MODELS); i++) {
        struct run run;
        struct answers whole, split;
        run_open(&run, device, MODELS[i].folder, MODELS[i].batch, NULL);
        whole = ask(&run);
        assert_int_equal(run.session->plan.segment_count, 1);
        facts->max_alloc = size_round_up(largest_tensor(&run.session->plan), facts->buffer_align);
        run_close(&run);
        run_open(&run, device, MODELS[i].folder, MODELS[i].batch, NULL);
        *facts = own;
        print_message("%s: %zu buffers\n", MODELS[i].folder, run.session->plan.segment_count);
        assert_true(run.session->plan.segment_count > 1);
        split = ask(&run);
        compare_and_free(&run, &whole, &split);
        run_close(&run);
    }
}

/* ---- passes ---- */

/* A device that is no CPU, whose launches may have at most `limit` FLOPs. */
static void play_gpu(struct facts *facts, double limit)
{
    facts->is_cpu = false;
    facts->units = 1;
    facts->clock_mhz = size_max(1, (size_t)(limit / (0.1 * 4 * 1e6)));
}

static double largest_step(const struct plan *plan)
{
    double most = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        most = plan->steps[s].flops > most ? plan->steps[s].flops : most;
    return most;
}

struct seen {
    size_t count;
    double flops;
};

static void note_step(void *user, const vitcl_verify_step *step)
{
    struct seen *seen = user;
    assert_int_equal(step->index, seen->count++);
    assert_true(step->passed && *step->label);
}

static void note_line(void *user, const vitcl_profile_line *line)
{
    struct seen *seen = user;
    seen->flops += line->flops;
}

/* What looks into a session goes through all passes: each image is compared, and counted. */
static void check_inspection(struct run *run, double flops)
{
    const struct plan *plan = &run->session->plan;
    struct seen steps = {0}, lines = {0};
    vitcl_profile total;
    vitcl_error err;
    memcpy(session_next_pixels(run->session), run->pixels[0], run->batch * run->fixture.image_size * sizeof(float));
    assert_ok(session_verify(run->session, note_step, &steps, &err), &err);
    assert_int_equal(steps.count, plan->step_count);
    session_next_pixels(run->session)[(run->batch - 1) * run->fixture.image_size] = NAN;
    assert_int_equal(session_verify(run->session, NULL, NULL, &err), VITCL_ERROR_MISMATCH);
    assert_ok(session_profile(run->session, note_line, &lines, &total, &err), &err);
    assert_true(fabs(total.flops / flops * (double)run->batch - (double)(plan_passes(plan) * plan->geometry.batch)) <
                1e-6);
    assert_true(fabs(lines.flops / total.flops - 1) < 1e-6);
}

static void test_passes(void **state)
{
    struct device *device = device_or_skip(state);
    struct facts *facts = facts_of(device);
    const struct facts own = *facts;
    for (size_t i = 0; i < COUNT(MODELS); i++) {
        struct run run;
        struct answers whole, divided;
        double most, flops = 0;
        play_gpu(facts, 1e12);
        run_open(&run, device, MODELS[i].folder, MODELS[i].batch, NULL);
        assert_int_equal(plan_passes(&run.session->plan), 1);
        whole = ask(&run);
        most = largest_step(&run.session->plan);
        for (size_t s = 0; s < run.session->plan.step_count; s++)
            flops += run.session->plan.steps[s].flops;
        run_close(&run);
        play_gpu(facts, most / 2);
        run_open(&run, device, MODELS[i].folder, MODELS[i].batch, NULL);
        *facts = own;
        print_message("%s: %zu passes of %zu\n", MODELS[i].folder, plan_passes(&run.session->plan),
                      run.session->plan.geometry.batch);
        assert_int_equal(plan_passes(&run.session->plan), 3);
        assert_int_equal(run.session->plan.geometry.batch, size_ceil_div(run.batch, 3));
        divided = ask(&run);
        compare_and_free(&run, &whole, &divided);
        if (!run.fixture.grids)
            check_inspection(&run, flops);
        run_close(&run);
    }
}

/* What is timed is the whole batch, and each image is checked. */
static void test_bench_in_passes(void **state)
{
    struct device *device = device_or_skip(state);
    struct facts *facts = facts_of(device);
    const struct facts own = *facts;
    struct fixture f;
    struct request request;
    vitcl_timing timing = {0};
    vitcl_error err;
    vitcl_status status;
    fixture_open(&f, MODELS[0].folder);
    request = fixture_request(&f, MODELS[0].batch);
    play_gpu(facts, 1);
    status = bench_request(device, &request, 0.01, &timing, &err);
    *facts = own;
    assert_ok(status, &err);
    assert_true(timing.runs >= 3);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_buffers),
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_bench_in_passes),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

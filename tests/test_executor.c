/* test_executor.c - whole models on the device: what their library gives for the same files, and the same step by step
 * as the plain-C reference.
 */
#include "run/verify.h"
#include "session_run.h"

#include <stdlib.h>
#include <string.h>

/* Errors of whole models add up over some twenty steps. */
#define TOLERANCE 1e-5

/* ---- right results ---- */

/* How a model is to be run, and what the largest deviation was. */
struct how {
    struct device *device;
    const char *variants;
    double largest;
};

/* Compares an output with what is stored for each image, where it is. */
static void compare(struct how *how, const struct run *run, const char *name, size_t output, const float *found)
{
    const float *stored = fixture_find(&run->fixture, name, NULL);
    size_t size = run_size_of(run, output), images = run->fixture.images;
    for (size_t i = 0; stored && i < run->batch; i++) {
        double deviation = assert_close(name, found + i * size, stored + i % images * size, size, TOLERANCE);
        how->largest = deviation > how->largest ? deviation : how->largest;
    }
}

static void check_results(const char *folder, void *context)
{
    static const char *const NAMES[OUTPUTS] = {"logits", "pooler_output", "last_hidden_state"};
    struct how *how = context;
    struct run run;
    struct answer answer;

    run_open(&run, how->device, folder, 5, how->variants);
    fixture_fill(&run.fixture, run.pixels[0], run.batch);
    answer = run_ask(&run, 0, run.batch);
    for (size_t i = 0; i < OUTPUTS; i++)
        compare(how, &run, NAMES[i], i, answer.output[i]);
    answer_free(&answer);
    run_close(&run);
}

static void note_step(void *user, const vitcl_verify_step *step)
{
    struct how *how = user;
    assert_int_equal(step->passed, step->deviation <= step->tolerance);
    how->largest = step->deviation > how->largest ? step->deviation : how->largest;
}

static void check_verify(const char *folder, void *context)
{
    struct how *how = context;
    struct run run;
    vitcl_error err;
    run_open(&run, how->device, folder, 2, how->variants);
    fixture_fill(&run.fixture, session_next_pixels(run.session), run.batch);
    for (size_t i = 0; i < run.batch && run.fixture.grids; i++) {
        struct grid grid = fixture_grid(&run.fixture, i);
        assert_ok(session_set_grid(run.session, i, (vitcl_grid){grid.height, grid.width}, &err), &err);
    }
    assert_ok(session_verify(run.session, note_step, how, &err), &err);
    run_close(&run);
}

static void on_all_models(void **state, void (*check)(const char *folder, void *context), double tolerance)
{
    static const char *const VARIANTS[] = {"", "matmul=clblast", "matmul=portable"};
    struct device *device = device_or_skip(state);
    for (size_t i = 0; i < COUNT(VARIANTS); i++) {
        struct how how = {device, VARIANTS[i], 0};
        if (strcmp(VARIANTS[i], "matmul=clblast") == 0 && !device_facts(device)->has_compiler) {
            print_message("SKIP: matmul=clblast: this device does not run CLBlast\n");
            continue;
        }
        each_vit_fixture(check, &how);
        print_message("variants \"%s\": largest deviation %.2g\n", how.variants, how.largest);
        assert_true(how.largest <= tolerance);
    }
}

static void test_expected_results(void **state)
{
    on_all_models(state, check_results, TOLERANCE);
}

static void test_verify_all_steps(void **state)
{
    on_all_models(state, check_verify, TOLERANCE);
}

/* Every step of every family, on the images whose results test_families.c compares. */
static void test_verify_all_families(void **state)
{
    struct how how = {.device = device_or_skip(state)};
    each_family_fixture(check_verify, &how);
    print_message("largest deviation %.2g\n", how.largest);
    assert_true(how.largest <= 2 * TOLERANCE);
}

/* A reference that has other pixels deviates at the first step, and the message names it. */
static void test_verify_finds_a_difference(void **state)
{
    struct run run;
    struct reference reference;
    struct device *device = device_or_skip(state);
    struct how how = {.device = device};
    vitcl_error err;

    run_open(&run, device, "vit/cls", 1, NULL);
    assert_ok(reference_create(&reference, &run.session->plan, &err), &err);
    memcpy(reference.data[run.session->plan.pixels], run.pixels[0], run.fixture.image_size * sizeof(float));
    run.pixels[0][7] += 0.5f;
    assert_ok(buffer_write(executor_buffer(run.session->executor, run.session->plan.pixels), run.pixels[0],
                           run.fixture.image_size * sizeof(float), &err),
              &err);
    assert_int_equal(verify_plan(run.session->executor, device, &reference, note_step, &how, &err),
                     VITCL_ERROR_MISMATCH);
    assert_contains(err.message, "im2patch");
    assert_true(how.largest > VERIFY_TOLERANCE);
    reference_destroy(&reference);
    run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expected_results),
        cmocka_unit_test(test_verify_all_steps),
        cmocka_unit_test(test_verify_all_families),
        cmocka_unit_test(test_verify_finds_a_difference),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

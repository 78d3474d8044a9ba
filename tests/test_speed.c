/* test_speed.c - profiles and timings through vitcl.h: what they add up to and what they refuse. No test depends on how
 * long anything takes.
 */
#include "fixture.h"
#include "run/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static vitcl_context *open_context(void **state)
{
    vitcl_context *context;
    vitcl_error error;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &error), &error);
    return context;
}

static vitcl_session *open_session(vitcl_context *context, const vitcl_model *model, vitcl_session_params params)
{
    vitcl_session *session;
    vitcl_error error;
    assert_ok(vitcl_session_create(&session, context, model, &params, &error), &error);
    return session;
}

static void test_peak(void **state)
{
    vitcl_context *context = open_context(state);
    vitcl_peak peak;
    vitcl_error error;
    assert_ok(vitcl_context_measure_peak(context, &peak, &error), &error);
    assert_true(peak.flops > 0 && peak.bytes > 0);
    assert_refused(vitcl_context_measure_peak(NULL, &peak, &error), &error);
    assert_refused(vitcl_context_measure_peak(context, NULL, &error), &error);
    vitcl_context_destroy(&context);
}

/* ---- profiles ---- */

struct seen {
    const vitcl_profile *total;
    size_t lines, steps, of_block;
    double seconds, flops;
    bool sound;
};

static void note_line(void *user, const vitcl_profile_line *line)
{
    struct seen *seen = user;
    seen->sound &= *line->label && *line->variant && line->seconds >= 0 && line->bytes > 0 && seen->total->runs > 0;
    seen->sound &= strncmp(line->label, "block", 5) != 0;
    seen->lines++;
    seen->steps += line->steps;
    seen->of_block += line->steps == 2;
    seen->seconds += line->seconds;
    seen->flops += line->flops;
}

/* vit/odd has two blocks of seven steps, three steps before and three behind them. */
static void check_profile(vitcl_context *context, const char *variants)
{
    vitcl_model *model = fixture_model("vit/odd");
    vitcl_session *session =
        open_session(context, model, (vitcl_session_params){.batch_size = 2, .variants = variants});
    vitcl_model_info info;
    float pixels[3 * 30 * 30] = {0}, before[2][80], after[2][80];
    vitcl_profile total = {0};
    struct seen seen = {.total = &total, .sound = true};
    vitcl_error error;

    vitcl_model_get_info(model, &info);
    assert_true(info.input <= COUNT(pixels) && info.classes <= COUNT(before[0]));
    assert_ok(vitcl_session_run_pixels(session, pixels, NULL, 1, &(vitcl_results){.logits = before[0]}, &error),
              &error);
    assert_ok(vitcl_session_profile(session, pixels, NULL, 1, note_line, &seen, &total, &error), &error);
    assert_true(seen.sound);
    assert_int_equal(seen.lines, 3 + 7 + 3);
    assert_int_equal(seen.of_block, 7);
    assert_int_equal(seen.steps, 3 + 2 * 7 + 3);
    assert_true(total.runs >= 3 && total.wall > 0);
    assert_true(total.busy > 0 && total.wall > 0 && seen.seconds > 0);
    assert_true(seen.flops == total.flops);
    assert_true(total.flops > 1.99 * info.flops && total.flops < 2.01 * info.flops); /* of a whole batch */
    /* The session goes on as if nothing had been. */
    assert_ok(vitcl_session_run_pixels(session, pixels, NULL, 1, &(vitcl_results){.logits = after[0]}, &error), &error);
    assert_memory_equal(before[0], after[0], info.classes * sizeof(float));
    assert_ok(vitcl_session_profile(session, pixels, NULL, 1, NULL, NULL, &total, &error), &error);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void test_profile(void **state)
{
    vitcl_context *context = open_context(state);
    check_profile(context, "");
    check_profile(context, "matmul=clblast");
    vitcl_context_destroy(&context);
}

static void test_profile_refuses(void **state)
{
    vitcl_context *context = open_context(state);
    vitcl_model *model = fixture_model("vit/odd");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){0});
    vitcl_session *host = open_session(NULL, model, (vitcl_session_params){0});
    float pixels[3 * 30 * 30] = {0};
    vitcl_profile total;
    vitcl_error error = {0};

    assert_refused(vitcl_session_profile(NULL, pixels, NULL, 1, NULL, NULL, &total, &error), &error);
    assert_refused(vitcl_session_profile(session, NULL, NULL, 1, NULL, NULL, &total, &error), &error);
    assert_refused(vitcl_session_profile(session, pixels, NULL, 1, NULL, NULL, NULL, &error), &error);
    assert_refused(vitcl_session_profile(session, pixels, NULL, 2, NULL, NULL, &total, &error), &error);
    assert_refused(vitcl_session_profile(host, pixels, NULL, 1, NULL, NULL, &total, &error), &error);
    vitcl_session_destroy(&host);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
}

/* ---- whole forward passes ---- */

static void check_bench(vitcl_context *context, const char *folder)
{
    vitcl_model *model = fixture_model(folder);
    vitcl_timing t = {0};
    vitcl_error error;
    assert_ok(vitcl_model_bench(model, context, &(vitcl_session_params){.batch_size = 2}, 0, &t, &error), &error);
    assert_true(t.runs >= 3);
    assert_true(0 < t.fastest && t.fastest <= t.lower && t.lower <= t.median);
    assert_true(t.median <= t.upper && t.upper <= t.slowest);
    vitcl_model_destroy(&model);
}

/* With a classifier; an embedding only; hidden states only; images of variable resolution. */
static void test_bench(void **state)
{
    static const char *const FOLDERS[] = {"digits", "models/clip_projection", "models/vit_mae",
                                          "models/siglip2_naflex"};
    vitcl_context *context = open_context(state);
    for (size_t i = 0; i < COUNT(FOLDERS); i++)
        check_bench(context, FOLDERS[i]);
    vitcl_context_destroy(&context);
}

/* A weight that is no number makes every result wrong. */
static void test_no_time_for_a_wrong_result(void **state)
{
    vitcl_context *context = open_context(state);
    char folder[PATH_SIZE], path[PATH_SIZE];
    size_t size;
    char *file;
    vitcl_model *model;
    vitcl_timing timing = {0};
    vitcl_error error = {0};

    folder_create(folder);
    folder_copy(FIXTURES "/digits", folder);
    path_join(path, folder, "model.safetensors");
    file = file_read(path, &size);
    memcpy(file + size - sizeof(float), &(float){NAN}, sizeof(float));
    file_write(path, file, size);
    assert_ok(vitcl_model_create(&model, folder, NULL, &error), &error);
    assert_int_equal(vitcl_model_bench(model, context, NULL, 0, &timing, &error), VITCL_ERROR_MISMATCH);
    assert_contains(error.message, "no time for a wrong result");
    assert_int_equal(timing.runs, 0);
    vitcl_model_destroy(&model);
    folder_remove(folder);
    free(file);
    vitcl_context_destroy(&context);
}

/* One image of a batch that is not what it is alone. */
static void test_compare(void **state)
{
    float found[3 * 4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, expected[3 * 4];
    vitcl_error error = {0};
    (void)state;
    memcpy(expected, found, sizeof found);
    assert_ok(bench_compare("logits", found, expected, 3, 4, 2e-4, &error), &error);
    found[6] *= 1.001f;
    assert_int_equal(bench_compare("logits", found, expected, 3, 4, 2e-4, &error), VITCL_ERROR_MISMATCH);
    assert_contains(error.message, "image 1");
    found[6] = NAN;
    assert_int_equal(bench_compare("logits", found, expected, 3, 4, 2e-4, &error), VITCL_ERROR_MISMATCH);
}

static void test_bench_refuses(void **state)
{
    vitcl_context *context = open_context(state);
    vitcl_model *model = fixture_model("vit/odd");
    vitcl_timing timing;
    vitcl_error error = {0};
    assert_refused(vitcl_model_bench(NULL, context, NULL, 0, &timing, &error), &error);
    assert_refused(vitcl_model_bench(model, NULL, NULL, 0, &timing, &error), &error);
    assert_refused(vitcl_model_bench(model, context, NULL, 0, NULL, &error), &error);
    assert_refused(
        vitcl_model_bench(model, context, &(vitcl_session_params){.batch_size = 1 << 20}, 0, &timing, &error), &error);
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_profile_refuses),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_no_time_for_a_wrong_result),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_bench_refuses),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

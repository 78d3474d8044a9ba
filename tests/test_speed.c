/* test_speed.c - profiles and timings through vitcl.h: what they add up to and what they refuse. No test depends on how
 * long anything takes.
 */
#include "fixture.h"

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
    assert_true(seen.seconds == total.busy && seen.flops == total.flops);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_profile_refuses),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

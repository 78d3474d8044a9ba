/* test_sessions.c - the sessions of vitcl.h, on the device and on the host (context NULL): results are those of the
 * files, what is out of range is refused and changes nothing, runs in flight are fetched oldest first.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5

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

/* The stored results; success leaves the error alone. */
static void check_results(vitcl_context *context)
{
    struct fixture f;
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){.batch_size = 3, .outputs = 7});
    float logits[3 * 10], embedding[3 * 48], hidden[3 * 17 * 48];
    const vitcl_results results = {logits, embedding, hidden};
    vitcl_error error, untouched;

    fixture_open(&f, "vit/cls");
    memset(&error, 0x5a, sizeof error);
    memset(&untouched, 0x5a, sizeof untouched);
    assert_int_equal(
        vitcl_session_run_pixels(session, fixture_get(&f, "pixel_values", NULL), NULL, 3, &results, &error), 0);
    assert_close("logits", logits, fixture_get(&f, "logits", NULL), COUNT(logits), TOLERANCE);
    assert_close("hidden", hidden, fixture_get(&f, "last_hidden_state", NULL), COUNT(hidden), TOLERANCE);
    for (size_t i = 0; i < 3; i++) /* the vector the classifier reads: the class token */
        assert_memory_equal(embedding + i * 48, hidden + i * 17 * 48, 48 * sizeof(float));
    assert_memory_equal(&error, &untouched, sizeof error);
    fixture_close(&f);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* Own pixels of any size give what preprocessing them and running the pixel values gives. */
static void check_images(vitcl_context *context)
{
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){.batch_size = 2});
    struct random random = {1};
    vitcl_image images[2] = {random_image(&random, 50, 21), random_image(&random, 1, 1)};
    float pixels[2][3 * 32 * 32], logits[20], expected[20];
    vitcl_error error;

    for (size_t i = 0; i < 2; i++)
        assert_ok(vitcl_model_preprocess(model, &images[i], pixels[i], NULL, &error), &error);
    assert_ok(vitcl_session_run_pixels(session, pixels[0], NULL, 2, &(vitcl_results){.logits = expected}, &error),
              &error);
    assert_ok(vitcl_session_run(session, images, 2, &(vitcl_results){.logits = logits}, &error), &error);
    assert_memory_equal(logits, expected, sizeof logits);
    free_pixels(&images[0]);
    free_pixels(&images[1]);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void check_refusals(vitcl_context *context)
{
    vitcl_model *model = fixture_model("vit/no_pooler");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){.batch_size = 2}), *none;
    float pixels[3 * 3 * 8 * 8] = {0}, numbers[3 * 5 * 80];
    const vitcl_results hidden = {.hidden = numbers};
    vitcl_error error = {0};

    assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 0, &hidden, &error), &error);
    assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 3, &hidden, &error), &error);
    assert_refused(vitcl_session_submit(session, pixels, NULL, 3, &error), &error);
    assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 1, &(vitcl_results){.logits = numbers}, &error),
                   &error);
    assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 1, &(vitcl_results){.embedding = numbers}, &error),
                   &error);
    assert_refused(vitcl_session_create(&none, context, model, &(vitcl_session_params){.outputs = 8}, &error), &error);
    assert_refused(
        vitcl_session_create(&none, context, model, &(vitcl_session_params){.batch_size = (size_t)-1}, &error), &error);
    assert_int_equal(
        vitcl_session_create(&none, context, model, &(vitcl_session_params){.outputs = VITCL_OUTPUT_LOGITS}, &error),
        VITCL_ERROR_UNSUPPORTED);
    assert_int_equal(
        vitcl_session_create(&none, context, model, &(vitcl_session_params){.outputs = VITCL_OUTPUT_EMBEDDING}, &error),
        VITCL_ERROR_UNSUPPORTED);
    assert_ok(vitcl_session_run_pixels(session, pixels, NULL, 2, &hidden, &error),
              &error); /* the default of this model */
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void check_queue(vitcl_context *context)
{
    vitcl_model *model = fixture_model("vit/pooler");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){0});
    float pixels[3 * 16 * 16] = {0}, expected[2][40], embedding[40];
    const vitcl_results results = {.embedding = embedding};
    vitcl_error error = {0};

    for (size_t i = 0; i < 2; i++) {
        pixels[0] = (float)i;
        assert_ok(
            vitcl_session_run_pixels(session, pixels, NULL, 1, &(vitcl_results){.embedding = expected[i]}, &error),
            &error);
    }
    assert_refused(vitcl_session_wait(session, &results, &error), &error);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        pixels[0] = (float)i; /* copied: changing them afterwards does nothing */
        assert_ok(vitcl_session_submit(session, pixels, NULL, 1, &error), &error);
        /* A run must not overtake those in flight. */
        assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 1, &results, &error), &error);
        assert_refused(vitcl_session_verify(session, pixels, NULL, 1, NULL, NULL, &error), &error);
    }
    assert_refused(vitcl_session_submit(session, pixels, NULL, 1, &error), &error);
    assert_refused(vitcl_session_wait(session, &(vitcl_results){.hidden = embedding}, &error), &error);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        assert_ok(vitcl_session_wait(session, &results, &error), &error);
        assert_memory_equal(embedding, expected[i], sizeof embedding);
    }
    assert_memory_not_equal(expected[0], expected[1], sizeof embedding);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void check_all(vitcl_context *context)
{
    check_results(context);
    check_images(context);
    check_refusals(context);
    check_queue(context);
}

static void test_sessions_on_the_host(void **state)
{
    (void)state;
    check_all(NULL);
}

static void test_sessions_on_the_device(void **state)
{
    vitcl_context *context = open_context(state);
    check_all(context);
    vitcl_context_destroy(&context);
}

/* What is no variant is refused with the list of those that are. The host has none, and ignores them. */
static void test_unknown_variants(void **state)
{
    static const char *const UNKNOWN[] = {"magic",
                                          "matmul",
                                          "matmul=",
                                          "matmul=magic",
                                          "=portable",
                                          "magic=portable",
                                          "matmul=portable,pool=magic",
                                          "matmul=portable attention=portable"};
    vitcl_context *context = open_context(state);
    vitcl_model *model = fixture_model("vit/cls");
    for (size_t i = 0; i < COUNT(UNKNOWN); i++) {
        const vitcl_session_params params = {.variants = UNKNOWN[i]};
        vitcl_session *session;
        vitcl_error error = {0};
        assert_int_equal(vitcl_session_create(&session, context, model, &params, &error), VITCL_ERROR_ARGUMENT);
        assert_null(session);
        assert_contains(error.message, "matmul=portable");
        assert_contains(error.message, "pool=portable");
        assert_ok(vitcl_session_create(&session, NULL, model, &params, &error), &error);
        vitcl_session_destroy(&session);
    }
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
}

/* ---- verification ---- */

struct seen {
    size_t steps, count;
    bool in_order, all_passed;
};

static void note_step(void *user, const vitcl_verify_step *step)
{
    struct seen *seen = user;
    seen->in_order &= step->index == seen->steps && *step->label && *step->variant;
    seen->all_passed &= step->passed && step->deviation <= step->tolerance;
    seen->count = step->count;
    seen->steps++;
}

static void test_verify(void **state)
{
    vitcl_context *context = open_context(state);
    vitcl_model *model = fixture_model("vit/odd");
    vitcl_session *session = open_session(context, model, (vitcl_session_params){.batch_size = 2});
    struct random random = {2};
    float pixels[3 * 30 * 30];
    struct seen seen = {0, 0, true, true};
    vitcl_error error;

    random_fill(&random, pixels, COUNT(pixels), 0, 1);
    assert_ok(vitcl_session_verify(session, pixels, NULL, 1, note_step, &seen, &error), &error);
    assert_true(seen.in_order && seen.all_passed);
    assert_int_equal(seen.steps, 3 + 2 * 7 + 3); /* embedding, blocks; norm, pool, head */
    assert_int_equal(seen.steps, seen.count);
    assert_ok(vitcl_session_verify(session, pixels, NULL, 1, NULL, NULL, &error), &error);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
}

static void test_no_verification_on_the_host(void **state)
{
    vitcl_model *model = fixture_model("vit/odd");
    vitcl_session *session = open_session(NULL, model, (vitcl_session_params){0});
    float pixels[3 * 30 * 30] = {0};
    vitcl_error error = {0};
    (void)state;
    assert_refused(vitcl_session_verify(session, pixels, NULL, 1, NULL, NULL, &error), &error);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void test_plan_describe(void **state)
{
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_error error = {0};
    char *text;
    (void)state;
    assert_ok(vitcl_plan_describe(NULL, model, &(vitcl_session_params){.batch_size = 6}, &text, &error), &error);
    assert_contains(text, "batch 6");
    assert_contains(text, "block 1 attention");
    assert_contains(text, "[6,17,144]");
    free(text);
    assert_refused(vitcl_plan_describe(NULL, model, &(vitcl_session_params){.outputs = 1u << 31}, &text, &error),
                   &error);
    vitcl_model_destroy(&model);
}

/* A batch that the device takes: one that was asked for is the most. */
static void test_choose_batch(void **state)
{
    vitcl_context *context = open_context(state);
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_session_params params = {.batch_size = 3};
    vitcl_error error = {0};
    vitcl_session *session;
    size_t batch = 0;
    assert_ok(vitcl_choose_batch(context, model, &params, &batch, &error), &error);
    assert_int_equal(batch, 3);
    assert_ok(vitcl_choose_batch(context, model, NULL, &batch, &error), &error);
    assert_true(batch > 3);
    params.batch_size = batch;
    session = open_session(context, model, params);
    vitcl_session_destroy(&session);
    params.batch_size = VITCL_MAX_BATCH + 1;
    assert_refused(vitcl_choose_batch(context, model, &params, &batch, &error), &error);
    assert_refused(vitcl_choose_batch(context, NULL, NULL, &batch, &error), &error);
    assert_refused(vitcl_choose_batch(context, model, NULL, NULL, &error), &error);
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_on_the_host),
        cmocka_unit_test(test_sessions_on_the_device),
        cmocka_unit_test(test_unknown_variants),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_no_verification_on_the_host),
        cmocka_unit_test(test_plan_describe),
        cmocka_unit_test(test_choose_batch),
    };
    return cmocka_run_group_tests(tests, device_set_up, device_tear_down);
}

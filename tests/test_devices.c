/* test_devices.c - several devices in one process: contexts, sessions and runs on each of them at the same time, from
 * a thread each, give what each gives alone. Takes up to three of the devices that are there, whatever VITCL_DEVICE
 * says; CTest sets what makes PoCL show two of them, and rusticl one.
 */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEVICES 3
#define BATCH        3
#define LOGITS       10
#define HIDDEN       (17 * 48)
#define PIXELS       (3 * 32 * 32)
#define TOLERANCE    1e-5

/* What a device answers to the two batches of pixels. */
struct answer {
    float logits[2][BATCH * LOGITS], hidden[2][BATCH * HIDDEN];
};

/* What one thread does, and what came of it. */
struct worker {
    const char *selector; /* NULL: the plain-C reference */
    const char *variants;
    const vitcl_model *model;
    const float *pixels; /* [2,BATCH,PIXELS] */
    size_t rounds;
    struct answer answer;
    bool changed; /* an answer was not the first round's */
    char device[400];
    vitcl_status status;
    vitcl_error error;
};

static vitcl_device_info *devices; /* [device_count], those that can be used */
static size_t device_count;

/* Both batches in flight at once, many times over. */
static vitcl_status run_rounds(struct worker *w, vitcl_session *session)
{
    for (size_t round = 0; round < w->rounds; round++) {
        struct answer answer;
        for (size_t i = 0; i < 2; i++) {
            const float *pixels = w->pixels + i * BATCH * PIXELS;
            vitcl_status status = vitcl_session_submit(session, pixels, NULL, BATCH, &w->error);
            if (status != VITCL_OK)
                return status;
        }
        for (size_t i = 0; i < 2; i++) {
            const vitcl_results results = {.logits = answer.logits[i], .hidden = answer.hidden[i]};
            vitcl_status status = vitcl_session_wait(session, &results, &w->error);
            if (status != VITCL_OK)
                return status;
        }
        if (round == 0)
            w->answer = answer;
        w->changed |= memcmp(&w->answer, &answer, sizeof answer) != 0;
    }
    return VITCL_OK;
}

/* A worker's whole life: everything is made, used and freed in this thread. cmocka must not be called here. */
static void *work(void *worker)
{
    struct worker *w = worker;
    vitcl_context *context = NULL;
    vitcl_session *session = NULL;
    const vitcl_session_params params = {
        .batch_size = BATCH, .outputs = VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_HIDDEN, .variants = w->variants};
    w->status = w->selector ? vitcl_context_create(&context, &(vitcl_context_params){.device = w->selector}, &w->error)
                            : VITCL_OK;
    if (w->status == VITCL_OK)
        w->status = vitcl_session_create(&session, context, w->model, &params, &w->error);
    if (w->status == VITCL_OK)
        w->status = run_rounds(w, session);
    snprintf(w->device, sizeof w->device, "%s", vitcl_context_device(context));
    vitcl_session_destroy(&session);
    vitcl_context_destroy(&context);
    return NULL;
}

static void assert_answer(const struct worker *w, const struct answer *expected)
{
    for (size_t i = 0; i < 2; i++) {
        assert_close("logits", w->answer.logits[i], expected->logits[i], BATCH * LOGITS, TOLERANCE);
        assert_close("hidden", w->answer.hidden[i], expected->hidden[i], BATCH * HIDDEN, TOLERANCE);
    }
}

/* Each worker alone, then all of them at once, twice; the first to begin is the first to end, while the others go on.
 */
static void check_together(const char *variants)
{
    vitcl_model *model = fixture_model("vit/cls");
    float pixels[2 * BATCH * PIXELS];
    struct random random = {1};
    struct worker reference = {.model = model, .pixels = pixels, .rounds = 1};
    struct answer alone[MOST_DEVICES];

    random_fill(&random, pixels, COUNT(pixels), 0, 1);
    work(&reference);
    assert_ok(reference.status, &reference.error);
    for (size_t time = 0; time < 3; time++) {
        struct worker workers[MOST_DEVICES];
        pthread_t threads[MOST_DEVICES];
        for (size_t i = 0; i < device_count; i++) {
            workers[i] = (struct worker){.selector = devices[i].selector,
                                         .variants = variants,
                                         .model = model,
                                         .pixels = pixels,
                                         .rounds = 4 + 8 * i};
            assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
            if (time == 0)
                pthread_join(threads[i], NULL);
        }
        for (size_t i = 0; i < device_count && time > 0; i++)
            pthread_join(threads[i], NULL);
        for (size_t i = 0; i < device_count; i++) {
            assert_ok(workers[i].status, &workers[i].error);
            assert_contains(workers[i].device, devices[i].name);
            assert_false(workers[i].changed);
            if (time == 0)
                alone[i] = workers[i].answer;
            assert_memory_equal(&workers[i].answer, &alone[i], sizeof alone[i]);
            assert_answer(&workers[i], &reference.answer);
        }
    }
    vitcl_model_destroy(&model);
}

static void test_sessions_at_once(void **state)
{
    (void)state;
    check_together(NULL);
}

/* CLBlast keeps its kernels for the whole process. */
static void test_clblast_at_once(void **state)
{
    (void)state;
    check_together("matmul=clblast");
}

/* Contexts of all devices open in one thread, used in turns. */
static void test_in_turns(void **state)
{
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_context *contexts[MOST_DEVICES];
    vitcl_session *sessions[MOST_DEVICES];
    float pixels[PIXELS] = {0}, expected[LOGITS], logits[LOGITS];
    vitcl_session *reference;
    vitcl_error error;
    (void)state;
    assert_ok(vitcl_session_create(&reference, NULL, model, NULL, &error), &error);
    for (size_t i = 0; i < device_count; i++) {
        const vitcl_context_params params = {.device = devices[i].selector};
        assert_ok(vitcl_context_create(&contexts[i], &params, &error), &error);
        assert_ok(vitcl_session_create(&sessions[i], contexts[i], model, NULL, &error), &error);
    }
    for (size_t turn = 0; turn < 3 * device_count; turn++) {
        pixels[turn] = 1;
        assert_ok(vitcl_session_run_pixels(reference, pixels, NULL, 1, &(vitcl_results){.logits = expected}, &error),
                  &error);
        assert_ok(vitcl_session_run_pixels(sessions[turn % device_count], pixels, NULL, 1,
                                           &(vitcl_results){.logits = logits}, &error),
                  &error);
        assert_close("logits", logits, expected, LOGITS, TOLERANCE);
    }
    for (size_t i = 0; i < device_count; i++) {
        vitcl_session_destroy(&sessions[i]);
        vitcl_context_destroy(&contexts[i]);
    }
    vitcl_session_destroy(&reference);
    vitcl_model_destroy(&model);
}

/* Those that can compile, and so can CLBlast, moved to the front. */
static void find_devices(void)
{
    vitcl_error error;
    size_t count = 0;
    if (vitcl_device_list_create(&devices, &count, &error) != VITCL_OK)
        return;
    for (size_t i = 0; i < count && device_count < MOST_DEVICES; i++) {
        if (!devices[i].available || !devices[i].compiler_works)
            continue;
        devices[device_count] = devices[i];
        printf("device %zu: %s / %s, selected by \"%s\"\n", device_count, devices[device_count].platform,
               devices[device_count].name, devices[device_count].selector);
        device_count++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turns),
        cmocka_unit_test(test_sessions_at_once),
        cmocka_unit_test(test_clblast_at_once),
    };
    int failed = EXIT_SKIPPED;
    find_devices();
    if (device_count < 2)
        printf("SKIP: two devices are needed; there %s\n", device_count ? "is one" : "is none");
    else
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    vitcl_device_list_destroy(&devices);
    return failed;
}

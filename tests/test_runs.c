/* test_runs.c - runs on the device, and sessions beside each other: nothing is left over from one run in the next. */
#include "session_run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- runs do not disturb each other ---- */

/* Plain, without and with each of what the inputs of a run decide: shapes, a bias, angles, two classifiers. */
static const char *const MODELS[] = {"vit/odd",
                                     "vit/cls",
                                     "models/siglip2_naflex",
                                     "models/siglip2_naflex_classifier",
                                     "models/beit",
                                     "models/dinov2_registers_classifier",
                                     "models/timm_eva02_base",
                                     "models/timm_map_prefix",
                                     "models/deit_teacher"};

/* Each of the models, on the device where there is one, and on the reference. */
static void on_models(struct device *device, size_t batch, void (*check)(struct run *run))
{
    for (size_t i = 0; i < 2 * COUNT(MODELS); i++) {
        struct run run;
        run_open(&run, i % 2 ? NULL : device, MODELS[i / 2], batch, NULL);
        check(&run);
        run_close(&run);
    }
}

static void check_a_b_a(struct run *run)
{
    struct answer first = run_ask(run, 0, run->batch);
    struct answer other = run_ask(run, 1, run->batch);
    struct answer again = run_ask(run, 0, run->batch);
    assert_same(run, &first, &again, run->batch);
    assert_memory_not_equal(first.output[OUTPUT_HIDDEN], other.output[OUTPUT_HIDDEN],
                            run_size_of(run, OUTPUT_HIDDEN) * sizeof(float));
    answer_free(&first);
    answer_free(&other);
    answer_free(&again);
}

static void test_a_b_a(void **state)
{
    on_models(device_or_skip(state), 3, check_a_b_a);
}

/* Fewer images than the session takes: the same results to the bit. */
static void check_partial_batches(struct run *run)
{
    struct answer whole = run_ask(run, 0, run->batch);
    for (size_t count = 1; count <= run->batch; count++) {
        struct answer part = run_ask(run, 0, count);
        assert_same(run, &whole, &part, count);
        answer_free(&part);
    }
    answer_free(&whole);
}

static void test_partial_batches(void **state)
{
    on_models(device_or_skip(state), 4, check_partial_batches);
}

/* An image that a run does not have must not have a length either: what another tensor leaves at its place would send
 * the step anywhere. */
static void check_stale_lengths(struct run *run)
{
    const struct plan *plan = &run->session->plan;
    struct answer whole, part;
    float stale[] = {1e9f, -5, 1e9f};
    vitcl_error err;
    if (plan->lengths == NO_TENSOR)
        return;
    whole = run_ask(run, 0, run->batch);
    assert_int_equal(run->batch, COUNT(stale));
    if (run->session->device)
        assert_ok(buffer_write(executor_buffer(run->session->executor, plan->lengths), stale, sizeof stale, &err),
                  &err);
    else
        memcpy(run->session->reference.data[plan->lengths], stale, sizeof stale);
    part = run_ask(run, 0, 1);
    assert_same(run, &whole, &part, 1);
    answer_free(&whole);
    answer_free(&part);
}

static void test_stale_lengths(void **state)
{
    on_models(device_or_skip(state), 3, check_stale_lengths);
}

/* Two runs of different length in flight, many times over: results come oldest first, and are those of a run alone. */
static void check_two_in_flight(struct run *run)
{
    enum { ROUNDS = 20 };
    struct answer alone[2], answer;

    for (size_t i = 0; i < 2; i++)
        alone[i] = run_ask(run, i, run->batch - i);
    run_submit(run, 0, run->batch);
    for (size_t round = 1; round <= ROUNDS; round++) {
        size_t next = round % 2, last = 1 - next;
        run_submit(run, next, run->batch - next);
        assert_null(session_next_pixels(run->session)); /* VITCL_QUEUE_DEPTH is reached */
        answer = run_fetch(run, run->batch - last);
        assert_same(run, &answer, &alone[last], run->batch - last);
        answer_free(&answer);
    }
    answer_free(&alone[0]);
    answer_free(&alone[1]); /* the session goes with a run in flight */
}

static void test_two_in_flight(void **state)
{
    on_models(device_or_skip(state), 3, check_two_in_flight);
}

/* ---- several sessions ---- */

/* Two models take turns on one device; then one of them goes. */
static void test_two_sessions(void **state)
{
    struct run cls, wide;
    struct answer first, again, other;
    struct device *device = device_or_skip(state);

    run_open(&cls, device, "vit/cls", 1, NULL);
    run_open(&wide, device, "vit/wide", 1, NULL);
    first = run_ask(&cls, 0, 1);
    run_submit(&wide, 0, 1);
    again = run_ask(&cls, 0, 1);
    assert_same(&cls, &first, &again, 1);
    answer_free(&again);
    other = run_fetch(&wide, 1);
    run_close(&wide);
    again = run_ask(&cls, 0, 1);
    assert_same(&cls, &first, &again, 1);
    answer_free(&first);
    answer_free(&again);
    answer_free(&other);
    run_close(&cls);
}

struct worker {
    struct run run;
    struct answer answer;
    vitcl_status status;
};

/* Asks for the same over and over. cmocka's asserts jump, which only the main thread may. */
static void *work(void *context)
{
    struct worker *w = context;
    for (int i = 0; i < 20 && w->status == VITCL_OK; i++) {
        memcpy(session_next_pixels(w->run.session), w->run.pixels[0], w->run.fixture.image_size * sizeof(float));
        w->status = session_submit(w->run.session, 1, NULL);
        if (w->status == VITCL_OK)
            w->status = session_wait(
                w->run.session, &(vitcl_results){w->answer.output[0], w->answer.output[1], w->answer.output[2]}, NULL);
    }
    return NULL;
}

/* Each thread has a device and a session of its own. */
static void test_two_threads(void **state)
{
    static const char *const FOLDERS[] = {"vit/cls", "vit/pooler"};
    struct device *devices[2] = {device_or_skip(state), NULL};
    const char *selector = getenv("VITCL_DEVICE");
    struct worker workers[2] = {{.status = VITCL_OK}, {.status = VITCL_OK}};
    struct answer alone[2];
    pthread_t threads[2];
    vitcl_error err;

    if (strstr(device_description(devices[0]), "Oclgrind")) {
        print_message("SKIP: Oclgrind is not thread-safe (its issue 28)\n");
        skip();
    }
    assert_ok(device_open(&devices[1], selector ? selector : "", NULL, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        struct worker *w = &workers[i];
        run_open(&w->run, devices[i], FOLDERS[i], 1, "matmul=portable");
        alone[i] = run_ask(&w->run, 0, 1);
        w->answer = run_ask(&w->run, 0, 1);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        struct worker *w = &workers[i];
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(w->status, VITCL_OK);
        assert_same(&w->run, &w->answer, &alone[i], 1);
        answer_free(&w->answer);
        answer_free(&alone[i]);
        run_close(&w->run);
    }
    device_close(&devices[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_b_a),         cmocka_unit_test(test_partial_batches),
        cmocka_unit_test(test_stale_lengths), cmocka_unit_test(test_two_in_flight),
        cmocka_unit_test(test_two_sessions),  cmocka_unit_test(test_two_threads),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

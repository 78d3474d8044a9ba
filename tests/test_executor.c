/* test_executor.c - whole models on the device: what transformers gives for the same files, the same step by step as
 * the plain-C reference, and nothing left over from one run in the next.
 */
#include "fixture.h"
#include "run/session.h"
#include "run/verify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Errors of whole models add up over some twenty steps. */
#define TOLERANCE 1e-5

/* A model's session with all its outputs, and two batches of random pixel values. */
struct run {
    struct fixture fixture;
    struct session *session;
    size_t batch;
    float *pixels[2];
};

static void run_open(struct run *run, struct device *device, const char *folder, size_t batch, const char *variants)
{
    struct fixture *f = &run->fixture;
    vitcl_error err;
    struct request request = {.batch = batch, .outputs = VITCL_OUTPUT_HIDDEN, .variants = variants};
    struct random random = {1};
    fixture_open(f, folder);
    if (f->weights.head != HEAD_NONE)
        request.outputs |= VITCL_OUTPUT_EMBEDDING;
    if (f->weights.head == HEAD_CLASSIFIER)
        request.outputs |= VITCL_OUTPUT_LOGITS;
    run->batch = batch;
    request.config = &f->config;
    request.weights = &f->weights;
    assert_ok(session_create(&run->session, device, &request, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        run->pixels[i] = allocate(batch * f->image_size, sizeof(float));
        random_fill(&random, run->pixels[i], batch * f->image_size, 0, 1);
    }
}

static void run_close(struct run *run)
{
    session_destroy(&run->session);
    assert_null(run->session);
    free(run->pixels[0]);
    free(run->pixels[1]);
    fixture_close(&run->fixture);
}

enum { OUTPUTS = 3 };

/* The results of one run: logits, embedding and hidden states, owned. */
struct answer {
    float *output[OUTPUTS];
};

/* Numbers of an output per image; 0 where the model has no such output. */
static size_t size_of(const struct run *run, size_t output)
{
    const struct plan *plan = &run->session->plan;
    int tensor = (const int[OUTPUTS]){plan->outputs[OUTPUT_LOGITS], plan->outputs[OUTPUT_EMBEDDING],
                                      plan->outputs[OUTPUT_HIDDEN]}[output];
    return tensor == NO_TENSOR ? 0 : plan->tensors[tensor].rows * plan->tensors[tensor].cols / run->batch;
}

static void answer_free(struct answer *answer)
{
    for (size_t i = 0; i < OUTPUTS; i++)
        free(answer->output[i]);
}

static void assert_same(const struct run *run, const struct answer *a, const struct answer *b, size_t count)
{
    for (size_t i = 0; i < OUTPUTS; i++)
        assert_memory_equal(a->output[i], b->output[i], count * size_of(run, i) * sizeof(float));
}

static void submit(struct run *run, const float *pixels, size_t count)
{
    vitcl_error err;
    float *place = session_next_pixels(run->session);
    assert_non_null(place);
    memcpy(place, pixels, count * run->fixture.image_size * sizeof *pixels);
    assert_ok(session_submit(run->session, count, &err), &err);
}

/* The results of the oldest run, which has `count` images. One image more has room, and must stay as it was. */
static struct answer fetch(struct run *run, size_t count)
{
    struct answer answer;
    vitcl_error err;
    for (size_t i = 0; i < OUTPUTS; i++) {
        answer.output[i] = allocate((count + 1) * size_of(run, i), sizeof(float));
        memset(answer.output[i], 0xff, (count + 1) * size_of(run, i) * sizeof(float));
    }
    assert_ok(session_wait(run->session, &(vitcl_results){answer.output[0], answer.output[1], answer.output[2]}, &err),
              &err);
    for (size_t i = 0; i < OUTPUTS; i++) {
        const unsigned char *behind = (const unsigned char *)(answer.output[i] + count * size_of(run, i));
        for (size_t byte = 0; byte < size_of(run, i) * sizeof(float); byte++)
            assert_int_equal(behind[byte], 0xff);
    }
    return answer;
}

static struct answer ask(struct run *run, const float *pixels, size_t count)
{
    submit(run, pixels, count);
    return fetch(run, count);
}

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
    size_t size = size_of(run, output), images = run->fixture.images;
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
    answer = ask(&run, run.pixels[0], run.batch);
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

/* ---- runs do not disturb each other ---- */

static void test_a_b_a(void **state)
{
    enum { BATCH = 3 };
    struct run run;
    struct answer first, other, again;

    run_open(&run, device_or_skip(state), "vit/odd", BATCH, NULL);
    first = ask(&run, run.pixels[0], BATCH);
    other = ask(&run, run.pixels[1], BATCH);
    again = ask(&run, run.pixels[0], BATCH);
    assert_same(&run, &first, &again, BATCH);
    assert_memory_not_equal(first.output[0], other.output[0], 7 * sizeof(float));
    answer_free(&first);
    answer_free(&other);
    answer_free(&again);
    run_close(&run);
}

/* Fewer images than the session takes: the same results to the bit. */
static void test_partial_batches(void **state)
{
    enum { BATCH = 4 };
    struct run run;
    struct answer whole, part;

    run_open(&run, device_or_skip(state), "vit/cls", BATCH, NULL);
    whole = ask(&run, run.pixels[0], BATCH);
    for (size_t count = 1; count <= BATCH; count++) {
        part = ask(&run, run.pixels[0], count);
        assert_same(&run, &whole, &part, count);
        answer_free(&part);
    }
    answer_free(&whole);
    run_close(&run);
}

/* Two runs of different length in flight, many times over: results come oldest first, and are those of a run alone. */
static void test_two_in_flight(void **state)
{
    enum { BATCH = 3, ROUNDS = 20 };
    struct run run;
    struct answer alone[2], answer;

    run_open(&run, device_or_skip(state), "vit/cls", BATCH, NULL);
    for (size_t i = 0; i < 2; i++)
        alone[i] = ask(&run, run.pixels[i], BATCH - i);
    submit(&run, run.pixels[0], BATCH);
    for (size_t round = 1; round <= ROUNDS; round++) {
        size_t next = round % 2, last = 1 - next;
        submit(&run, run.pixels[next], BATCH - next);
        assert_null(session_next_pixels(run.session)); /* VITCL_QUEUE_DEPTH is reached */
        answer = fetch(&run, BATCH - last);
        assert_same(&run, &answer, &alone[last], BATCH - last);
        answer_free(&answer);
    }
    answer_free(&alone[0]);
    answer_free(&alone[1]);
    run_close(&run); /* with a run in flight */
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
    first = ask(&cls, cls.pixels[0], 1);
    submit(&wide, wide.pixels[0], 1);
    again = ask(&cls, cls.pixels[0], 1);
    assert_same(&cls, &first, &again, 1);
    answer_free(&again);
    other = fetch(&wide, 1);
    run_close(&wide);
    again = ask(&cls, cls.pixels[0], 1);
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
        alone[i] = ask(&w->run, w->run.pixels[0], 1);
        w->answer = ask(&w->run, w->run.pixels[0], 1);
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
        cmocka_unit_test(test_expected_results),
        cmocka_unit_test(test_verify_all_steps),
        cmocka_unit_test(test_verify_finds_a_difference),
        cmocka_unit_test(test_a_b_a),
        cmocka_unit_test(test_partial_batches),
        cmocka_unit_test(test_two_in_flight),
        cmocka_unit_test(test_two_sessions),
        cmocka_unit_test(test_two_threads),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

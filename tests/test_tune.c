/* test_tune.c - tuning: what is measured is kept, sessions use it and stay right, and neither a wrong candidate nor a
 * damaged file gets anywhere. Nothing here looks at how long anything takes.
 */
#include "run/tune.h"
#include "run/tuned.h"
#include "run/verify.h"
#include "session_run.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "vit/cls"
#define BATCH 3

/* What compiles for seconds on PoCL, for each of its candidates, is left out where one operation is enough. */
#define QUICK_TO_COMPILE "attention=portable"

/* A device of its own, whose cache is a new folder; closed and opened again it is a new process. */
struct bench {
    char folder[PATH_SIZE];
    struct device *device;
    struct fixture fixture;
    struct request request;
};

static void open_device(struct bench *bench)
{
    const char *selector = getenv("VITCL_DEVICE");
    vitcl_error err;
    assert_ok(device_open(&bench->device, selector ? selector : "", NULL, &err), &err);
}

static void reopen_device(struct bench *bench)
{
    device_close(&bench->device);
    open_device(bench);
}

static void bench_open(struct bench *bench, void **state, const char *model)
{
    device_or_skip(state);
    folder_create(bench->folder);
    setenv("VITCL_CACHE_DIR", bench->folder, 1);
    open_device(bench);
    fixture_open(&bench->fixture, model);
    bench->request = fixture_request(&bench->fixture, BATCH);
}

static void bench_close(struct bench *bench)
{
    fixture_close(&bench->fixture);
    device_close(&bench->device);
    folder_remove(bench->folder);
}

/* The plan as a new session gets it. */
static struct plan recalled_plan(const struct bench *bench)
{
    struct plan plan;
    vitcl_error err;
    assert_ok(plan_for(&plan, &bench->request, session_facts(bench->device, &bench->request), &err), &err);
    tuned_recall(&plan, bench->device);
    return plan;
}

static size_t count_tuned(const struct bench *bench)
{
    struct plan plan = recalled_plan(bench);
    size_t count = 0;
    for (size_t s = 0; s < plan.step_count; s++)
        count += plan.steps[s].tuned;
    plan_free(&plan);
    return count;
}

/* Skips where this device's variants have nothing to choose from. */
static void skip_untunable(struct bench *bench)
{
    struct plan plan = recalled_plan(bench);
    struct tuning candidates[MAX_CANDIDATES];
    size_t most = 0;
    for (size_t s = 0; s < plan.step_count; s++) {
        size_t count = tuned_candidates(&plan, &plan.steps[s], device_facts(bench->device), candidates);
        most = count > most ? count : most;
    }
    plan_free(&plan);
    if (most >= 2)
        return;
    bench_close(bench);
    skip();
}

/* Keeps the k-th candidate of each step that has so many; returns how many have. */
static size_t keep_candidate(const struct bench *bench, size_t k)
{
    struct plan plan = recalled_plan(bench);
    size_t kept = 0;
    for (size_t s = 0; s < plan.step_count; s++) {
        struct tuning candidates[MAX_CANDIDATES];
        size_t count = tuned_candidates(&plan, &plan.steps[s], device_facts(bench->device), candidates);
        assert_true(count <= MAX_CANDIDATES);
        if (k < count) {
            assert_true(tuned_keep(&plan, &plan.steps[s], bench->device, candidates[k]));
            kept++;
        }
    }
    plan_free(&plan);
    return kept;
}

/* ---- what is found is kept ---- */

struct results {
    size_t count, expected, measured;
};

static void note(void *user, const vitcl_tune_result *result)
{
    struct results *results = user;
    assert_int_equal(result->index, results->count++);
    assert_true(result->index < result->count);
    assert_true(result->measured <= result->candidates);
    assert_true(result->untuned > 0 && result->tuned > 0 && result->tuned <= result->untuned);
    assert_non_null(result->label);
    assert_int_equal(result->tuned == result->untuned, strcmp(result->choice, "untuned") == 0);
    results->expected = result->count;
    results->measured += result->measured;
}

static void check_tuned_model(void **state, const char *model, vitcl_precision precision)
{
    struct bench bench;
    struct results results = {0};
    vitcl_error err;
    bench_open(&bench, state, model);
    bench.request.precision = precision;
    bench.request.variants = QUICK_TO_COMPILE;
    skip_untunable(&bench);
    assert_int_equal(count_tuned(&bench), 0);
    assert_ok(tune_model(bench.device, &bench.request, 600, note, &results, &err), &err);
    assert_true(results.count > 0 && results.measured > 0);
    assert_int_equal(results.count, results.expected);
    reopen_device(&bench);
    assert_true(count_tuned(&bench) >= results.count);
    bench_close(&bench);
}

static void test_results_are_kept(void **state)
{
    check_tuned_model(state, MODEL, VITCL_PRECISION_F32);
    check_tuned_model(state, "models/siglip2_naflex", VITCL_PRECISION_F32);
    check_tuned_model(state, "models/beit", VITCL_PRECISION_BF16);
}

/* Another batch, another kind. */
static void test_kinds(void **state)
{
    struct bench bench;
    bench_open(&bench, state, MODEL);
    skip_untunable(&bench);
    assert_true(keep_candidate(&bench, 1) > 0);
    assert_true(count_tuned(&bench) > 0);
    bench.request.batch = BATCH + 1;
    assert_int_equal(count_tuned(&bench), 0);
    bench_close(&bench);
}

/* Time that does not suffice for anything is no error. */
static void test_no_time(void **state)
{
    struct bench bench;
    vitcl_error err;
    bench_open(&bench, state, MODEL);
    assert_ok(tune_model(bench.device, &bench.request, 1e-9, NULL, NULL, &err), &err);
    assert_int_equal(count_tuned(&bench), 0);
    bench_close(&bench);
}

static void test_no_cache(void **state)
{
    struct bench bench;
    vitcl_error err;
    bench_open(&bench, state, MODEL);
    setenv("VITCL_CACHE_DIR", "off", 1);
    reopen_device(&bench);
    assert_int_equal(tune_model(bench.device, &bench.request, 600, NULL, NULL, &err), VITCL_ERROR_IO);
    assert_contains(err.message, "VITCL_CACHE_DIR");
    bench_close(&bench);
}

/* ---- every candidate is right ---- */

static void check_session(const struct bench *bench)
{
    struct session *session;
    struct random random = {1};
    vitcl_error err;
    assert_ok(session_create(&session, bench->device, &bench->request, &err), &err);
    random_fill(&random, session_next_pixels(session), BATCH * session_image_size(session), 0, 1);
    assert_ok(session_verify(session, NULL, NULL, &err), &err);
    session_destroy(&session);
}

static void check_candidates(void **state, const char *model, vitcl_precision precision, const char *variants)
{
    struct bench bench;
    size_t k = 0;
    bench_open(&bench, state, model);
    bench.request.precision = precision;
    bench.request.variants = variants;
    for (; k < MAX_CANDIDATES && keep_candidate(&bench, k) > 0; k++)
        check_session(&bench);
    print_message("%s: %zu candidates\n", model, k);
    bench_close(&bench);
}

static void test_tuned_sessions_are_right(void **state)
{
    check_candidates(state, MODEL, VITCL_PRECISION_F32, NULL);
    check_candidates(state, "models/beit", VITCL_PRECISION_BF16, QUICK_TO_COMPILE);
    check_candidates(state, "vit/odd", VITCL_PRECISION_BF16, QUICK_TO_COMPILE);
    check_candidates(state, "vit/odd", VITCL_PRECISION_F32, "attention=group,matmul=portable");
}

static void test_tuned_f16(void **state)
{
    struct bench bench;
    bench_open(&bench, state, MODEL);
    bench.request.precision = VITCL_PRECISION_F16;
    bench.request.variants = QUICK_TO_COMPILE;
    skip_untunable(&bench);
    assert_true(keep_candidate(&bench, 1) > 0);
    check_session(&bench);
    bench_close(&bench);
}

/* ---- a wrong candidate is not taken ---- */

/* A matmul that, tuned, does nothing at all: nothing is faster. */
static const struct variant *honest;

static size_t launch_nothing(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct launch *launches)
{
    return step->tuning.tile ? 0 : honest->launch(plan, step, facts, launches);
}

static size_t two_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct tuning *candidates)
{
    (void)plan, (void)step, (void)facts;
    candidates[0] = (struct tuning){0};
    candidates[1] = (struct tuning){.tile = 1, .block = 1};
    return 2;
}

static void note_untuned(void *user, const vitcl_tune_result *result)
{
    size_t *wrong = user;
    if (strcmp(result->variant, "wrong") != 0)
        return;
    assert_string_equal(result->choice, "untuned");
    assert_int_equal(result->measured, 0);
    assert_int_equal(result->candidates, 1);
    ++*wrong;
}

static void test_wrong_candidate(void **state)
{
    struct bench bench;
    struct variant wrong;
    struct session *session;
    size_t seen = 0;
    vitcl_error err;
    bench_open(&bench, state, MODEL);
    bench.request.variants = QUICK_TO_COMPILE;
    assert_ok(session_create(&session, bench.device, &bench.request, &err), &err);
    for (size_t s = 0; s < session->plan.step_count; s++) {
        struct step *step = &session->plan.steps[s];
        if (step->op != OP_MATMUL)
            continue;
        honest = step->variant;
        wrong = *honest;
        wrong.name = step->variant_name = "wrong";
        wrong.launch = launch_nothing;
        wrong.candidates = two_candidates;
        step->variant = &wrong;
    }
    assert_ok(tune_session(session, 600, note_untuned, &seen, &err), &err);
    assert_true(seen > 0);
    for (size_t s = 0; s < session->plan.step_count; s++)
        session->plan.steps[s].tuned = false;
    tuned_recall(&session->plan, bench.device);
    for (size_t s = 0; s < session->plan.step_count; s++)
        assert_false(session->plan.steps[s].op == OP_MATMUL && session->plan.steps[s].tuned);
    session_destroy(&session);
    bench_close(&bench);
}

/* ---- files are input ---- */

/* Calls work on the path of each tuning that is kept. */
static void each_file(const struct bench *bench, void (*work)(const char *path))
{
    char path[PATH_SIZE];
    struct dirent *entry;
    DIR *folder = opendir(bench->folder);
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        if (strncmp(entry->d_name, "tune-", strlen("tune-")) != 0)
            continue;
        path_join(path, bench->folder, entry->d_name);
        work(path);
    }
    closedir(folder);
}

static void cut_off(const char *path)
{
    size_t size;
    char *file = file_read(path, &size);
    file_write(path, file, size - 1);
    free(file);
}

static void flip_bit(const char *path)
{
    size_t size;
    char *file = file_read(path, &size);
    file[size - 2] ^= 1;
    file_write(path, file, size);
    free(file);
}

static void test_damaged_files(void **state)
{
    static void (*const DAMAGES[])(const char *path) = {cut_off, flip_bit};
    struct bench bench;
    bench_open(&bench, state, MODEL);
    skip_untunable(&bench);
    for (size_t i = 0; i < COUNT(DAMAGES); i++) {
        assert_true(keep_candidate(&bench, 1) > 0);
        assert_true(count_tuned(&bench) > 0);
        each_file(&bench, DAMAGES[i]);
        assert_int_equal(count_tuned(&bench), 0);
    }
    bench_close(&bench);
}

/* Sound files that ask for what no variant offers. */
static void test_foreign_tunings(void **state)
{
    static const char *const CONTENTS[] = {"",
                                           "tile 0 block",
                                           "tile 4096 block 1\n",
                                           "tile 14 block 0\n",
                                           "tile 0 block 0\n and more",
                                           "tile -1 block -1\n"};
    struct bench bench;
    struct plan plan;
    bench_open(&bench, state, MODEL);
    for (size_t i = 0; i < COUNT(CONTENTS); i++) {
        plan = recalled_plan(&bench);
        for (size_t s = 0; s < plan.step_count; s++) {
            struct text key = tuned_key(&plan, &plan.steps[s]);
            device_cache_write(bench.device, "tune", key.chars, CONTENTS[i], strlen(CONTENTS[i]));
            text_free(&key);
        }
        plan_free(&plan);
        assert_int_equal(count_tuned(&bench), 0);
    }
    check_session(&bench);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_kept),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_no_cache),
        cmocka_unit_test(test_tuned_sessions_are_right),
        cmocka_unit_test(test_tuned_f16),
        cmocka_unit_test(test_wrong_candidate),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_foreign_tunings),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

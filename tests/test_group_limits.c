/* test_group_limits.c - a kernel may allow smaller work-groups than its device, or take more local memory than there
 * is: then the step is laid out in smaller tiles, else in another variant, and only what was asked for by name fails.
 * The device claims to be a GPU here, and what it says of one kernel is made up (the linker puts the functions
 * __wrap_* in the place of those in host/device/program.c).
 */
#include "run/executor.h"
#include "run/verify.h"
#include "session_run.h"

#include <string.h>

#define MODEL     "vit/cls"
#define NO_LIMIT  SIZE_MAX
#define NO_MEMORY 0

static const char *limited = "matmul_tile"; /* a kernel */
static size_t limit = NO_LIMIT;             /* of its largest group */
static bool is_limited;                     /* the kernel that was made last */

vitcl_status __real_kernel_create(struct kernel **kernel, struct device *device, const char *program,
                                  const char *options, const char *name, vitcl_error *err);
vitcl_status __wrap_kernel_create(struct kernel **kernel, struct device *device, const char *program,
                                  const char *options, const char *name, vitcl_error *err);
vitcl_status __real_kernel_max_group(const struct kernel *kernel, size_t *max_group, vitcl_error *err);
vitcl_status __wrap_kernel_max_group(const struct kernel *kernel, size_t *max_group, vitcl_error *err);

vitcl_status __wrap_kernel_create(struct kernel **kernel, struct device *device, const char *program,
                                  const char *options, const char *name, vitcl_error *err)
{
    is_limited = strcmp(name, limited) == 0;
    return __real_kernel_create(kernel, device, program, options, name, err);
}

vitcl_status __wrap_kernel_max_group(const struct kernel *kernel, size_t *max_group, vitcl_error *err)
{
    vitcl_status status = __real_kernel_max_group(kernel, max_group, err);
    if (is_limited && limit < *max_group)
        *max_group = limit;
    return status;
}

/* Set-up of the group. */
static int claim_gpu(void **state)
{
    int code = device_set_up(state);
    if (code == 0 && *state) {
        struct facts *facts = (struct facts *)(uintptr_t)device_facts(*state);
        facts->is_cpu = false;
        facts->local_memory = 32 << 10;
        facts->units = 1; /* large tiles do */
    }
    return code;
}

/* The variants of matmul and attention under a limit. */
static void check_session(struct device *device, size_t new_limit, const char *matmul, const char *attention)
{
    struct run run;
    vitcl_error err;
    limit = new_limit;
    run_open(&run, device, MODEL, 5, NULL);
    for (size_t s = 0; s < run.session->plan.step_count; s++) {
        const struct step *step = &run.session->plan.steps[s];
        if (step->op == OP_MATMUL || step->op == OP_ATTENTION)
            assert_string_equal(step->variant_name, step->op == OP_MATMUL ? matmul : attention);
    }
    fixture_fill(&run.fixture, session_next_pixels(run.session), run.batch);
    assert_ok(session_verify(run.session, NULL, NULL, &err), &err);
    run_close(&run);
    limit = NO_LIMIT;
}

static void test_smaller_tiles(void **state)
{
    struct device *device = device_or_skip(state);
    check_session(device, NO_LIMIT, "tile", "group");
    check_session(device, 100, "tile", "group"); /* its groups of 128 are not those that are limited */
}

static void test_another_variant(void **state)
{
    struct device *device = device_or_skip(state);
    check_session(device, 63, "portable", "portable");
    check_session(device, 1, "portable", "portable");
    check_session(device, NO_MEMORY, "portable", "portable");
    limited = "attention_group";
    check_session(device, 100, "tile", "portable");
    check_session(device, NO_MEMORY, "tile", "portable");
    limited = "matmul_tile";
}

static void test_asked_for(void **state)
{
    struct device *device = device_or_skip(state);
    struct fixture fixture;
    struct session *session;
    struct request request;
    vitcl_error err;
    fixture_open(&fixture, MODEL);
    request = fixture_request(&fixture, 1);
    request.variants = "matmul=tile";
    limit = 32;
    assert_int_equal(session_create(&session, device, &request, &err), VITCL_ERROR_ARGUMENT);
    limit = NO_LIMIT;
    assert_contains(err.message, "matmul=tile can not run here: ");
    assert_null(session);
    fixture_close(&fixture);
}

/* A tuning is taken as it is, or not at all. */
static void test_tuned(void **state)
{
    static const size_t LIMITS[] = {NO_LIMIT, 255, NO_MEMORY};
    struct device *device = device_or_skip(state);
    struct run run;
    struct trial *trial;
    vitcl_error err;
    size_t s = 0;
    run_open(&run, device, MODEL, 5, NULL);
    while (run.session->plan.steps[s].op != OP_MATMUL)
        s++;
    for (size_t i = 0; i < COUNT(LIMITS); i++) {
        vitcl_status status;
        limit = LIMITS[i];
        status = trial_create(&trial, run.session->executor, s, (struct tuning){.tile = 128, .block = 128}, &err);
        assert_int_equal(status, i == 0 ? VITCL_OK : VITCL_ERROR_OPENCL);
        if (status != VITCL_OK)
            assert_contains(err.message, "groups of 256 work-items");
        trial_destroy(&trial);
    }
    limit = NO_LIMIT;
    run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smaller_tiles),
        cmocka_unit_test(test_another_variant),
        cmocka_unit_test(test_asked_for),
        cmocka_unit_test(test_tuned),
    };
    return device_exit_code(cmocka_run_group_tests(tests, claim_gpu, device_tear_down));
}

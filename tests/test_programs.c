/* test_programs.c - what devices without a compiler run, of every family: one program text for all, which compiles as
 * one file, and whose kernels fix the sizes of groups that the launches have.
 */
#include "device/device_cl.h"
#include "fixture.h"
#include "made_up_model.h"
#include "run/fit.h"
#include "run/programs.h"

#include <stdio.h>
#include <string.h>

#undef COUNT
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The programs of all fixtures, and the size of each kernel's groups. */
struct all {
    struct program_list list;
    struct group {
        const char *kernel;
        size_t local[3];
    } groups[64];
    size_t count;
};

static void add_group(struct all *all, const struct launch *launch)
{
    size_t i = 0;
    while (i < all->count && strcmp(all->groups[i].kernel, launch->kernel) != 0)
        i++;
    assert_true(i < COUNT(all->groups));
    if (i == all->count) {
        all->groups[all->count++].kernel = launch->kernel;
        memcpy(all->groups[i].local, launch->local, sizeof launch->local);
    }
    assert_memory_equal(all->groups[i].local, launch->local, sizeof launch->local);
}

static void add_fixture(const char *folder, void *context)
{
    struct all *all = context;
    struct fixture f;
    struct plan plan;
    vitcl_error err;
    struct request request;
    fixture_open(&f, folder);
    request = fixture_request(&f, 2);
    assert_ok(programs_add_request(&all->list, &request, &NO_COMPILER, &err), &err);
    assert_ok(plan_for(&plan, &request, &NO_COMPILER, &err), &err);
    for (size_t s = 0; s < plan.step_count; s++) {
        struct launch launches[MAX_LAUNCHES] = {0};
        const size_t count = step_launches(&plan, &plan.steps[s], &NO_COMPILER, launches);
        for (size_t i = 0; i < count; i++) {
            assert_non_null(launches[i].kernel);
            assert_string_equal(launches[i].options, " -D FIXED_GROUPS=1"); /* all sizes are arguments */
            add_group(all, &launches[i]);
        }
    }
    plan_free(&plan);
    fixture_close(&f);
}

static void check_kernel(struct device *device, cl_program program, const struct group *group)
{
    size_t fixed[3] = {0};
    cl_kernel kernel = clCreateKernel(program, group->kernel, NULL);
    assert_non_null(kernel);
    assert_int_equal(
        clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof fixed, fixed, NULL),
        CL_SUCCESS);
    for (size_t i = 0; i < 3; i++)
        if (fixed[i] != group->local[i])
            fail_msg("%s is made for groups of %zux%zux%zu, and launched in %zux%zux%zu", group->kernel, fixed[0],
                     fixed[1], fixed[2], group->local[0], group->local[1], group->local[2]);
    clReleaseKernel(kernel);
}

static void test_all_families_in_one_file(void **state)
{
    struct device *device = device_or_skip(state);
    struct all all = {.count = 0};
    struct text text = {0};
    char name[PROGRAM_NAME_SIZE];
    cl_program program;
    vitcl_error err;
    each_vit_fixture(add_fixture, &all);
    each_family_fixture(add_fixture, &all);
    assert_true(all.count > 14);
    assert_ok(programs_whole(&all.list, &text, name, &err), &err);
    assert_memory_equal(name, "kernels-", strlen("kernels-"));
    program = clCreateProgramWithSource(device->context, 1, &(const char *){text.chars}, NULL, NULL);
    assert_non_null(program);
    assert_int_equal(clBuildProgram(program, 1, &device->id, BUILD_OPTIONS, NULL, NULL), CL_SUCCESS);
    for (size_t i = 0; i < all.count; i++)
        check_kernel(device, program, &all.groups[i]);
    clReleaseProgram(program);
    text_free(&text);
    programs_free(&all.list);
}

/* bf16 needs the same kernels with different options, for which one file has no room. */
static void test_bf16_is_many_files(void **state)
{
    struct program_list list = {0};
    struct text text = {0};
    char name[PROGRAM_NAME_SIZE];
    struct fixture f;
    struct request request;
    vitcl_error err;
    (void)state;
    fixture_open(&f, "models/beit");
    request = fixture_request(&f, 1);
    request.precision = VITCL_PRECISION_BF16;
    assert_ok(programs_add_request(&list, &request, &NO_COMPILER, &err), &err);
    assert_ok(programs_whole(&list, &text, name, &err), &err);
    assert_string_equal(name, "");
    text_free(&text);
    programs_free(&list);
    fixture_close(&f);
}

/* The text has the options; its name depends on all of it, and on nothing else. */
static void test_text_and_name(void **state)
{
    static const char *const stem = "gate";
    static const char *const options[] = {"", " -D A=1 -D B", " -D A=1 -D B=2", " -D A=1 -D B"};
    char names[COUNT(options)][PROGRAM_NAME_SIZE];
    vitcl_error err;
    (void)state;
    for (size_t i = 0; i < COUNT(options); i++) {
        struct text text = {0};
        assert_ok(program_text(&text, options[i], &stem, 1, &err), &err);
        program_name(names[i], stem, &text);
        assert_contains(text.chars, "__kernel");
        if (i == 1)
            assert_contains(text.chars, "\n#define A 1\n#define B 1\n#line 1 \"cl/prelude.cl\"\n");
        text_free(&text);
    }
    assert_string_not_equal(names[0], names[1]);
    assert_string_not_equal(names[1], names[2]);
    assert_string_equal(names[1], names[3]);
    for (size_t i = 0; i < 2; i++) {
        struct text text = {0};
        const char *wrong[] = {" -cl-mad-enable", "-D A=1"};
        assert_int_equal(program_text(&text, wrong[i], &stem, 1, &err), VITCL_ERROR_UNSUPPORTED);
        text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_families_in_one_file),
        cmocka_unit_test(test_bf16_is_many_files),
        cmocka_unit_test(test_text_and_name),
    };
    return cmocka_run_group_tests(tests, device_set_up, device_tear_down);
}

/* test_prebuilt.c - a device without a compiler: vitcl_run writes the kernels, another program compiles them, vitcl_run
 * runs the binaries where nothing can be compiled (no_compiler.c), and answers as it does elsewhere. What is missing,
 * damaged or made for something else is told by name.
 */
#include "cli_bench.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define DIGITS FIXTURES "/digits"

/* Without an OpenCL driver; and with one whose devices have no compiler. (ASan wants to be the first library.) */
#define NO_DRIVER   "OCL_ICD_VENDORS=/nonexistent"
#define NO_COMPILER "LD_PRELOAD=" NO_COMPILER_LIBRARY, "ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0"

static char kernels[PATH_SIZE]; /* a folder with sources and binaries of the digits model */

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct output call(int code, const char *const *changes, const char *const *argv)
{
    struct output output;
    program_run(&output, argv, changes, NULL);
    if (output.code != code)
        fail_msg("%s: exit status %d, expected %d: %s", argv[1], output.code, code, output.err);
    return output;
}

/* ---- the folder of kernels ---- */

static void kernels_out(const char *folder, const char *model)
{
    struct output output = call(0, (const char *const[]){NO_DRIVER, NULL},
                                ARGUMENTS(VITCL_RUN, "-m", model, "-b", "auto", "--kernels-out", folder));
    assert_contains(output.out, folder);
    output_free(&output);
}

/* The one file of a folder that begins and ends so. */
static void find_file(char path[PATH_SIZE], const char *folder, const char *begin, const char *end)
{
    size_t count = 0;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const size_t length = strlen(entry->d_name);
        if (strncmp(entry->d_name, begin, strlen(begin)) != 0 || length < strlen(end) ||
            strcmp(entry->d_name + length - strlen(end), end) != 0)
            continue;
        path_join(path, folder, entry->d_name);
        count++;
    }
    closedir(dir);
    if (count != 1)
        fail_msg("%s has %zu files %s*%s", folder, count, begin, end);
}

static int set_up_kernels(void **state)
{
    if (set_up(state) != 0)
        return -1;
    folder_create(kernels);
    return 0;
}

static int tear_down_kernels(void **state)
{
    folder_remove(kernels);
    return tear_down(state);
}

/* False where the device hands out no binaries. */
static bool build_kernels(const char *which)
{
    struct output output;
    int code;
    program_run(&output, ARGUMENTS(BUILD_KERNELS, kernels, which), NULL, NULL);
    code = output.code;
    if (code != 0 && code != EXIT_SKIPPED)
        fail_msg("%s", output.err);
    output_free(&output);
    return code == 0;
}

/* Skips where there is no device for it; else the folder is full from the first call on. */
static void kernels_or_skip(void **state)
{
    static enum { NEW, FULL, NONE } found;
    char path[PATH_SIZE];
    file_in(state, "", path);
    if (found == NEW) {
        kernels_out(kernels, DIGITS);
        found = build_kernels("each") && build_kernels("all") ? FULL : NONE;
    }
    if (found == NONE)
        skip();
}

/* A folder with copies of the kernels. */
static void copy_kernels(void **state, char folder[PATH_SIZE])
{
    kernels_or_skip(state);
    folder_create(folder);
    folder_copy(kernels, folder);
}

/* ---- runs ---- */

/* The program on some digits, with VITCL_KERNELS=path on devices without a compiler; NULL: as usual. */
static struct output run_digits(int code, const char *path, const char *logits)
{
    char variable[PATH_SIZE + 20];
    snprintf(variable, sizeof variable, "VITCL_KERNELS=%s", path ? path : "");
    return call(code, path ? (const char *const[]){variable, NO_COMPILER, NULL} : NULL,
                ARGUMENTS(VITCL_RUN, "-q", "-m", DIGITS, "-b", "2", "--logits", logits, DIGITS "/images/000_six.png",
                          DIGITS "/images/001_zero.png"));
}

/* Labels and logits are those of a run that compiles. */
static void check_same(void **state, const char *path)
{
    char expected_file[PATH_SIZE], found_file[PATH_SIZE];
    struct output expected = run_digits(0, NULL, file_in(state, "expected.npy", expected_file));
    struct output found = run_digits(0, path, file_in(state, "found.npy", found_file));
    float *a = npy_load(expected_file, (size_t[]){2, 10}, 2), *b = npy_load(found_file, (size_t[]){2, 10}, 2);
    assert_string_equal(found.err, "");
    assert_contains(found.out, "six");
    assert_close("logits", b, a, 20, TOLERANCE);
    free(a);
    free(b);
    output_free(&expected);
    output_free(&found);
}

static void check_failure(void **state, const char *path, const char *message, const char *message2)
{
    char file[PATH_SIZE];
    struct output output = run_digits(1, path, file_in(state, "none.npy", file));
    assert_string_equal(output.out, "");
    assert_contains(output.err, message);
    assert_contains(output.err, message2);
    output_free(&output);
}

/* ---- tests ---- */

/* Needs no device; what a second model needs, too, is there once. */
static void test_written_without_a_device(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    size_t alone, together, whole = 0;
    json_t *manifest, *files, *entry;
    const char *name;
    vitcl_error err;
    (void)state;
    folder_create(folder);
    path_join(path, folder, "manifest.json");
    kernels_out(folder, DIGITS);
    assert_ok(json_read(&manifest, path, &err), &err);
    alone = json_object_size(json_object_get(manifest, "files"));
    json_decref(manifest);

    kernels_out(folder, FIXTURES "/models/beit");
    assert_ok(json_read(&manifest, path, &err), &err);
    files = json_object_get(manifest, "files");
    together = json_object_size(files);
    json_object_foreach(files, name, entry) {
        char *source;
        path_join(path, folder, name);
        source = file_read(path, NULL);
        whole += json_is_true(json_object_get(entry, "all"));
        for (size_t i = 0; i < json_array_size(json_object_get(entry, "kernels")); i++)
            assert_contains(source, json_string_value(json_array_get(json_object_get(entry, "kernels"), i)));
        free(source);
    }
    assert_int_equal(whole, 1); /* the same text has all kernels of both, as each program has more than one needs */
    assert_int_equal(together, alone);
    find_file(path, folder, "matmul-", ".cl");
    json_decref(manifest);
    folder_remove(folder);
}

static void test_folder_of_programs(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    copy_kernels(state, folder);
    find_file(path, folder, "kernels-", ".clbin");
    assert_int_equal(unlink(path), 0);
    check_same(state, folder);
    folder_remove(folder);
}

static void test_one_file(void **state)
{
    char path[PATH_SIZE];
    kernels_or_skip(state);
    find_file(path, kernels, "kernels-", ".clbin");
    check_same(state, path);
    check_same(state, kernels); /* it is preferred: each of the others would be loaded on its own */
}

/* Without binaries such a device says what it needs. */
static void test_no_binaries(void **state)
{
    kernels_or_skip(state);
    check_failure(state, "", "no device can be taken automatically", "its compiler does not work");
    check_failure(state, "/nonexistent", "/nonexistent: ", "prebuilt kernels");
}

static void test_missing_program(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE], *name;
    copy_kernels(state, folder);
    find_file(path, folder, "kernels-", ".clbin");
    assert_int_equal(unlink(path), 0);
    find_file(path, folder, "attention-", ".clbin");
    assert_int_equal(unlink(path), 0);
    name = strrchr(path, '/') + 1;
    check_failure(state, folder, name, "--kernels-out");
    folder_remove(folder);
}

/* The beginning of a binary, none of it, and something else. (PoCL 3.1 ends the process at one that is cut off behind
 * its header.) */
static void test_damaged_program(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE], *bytes;
    size_t size;
    copy_kernels(state, folder);
    find_file(path, folder, "kernels-", ".clbin");
    bytes = file_read(path, &size);
    file_write(path, bytes, 12);
    check_failure(state, path, path, "damaged");
    file_write(path, bytes, 0);
    check_failure(state, path, path, "empty");
    memset(bytes, 'x', size);
    file_write(path, bytes, size);
    check_failure(state, path, path, "another device");
    free(bytes);
    folder_remove(folder);
}

/* A file that is called as no version of vitcl calls this model's kernels; a manifest of something else. */
static void test_foreign(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE], other[PATH_SIZE];
    struct output output;
    copy_kernels(state, folder);
    find_file(path, folder, "kernels-", ".clbin");
    path_join(other, folder, "kernels-0123456789abcdef.clbin");
    assert_int_equal(rename(path, other), 0);
    check_failure(state, other, other, "--kernels-out");
    path_join(path, folder, "manifest.json");
    file_write(path, "{\"files\": 1}", 12);
    output = call(1, NULL, ARGUMENTS(VITCL_RUN, "-m", DIGITS, "--kernels-out", folder));
    assert_contains(output.err, path);
    output_free(&output);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_without_a_device),
        cmocka_unit_test(test_folder_of_programs),
        cmocka_unit_test(test_one_file),
        cmocka_unit_test(test_no_binaries),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_damaged_program),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests(tests, set_up_kernels, tear_down_kernels);
}

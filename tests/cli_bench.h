/* cli_bench.h - for tests of vitcl_run: a folder for the files of all tests, the program run in it, and the arrays it
 * writes held against a fixture's. Included by one test at a time.
 */
#ifndef VITCL_TESTS_CLI_BENCH_H
#define VITCL_TESTS_CLI_BENCH_H

#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-5

/* The device, and a folder for the files of all tests. */
struct bench {
    void *device;
    char folder[PATH_SIZE];
};

static inline int set_up(void **state)
{
    struct bench *bench = allocate(1, sizeof *bench);
    *state = bench;
    folder_create(bench->folder);
    return device_set_up(&bench->device);
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;
    folder_remove(bench->folder);
    device_tear_down(&bench->device);
    free(bench);
    return 0;
}

/* The path of a file in the folder of *state, in `path`; skips the test where there is no device. */
static inline const char *file_in(void **state, const char *name, char path[PATH_SIZE])
{
    struct bench *bench = *state;
    device_or_skip(&bench->device);
    path_join(path, bench->folder, name);
    return path;
}

/* Runs vitcl_run -q; fails unless it exits with `code`. The caller frees the output. */
static inline struct output run(int code, const char *const *argv)
{
    struct output output;
    program_run(&output, argv, NULL, NULL);
    if (output.code != code)
        fail_msg("exit status %d, expected %d: %s", output.code, code, output.err);
    return output;
}

#define RUN(code, ...) run(code, (const char *const[]){VITCL_RUN, "-q", __VA_ARGS__, NULL})

static inline void run_quietly(struct output output)
{
    assert_string_equal(output.err, "");
    output_free(&output);
}

static inline void assert_file_close(const char *path, const size_t *shape, size_t rank, const struct fixture *fixture,
                                     const char *name)
{
    size_t count;
    const float *expected = fixture_get(fixture, name, &count);
    float *found = npy_load(path, shape, rank);
    assert_close(name, found, expected, count, TOLERANCE);
    free(found);
}

#endif

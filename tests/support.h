/* support.h - what the tests of models, operations and the program share: random numbers, files, programs, the device.
 *
 * Nothing here returns an error: what can not be done fails the running test, with a message.
 */
#ifndef VITCL_TESTS_SUPPORT_H
#define VITCL_TESTS_SUPPORT_H

#include "base/json.h"
#include "device/device.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define PATH_SIZE    512

/* CTest's SKIP_RETURN_CODE: every test of the executable was skipped. */
#define EXIT_SKIPPED 77

/* ---- errors ---- */

/* Fails unless the status is VITCL_OK, with the error's message. */
void assert_ok(vitcl_status status, const vitcl_error *error);

/* Fails unless the call, which fills `error`, is refused as VITCL_ERROR_ARGUMENT with a message. Clears the error. */
#define assert_refused(call, error) check_refused(#call, call, error)
void check_refused(const char *call, vitcl_status status, vitcl_error *error);

/* Fails unless `part` occurs in the text, and shows it. */
void assert_contains(const char *text, const char *part);

/* ---- random numbers, the same in every run ---- */

struct random {
    uint64_t state; /* any seed but 0 */
};

double random_uniform(struct random *random, double low, double high);
/* Roughly normal, with this mean and standard deviation. */
void random_fill(struct random *random, float *values, size_t count, double mean, double deviation);
/* Pixels without a pattern, which the caller frees by free_pixels. */
vitcl_image random_image(struct random *random, size_t width, size_t height);
void free_pixels(vitcl_image *image);

/* ---- memory and files ---- */

/* calloc that does not fail. */
void *allocate(size_t count, size_t size);

/* A new folder for temporary files, removed with all that is in it. */
void folder_create(char path[PATH_SIZE]);
void folder_remove(const char *path);

void path_join(char path[PATH_SIZE], const char *folder, const char *name);
void file_write(const char *path, const void *bytes, size_t size);
/* The whole file and a 0 behind it, which the caller frees. size may be NULL. */
char *file_read(const char *path, size_t *size);

/* Copies the files of a folder into another one that exists; leaves folders out. */
void folder_copy(const char *from, const char *to);

/* Sets a key of the JSON object in a file to a value, whose reference it takes. */
void json_change(const char *path, const char *key, json_t *value);

/* float32 arrays as numpy saves them. npy_load fails the test where the file has another shape; the caller frees. */
void npy_save(const char *path, const float *values, const size_t *shape, size_t rank);
float *npy_load(const char *path, const size_t *shape, size_t rank);

/* ---- programs ---- */

struct output {
    int code;        /* exit status; 128 + the signal that ended it */
    char *out, *err; /* owned */
};

/* Runs argv[0] to its end. `changes` to the environment: "NAME=value" sets, "NAME" unsets; ends with NULL, may be NULL.
 * `input` is stdin; NULL is empty. */
void program_run(struct output *output, const char *const *argv, const char *const *changes, const char *input);
void output_free(struct output *output);

/* ---- the OpenCL device ---- */

/* Set-up and teardown of a group: *state is the device that VITCL_DEVICE selects, NULL where this machine has no OpenCL
 * device at all. A device that exists but can not be opened fails the group. */
int device_set_up(void **state);
int device_tear_down(void **state);

/* That device; skips the running test where there is none. */
struct device *device_or_skip(void **state);

/* The exit status of an executable all of whose tests need a device, `failed` of which failed. */
int device_exit_code(int failed);

#endif

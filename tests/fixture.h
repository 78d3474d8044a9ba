/* fixture.h - the small models of tests/fixtures with what transformers gives for them (make_vit.py, make_digits.py).
 * As in support.h, what can not be done fails the running test.
 */
#ifndef VITCL_TESTS_FIXTURE_H
#define VITCL_TESTS_FIXTURE_H

#include "model/weights.h"
#include "support.h"

struct fixture {
    struct config config;
    struct safetensors file, expected;
    struct weights weights;
    size_t images;     /* in expected's pixel_values; 0 where it has none */
    size_t image_size; /* numbers in one image's pixel values */
};

/* Calls check("vit/<case>", context) for each folder in tests/fixtures/vit, sorted by name. */
void each_vit_fixture(void (*check)(const char *folder, void *context), void *context);

/* `folder` is below tests/fixtures: "vit/cls". */
void fixture_open(struct fixture *fixture, const char *folder);
void fixture_close(struct fixture *fixture);

/* An expected float tensor and, where not NULL, how many numbers it has. fixture_find gives NULL where there is none.
 */
const float *fixture_find(const struct fixture *fixture, const char *name, size_t *count);
const float *fixture_get(const struct fixture *fixture, const char *name, size_t *count);

/* The fixture's pixel values, over and over, until `count` images are filled. */
void fixture_fill(const struct fixture *fixture, float *pixels, size_t count);

/* Through the public API: a model below tests/fixtures, and one of a copy of it where in `file` a key has another
 * value, whose reference is taken. */
vitcl_model *fixture_model(const char *folder);
vitcl_model *fixture_changed(const char *folder, const char *file, const char *key, json_t *value);

/* Fails unless `found` is within `tolerance` (see deviation_of in run/verify.h); returns the deviation. */
double assert_close(const char *what, const float *found, const float *expected, size_t count, double tolerance);

#endif

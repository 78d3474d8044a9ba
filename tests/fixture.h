/* fixture.h - the small models of tests/fixtures with what their library gives for them (make_vit.py, make_models.py,
 * make_timm.py, make_digits.py).
 * As in support.h, what can not be done fails the running test.
 */
#ifndef VITCL_TESTS_FIXTURE_H
#define VITCL_TESTS_FIXTURE_H

#include "plan/plan.h"
#include "support.h"

struct fixture {
    struct config config;
    struct safetensors file, expected;
    struct weights weights;
    size_t height, width;       /* of the images in expected's pixel_values, else the model's own */
    size_t max_patches;         /* a model of variable resolution: of one image there; else 0 */
    size_t images;              /* in expected's pixel_values; 0 where it has none */
    size_t image_size;          /* numbers in one image's pixel values */
    const unsigned char *grids; /* a model of variable resolution: expected's spatial_shapes [images,2] */
};

/* Calls check("<group>/<case>", context) for each folder in tests/fixtures/<group>, sorted by name. There are `least`
 * or more. */
void each_fixture(const char *group, int least, void (*check)(const char *folder, void *context), void *context);
void each_vit_fixture(void (*check)(const char *folder, void *context), void *context);
void each_family_fixture(void (*check)(const char *folder, void *context), void *context); /* of "models" */

/* `folder` is below tests/fixtures: "vit/cls". */
void fixture_open(struct fixture *fixture, const char *folder);
void fixture_close(struct fixture *fixture);

/* All outputs that the model has, at the size of the expected images. */
struct request fixture_request(const struct fixture *fixture, size_t batch);

/* The grid of image i of those that fixture_fill fills. */
struct grid fixture_grid(const struct fixture *fixture, size_t i);

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

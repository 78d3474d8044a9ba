/* fixture.c - see fixture.h. */
#include "fixture.h"
#include "run/verify.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

void each_fixture(const char *group, int least, void (*check)(const char *folder, void *context), void *context)
{
    struct dirent **entries;
    char path[PATH_SIZE];
    int count;
    path_join(path, FIXTURES, group);
    count = scandir(path, &entries, is_visible, alphasort);
    assert_true(count >= least);
    for (int i = 0; i < count; i++) {
        char folder[PATH_SIZE];
        path_join(folder, group, entries[i]->d_name);
        check(folder, context);
        free(entries[i]);
    }
    free(entries);
}

void each_vit_fixture(void (*check)(const char *folder, void *context), void *context)
{
    each_fixture("vit", 10, check, context);
}

void each_family_fixture(void (*check)(const char *folder, void *context), void *context)
{
    each_fixture("models", 70, check, context);
}

/* What the expected images are, where there are any. */
static void read_images(struct fixture *f)
{
    const struct tensor_entry *pixels = safetensors_find(&f->expected, "pixel_values");
    const struct tensor_entry *grids = safetensors_find(&f->expected, "spatial_shapes");
    f->height = f->config.image_height;
    f->width = f->config.image_width;
    if (f->config.traits & TRAIT_NAFLEX) {
        assert_true(pixels && grids && pixels->rank == 3 && strcmp(grids->dtype_name, "I64") == 0);
        f->max_patches = pixels->shape[1];
        f->grids = grids->data;
    } else if (pixels) {
        assert_int_equal(pixels->rank, 4);
        f->height = pixels->shape[2];
        f->width = pixels->shape[3];
    }
    f->image_size = 3 * f->height * f->width;
    if (pixels) {
        f->images = pixels->shape[0];
        f->image_size = pixels->bytes / sizeof(float) / f->images;
    }
}

void fixture_open(struct fixture *fixture, const char *folder)
{
    char path[PATH_SIZE], name[PATH_SIZE];
    vitcl_error err;
    memset(fixture, 0, sizeof *fixture);
    path_join(path, FIXTURES, folder);
    assert_ok(config_read(&fixture->config, path, &err), &err);
    assert_ok(safetensors_open_folder(&fixture->file, path, &err), &err);
    assert_ok(config_complete(&fixture->config, &fixture->file, &err), &err);
    assert_ok(weights_find(&fixture->weights, &fixture->config, &fixture->file, &err), &err);
    path_join(name, path, "expected.safetensors");
    assert_ok(safetensors_open(&fixture->expected, name, &err), &err);
    read_images(fixture);
}

struct request fixture_request(const struct fixture *f, size_t batch)
{
    const enum head head = f->config.head;
    const bool two = head == HEAD_TWO_CLASSIFIERS; /* each reads a vector of its own: there is no embedding */
    return (struct request){.config = &f->config,
                            .weights = &f->weights,
                            .batch = batch,
                            .height = f->height,
                            .width = f->width,
                            .max_patches = f->max_patches,
                            .outputs = VITCL_OUTPUT_HIDDEN |
                                       (two || head == HEAD_CLASSIFIER ? VITCL_OUTPUT_LOGITS : 0u) |
                                       (two || head == HEAD_NONE ? 0u : VITCL_OUTPUT_EMBEDDING)};
}

struct grid fixture_grid(const struct fixture *fixture, size_t i)
{
    int64_t sides[2];
    memcpy(sides, fixture->grids + i % fixture->images * sizeof sides, sizeof sides);
    return (struct grid){(size_t)sides[0], (size_t)sides[1]};
}

void fixture_close(struct fixture *fixture)
{
    weights_free(&fixture->weights);
    safetensors_close(&fixture->file);
    safetensors_close(&fixture->expected);
    config_free(&fixture->config);
}

const float *fixture_find(const struct fixture *fixture, const char *name, size_t *count)
{
    const struct tensor_entry *entry = safetensors_find(&fixture->expected, name);
    if (!entry)
        return NULL;
    assert_int_equal(entry->dtype, DTYPE_F32);
    assert_int_equal((uintptr_t)entry->data % sizeof(float), 0);
    if (count)
        *count = entry->bytes / sizeof(float);
    return (const float *)(uintptr_t)entry->data;
}

const float *fixture_get(const struct fixture *fixture, const char *name, size_t *count)
{
    const float *values = fixture_find(fixture, name, count);
    if (!values)
        fail_msg("expected.safetensors has no \"%s\"", name);
    return values;
}

void fixture_fill(const struct fixture *fixture, float *pixels, size_t count)
{
    const float *stored = fixture_get(fixture, "pixel_values", NULL);
    for (size_t i = 0; i < count; i++)
        memcpy(pixels + i * fixture->image_size, stored + i % fixture->images * fixture->image_size,
               fixture->image_size * sizeof *pixels);
}

vitcl_model *fixture_model(const char *folder)
{
    char path[PATH_SIZE];
    vitcl_model *model;
    vitcl_error err;
    path_join(path, FIXTURES, folder);
    assert_ok(vitcl_model_create(&model, path, NULL, &err), &err);
    assert_non_null(model);
    return model;
}

vitcl_model *fixture_changed(const char *folder, const char *file, const char *key, json_t *value)
{
    char from[PATH_SIZE], copy[PATH_SIZE], path[PATH_SIZE];
    vitcl_model *model;
    vitcl_error err;
    path_join(from, FIXTURES, folder);
    folder_create(copy);
    folder_copy(from, copy);
    path_join(path, copy, file);
    json_change(path, key, value);
    assert_ok(vitcl_model_create(&model, copy, NULL, &err), &err);
    folder_remove(copy); /* the weights stay mapped */
    return model;
}

double assert_close(const char *what, const float *found, const float *expected, size_t count, double tolerance)
{
    double deviation = deviation_of(found, expected, count);
    if (!(deviation <= tolerance))
        fail_msg("%s: deviates by %.3g of the rms, %.3g at most passes", what, deviation, tolerance);
    return deviation;
}

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

void each_vit_fixture(void (*check)(const char *folder, void *context), void *context)
{
    struct dirent **entries;
    int count = scandir(FIXTURES "/vit", &entries, is_visible, alphasort);
    assert_true(count >= 10);
    for (int i = 0; i < count; i++) {
        char folder[PATH_SIZE];
        path_join(folder, "vit", entries[i]->d_name);
        check(folder, context);
        free(entries[i]);
    }
    free(entries);
}

void fixture_open(struct fixture *fixture, const char *folder)
{
    char path[PATH_SIZE], name[PATH_SIZE];
    vitcl_error err;
    size_t pixels;
    memset(fixture, 0, sizeof *fixture);
    path_join(path, FIXTURES, folder);
    assert_ok(config_read(&fixture->config, path, &err), &err);
    path_join(name, path, "model.safetensors");
    assert_ok(safetensors_open(&fixture->file, name, &err), &err);
    assert_ok(weights_find(&fixture->weights, &fixture->config, &fixture->file, &err), &err);
    path_join(name, path, "expected.safetensors");
    assert_ok(safetensors_open(&fixture->expected, name, &err), &err);
    fixture->image_size = 3 * fixture->config.image_height * fixture->config.image_width;
    if (fixture_find(fixture, "pixel_values", &pixels)) {
        fixture->images = pixels / fixture->image_size;
        assert_int_equal(pixels, fixture->images * fixture->image_size);
    }
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
    assert_ok(vitcl_model_create(&model, path, &err), &err);
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
    assert_ok(vitcl_model_create(&model, copy, &err), &err);
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

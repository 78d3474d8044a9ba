/* test_pixels.c - recipe_read and recipe_apply against transformers and timm: the cases that
 * tests/fixtures/make_pixels.py ran through the libraries, each a model folder and some pictures. To the bit, but for
 * DINOv3's resize, which is in float. */
#include "base/file.h"
#include "base/json.h"
#include "image/preprocess.h"
#include "model/safetensors.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIXELS FIXTURES "/pixels/"
#define FENCE  16 /* floats behind every result, which must stay as they are */

/* ---- the same pictures as in Python ------------------------------------------------------------------------------ */

static uint8_t *make_picture(size_t width, size_t height)
{
    uint8_t *pixels = allocate(width * height, 3);
    uint32_t noise = 12345;
    for (size_t i = 0; i < width * height * 3; i++) {
        const size_t x = i / 3 % width, y = i / 3 / width, c = i % 3;
        noise = noise * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(5 * x + 3 * y + 80 * c + (noise >> 26));
    }
    return pixels;
}

static uint32_t fnv1a32(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x01000193u;
    return hash;
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

struct pixel_case {
    size_t index;
    const json_t *json;
    char *text; /* what the folder's file holds; owned */
    char folder[PATH_SIZE];
    struct recipe recipe;
};

static size_t number(const json_t *array, size_t index)
{
    return (size_t)json_integer_value(json_array_get(array, index));
}

static vitcl_status read_case(struct pixel_case *test, vitcl_error *err)
{
    const char *file = json_string_value(json_object_get(test->json, "file"));
    const char *backend = json_string_value(json_object_get(test->json, "backend"));
    const json_t *size = json_object_get(test->json, "size");
    struct recipe_wishes wishes = {.height = number(size, 0), .width = number(size, 1)};
    char path[PATH_SIZE];
    vitcl_status status;
    if (backend)
        wishes.resizer = strcmp(backend, "pil") == 0 ? RESIZER_WANT_PIL : RESIZER_WANT_TORCHVISION;
    path_join(path, test->folder, file);
    file_write(path, test->text, strlen(test->text));
    status = recipe_read(&test->recipe, test->folder, json_string_value(json_object_get(test->json, "model_type")),
                         &wishes, err);
    unlink(path);
    return status;
}

/* How many samples of the result differ from those of the library's levels. */
static size_t count_different(const struct recipe *recipe, const uint8_t *levels, const float *found, size_t area)
{
    size_t different = 0;
    for (size_t i = 0; i < 3 * area; i++) {
        const float value = recipe->value[i / area][levels[i % area * 3 + i / area]];
        different += memcmp(&found[i], &value, sizeof value) != 0;
    }
    return different;
}

/* torch sums the same numbers, but fuses some products with a sum. */
static void compare_floats(const char *name, const float *expected, const float *found, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(found[i] - expected[i]) <= 5e-6f))
            fail_msg("case %s: sample %zu is %.9g, the library's %.9g", name, i, (double)found[i], (double)expected[i]);
}

static void compare(const struct pixel_case *test, const struct safetensors *file, const json_t *row,
                    const float *found, size_t count)
{
    const size_t area = number(row, 2) * number(row, 3);
    const struct tensor_entry *expected;
    char name[64];
    snprintf(name, sizeof name, "%zu.%zux%zu", test->index, number(row, 0), number(row, 1));
    expected = safetensors_find(file, name);
    if (expected)
        assert_int_equal(count, 3 * area);
    if (expected && expected->dtype == DTYPE_F32)
        compare_floats(name, (const float *)expected->data, found, count);
    else if (expected && count_different(&test->recipe, expected->data, found, area))
        fail_msg("case %s: %zu of %zu samples differ from the library's: %s", name,
                 count_different(&test->recipe, expected->data, found, area), count, test->text);
    if (!test->recipe.float_resize && fnv1a32(found, count * sizeof *found) != (uint32_t)number(row, 4))
        fail_msg("case %s: not the library's pixel values: %s", name, test->text);
}

/* The library made height x width of the picture; so must the recipe. */
static void apply_case(const struct pixel_case *test, const struct safetensors *file, const json_t *row)
{
    const bool naflex = test->recipe.rule == SIZE_PATCHES;
    const size_t height = number(row, 2), width = number(row, 3), patch = test->recipe.patch;
    const size_t count = naflex ? test->recipe.max_patches * patch * patch * 3 : height * width * 3;
    vitcl_image image = {.width = number(row, 0), .height = number(row, 1)};
    struct recipe recipe = test->recipe;
    float *found = allocate(count + FENCE, sizeof *found);
    uint8_t *pixels = make_picture(image.width, image.height);
    size_t rows = 0, columns = 0;
    vitcl_error err = {0};

    image.pixels = pixels;
    if (recipe.height && (recipe.height != height || recipe.width != width))
        fail_msg("case %zu: %zux%zu, expected %zux%zu: %s", test->index, recipe.width, recipe.height, width, height,
                 test->text);
    recipe.height = naflex ? 0 : height;
    recipe.width = naflex ? 0 : width;
    memset(found, 0xa5, (count + FENCE) * sizeof *found);
    if (recipe_apply(&recipe, &image, found, &rows, &columns, &err) != VITCL_OK)
        fail_msg("case %zu, %zux%zu: %s", test->index, image.width, image.height, err.message);
    for (size_t i = 0; i < FENCE; i++)
        assert_memory_equal(&found[count + i], "\xa5\xa5\xa5\xa5", sizeof *found);
    if (naflex && (rows * patch != height || columns * patch != width))
        fail_msg("case %zu: %zu x %zu patches", test->index, rows, columns);
    compare(test, file, row, found, count);
    free(pixels);
    free(found);
}

/* The library refuses the picture. */
static void refuse_picture(const struct pixel_case *test, const json_t *row)
{
    uint8_t *pixels = make_picture(number(row, 0), number(row, 1));
    const vitcl_image image = {.width = number(row, 0), .height = number(row, 1), .pixels = pixels};
    float *found = allocate(65536, sizeof *found);
    size_t rows, columns;
    vitcl_error err = {0};
    if (recipe_apply(&test->recipe, &image, found, &rows, &columns, &err) != VITCL_ERROR_ARGUMENT)
        fail_msg("case %zu: a picture of %zux%zu is not refused: %s", test->index, image.width, image.height,
                 test->text);
    assert_true(strlen(err.message) > 20);
    free(found);
    free(pixels);
}

static bool any_result(const json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (json_array_size(json_array_get(rows, i)) == 5)
            return true;
    return json_array_size(rows) == 0;
}

static void run_case(struct pixel_case *test, const struct safetensors *file, size_t *pictures)
{
    const json_t *rows = json_object_get(test->json, "pictures");
    const bool usable = any_result(rows) && !json_is_true(json_object_get(test->json, "refused"));
    vitcl_error err = {0};
    const vitcl_status status = read_case(test, &err);
    if (status != VITCL_OK && usable)
        fail_msg("case %zu: %s", test->index, err.message);
    if (status == VITCL_OK && !usable && json_array_size(rows) == 0)
        fail_msg("case %zu is not refused: %s", test->index, test->text);
    for (size_t i = 0; i < json_array_size(rows) && status == VITCL_OK; i++) {
        const json_t *row = json_array_get(rows, i);
        if (json_array_size(row) == 5)
            apply_case(test, file, row);
        else
            refuse_picture(test, row);
        *pictures += 1;
    }
}

/* From the case of this model_type on; NULL: timm's. */
static void run_cases(bool timm, size_t at_least)
{
    struct pixel_case test = {0};
    struct safetensors file;
    json_t *root;
    vitcl_error err;
    size_t count = 0;
    const json_t *cases;
    assert_int_equal(safetensors_open(&file, PIXELS "levels.safetensors", &err), VITCL_OK);
    assert_int_equal(json_read(&root, PIXELS "cases.json", &err), VITCL_OK);
    folder_create(test.folder);
    cases = json_object_get(root, "cases");
    for (; test.index < json_array_size(cases); test.index++) {
        test.json = json_array_get(cases, test.index);
        if (timm != !json_object_get(test.json, "model_type"))
            continue;
        test.text = json_dumps(json_object_get(test.json, "json"), JSON_COMPACT | JSON_REAL_PRECISION(17));
        run_case(&test, &file, &count);
        free(test.text);
    }
    assert_true(count >= at_least);
    folder_remove(test.folder);
    json_decref(root);
    safetensors_close(&file);
}

static void transformers_pictures(void **state)
{
    (void)state;
    run_cases(false, 800);
}

static void timm_pictures(void **state)
{
    (void)state;
    run_cases(true, 170);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transformers_pictures),
        cmocka_unit_test(timm_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

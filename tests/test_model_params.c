/* test_model_params.c - vitcl_model_params: the size that images are run at, and whose resize they get. A size that a
 * family's library takes unasked is the preprocessor's; any other must be asked for.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS FIXTURES "/models/"

static vitcl_model *open_at(const char *folder, size_t height, size_t width, vitcl_resize resize)
{
    const vitcl_model_params params = {height, width, resize};
    vitcl_model *model;
    vitcl_error err;
    if (vitcl_model_create(&model, folder, &params, &err) != VITCL_OK)
        fail_msg("%s at %zux%zu: %s", folder, height, width, err.message);
    return model;
}

static vitcl_model_info info_of(const vitcl_model *model)
{
    vitcl_model_info info;
    vitcl_model_get_info(model, &info);
    return info;
}

static void refuse(const char *folder, vitcl_model_params params, vitcl_status status, const char *message)
{
    vitcl_model *model;
    vitcl_error err;
    memset(&model, 0x5a, sizeof model);
    if (vitcl_model_create(&model, folder, &params, &err) != status)
        fail_msg("%s at %zux%zu: not refused as it should", folder, params.image_height, params.image_width);
    assert_null(model);
    assert_int_equal(err.status, status);
    assert_contains(err.message, message);
}

/* A copy of a fixture whose preprocessor makes images of another size. */
static void copy_with_size(char copy[PATH_SIZE], const char *folder, size_t side)
{
    char path[PATH_SIZE];
    folder_create(copy);
    folder_copy(folder, copy);
    path_join(path, copy, "preprocessor_config.json");
    json_change(path, "size", json_pack("{s:i, s:i}", "height", (int)side, "width", (int)side));
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static void test_wrong_params(void **state)
{
    static const struct {
        size_t height, width;
    } sizes[] = {{0, 20}, {20, 0}, {65537, 20}, {20, 65537}, {(size_t)-1, (size_t)-1}};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        refuse(MODELS "vit_interpolate", (vitcl_model_params){sizes[i].height, sizes[i].width, 0}, VITCL_ERROR_ARGUMENT,
               "image size: ");
    refuse(MODELS "vit_interpolate", (vitcl_model_params){.resize = (vitcl_resize)3}, VITCL_ERROR_ARGUMENT,
           "resize: 3 is no vitcl_resize");
    refuse(MODELS "vit_interpolate", (vitcl_model_params){.resize = (vitcl_resize)-1}, VITCL_ERROR_ARGUMENT,
           "resize: ");
    refuse(MODELS "vit_interpolate", (vitcl_model_params){3, 20, 0}, VITCL_ERROR_ARGUMENT,
           "3x20 pixels are less than one patch of 4x4");
    refuse(MODELS "vit_interpolate", (vitcl_model_params){20, 3, 0}, VITCL_ERROR_ARGUMENT, "less than one patch");
    refuse(MODELS "dinov3", (vitcl_model_params){1, 1, 0}, VITCL_ERROR_ARGUMENT, "less than one patch");
}

/* What is too small for a patch or too large for any machine, asked for or in the preprocessor's file. */
static void test_impossible_sizes(void **state)
{
    static const struct {
        size_t side;
        vitcl_status status;
        const char *message;
    } rows[] = {
        {2, VITCL_ERROR_ARGUMENT, "image size: 2x2 pixels are less than one patch of 4x4"},
        {16384, VITCL_ERROR_UNSUPPORTED, "image size: 16384x16384 pixels give 16777221 tokens; vitcl's limit is"}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char folder[PATH_SIZE];
        refuse(MODELS "dinov3", (vitcl_model_params){rows[i].side, rows[i].side, 0}, rows[i].status, rows[i].message);
        copy_with_size(folder, MODELS "dinov3", rows[i].side);
        refuse(folder, (vitcl_model_params){0}, rows[i].status, rows[i].message);
        folder_remove(folder);
    }
    refuse(MODELS "vit_interpolate", (vitcl_model_params){65536, 65536, 0}, VITCL_ERROR_UNSUPPORTED,
           "give 268435457 tokens");
}

/* Tokens and numbers of an image follow the size; pixels behind the last whole patch count for the image only. */
static void test_sizes(void **state)
{
    static const struct {
        const char *model;
        size_t height, width, tokens;
    } rows[] = {{"vit_interpolate", 0, 0, 26},
                {"vit_interpolate", 28, 28, 50},
                {"vit_interpolate", 14, 27, 19},
                {"deit_teacher", 14, 27, 20},
                {"dinov2_registers", 18, 39, 41},
                {"siglip_full", 11, 23, 8},
                {"ijepa_model", 4, 4, 1},
                {"dinov3", 16, 16, 21},
                {"timm_vit", 12, 23, 16},
                {"timm_flexivit", 24, 24, 37},
                {"beit", 28, 28, 50},
                {"clip_full", 20, 20, 26},
                {"timm_radio", 16, 16, 24}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char folder[PATH_SIZE];
        vitcl_model *model;
        vitcl_model_info info;
        path_join(folder, FIXTURES "/models", rows[i].model);
        model = open_at(folder, rows[i].height, rows[i].width, VITCL_RESIZE_AS_LIBRARY);
        info = info_of(model);
        assert_int_equal(info.image_height, rows[i].height ? rows[i].height : 20);
        assert_int_equal(info.image_width, rows[i].width ? rows[i].width : 20);
        assert_int_equal(info.tokens, rows[i].tokens);
        assert_int_equal(info.input, 3 * info.image_height * info.image_width);
        vitcl_model_destroy(&model);
    }
}

/* Their grid is interpolated in a way that vitcl does not have. */
static void test_one_size(void **state)
{
    (void)state;
    refuse(MODELS "timm_radio", (vitcl_model_params){20, 20, 0}, VITCL_ERROR_UNSUPPORTED,
           "image size: vitcl runs this model at 16x16 only");
    refuse(MODELS "timm_radio", (vitcl_model_params){16, 20, 0}, VITCL_ERROR_UNSUPPORTED, "at 16x16 only");
}

/* A family whose library resizes positions unasked runs at the preprocessor's size, another one only if told to. */
static void test_preprocessor_decides(void **state)
{
    char folder[PATH_SIZE];
    vitcl_model *model;
    vitcl_model_info info;
    struct random random = {1};
    vitcl_image image = random_image(&random, 28, 28);
    float pixels[3 * 28 * 28];
    vitcl_error err;
    (void)state;

    copy_with_size(folder, MODELS "dinov3", 28);
    model = open_at(folder, 0, 0, VITCL_RESIZE_AS_LIBRARY);
    info = info_of(model);
    assert_true(info.image_height == 28 && info.image_width == 28 && info.any_size && info.tokens == 5 + 49);
    assert_ok(vitcl_model_preprocess(model, &image, pixels, NULL, &err), &err);
    vitcl_model_destroy(&model);
    folder_remove(folder);

    copy_with_size(folder, MODELS "vit_interpolate", 28);
    model = open_at(folder, 0, 0, VITCL_RESIZE_AS_LIBRARY);
    info = info_of(model);
    assert_true(info.image_height == 20 && info.image_width == 20 && !info.any_size);
    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, NULL, &err), VITCL_ERROR_FORMAT);
    assert_contains(err.message, "makes images of 28x28 (height x width), the model in config.json takes 20x20; "
                                 "--image-size 28x28 runs it at the preprocessor's size");
    vitcl_model_destroy(&model);
    model = open_at(folder, 28, 28, VITCL_RESIZE_AS_LIBRARY);
    assert_int_equal(info_of(model).tokens, 50);
    assert_ok(vitcl_model_preprocess(model, &image, pixels, NULL, &err), &err);
    vitcl_model_destroy(&model);
    folder_remove(folder);
    free_pixels(&image);
}

/* Pictures become what the size says, and no number more. */
static void test_pictures_of_that_size(void **state)
{
    static const struct {
        const char *model;
        size_t height, width;
    } rows[] = {{"vit_interpolate", 14, 27}, {"clip_full", 28, 28},   {"deit_teacher", 27, 14}, {"dinov2", 18, 39},
                {"dinov3", 16, 36},          {"siglip_full", 11, 23}, {"timm_vit", 12, 23},     {"beit", 8, 8}};
    struct random random = {2};
    vitcl_image image = random_image(&random, 61, 47);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t numbers = 3 * rows[i].height * rows[i].width;
        float *pixels = allocate(numbers + 1, sizeof *pixels);
        char folder[PATH_SIZE];
        vitcl_grid grid = {7, 7};
        vitcl_model *model;
        vitcl_error err;
        for (size_t n = 0; n <= numbers; n++)
            pixels[n] = 12345;
        path_join(folder, FIXTURES "/models", rows[i].model);
        model = open_at(folder, rows[i].height, rows[i].width, VITCL_RESIZE_AS_LIBRARY);
        assert_ok(vitcl_model_preprocess(model, &image, pixels, &grid, &err), &err);
        for (size_t n = 0; n < numbers; n++)
            assert_true(pixels[n] > -3 && pixels[n] < 3);
        assert_true(pixels[numbers] == 12345);
        assert_true(grid.height == 0 && grid.width == 0);
        vitcl_model_destroy(&model);
        free(pixels);
    }
    free_pixels(&image);
}

/* Each image has a size of its own, so none can be asked for. */
static void test_variable_resolution(void **state)
{
    vitcl_model *model = open_at(MODELS "siglip2_full", 0, 0, VITCL_RESIZE_AS_LIBRARY);
    const vitcl_model_info info = info_of(model);
    (void)state;
    refuse(MODELS "siglip2_full", (vitcl_model_params){4000, 1, 0}, VITCL_ERROR_ARGUMENT,
           "this model runs each image in its own shape");
    assert_int_equal(info.max_patches, 12);
    assert_int_equal(info.tokens, 12);
    assert_int_equal(info.input, 12 * 48);
    vitcl_model_destroy(&model);
}

/* The file of a processor that makes no patches does not decide how many there are. */
static void test_variable_resolution_without_its_processor(void **state)
{
    char copy[PATH_SIZE], path[PATH_SIZE];
    struct random random = {5};
    vitcl_image image = random_image(&random, 30, 30);
    vitcl_model *model;
    vitcl_grid grid;
    vitcl_error err;
    float *pixels;
    (void)state;
    copy_with_size(copy, MODELS "siglip2_naflex", 16);
    path_join(path, copy, "preprocessor_config.json");
    json_change(path, "image_processor_type", json_string("SiglipImageProcessor"));
    model = open_at(copy, 0, 0, VITCL_RESIZE_AS_LIBRARY);
    assert_int_equal(info_of(model).max_patches, 16);
    assert_int_equal(info_of(model).input, 16 * 48);
    pixels = allocate(16 * 48, sizeof *pixels);
    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, &grid, &err), VITCL_ERROR_FORMAT);
    assert_contains(err.message, "the preprocessor does not fit a model of the family");
    vitcl_model_destroy(&model);
    folder_remove(copy);
    free(pixels);
    free_pixels(&image);
}

/* ---- resize ------------------------------------------------------------------------------------------------------ */

/* What a model makes of an image, as levels of its second channel. */
static float *preprocess(const char *folder, vitcl_resize resize, const vitcl_image *image, char description[200])
{
    vitcl_model *model = open_at(folder, 0, 0, resize);
    float *pixels = allocate(info_of(model).input, sizeof *pixels);
    vitcl_error err;
    assert_ok(vitcl_model_preprocess(model, image, pixels, NULL, &err), &err);
    snprintf(description, 200, "%s", info_of(model).preprocessing);
    vitcl_model_destroy(&model);
    return pixels;
}

static void check_resize(const char *folder, vitcl_resize own)
{
    struct random random = {3};
    vitcl_image image = random_image(&random, 61, 47);
    char text[3][200];
    float *by_library = preprocess(folder, VITCL_RESIZE_AS_LIBRARY, &image, text[0]);
    float *by_pillow = preprocess(folder, VITCL_RESIZE_PIL, &image, text[1]);
    float *by_torch = preprocess(folder, VITCL_RESIZE_TORCHVISION, &image, text[2]);
    size_t numbers = 0, differ = 0;
    vitcl_model *model = open_at(folder, 0, 0, VITCL_RESIZE_AS_LIBRARY);

    numbers = info_of(model).input;
    vitcl_model_destroy(&model);
    assert_memory_equal(by_library, own == VITCL_RESIZE_PIL ? by_pillow : by_torch, numbers * sizeof(float));
    for (size_t i = 0; i < numbers; i++) {
        const double difference = (double)by_pillow[i] - (double)by_torch[i];
        assert_true(difference > -0.05 && difference < 0.05); /* a level is 1/127.5 or less than 1/57 */
        differ += difference > 0.001 || difference < -0.001;
    }
    assert_true(differ > 0);
    assert_string_equal(text[0], text[own]);
    assert_contains(text[1], "(Pillow)");
    assert_contains(text[2], "(torchvision)");
    free(by_library);
    free(by_pillow);
    free(by_torch);
    free_pixels(&image);
}

static void test_resize(void **state)
{
    (void)state;
    check_resize(MODELS "vit_interpolate", VITCL_RESIZE_TORCHVISION);
    check_resize(MODELS "clip_full", VITCL_RESIZE_TORCHVISION);
    check_resize(FIXTURES "/digits", VITCL_RESIZE_TORCHVISION);
}

/* The message of a resize that the model's library does not have. */
static void refuse_resize(const char *folder, vitcl_resize resize, const char *message)
{
    struct random random = {4};
    vitcl_image image = random_image(&random, 30, 30);
    float pixels[3 * 24 * 24];
    vitcl_model *model = open_at(folder, 0, 0, resize);
    vitcl_error err;
    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, NULL, &err), VITCL_ERROR_UNSUPPORTED);
    assert_contains(err.message, message);
    vitcl_model_destroy(&model);
    free_pixels(&image);
}

static void test_no_such_resize(void **state)
{
    (void)state;
    refuse_resize(MODELS "dinov3", VITCL_RESIZE_PIL, "DINOv3");
    refuse_resize(MODELS "timm_vit", VITCL_RESIZE_TORCHVISION, "timm resizes pictures by Pillow");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_params),
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_one_size),
        cmocka_unit_test(test_preprocessor_decides),
        cmocka_unit_test(test_pictures_of_that_size),
        cmocka_unit_test(test_variable_resolution),
        cmocka_unit_test(test_variable_resolution_without_its_processor),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_no_such_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

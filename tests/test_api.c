/* test_api.c - vitcl.h as its reader understands it, but for sessions (test_sessions.c): what is refused and with what
 * status, what may be NULL, what a model tells, and how devices are listed and opened.
 */
#include "fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static void test_version_and_names(void **state)
{
    (void)state;
    assert_string_equal(vitcl_version(), VITCL_VERSION_STRING);
    assert_string_equal(vitcl_status_name(VITCL_OK), "VITCL_OK");
    assert_string_equal(vitcl_status_name(VITCL_ERROR_MISMATCH), "VITCL_ERROR_MISMATCH");
    assert_string_equal(vitcl_status_name(VITCL_ERROR_OVERFLOW), "VITCL_ERROR_OVERFLOW");
    assert_string_equal(vitcl_status_name((vitcl_status)-1), "unknown status");
    assert_string_equal(vitcl_status_name((vitcl_status)1000), "unknown status");
}

static void test_null_arguments(void **state)
{
    vitcl_error error = {0};
    vitcl_model *model = fixture_model("vit/cls"), *no_model;
    vitcl_session *session, *no_session;
    vitcl_image image = {0};
    float numbers[3 * 32 * 32] = {0};
    const vitcl_results results = {.logits = numbers};
    vitcl_device_info *list;
    size_t count;
    char *text;
    (void)state;

    assert_ok(vitcl_session_create(&session, NULL, model, NULL, &error), &error);
    assert_refused(vitcl_device_list_create(NULL, &count, &error), &error);
    assert_refused(vitcl_device_list_create(&list, NULL, &error), &error);
    assert_refused(vitcl_context_create(NULL, NULL, &error), &error);
    assert_refused(vitcl_model_create(NULL, FIXTURES "/vit/cls", NULL, &error), &error);
    assert_refused(vitcl_model_create(&no_model, NULL, NULL, &error), &error);
    assert_refused(vitcl_image_read(NULL, "a.png", true, &error), &error);
    assert_refused(vitcl_image_read(&image, NULL, true, &error), &error);
    assert_refused(vitcl_model_preprocess(NULL, &image, numbers, NULL, &error), &error);
    assert_refused(vitcl_model_preprocess(model, NULL, numbers, NULL, &error), &error);
    assert_refused(vitcl_model_preprocess(model, &image, numbers, NULL, &error), &error); /* its pixels are NULL */
    assert_refused(vitcl_session_create(NULL, NULL, model, NULL, &error), &error);
    assert_refused(vitcl_session_create(&no_session, NULL, NULL, NULL, &error), &error);
    assert_refused(vitcl_session_run(NULL, &image, 1, &results, &error), &error);
    assert_refused(vitcl_session_run(session, NULL, 1, &results, &error), &error);
    assert_refused(vitcl_session_run(session, &image, 1, NULL, &error), &error);
    assert_refused(vitcl_session_run(session, &image, 1, &results, &error), &error); /* its pixels are NULL */
    assert_refused(vitcl_session_run_pixels(NULL, numbers, NULL, 1, &results, &error), &error);
    assert_refused(vitcl_session_run_pixels(session, NULL, NULL, 1, &results, &error), &error);
    assert_refused(vitcl_session_run_pixels(session, numbers, NULL, 1, NULL, &error), &error);
    assert_refused(vitcl_session_submit(NULL, numbers, NULL, 1, &error), &error);
    assert_refused(vitcl_session_submit(session, NULL, NULL, 1, &error), &error);
    assert_refused(vitcl_session_wait(NULL, &results, &error), &error);
    assert_refused(vitcl_session_wait(session, NULL, &error), &error);
    assert_refused(vitcl_session_verify(NULL, numbers, NULL, 1, NULL, NULL, &error), &error);
    assert_refused(vitcl_session_verify(session, NULL, NULL, 1, NULL, NULL, &error), &error);
    assert_refused(vitcl_plan_describe(NULL, NULL, NULL, &text, &error), &error);
    assert_refused(vitcl_plan_describe(NULL, model, NULL, NULL, &error), &error);
    assert_refused(vitcl_choose_batch(NULL, model, NULL, &count, &error), &error); /* the reference gains nothing */
    assert_refused(vitcl_kernels_write(NULL, NULL, "folder", &error), &error);
    assert_refused(vitcl_kernels_write(model, NULL, NULL, &error), &error);
    assert_refused(vitcl_tune(NULL, model, NULL, 1, NULL, NULL, &error), &error); /* the reference has no variants */
    assert_int_equal(vitcl_model_create(&no_model, NULL, NULL, NULL), VITCL_ERROR_ARGUMENT); /* error may be NULL */
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* A failed create writes NULL over whatever was there. */
static void test_failed_create_writes_null(void **state)
{
    vitcl_error error;
    vitcl_model *good = fixture_model("vit/cls"), *model;
    vitcl_context *context;
    vitcl_session *session;
    vitcl_image image = {.pixels = (const uint8_t *)"", .storage = &error};
    const vitcl_context_params no_device = {.device = "name:there is no such device"};
    const vitcl_session_params no_output = {.outputs = 1u << 31};
    (void)state;

    memset(&model, 0x5a, sizeof model);
    assert_int_equal(vitcl_model_create(&model, NULL, NULL, &error), VITCL_ERROR_ARGUMENT);
    assert_null(model);
    memset(&model, 0x5a, sizeof model);
    assert_int_equal(vitcl_model_create(&model, FIXTURES "/vit", NULL, &error), VITCL_ERROR_IO);
    assert_null(model);
    assert_contains(error.message, FIXTURES "/vit/config.json");
    memset(&context, 0x5a, sizeof context);
    assert_int_equal(vitcl_context_create(&context, &no_device, &error), VITCL_ERROR_DEVICE);
    assert_null(context);
    memset(&session, 0x5a, sizeof session);
    assert_int_equal(vitcl_session_create(&session, NULL, NULL, NULL, &error), VITCL_ERROR_ARGUMENT);
    assert_null(session);
    memset(&session, 0x5a, sizeof session);
    assert_int_equal(vitcl_session_create(&session, NULL, good, &no_output, &error), VITCL_ERROR_ARGUMENT);
    assert_null(session);
    assert_int_equal(vitcl_image_read(&image, FIXTURES "/none.png", true, &error), VITCL_ERROR_IO);
    assert_null(image.storage);
    vitcl_model_destroy(&good);
}

static void test_destroy_twice(void **state)
{
    vitcl_device_info *list = NULL;
    vitcl_context *context = NULL;
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_session *session;
    vitcl_image image = {0};
    (void)state;

    assert_ok(vitcl_session_create(&session, NULL, model, NULL, NULL), &(vitcl_error){0});

    vitcl_device_list_destroy(NULL);
    vitcl_device_list_destroy(&list);
    vitcl_context_destroy(NULL);
    vitcl_context_destroy(&context);
    vitcl_session_destroy(NULL);
    vitcl_model_destroy(NULL);
    vitcl_image_destroy(NULL);
    vitcl_image_destroy(&image);
    for (int i = 0; i < 2; i++) {
        vitcl_session_destroy(&session);
        assert_null(session);
        vitcl_model_destroy(&model);
        assert_null(model);
    }
}

/* ---- models ---- */

static void test_info(void **state)
{
    vitcl_model *model = fixture_model("vit/wide");
    vitcl_model_info info;
    (void)state;
    vitcl_model_get_info(model, &info);
    assert_string_equal(info.family, "vit");
    assert_string_equal(info.architecture, "ViTForImageClassification");
    assert_true(info.image_height == 12 && info.image_width == 20 && info.patch_height == 4 && info.patch_width == 4);
    assert_true(info.tokens == 16 && info.width == 64 && info.layers == 1 && info.heads == 1 && info.mlp_width == 66);
    assert_string_equal(info.activation, "quick_gelu");
    assert_true(info.eps == 1e-12);
    assert_true(info.classes == 3 && info.embedding == 64);
    assert_true(info.parameters == 64 * (1 + 16 + 48 + 1)          /* class token, positions, patches */
                                       + 4 * 64 * (64 + 1)         /* q, k, v, proj */
                                       + 2 * 64 * 66 + 66 + 64     /* fc1, fc2 */
                                       + 3 * 2 * 64 + 3 * 64 + 3); /* LayerNorms, classifier */
    assert_contains(info.preprocessing, "resize to 20x12 bilinear");
    assert_string_equal(vitcl_model_label(model, 2), "LABEL_2");
    assert_null(vitcl_model_label(model, 3));
    assert_null(vitcl_model_label(model, (size_t)-1));
    assert_null(vitcl_model_label(NULL, 0));
    vitcl_model_destroy(&model);

    model = fixture_model("vit/no_pooler");
    vitcl_model_get_info(model, &info);
    assert_true(info.classes == 0 && info.embedding == 0);
    assert_null(vitcl_model_label(model, 0));
    vitcl_model_destroy(&model);

    vitcl_model_get_info(NULL, &info);
    assert_true(info.family == NULL && info.width == 0 && info.preprocessing == NULL);
}

static void test_scores(void **state)
{
    const float logits[10] = {1000, 999, -1000, 0, 998, 1, 2, 3, 4, 5};
    float scores[10], sum = 0;
    vitcl_model *single = fixture_model("vit/cls");
    vitcl_model *multi =
        fixture_changed("vit/cls", "config.json", "problem_type", json_string("multi_label_classification"));
    (void)state;

    vitcl_model_scores(single, logits, scores);
    for (size_t i = 0; i < 10; i++)
        sum += scores[i];
    assert_true(fabsf(sum - 1) < 1e-6f);
    assert_true(fabsf(scores[0] - 0.66524096f) < 1e-6f); /* 1 / (1 + e^-1 + e^-2) */
    assert_true(scores[2] == 0);
    memcpy(scores, logits, sizeof scores);
    vitcl_model_scores(multi, scores, scores);
    assert_true(scores[0] == 1 && scores[2] == 0 && scores[3] == 0.5f);
    assert_true(fabsf(scores[5] - 0.73105858f) < 1e-6f); /* 1 / (1 + e^-1) */
    vitcl_model_destroy(&single);
    vitcl_model_destroy(&multi);
}

/* ---- images ---- */

#define SIDE 32 /* of the images that vit/cls takes */

static void test_preprocess(void **state)
{
    float pixels[3 * SIDE * SIDE];
    struct random random = {1};
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_image image = random_image(&random, SIDE, SIDE), empty = image;
    vitcl_error error = {0};
    (void)state;

    assert_ok(vitcl_model_preprocess(model, &image, pixels, NULL, &error), &error);
    for (size_t i = 0; i < SIDE * SIDE; i++) /* of the model's size already: only (level / 255 - 0.5) / 0.5 */
        assert_true(fabsf(pixels[SIDE * SIDE + i] - ((float)image.pixels[3 * i + 1] / 127.5f - 1)) < 1e-6f);
    empty.width = 0;
    assert_refused(vitcl_model_preprocess(model, &empty, pixels, NULL, &error), &error);
    free_pixels(&image);
    vitcl_model_destroy(&model);
}

/* How the camera was held is undone where that is wanted, and else left as it is stored. */
static void test_upright(void **state)
{
    static const struct {
        const char *path;
        bool turned;
    } rows[] = {{FIXTURES "/images/exif_6.jpg", true},       {FIXTURES "/images/exif_8.jpg", true},
                {FIXTURES "/images/webp_exif_6.webp", true}, {FIXTURES "/images/png_exif_6.png", true},
                {FIXTURES "/images/exif_1.jpg", false},      {FIXTURES "/images/png_rgb.png", false}};
    vitcl_error error;
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        vitcl_image stored, upright;
        assert_ok(vitcl_image_read(&stored, rows[i].path, false, &error), &error);
        assert_ok(vitcl_image_read(&upright, rows[i].path, true, &error), &error);
        if (rows[i].turned) {
            assert_true(stored.width == upright.height && stored.height == upright.width);
            assert_true(stored.width != stored.height);
        } else {
            assert_true(stored.width == upright.width && stored.height == upright.height);
            assert_memory_equal(stored.pixels, upright.pixels, 3 * stored.width * stored.height);
        }
        vitcl_image_destroy(&stored);
        vitcl_image_destroy(&upright);
    }
}

/* Images for which vitcl has no recipe are refused with the reason; ready pixel values can still be run. */
static void test_no_recipe(void **state)
{
    float pixels[3 * SIDE * SIDE] = {0}, logits[10];
    const vitcl_results results = {.logits = logits};
    struct random random = {2};
    vitcl_model *model =
        fixture_changed("vit/cls", "preprocessor_config.json", "image_processor_type", json_string("Magic"));
    vitcl_session *session;
    vitcl_image image = random_image(&random, SIDE, SIDE);
    vitcl_model_info info;
    vitcl_error error;
    (void)state;

    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, NULL, &error), VITCL_ERROR_UNSUPPORTED);
    assert_contains(error.message, "Magic");
    vitcl_model_get_info(model, &info);
    assert_string_equal(info.preprocessing, error.message);
    assert_ok(vitcl_session_create(&session, NULL, model, NULL, &error), &error);
    assert_int_equal(vitcl_session_run(session, &image, 1, &results, &error), VITCL_ERROR_UNSUPPORTED);
    assert_ok(vitcl_session_run_pixels(session, pixels, NULL, 1, &results, &error), &error);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    free_pixels(&image);
}

static void test_no_resize(void **state)
{
    float pixels[3 * SIDE * SIDE];
    struct random random = {3};
    vitcl_model *model = fixture_changed("vit/cls", "preprocessor_config.json", "do_resize", json_false());
    vitcl_image image = random_image(&random, SIDE, SIDE);
    vitcl_error error;
    (void)state;

    assert_ok(vitcl_model_preprocess(model, &image, pixels, NULL, &error), &error);
    image.width = SIDE - 1;
    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, NULL, &error), VITCL_ERROR_ARGUMENT);
    assert_contains(error.message, "31 x 32");
    free_pixels(&image);
    vitcl_model_destroy(&model);
}

/* ---- devices ---- */

/* Each device's selector opens that device and no other; at most one is taken when nothing is said. */
static void test_device_list(void **state)
{
    vitcl_device_info *list;
    size_t count, automatic = 0;
    vitcl_error error;
    device_or_skip(state);

    assert_ok(vitcl_device_list_create(&list, &count, &error), &error);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        const vitcl_context_params params = {.device = list[i].selector};
        char description[400];
        vitcl_context *context;
        assert_true(*list[i].selector && *list[i].name && *list[i].platform && *list[i].kind);
        automatic += list[i].automatic;
        if (!list[i].available)
            continue;
        assert_ok(vitcl_context_create(&context, &params, &error), &error);
        snprintf(description, sizeof description, "%s / %s / %s", list[i].platform, list[i].vendor, list[i].name);
        assert_string_equal(vitcl_context_device(context), description);
        vitcl_context_destroy(&context);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(list[i].selector, list[j].selector);
    }
    assert_true(automatic <= 1);
    vitcl_device_list_destroy(&list);
    assert_null(list);
    assert_string_equal(vitcl_context_device(NULL), "");
}

static void keep_info(void *user, vitcl_log_level level, const char *line)
{
    assert_null(strchr(line, '\n'));
    if (level == VITCL_LOG_INFO)
        snprintf(user, 400, "%s", line);
}

/* One line says which device runs. */
static void test_log(void **state)
{
    char line[400] = "";
    const vitcl_context_params params = {.log = keep_info, .log_user = line};
    vitcl_context *context;
    vitcl_error error;
    device_or_skip(state);

    assert_ok(vitcl_context_create(&context, &params, &error), &error);
    assert_contains(line, "running on");
    assert_contains(line, strrchr(vitcl_context_device(context), '/') + 2);
    vitcl_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_and_names),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_failed_create_writes_null),
        cmocka_unit_test(test_destroy_twice),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_preprocess),
        cmocka_unit_test(test_upright),
        cmocka_unit_test(test_no_recipe),
        cmocka_unit_test(test_no_resize),
        cmocka_unit_test(test_device_list),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, device_set_up, device_tear_down);
}

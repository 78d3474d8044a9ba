/* test_naflex.c - sessions of models of variable resolution (SigLIP 2), on the host and on the device: every image has
 * its own grid of patches, what lies behind its patches does not matter, and a grid that an image can not have is
 * refused.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define FULL    "models/siglip2_full"
#define PATCHES 12
#define COLUMNS 48 /* of a patch of 4x4 */
#define WIDTH   24
#define NUMBERS (PATCHES * COLUMNS) /* of one image */

/* Between runs of the same session the results are the same to the bit; the device may add in another order. */
#define TOLERANCE 1e-5

static vitcl_session *open_session(vitcl_context *context, const vitcl_model *model, size_t batch, unsigned outputs)
{
    const vitcl_session_params params = {.batch_size = batch, .outputs = outputs};
    vitcl_session *session;
    vitcl_error err;
    assert_ok(vitcl_session_create(&session, context, model, &params, &err), &err);
    return session;
}

/* Made-up patches of `count` images, `grids` of them, with `rest` behind those that an image has. */
static void fill(float *pixels, const vitcl_grid *grids, size_t count, float rest)
{
    struct random random = {5};
    random_fill(&random, pixels, count * NUMBERS, 0, 1);
    for (size_t i = 0; i < count; i++)
        for (size_t n = grids[i].height * grids[i].width * COLUMNS; n < NUMBERS; n++)
            pixels[i * NUMBERS + n] = rest;
}

/* ---- grids ------------------------------------------------------------------------------------------------------- */

static void check_wrong_grids(vitcl_context *context)
{
    static const vitcl_grid wrong[] = {{0, 0},
                                       {0, 4},
                                       {4, 0},
                                       {1, 13},
                                       {13, 1},
                                       {4, 4},
                                       {(size_t)-1, 1},
                                       {1, (size_t)-1},
                                       {(size_t)-1, 2},
                                       {(size_t)1 << 63, 2},
                                       {(size_t)1 << 32, (size_t)1 << 32}};
    vitcl_model *model = fixture_model(FULL);
    vitcl_session *session = open_session(context, model, 2, 0);
    static float pixels[2 * NUMBERS];
    float embedding[2 * WIDTH];
    const vitcl_results results = {.embedding = embedding};
    vitcl_error err = {0};

    for (size_t i = 0; i < COUNT(wrong); i++) {
        const vitcl_grid first[2] = {wrong[i], {1, 1}}, second[2] = {{3, 4}, wrong[i]};
        assert_refused(vitcl_session_run_pixels(session, pixels, first, 2, &results, &err), &err);
        assert_int_equal(vitcl_session_run_pixels(session, pixels, second, 2, &results, &err), VITCL_ERROR_ARGUMENT);
        assert_contains(err.message, "grids: image 1 has ");
        assert_contains(err.message, "patches; 1 to 12 are taken");
        assert_refused(vitcl_session_submit(session, pixels, second, 2, &err), &err);
        assert_ok(vitcl_session_run_pixels(session, pixels, second, 1, &results, &err), &err); /* it is not read */
        if (context)
            assert_refused(vitcl_session_verify(session, pixels, second, 2, NULL, NULL, &err), &err);
    }
    assert_refused(vitcl_session_run_pixels(session, pixels, NULL, 1, &results, &err), &err);
    assert_refused(vitcl_session_submit(session, pixels, NULL, 1, &err), &err);
    if (context)
        assert_refused(vitcl_session_verify(session, pixels, NULL, 1, NULL, NULL, &err), &err);
    assert_refused(vitcl_session_wait(session, &results, &err), &err); /* nothing of all that is in flight */
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* An image gives the same alone, beside others, in a larger batch, and whatever lies behind its patches. */
static void check_neighbours(vitcl_context *context)
{
    static const vitcl_grid grids[3] = {{3, 4}, {1, 5}, {2, 1}}, all[3] = {{12, 1}, {1, 12}, {4, 3}};
    vitcl_model *model = fixture_model(FULL);
    vitcl_session *session = open_session(context, model, 3, VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN);
    vitcl_session *larger = open_session(context, model, 5, VITCL_OUTPUT_EMBEDDING);
    static float pixels[3 * NUMBERS], other[3 * NUMBERS];
    float together[3 * WIDTH], alone[3 * WIDTH], hidden[3 * PATCHES * WIDTH], again[3 * PATCHES * WIDTH];
    vitcl_error err;

    fill(pixels, grids, 3, 0);
    fill(other, grids, 3, 1e3f);
    assert_ok(vitcl_session_run_pixels(session, pixels, grids, 3, &(vitcl_results){NULL, together, hidden}, &err),
              &err);
    for (size_t i = 0; i < 3; i++)
        assert_ok(vitcl_session_run_pixels(session, pixels + i * NUMBERS, grids + i, 1,
                                           &(vitcl_results){.embedding = alone + i * WIDTH}, &err),
                  &err);
    assert_close("alone", alone, together, 3 * WIDTH, TOLERANCE);
    assert_ok(vitcl_session_run_pixels(larger, pixels, grids, 3, &(vitcl_results){.embedding = alone}, &err), &err);
    assert_close("in a larger batch", alone, together, 3 * WIDTH, TOLERANCE);
    assert_ok(vitcl_session_run_pixels(session, other, grids, 3, &(vitcl_results){NULL, alone, again}, &err), &err);
    assert_close("with numbers behind", alone, together, 3 * WIDTH, TOLERANCE);
    for (size_t i = 0; i < 3; i++) /* the hidden states of its own patches, too */
        assert_close("hidden", again + i * PATCHES * WIDTH, hidden + i * PATCHES * WIDTH,
                     grids[i].height * grids[i].width * WIDTH, TOLERANCE);
    assert_ok(vitcl_session_run_pixels(session, pixels, all, 3, &(vitcl_results){.embedding = alone}, &err), &err);
    assert_memory_not_equal(alone, together, WIDTH * sizeof(float)); /* as many patches in another shape */
    vitcl_session_destroy(&session);
    vitcl_session_destroy(&larger);
    vitcl_model_destroy(&model);
}

/* Grids are copied with the pixels, and each run in flight has its own. */
static void check_queue(vitcl_context *context)
{
    static const vitcl_grid grids[2] = {{2, 2}, {1, 9}};
    vitcl_model *model = fixture_model(FULL);
    vitcl_session *session = open_session(context, model, 1, 0);
    static float pixels[2 * NUMBERS];
    float expected[2][WIDTH], found[WIDTH];
    vitcl_error err;

    fill(pixels, grids, 2, 0);
    for (size_t i = 0; i < 2; i++)
        assert_ok(vitcl_session_run_pixels(session, pixels + i * NUMBERS, grids + i, 1,
                                           &(vitcl_results){.embedding = expected[i]}, &err),
                  &err);
    for (size_t i = 0; i < 2; i++) {
        vitcl_grid grid = grids[i];
        assert_ok(vitcl_session_submit(session, pixels + i * NUMBERS, &grid, 1, &err), &err);
        grid = (vitcl_grid){12, 1};
    }
    for (size_t i = 0; i < 2; i++) {
        assert_ok(vitcl_session_wait(session, &(vitcl_results){.embedding = found}, &err), &err);
        assert_memory_equal(found, expected[i], sizeof found);
    }
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

/* Pictures of several shapes: what preprocessing makes of them, run as ready pixels, and in one go. */
static void check_images(vitcl_context *context)
{
    vitcl_model *model = fixture_model(FULL);
    vitcl_session *session = open_session(context, model, 3, 0);
    struct random random = {6};
    vitcl_image images[3] = {random_image(&random, 40, 11), random_image(&random, 9, 33), random_image(&random, 1, 1)};
    static float pixels[3 * NUMBERS];
    float expected[3 * WIDTH], found[3 * WIDTH];
    vitcl_grid grids[3];
    vitcl_error err = {0};

    for (size_t i = 0; i < 3; i++) {
        assert_ok(vitcl_model_preprocess(model, &images[i], pixels + i * NUMBERS, &grids[i], &err), &err);
        assert_true(grids[i].height > 0 && grids[i].height * grids[i].width <= PATCHES);
        for (size_t n = grids[i].height * grids[i].width * COLUMNS; n < NUMBERS; n++)
            assert_true(pixels[i * NUMBERS + n] == 0);
    }
    assert_true(grids[0].width > grids[0].height && grids[1].height > grids[1].width);
    assert_ok(vitcl_session_run_pixels(session, pixels, grids, 3, &(vitcl_results){.embedding = expected}, &err), &err);
    assert_ok(vitcl_session_run(session, images, 3, &(vitcl_results){.embedding = found}, &err), &err);
    assert_memory_equal(found, expected, sizeof found);
    assert_refused(vitcl_model_preprocess(model, &images[0], pixels, NULL, &err), &err); /* its grid would be lost */
    for (size_t i = 0; i < 3; i++)
        free_pixels(&images[i]);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* ---- the classifier ---------------------------------------------------------------------------------------------- */

/* Of the file's own batch, image by image: the mean is that of the image's patches. */
static void check_classifier(vitcl_context *context)
{
    static const char *const folder = "models/siglip2_naflex_classifier";
    vitcl_model *model = fixture_model(folder);
    vitcl_session *session = open_session(context, model, 1, VITCL_OUTPUT_LOGITS);
    char path[PATH_SIZE];
    struct safetensors expected;
    const struct tensor_entry *shapes;
    const float *pixels, *logits;
    vitcl_error err;

    path_join(path, FIXTURES "/models/siglip2_naflex_classifier", "expected.safetensors");
    assert_ok(safetensors_open(&expected, path, &err), &err);
    pixels = (const float *)(uintptr_t)safetensors_find(&expected, "pixel_values")->data;
    logits = (const float *)(uintptr_t)safetensors_find(&expected, "logits")->data;
    shapes = safetensors_find(&expected, "spatial_shapes");
    assert_int_equal(shapes->shape[0], 3);
    for (size_t i = 0; i < 3; i++) {
        int64_t sides[2];
        float found[5];
        memcpy(sides, shapes->data + i * sizeof sides, sizeof sides);
        assert_ok(vitcl_session_run_pixels(session, pixels + i * NUMBERS,
                                           &(vitcl_grid){(size_t)sides[0], (size_t)sides[1]}, 1,
                                           &(vitcl_results){.logits = found}, &err),
                  &err);
        assert_close("logits", found, logits + i * 5, 5, 2e-4);
    }
    safetensors_close(&expected);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

/* Other models do not read grids. */
static void check_fixed_size(vitcl_context *context)
{
    static const vitcl_grid nonsense[2] = {{0, 0}, {(size_t)-1, 7}};
    vitcl_model *model = fixture_model("vit/cls");
    vitcl_session *session = open_session(context, model, 2, 0);
    struct random random = {8};
    static float pixels[2 * 3 * 32 * 32];
    float expected[20], found[20];
    vitcl_error err;

    random_fill(&random, pixels, COUNT(pixels), 0, 1);
    assert_ok(vitcl_session_run_pixels(session, pixels, NULL, 2, &(vitcl_results){.logits = expected}, &err), &err);
    assert_ok(vitcl_session_run_pixels(session, pixels, nonsense, 2, &(vitcl_results){.logits = found}, &err), &err);
    assert_memory_equal(found, expected, sizeof found);
    if (context)
        assert_ok(vitcl_session_verify(session, pixels, nonsense, 2, NULL, NULL, &err), &err);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
}

static void check_all(vitcl_context *context)
{
    check_wrong_grids(context);
    check_neighbours(context);
    check_queue(context);
    check_images(context);
    check_classifier(context);
    check_fixed_size(context);
}

static void test_on_the_host(void **state)
{
    (void)state;
    check_all(NULL);
}

static void test_on_the_device(void **state)
{
    vitcl_context *context;
    vitcl_error err;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    check_all(context);
    vitcl_context_destroy(&context);
}

/* Of grids that the others are not like, in a batch that is not full. */
static void test_verify(void **state)
{
    static const vitcl_grid grids[2] = {{1, 7}, {3, 3}};
    vitcl_model *model = fixture_model(FULL);
    vitcl_context *context;
    vitcl_session *session;
    static float pixels[2 * NUMBERS];
    vitcl_error err;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    session = open_session(context, model, 3, VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN);
    fill(pixels, grids, 2, 0);
    assert_ok(vitcl_session_verify(session, pixels, grids, 2, NULL, NULL, &err), &err);
    vitcl_session_destroy(&session);
    vitcl_context_destroy(&context);
    vitcl_model_destroy(&model);
}

/* ---- what does not fit ------------------------------------------------------------------------------------------- */

/* The preprocessor makes other patches than the model takes. */
static void test_wrong_preprocessor(void **state)
{
    vitcl_model *model = fixture_changed(FULL, "preprocessor_config.json", "patch_size", json_integer(8));
    struct random random = {7};
    vitcl_image image = random_image(&random, 20, 20);
    static float pixels[NUMBERS];
    vitcl_grid grid;
    vitcl_error err;
    (void)state;
    assert_int_equal(vitcl_model_preprocess(model, &image, pixels, &grid, &err), VITCL_ERROR_FORMAT);
    assert_contains(err.message, "makes patches of 8x8, the model in config.json takes 4x4");
    free_pixels(&image);
    vitcl_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_the_host),
        cmocka_unit_test(test_on_the_device),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_wrong_preprocessor),
    };
    return cmocka_run_group_tests(tests, device_set_up, device_tear_down);
}

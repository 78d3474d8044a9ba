/* test_overflow.c - numbers that f16 can not hold: vitcl.h says so instead of giving an answer, and vitcl_run answers
 * in f32. The digits model is edited by powers of two that cancel, so that its answers stay what they are in f32.
 */
#include "cli_program.h"
#include "edited_model.h"

#define CLASSES 10
#define PIXELS  (3 * 32 * 32)
#define LAYER   "vit.encoder.layer.1."
#define EXACT   1e-6
#define ROUNDED 0.02 /* in f16 */

/* ---- edited models ---- */

struct edited {
    const char *what;
    bool weights;   /* they overflow themselves, not what is computed with them */
    bool may_fit;   /* where attention reads floats only, nothing overflows: then the answer must be right */
    bool one_sided; /* see push_keys; else the answers are those of the digits model */
    struct {
        const char *name;
        float factor;
    } tensors[5];
};

#define QUERY LAYER "attention.attention.query."
#define KEY   LAYER "attention.attention.key."
#define VALUE LAYER "attention.attention.value."

static const struct edited MODELS[] = {
    {.what = "normed",
     .tensors = {{LAYER "layernorm_before.weight", 0x1p17f},
                 {LAYER "layernorm_before.bias", 0x1p17f},
                 {QUERY "weight", 0x1p-17f},
                 {KEY "weight", 0x1p-17f},
                 {VALUE "weight", 0x1p-17f}}},
    {.what = "keys",
     .may_fit = true,
     .tensors = {{KEY "weight", 0x1p15f}, {KEY "bias", 0x1p15f}, {QUERY "weight", 0x1p-15f}, {QUERY "bias", 0x1p-15f}}},
    {.what = "one side",
     .may_fit = true,
     .one_sided = true,
     .tensors = {{KEY "weight", 1}, {KEY "bias", 1}, {QUERY "weight", 1}, {QUERY "bias", 1}}},
    {.what = "weights",
     .weights = true,
     .tensors = {{LAYER "layernorm_after.weight", 0x1p-24f},
                 {LAYER "layernorm_after.bias", 0x1p-24f},
                 {LAYER "intermediate.dense.weight", 0x1p24f}}},
};

static void scale(struct item *item, float factor)
{
    float *values = allocate(1, item->bytes);
    memcpy(values, item->data, item->bytes);
    for (size_t i = 0; i < item->bytes / sizeof *values; i++)
        values[i] *= factor;
    item->data = values;
}

/* A copy's numbers, which may be changed. */
static float *values_of(struct edit *edit, const char *name)
{
    return (float *)(uintptr_t)edit_named(edit, name)->data;
}

/* The first channel of the first head: all queries have a very small negative number there, and about half of the keys
 * one that f16 can not hold. As Infinity it would give these keys a weight of 0, and a wrong answer that looks right.
 */
static void push_keys(struct edit *edit)
{
    float *query = values_of(edit, QUERY "weight"), *key = values_of(edit, KEY "weight");
    for (size_t i = 0; i < 64; i++) {
        query[i] = 0;
        key[i] *= 1000;
    }
    values_of(edit, QUERY "bias")[0] = -0x1p-20f;
    values_of(edit, KEY "bias")[0] = 65520;
}

/* A new folder with the model. */
static void write_model(const struct edited *edited, char folder[PATH_SIZE])
{
    struct safetensors file;
    struct edit edit;
    char path[PATH_SIZE];
    vitcl_error err;
    const size_t most = COUNT(edited->tensors);

    folder_create(folder);
    folder_copy(DIGITS, folder);
    assert_ok(safetensors_open(&file, DIGITS "/model.safetensors", &err), &err);
    edit_start(&edit, &file);
    for (size_t i = 0; i < most && edited->tensors[i].name; i++)
        scale(edit_named(&edit, edited->tensors[i].name), edited->tensors[i].factor);
    if (edited->one_sided)
        push_keys(&edit);
    path_join(path, folder, "model.safetensors");
    edit_write(&edit, path, 0);
    for (size_t i = 0; i < most && edited->tensors[i].name; i++)
        free((void *)(uintptr_t)edit_named(&edit, edited->tensors[i].name)->data);
    safetensors_close(&file);
}

/* ---- the library ---- */

static vitcl_session *open_session(vitcl_context *context, const vitcl_model *model, vitcl_precision precision)
{
    const vitcl_session_params params = {.batch_size = 2, .precision = precision};
    vitcl_session *session;
    vitcl_error err;
    assert_ok(vitcl_session_create(&session, context, model, &params, &err), &err);
    return session;
}

/* The logits of SIX in f32. */
static void ask_f32(vitcl_context *context, const vitcl_model *model, float logits[CLASSES])
{
    vitcl_session *session = open_session(context, model, VITCL_PRECISION_F32);
    vitcl_image image;
    vitcl_error err;
    assert_ok(vitcl_image_read(&image, SIX, true, &err), &err);
    assert_ok(vitcl_session_run(session, &image, 1, &(vitcl_results){.logits = logits}, &err), &err);
    vitcl_image_destroy(&image);
    vitcl_session_destroy(&session);
}

/* Nothing is written. */
static void check_overflow(vitcl_session *session, const vitcl_image *image)
{
    float logits[CLASSES] = {12345};
    vitcl_error err = {0};
    assert_int_equal(vitcl_session_run(session, image, 1, &(vitcl_results){.logits = logits}, &err),
                     VITCL_ERROR_OVERFLOW);
    assert_int_equal(err.status, VITCL_ERROR_OVERFLOW);
    assert_contains(err.message, "too large for f16");
    assert_true(logits[0] == 12345);
}

/* Twice: the session stays usable. */
static void check_runs(const struct edited *edited, vitcl_context *context, const vitcl_model *model,
                       const float expected[CLASSES])
{
    vitcl_session *session = open_session(context, model, VITCL_PRECISION_F16);
    float logits[CLASSES], pixels[PIXELS];
    vitcl_image image;
    vitcl_error err;
    assert_ok(vitcl_image_read(&image, SIX, true, &err), &err);
    assert_ok(vitcl_model_preprocess(model, &image, pixels, NULL, &err), &err);
    if (edited->may_fit &&
        vitcl_session_run(session, &image, 1, &(vitcl_results){.logits = logits}, NULL) == VITCL_OK) {
        assert_close(edited->what, logits, expected, CLASSES, ROUNDED);
    } else {
        check_overflow(session, &image);
        check_overflow(session, &image);
        if (context) {
            assert_int_equal(vitcl_session_verify(session, pixels, NULL, 1, NULL, NULL, &err), VITCL_ERROR_OVERFLOW);
            assert_contains(err.message, "block 1 ");
        }
    }
    vitcl_image_destroy(&image);
    vitcl_session_destroy(&session);
}

static void check_model(const struct edited *edited, vitcl_context *context)
{
    char folder[PATH_SIZE];
    vitcl_model *model, *digits = fixture_model("digits");
    vitcl_session *session;
    float logits[CLASSES], expected[CLASSES];
    vitcl_error err;

    write_model(edited, folder);
    assert_ok(vitcl_model_create(&model, folder, NULL, &err), &err);
    ask_f32(context, digits, expected);
    ask_f32(context, model, logits);
    if (!edited->one_sided)
        assert_close(edited->what, logits, expected, CLASSES, EXACT);
    if (edited->weights) {
        assert_int_equal(vitcl_session_create(&session, context, model,
                                              &(vitcl_session_params){.precision = VITCL_PRECISION_F16}, &err),
                         VITCL_ERROR_OVERFLOW);
        assert_null(session);
        assert_contains(err.message, "block 1 fc1");
    } else {
        check_runs(edited, context, model, logits);
    }
    vitcl_model_destroy(&model);
    vitcl_model_destroy(&digits);
    folder_remove(folder);
}

static void test_library(void **state)
{
    vitcl_context *context;
    vitcl_error err;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    for (size_t i = 0; i < COUNT(MODELS); i++) {
        check_model(&MODELS[i], context);
        check_model(&MODELS[i], NULL);
    }
    vitcl_context_destroy(&context);
}

/* Made-up images [images,3,32,32], of which the second has a pixel that f16 can not hold. */
static float *make_images(size_t images)
{
    struct random random = {1};
    float *pixels = allocate(images * PIXELS, sizeof *pixels);
    random_fill(&random, pixels, images * PIXELS, 0, 0.5);
    pixels[PIXELS + 777] = 1e5f;
    return pixels;
}

/* Of two runs in flight one overflows; the other, and the one after them, do not. */
static void test_one_of_two_runs(void **state)
{
    vitcl_context *context;
    vitcl_model *model = fixture_model("digits");
    vitcl_session *session;
    float *pixels = make_images(2), first[CLASSES], second[CLASSES];
    vitcl_error err;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    session = open_session(context, model, VITCL_PRECISION_F16);
    assert_ok(vitcl_session_submit(session, pixels + PIXELS, NULL, 1, &err), &err);
    assert_ok(vitcl_session_submit(session, pixels, NULL, 1, &err), &err);
    assert_int_equal(vitcl_session_wait(session, &(vitcl_results){.logits = first}, &err), VITCL_ERROR_OVERFLOW);
    assert_ok(vitcl_session_submit(session, pixels, NULL, 1, &err), &err);
    assert_ok(vitcl_session_wait(session, &(vitcl_results){.logits = first}, &err), &err);
    assert_ok(vitcl_session_wait(session, &(vitcl_results){.logits = second}, &err), &err);
    assert_memory_equal(first, second, sizeof first);
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    vitcl_context_destroy(&context);
    free(pixels);
}

/* ---- vitcl_run ---- */

static void test_program(void **state)
{
    char folder[PATH_SIZE];
    device_or_skip(state);
    for (size_t i = 0; i < COUNT(MODELS); i++) {
        struct output output, of_f32;
        if (MODELS[i].may_fit)
            continue;
        write_model(&MODELS[i], folder);
        of_f32 = RUN(0, "-q", "-m", DIGITS, "--json", SIX, ZERO);
        output = RUN(0, "-q", "-m", folder, "--precision", "f16", "--json", SIX, ZERO);
        assert_string_equal(output.out, of_f32.out);
        assert_int_equal(count_of(output.err, "too large for f16"), 1);
        check_and_free(&output, "six", "Going on in f32");
        output = RUN(1, "-q", "-m", folder, "--precision", "f16", "--verify", SIX);
        assert_int_equal(count_of(output.err, "Going on in f32"), 0);
        assert_contains(output.err, "too large for f16");
        output_free(&output);
        output_free(&of_f32);
        folder_remove(folder);
    }
}

/* The logits of the images in a file, by `precision`. */
static float *ask(const char *folder, const char *images, size_t count, const char *precision, const char *in_err)
{
    char logits[PATH_SIZE];
    struct output output;
    float *found;
    path_join(logits, folder, precision);
    output = RUN(0, "-q", "-m", DIGITS, "--precision", precision, "--logits", logits, images);
    check_and_free(&output, "", in_err);
    found = npy_load(logits, (size_t[]){count, CLASSES}, 2);
    return found;
}

/* The first image of four is answered in f16; the second overflows: it and all after it are answered in f32. */
static void test_images(void **state)
{
    enum { IMAGES = 4, ROW = CLASSES * sizeof(float) };
    char folder[PATH_SIZE], four[PATH_SIZE], one[PATH_SIZE];
    float *pixels, *found, *alone, *of_f32;
    device_or_skip(state);
    folder_create(folder);
    pixels = make_images(IMAGES);
    path_join(four, folder, "four.npy");
    path_join(one, folder, "one.npy");
    npy_save(four, pixels, (size_t[]){IMAGES, 3, 32, 32}, 4);
    npy_save(one, pixels, (size_t[]){1, 3, 32, 32}, 4);
    of_f32 = ask(folder, four, IMAGES, "f32", NULL);
    found = ask(folder, four, IMAGES, "f16", "Going on in f32");
    alone = ask(folder, one, 1, "f16", NULL);
    assert_memory_equal(found, alone, ROW);
    assert_memory_not_equal(found, of_f32, ROW);
    assert_memory_equal(found + CLASSES, of_f32 + CLASSES, (IMAGES - 1) * ROW);
    folder_remove(folder);
    free(pixels);
    free(found);
    free(alone);
    free(of_f32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),
        cmocka_unit_test(test_one_of_two_runs),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_images),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

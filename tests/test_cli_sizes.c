/* test_cli_sizes.c - vitcl_run on models of every kind: --image-size, --resize and --exif, ready pixel values of other
 * sizes, pictures of a model of variable resolution, and what --info tells of each.
 */
#include "cli_bench.h"

#define MODELS      FIXTURES "/models/"
#define JPEG        FIXTURES "/images/jpeg_420.jpg"
#define EXIF        FIXTURES "/images/exif_6.jpg" /* stored on its side */
#define ON_A_DEVICE 2e-4                          /* as in test_families.c */

/* ---- ready pixel values at other sizes ----------------------------------------------------------------------------
 */

struct stored {
    struct safetensors file;
    const struct tensor_entry *pixels;
};

/* The pixel values of a file of expected values, written as a .npy file. */
static void open_stored(struct stored *stored, const char *model, const char *name, const char *npy)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    vitcl_error err;
    path_join(folder, FIXTURES "/models", model);
    path_join(path, folder, name);
    assert_ok(safetensors_open(&stored->file, path, &err), &err);
    stored->pixels = safetensors_find(&stored->file, "pixel_values");
    npy_save(npy, (const float *)(uintptr_t)stored->pixels->data, stored->pixels->shape, stored->pixels->rank);
}

static void assert_stored(const struct stored *stored, const char *name, const char *npy)
{
    const struct tensor_entry *entry = safetensors_find(&stored->file, name);
    float *found;
    assert_non_null(entry);
    found = npy_load(npy, entry->shape, entry->rank);
    assert_close(name, found, (const float *)(uintptr_t)entry->data, entry->bytes / sizeof *found, ON_A_DEVICE);
    free(found);
}

/* --image-size interpolates positions as the library does. */
static void test_image_size(void **state)
{
    static const struct {
        const char *model, *file, *size;
    } rows[] = {{"vit_interpolate", "expected_28x28.safetensors", "28"},
                {"vit_interpolate", "expected_28x28.safetensors", "28x28"},
                {"vit_interpolate", "expected_14x27.safetensors", "14x27"},
                {"deit_teacher", "expected_14x27.safetensors", "14x27"},
                {"timm_vit", "expected_12x23.safetensors", "12x23"},
                {"timm_flexivit", "expected_24x24.safetensors", "24"},
                {"dinov2_classifier", "expected_18x39.safetensors", "18x39"},
                {"vit_interpolate", "expected.safetensors", "20"}};
    char input[PATH_SIZE], logits[PATH_SIZE];
    file_in(state, "input.npy", input);
    file_in(state, "logits.npy", logits);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored stored;
        char folder[PATH_SIZE];
        path_join(folder, FIXTURES "/models", rows[i].model);
        open_stored(&stored, rows[i].model, rows[i].file, input);
        run_quietly(RUN(0, "-m", folder, "--image-size", rows[i].size, "--logits", logits, input));
        assert_stored(&stored, "logits", logits);
        safetensors_close(&stored.file);
    }
}

/* Where the library takes any size, no option is needed. */
static void test_any_size(void **state)
{
    static const struct {
        const char *model, *file, *output;
    } rows[] = {{"dinov2", "expected_18x39.safetensors", "embedding"},
                {"dinov2_registers", "expected_36x36.safetensors", "embedding"},
                {"dinov3", "expected_16x16.safetensors", "embedding"},
                {"timm_dinov3", "expected_12x20.safetensors", "embedding"},
                {"beit", "expected_14x27.safetensors", "embedding"}};
    char input[PATH_SIZE], embed[PATH_SIZE];
    file_in(state, "input.npy", input);
    file_in(state, "embed.npy", embed);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct stored stored;
        char folder[PATH_SIZE];
        path_join(folder, FIXTURES "/models", rows[i].model);
        open_stored(&stored, rows[i].model, rows[i].file, input);
        run_quietly(RUN(0, "-m", folder, "--embed", embed, input));
        assert_stored(&stored, rows[i].output, embed);
        safetensors_close(&stored.file);
    }
}

/* One run has one size: that of its first input, or the model's. */
static void test_other_sizes_refused(void **state)
{
    char first[PATH_SIZE], second[PATH_SIZE], embed[PATH_SIZE];
    struct stored a, b;
    struct output output;
    file_in(state, "first.npy", first);
    file_in(state, "second.npy", second);
    file_in(state, "embed.npy", embed);
    open_stored(&a, "dinov3", "expected_16x16.safetensors", first);
    open_stored(&b, "dinov3", "expected_36x36.safetensors", second);
    output = RUN(1, "-m", MODELS "dinov3", "--embed", embed, first, second);
    assert_contains(
        output.err,
        "second.npy: its shape does not fit: this run takes [B,3,16,16] or [3,16,16]; .npy files of one size");
    output_free(&output);
    assert_stored(&a, "embedding", embed); /* the first one is answered */
    output = RUN(1, "-m", MODELS "dinov3", "--image-size", "24", first);
    assert_contains(output.err, "this run takes [B,3,24,24]");
    output_free(&output);
    safetensors_close(&a.file);
    safetensors_close(&b.file);

    open_stored(&a, "vit_interpolate", "expected_28x28.safetensors", first);
    output = RUN(1, "-m", MODELS "vit_interpolate", first);
    assert_contains(output.err, "its shape does not fit: this model takes [B,3,20,20] or [3,20,20]; --image-size "
                                "interpolates its positions");
    output_free(&output);
    safetensors_close(&a.file);
}

/* Sizes that no model can have, and one that this model can not. */
static void test_impossible_sizes(void **state)
{
    struct output output = RUN(1, "-m", MODELS "vit_interpolate", "--image-size", "3", "--info");
    (void)state;
    assert_contains(output.err, "3x3 pixels are less than one patch of 4x4");
    output_free(&output);
    output = RUN(1, "-m", MODELS "timm_radio", "--image-size", "20", "--info");
    assert_contains(output.err, "at 16x16 only");
    output_free(&output);
    output = RUN(1, "-m", MODELS "vit_interpolate", "--image-size", "65536x65536", "--info");
    assert_contains(output.err, "65536x65536 pixels give 268435457 tokens");
    assert_string_equal(output.out, "");
    output_free(&output);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

/* What the program fed the model of one picture. */
static float *pixels_of(void **state, const char *const *argv, const size_t *shape, size_t rank)
{
    char path[PATH_SIZE];
    run_quietly(run(0, argv));
    return npy_load(file_in(state, "pixels.npy", path), shape, rank);
}

#define PIXELS(state, shape, rank, ...)                                                                                \
    pixels_of(state, (const char *const[]){VITCL_RUN, "-q", "--pixels", path, __VA_ARGS__, NULL}, shape, rank)

/* What the API makes of it. */
static float *preprocessed(const char *folder, vitcl_model_params params, const char *picture, bool upright)
{
    vitcl_model *model;
    vitcl_model_info info;
    vitcl_image image;
    vitcl_error err;
    float *pixels;
    vitcl_grid grid;
    assert_ok(vitcl_model_create(&model, folder, &params, &err), &err);
    vitcl_model_get_info(model, &info);
    pixels = allocate(info.input, sizeof *pixels);
    assert_ok(vitcl_image_read(&image, picture, upright, &err), &err);
    assert_ok(vitcl_model_preprocess(model, &image, pixels, &grid, &err), &err);
    vitcl_image_destroy(&image);
    vitcl_model_destroy(&model);
    return pixels;
}

static void compare_and_free(float *found, float *expected, size_t count)
{
    assert_memory_equal(found, expected, count * sizeof *found);
    free(found);
    free(expected);
}

static void test_resize(void **state)
{
    static const size_t shape[] = {1, 3, 20, 20};
    char path[PATH_SIZE];
    float *pillow, *torchvision;
    file_in(state, "pixels.npy", path);
    pillow = PIXELS(state, shape, 4, "-m", MODELS "clip_full", "--resize", "pil", JPEG);
    torchvision = PIXELS(state, shape, 4, "-m", MODELS "clip_full", "--resize", "torchvision", JPEG);
    assert_memory_not_equal(pillow, torchvision, 3 * 20 * 20 * sizeof *pillow);
    compare_and_free(PIXELS(state, shape, 4, "-m", MODELS "clip_full", JPEG), torchvision, 3 * 20 * 20);
    compare_and_free(pillow,
                     preprocessed(MODELS "clip_full", (vitcl_model_params){.resize = VITCL_RESIZE_PIL}, JPEG, true),
                     3 * 20 * 20);
    compare_and_free(
        PIXELS(state, ((size_t[]){1, 3, 14, 27}), 4, "-m", MODELS "clip_full", "--image-size", "14x27", JPEG),
        preprocessed(MODELS "clip_full", (vitcl_model_params){14, 27, 0}, JPEG, true), 3 * 14 * 27);
}

/* transformers turns pictures upright, timm does not; either can be told otherwise. */
static void test_exif(void **state)
{
    static const struct {
        const char *folder, *exif;
        bool upright;
        size_t side;
    } rows[] = {{MODELS "clip_full", "on", true, 20},  {MODELS "clip_full", "off", false, 20},
                {MODELS "clip_full", NULL, true, 20},  {MODELS "timm_vit", "on", true, 18},
                {MODELS "timm_vit", "off", false, 18}, {MODELS "timm_vit", NULL, false, 18}};
    char path[PATH_SIZE];
    file_in(state, "pixels.npy", path);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t shape[] = {1, 3, rows[i].side, rows[i].side}, count = 3 * rows[i].side * rows[i].side;
        float *found = rows[i].exif ? PIXELS(state, shape, 4, "-m", rows[i].folder, "--exif", rows[i].exif, EXIF)
                                    : PIXELS(state, shape, 4, "-m", rows[i].folder, EXIF);
        float *other = preprocessed(rows[i].folder, (vitcl_model_params){0}, EXIF, !rows[i].upright);
        assert_memory_not_equal(found, other, count * sizeof *found);
        free(other);
        compare_and_free(found, preprocessed(rows[i].folder, (vitcl_model_params){0}, EXIF, rows[i].upright), count);
    }
}

/* ---- variable resolution ----------------------------------------------------------------------------------------- */

static void test_variable_resolution(void **state)
{
    static const size_t shape[] = {2, 12, 48};
    char path[PATH_SIZE], embed[PATH_SIZE];
    struct output output;
    float *found, *expected, *together;
    file_in(state, "pixels.npy", path);
    file_in(state, "embed.npy", embed);
    found = PIXELS(state, shape, 3, "-m", MODELS "siglip2_full", "--embed", embed, "-b", "2", JPEG, EXIF);
    expected = preprocessed(MODELS "siglip2_full", (vitcl_model_params){0}, EXIF, true);
    assert_memory_equal(found + 12 * 48, expected, 12 * 48 * sizeof *found);
    free(expected);
    expected = preprocessed(MODELS "siglip2_full", (vitcl_model_params){0}, JPEG, true);
    compare_and_free(found, expected, 12 * 48);
    together = npy_load(embed, (size_t[]){2, 24}, 2);
    run_quietly(RUN(0, "-m", MODELS "siglip2_full", "--embed", embed, EXIF));
    found = npy_load(embed, (size_t[]){1, 24}, 2);
    assert_close("alone", found, together + 24, 24, ON_A_DEVICE); /* the neighbour's shape does not matter */
    free(found);
    free(together);

    output = RUN(0, "-m", MODELS "siglip2_full", "--verify", "-b", "2", JPEG, EXIF);
    assert_contains(output.out, "verified 2 images: every step is within tolerance");
    output_free(&output);
    output = RUN(1, "-m", MODELS "siglip2_full", path, JPEG); /* what --pixels wrote lacks the grids */
    assert_contains(output.err, "it takes pictures, not ready pixel values");
    assert_contains(output.out, JPEG);
    output_free(&output);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static void test_info(void **state)
{
    static const struct {
        const char *model, *lines[5];
    } rows[] = {
        {"beit",
         {"family        beit, BeitForImageClassification\n",
          "26 tokens, 1 of them before the patches; other sizes are ", "pooling       mean of the patches\n",
          "classes       5, from \"LABEL_0\" to \"LABEL_4\"\n", "embedding     [24]\n"}},
        {"clip_full",
         {"family        clip, CLIPModel\n", "26 tokens, 1 of them before the patches\n", "pooling       class token\n",
          "embedding     [20], comparable with those of texts (--labels-embeddings)\n"}},
        {"siglip2_full",
         {"image         any shape, up to 12 patches of 4x4 pixels: 12 tokens\n", "pooling       attention\n"}},
        {"dinov3_gated", {"family        dinov3_vit, DINOv3ViTModel\n", "2 heads of 8, gated mlp 44, silu, "}},
        {"deit_teacher", {"27 tokens, 2 of them before", "pooling       class and distillation token\n"}},
        {"timm_vit",
         {"family        timm VisionTransformer, vit_tiny_patch16_224\n", "to \"n00000007\"\n",
          "bicubic (Pillow), crop 18x18", "(from config.json)\n"}},
        {"timm_eva02_base", {"family        timm Eva, eva02_base_patch14_224\n", "gated mlp 67, silu"}},
        {"clip_sparse_config",
         {"assumed       patch_size, layer_norm_eps, hidden_act: not in config.json, so as the model's "
          "class has them\n"}},
        {"vit_mae", {"pooling       none\n"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char folder[PATH_SIZE];
        struct output output;
        path_join(folder, FIXTURES "/models", rows[i].model);
        output = RUN(0, "-m", folder, "--info");
        for (size_t k = 0; k < 5 && rows[i].lines[k]; k++)
            assert_contains(output.out, rows[i].lines[k]);
        assert_string_equal(output.err, "");
        output_free(&output);
    }
}

/* The size that runs, and what pictures become for it. */
static void test_info_of_a_size(void **state)
{
    struct output output = RUN(0, "-m", MODELS "vit_interpolate", "--image-size", "14x27", "--info");
    (void)state;
    assert_contains(output.out, "27x14 pixels in patches of 4x4: 19 tokens");
    assert_contains(output.out, "resize to 27x14 ");
    output_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_info_of_a_size),
        cmocka_unit_test(test_image_size),
        cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_other_sizes_refused),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_exif),
        cmocka_unit_test(test_variable_resolution),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

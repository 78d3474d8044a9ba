/* test_similarity.c - vitcl_model_similarity and vitcl_model_get_info on models of other families than ViT: scores of
 * texts are CLIP's softmax or SigLIP's sigmoid of scaled cosines, and the info tells what each family has.
 */
#include "edited_model.h"
#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS 5
#define MOST  24 /* numbers in an embedding of the fixtures */

static float scalar(const char *folder, const char *name)
{
    struct safetensors file;
    const struct tensor_entry *entry;
    vitcl_error err;
    float value;
    char path[PATH_SIZE];
    path_join(path, FIXTURES "/models", folder);
    assert_ok(safetensors_open_folder(&file, path, &err), &err);
    entry = safetensors_find(&file, name);
    assert_non_null(entry);
    assert_int_equal(entry->bytes, sizeof value);
    memcpy(&value, entry->data, sizeof value);
    safetensors_close(&file);
    return value;
}

static double cosine(const float *a, const float *b, size_t count)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < count; i++) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return dot / sqrt(aa * bb);
}

/* The same from the definition. */
static void expect(const char *folder, size_t width, const float *embedding, const float *texts, double scores[TEXTS])
{
    const double scale = exp((double)scalar(folder, "logit_scale"));
    double sum = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        scores[i] = scale * cosine(embedding, texts + i * width, width);
        sum += exp(scores[i]);
    }
    for (size_t i = 0; i < TEXTS; i++)
        scores[i] = strstr(folder, "siglip") ? 1 / (1 + exp(-scores[i] - (double)scalar(folder, "logit_bias")))
                                             : exp(scores[i]) / sum;
}

static void check_similarity(const char *folder)
{
    char path[PATH_SIZE];
    struct random random = {1};
    float embedding[MOST], texts[TEXTS * MOST], scores[TEXTS + 1] = {0}, longer[TEXTS];
    double expected[TEXTS];
    vitcl_model *model;
    vitcl_model_info info;
    vitcl_error err;

    path_join(path, "models", folder);
    model = fixture_model(path);
    vitcl_model_get_info(model, &info);
    assert_true(info.similarity && info.embedding <= MOST);
    random_fill(&random, embedding, info.embedding, 0, 3);
    random_fill(&random, texts, TEXTS * info.embedding, 0.2, 1);
    scores[TEXTS] = 77;
    assert_ok(vitcl_model_similarity(model, embedding, texts, TEXTS, scores, &err), &err);
    expect(folder, info.embedding, embedding, texts, expected);
    for (size_t i = 0; i < TEXTS; i++)
        if (!(fabs((double)scores[i] - expected[i]) < 1e-6))
            fail_msg("%s: text %zu: %g, expected %g", folder, i, (double)scores[i], expected[i]);
    assert_true(scores[TEXTS] == 77);

    for (size_t i = 0; i < info.embedding; i++) { /* lengths do not matter */
        embedding[i] *= 1000;
        texts[i] *= 0.001f;
    }
    assert_ok(vitcl_model_similarity(model, embedding, texts, TEXTS, longer, &err), &err);
    for (size_t i = 0; i < TEXTS; i++)
        assert_true(fabsf(longer[i] - scores[i]) < 1e-6f);
    assert_ok(vitcl_model_similarity(model, embedding, texts, 1, longer, &err), &err);
    assert_true(strstr(folder, "siglip") ? fabsf(longer[0] - scores[0]) < 1e-6f : longer[0] == 1);
    vitcl_model_destroy(&model);
}

static void test_scores(void **state)
{
    static const char *const folders[] = {"clip_full", "metaclip_2", "clip_config_dict", "siglip_full", "siglip2_full"};
    (void)state;
    for (size_t i = 0; i < COUNT(folders); i++)
        check_similarity(folders[i]);
}

static void test_refused(void **state)
{
    static const char *const others[] = {"models/clip_projection", "models/clip_classifier", "models/siglip_vision",
                                         "models/vit_interpolate", "models/timm_clip",       "vit/no_pooler"};
    float numbers[MOST] = {1}, scores[1];
    vitcl_model *model = fixture_model("models/clip_full");
    vitcl_error err = {0};
    (void)state;
    assert_refused(vitcl_model_similarity(NULL, numbers, numbers, 1, scores, &err), &err);
    assert_refused(vitcl_model_similarity(model, NULL, numbers, 1, scores, &err), &err);
    assert_refused(vitcl_model_similarity(model, numbers, NULL, 1, scores, &err), &err);
    assert_refused(vitcl_model_similarity(model, numbers, numbers, 1, NULL, &err), &err);
    assert_ok(vitcl_model_similarity(model, numbers, numbers, 0, scores, &err), &err); /* no texts, no scores */
    vitcl_model_destroy(&model);
    for (size_t i = 0; i < COUNT(others); i++) {
        model = fixture_model(others[i]);
        assert_int_equal(vitcl_model_similarity(model, numbers, numbers, 1, scores, &err), VITCL_ERROR_UNSUPPORTED);
        assert_contains(err.message, "this folder has no logit_scale");
        vitcl_model_destroy(&model);
    }
}

/* What a classifier reads is no embedding that texts have, even where the scale lies in the file. */
static void test_classifier_with_scale(void **state)
{
    static const float scale = 1;
    float numbers[MOST] = {1}, scores[1];
    char copy[PATH_SIZE], path[PATH_SIZE];
    struct model original;
    struct edit edit;
    struct item *item;
    vitcl_model *model;
    vitcl_model_info info;
    vitcl_error err;
    (void)state;

    folder_create(copy);
    folder_copy(FIXTURES "/models/siglip_classifier", copy);
    path_join(path, copy, "model.safetensors");
    open_fixture(&original, "models/siglip_classifier");
    edit_start(&edit, &original.file);
    item = edit_add_like(&edit, "classifier.bias", "logit_scale");
    item->rank = 0;
    item->data = &scale;
    item->bytes = sizeof scale;
    edit_write(&edit, path, 0);
    close_model(&original);
    assert_ok(vitcl_model_create(&model, copy, NULL, &err), &err);
    vitcl_model_get_info(model, &info);
    assert_true(info.classes == 7 && info.embedding == 24);
    assert_false(info.similarity);
    assert_int_equal(vitcl_model_similarity(model, numbers, numbers, 1, scores, &err), VITCL_ERROR_UNSUPPORTED);
    vitcl_model_destroy(&model);
    folder_remove(copy);
}

/* ---- what families tell ------------------------------------------------------------------------------------------ */

static const struct {
    const char *model, *family, *architecture, *activation, *pooling;
    bool timm, any_size, gated, similarity;
    size_t tokens, prefix, width, mlp, classes, embedding;
    double eps;
} INFOS[] = {
    {"beit", "beit", "BeitForImageClassification", "gelu", "mean of the patches", 0, 1, 0, 0, 26, 1, 24, 50, 5, 24,
     1e-12},
    {"deit_teacher", "deit", "DeiTForImageClassificationWithTeacher", "gelu", "class and distillation token", 0, 0, 0,
     0, 27, 2, 24, 67, 5, 0, 1e-12},
    {"deit_model", "deit", "DeiTModel", "gelu", "class token", 0, 0, 0, 0, 27, 2, 24, 48, 0, 24, 1e-12},
    {"vit_mae", "vit_mae", "ViTMAEModel", "gelu", "none", 0, 0, 0, 0, 26, 1, 24, 50, 0, 0, 1e-12},
    {"dinov2_classifier", "dinov2", "Dinov2ForImageClassification", "gelu", "class token and mean of the patches", 0, 1,
     0, 0, 37, 1, 24, 48, 5, 48, 1e-6},
    {"dinov2_swiglu", "dinov2", "Dinov2Model", "silu", "class token", 0, 1, 1, 0, 37, 1, 20, 32, 0, 20, 1e-6},
    {"dinov3_gated", "dinov3_vit", "DINOv3ViTModel", "silu", "class token", 0, 1, 1, 0, 37, 1, 16, 44, 0, 16, 1e-5},
    {"clip_full", "clip", "CLIPModel", "gelu", "class token", 0, 0, 0, 1, 26, 1, 24, 40, 0, 20, 1e-5},
    {"clip_classifier", "clip", "CLIPForImageClassification", "gelu", "mean of the patches", 0, 0, 0, 0, 26, 1, 24, 40,
     5, 24, 1e-5},
    {"siglip_full", "siglip", "SiglipModel", "gelu_tanh", "attention", 0, 0, 0, 1, 9, 0, 24, 40, 0, 24, 1e-6},
    {"siglip_no_head", "siglip_vision_model", "SiglipVisionModel", "gelu_tanh", "none", 0, 0, 0, 0, 9, 0, 24, 40, 0, 0,
     1e-6},
    {"timm_vit", "timm VisionTransformer", "vit_tiny_patch16_224", "gelu", "class token", 1, 0, 0, 0, 17, 1, 36, 67, 7,
     36, 1e-6},
    {"timm_eva02_base", "timm Eva", "eva02_base_patch14_224", "silu", "mean of the patches", 1, 0, 1, 0, 17, 1, 24, 67,
     5, 24, 1e-6},
    {"timm_deit_distilled", "timm VisionTransformer", "deit_tiny_distilled_patch16_224", "gelu",
     "class and distillation token", 1, 0, 0, 0, 18, 2, 24, 48, 5, 0, 1e-6},
    {"timm_avgmax", "timm VisionTransformer", "vit_tiny_patch16_224", "gelu", "mean and maximum of the patches", 1, 0,
     0, 0, 17, 1, 24, 48, 5, 24, 1e-6},
    {"timm_max", "timm VisionTransformer", "vit_tiny_patch16_224", "gelu", "maximum of the patches", 1, 0, 0, 0, 17, 1,
     24, 48, 3, 24, 1e-6},
};

static void test_infos(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(INFOS); i++) {
        char path[PATH_SIZE];
        vitcl_model *model;
        vitcl_model_info info;
        path_join(path, "models", INFOS[i].model);
        model = fixture_model(path);
        vitcl_model_get_info(model, &info);
        print_message("%s\n", INFOS[i].model);
        assert_string_equal(info.family, INFOS[i].family);
        assert_string_equal(info.architecture, INFOS[i].architecture);
        assert_string_equal(info.activation, INFOS[i].activation);
        assert_string_equal(info.pooling, INFOS[i].pooling);
        assert_true(info.timm == INFOS[i].timm && info.any_size == INFOS[i].any_size);
        assert_true(info.gated == INFOS[i].gated && info.similarity == INFOS[i].similarity);
        assert_int_equal(info.tokens, INFOS[i].tokens);
        assert_int_equal(info.prefix_tokens, INFOS[i].prefix);
        assert_int_equal(info.width, INFOS[i].width);
        assert_int_equal(info.mlp_width, INFOS[i].mlp);
        assert_int_equal(info.classes, INFOS[i].classes);
        assert_int_equal(info.embedding, INFOS[i].embedding);
        assert_true(info.eps == INFOS[i].eps);
        assert_true(info.layers == 2 && info.max_patches == 0 && !info.regression && info.flops > 0);
        assert_int_equal(info.input, 3 * info.image_height * info.image_width);
        assert_string_equal(info.assumed, info.timm ? "act_layer, norm_layer" : ""); /* by the architecture's name */
        assert_true(!info.classes == !vitcl_model_label(model, 0));
        assert_null(vitcl_model_label(model, info.classes));
        vitcl_model_destroy(&model);
    }
}

/* Keys that config.json leaves out. */
static void test_assumed(void **state)
{
    vitcl_model *model = fixture_model("models/clip_sparse_config");
    vitcl_model_info info;
    (void)state;
    vitcl_model_get_info(model, &info);
    assert_string_equal(info.assumed, "patch_size, layer_norm_eps, hidden_act");
    assert_true(info.patch_height == 32 && info.eps == 1e-5);
    assert_string_equal(info.activation, "quick_gelu");
    vitcl_model_destroy(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores), cmocka_unit_test(test_refused), cmocka_unit_test(test_classifier_with_scale),
        cmocka_unit_test(test_infos),  cmocka_unit_test(test_assumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

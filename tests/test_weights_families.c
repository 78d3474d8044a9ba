/* test_weights_families.c - weights_find on the models of every family (tests/fixtures/models), and on copies of their
 * files in which one thing is wrong: a tensor left out, of another shape or type, under two names, or one too many. No
 * copy may pass for what it is not. JSON stays as it is.
 */
#include "edited_model.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct bench {
    char temporary[512], path[600]; /* where copies are written */
    char folder[600];               /* of the fixture */
    const char *name;               /* "beit" */
    struct model original, edited;  /* the fixture; what the last copy gave */
    struct edit edit;
    vitcl_error err;
};

/* ---- fixtures ---------------------------------------------------------------------------------------------------- */

static int is_model(const struct dirent *entry)
{
    char path[600];
    snprintf(path, sizeof path, FIXTURES "/models/%s/model.safetensors", entry->d_name);
    return access(path, R_OK) == 0; /* the sharded one has its own test */
}

static void close_edited(struct bench *bench)
{
    weights_free(&bench->edited.weights);
    safetensors_close(&bench->edited.file);
    config_free(&bench->edited.config);
}

/* Calls check for every fixture; returns how often. */
static size_t each_model(struct bench *bench, void (*check)(struct bench *))
{
    struct dirent **entries;
    int count = scandir(FIXTURES "/models", &entries, is_model, alphasort);
    assert_true(count >= 70);
    for (int i = 0; i < count; i++) {
        char name[300];
        bench->name = entries[i]->d_name;
        snprintf(bench->folder, sizeof bench->folder, FIXTURES "/models/%s", bench->name);
        snprintf(name, sizeof name, "models/%s", bench->name);
        open_fixture(&bench->original, name);
        check(bench);
        close_edited(bench);
        close_model(&bench->original);
        free(entries[i]);
    }
    free(entries);
    return (size_t)count;
}

static bool is_timm(const struct bench *bench)
{
    return strncmp(bench->name, "timm_", 5) == 0;
}

static void start(struct bench *bench)
{
    edit_start(&bench->edit, &bench->original.file);
}

/* Writes the copy and reads it as the fixture's. */
static vitcl_status find_edited(struct bench *bench)
{
    close_edited(bench);
    edit_write(&bench->edit, bench->path, 0);
    return read_model(&bench->edited, bench->folder, bench->path, &bench->err);
}

static void refuse(struct bench *bench, const char *tensor, vitcl_status status, const char *message)
{
    if (find_edited(bench) == VITCL_OK)
        fail_msg("%s: %s: accepted, expected a refusal with \"%s\"", bench->name, tensor, message);
    if (!strstr(bench->err.message, message))
        fail_msg("%s: %s: expected \"%s\" in: %s", bench->name, tensor, message, bench->err.message);
    if (status && bench->err.status != status)
        fail_msg("%s: %s: %s", bench->name, tensor, bench->err.message);
}

static void accept(struct bench *bench, const char *tensor)
{
    if (find_edited(bench) != VITCL_OK)
        fail_msg("%s: %s: %s", bench->name, tensor, bench->err.message);
}

/* Tensors that the outputs do not depend on (make_models.py: `unused`), and those of no numbers. */
static bool is_idle(const struct bench *bench, const char *tensor)
{
    static const struct {
        const char *model, *tensor;
    } rows[] = {{"*", "*mask_token"},
                {"*", "text_model.*"},
                {"*", "text_projection.*"},
                {"vit_mae_pretraining", "decoder.*"},
                {"clip_classifier", "vision_model.post_layernorm.*"},
                {"siglip*_classifier", "vision_model.head.*"},
                {"dinov3_gated", "embeddings.register_tokens"},
                {"dinov3_v5names", "*embeddings.register_tokens"}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (fnmatch(rows[i].model, bench->name, 0) == 0 && fnmatch(rows[i].tensor, tensor, 0) == 0)
            return true;
    return false;
}

/* Of the second block: what holds for the first holds for it. */
static bool is_repeated(const char *tensor)
{
    return strstr(tensor, ".1.") != NULL;
}

/* Numbers that only compare an image with texts: a model does without. */
static bool is_similarity(const char *tensor)
{
    return strcmp(tensor, "logit_scale") == 0 || strcmp(tensor, "logit_bias") == 0;
}

/* ---- left out ---------------------------------------------------------------------------------------------------- */

/* Of a timm model the tensors say what it has, so one that lacks these is taken for another model: register tokens that
 * no position is stored for, and in a model of one block, its biases. */
static bool shows_only_itself(const struct bench *bench, const char *tensor)
{
    static const struct {
        const char *model, *tensor;
    } rows[] = {{"timm_dinov3*", "reg_token"},
                {"timm_radio", "reg_token"},
                {"timm_reg4_*", "reg_token"},
                {"timm_rope_reg1_gap", "reg_token"},
                {"timm_dinov3", "cls_token"},
                {"timm_test_vit", "blocks.0.attn.qkv.bias"},
                {"timm_test_vit", "blocks.0.attn.proj.bias"}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (fnmatch(rows[i].model, bench->name, 0) == 0 && strcmp(rows[i].tensor, tensor) == 0)
            return true;
    return false;
}

/* Where what is left gives the tensor away by another complaint than that it is missing. */
static bool shows_otherwise(const struct bench *bench, const char *tensor)
{
    return is_timm(bench) || fnmatch("*pooler.dense.weight", tensor, 0) == 0 ||
           fnmatch("*mlp.gate_proj.weight", tensor, 0) == 0;
}

static void check_missing(struct bench *bench)
{
    for (size_t i = 0; i < bench->original.file.count; i++) {
        const char *tensor = bench->original.file.entries[i].name;
        start(bench);
        edit_drop(&bench->edit, i);
        if (is_idle(bench, tensor) || is_similarity(tensor) || shows_only_itself(bench, tensor)) {
            accept(bench, tensor);
            continue;
        }
        refuse(bench, tensor, 0, shows_otherwise(bench, tensor) ? "" : "lack the tensor \"");
        assert_null(strstr(bench->err.message, "\"?\""));
    }
}

static void test_missing(void **state)
{
    each_model(*state, check_missing);
}

/* ---- of another shape or type ------------------------------------------------------------------------------------ */

/* The axes the other way round; false where that changes nothing. */
static bool turn(struct item *item)
{
    const size_t first = item->shape[0];
    if (item->rank < 2 || item->shape[0] == item->shape[1])
        return false;
    item->shape[0] = item->shape[1];
    item->shape[1] = first;
    return true;
}

static void check_shapes(struct bench *bench)
{
    for (size_t i = 0; i < bench->original.file.count; i++) {
        const char *tensor = bench->original.file.entries[i].name;
        struct item *item = &bench->edit.items[i];
        if (is_idle(bench, tensor) || is_repeated(tensor))
            continue;
        start(bench);
        if (turn(item))
            refuse(bench, tensor, VITCL_ERROR_FORMAT, is_timm(bench) ? "" : tensor);
        start(bench);
        if (item->rank == 0 || item->rank == COUNT(item->shape) || item->shape[item->rank - 1] == 1)
            continue;
        item->shape[item->rank++] = 1; /* an axis behind the others is not one before them */
        refuse(bench, tensor, VITCL_ERROR_FORMAT, is_timm(bench) ? "" : tensor);
    }
}

static void test_shapes(void **state)
{
    each_model(*state, check_shapes);
}

static void check_types(struct bench *bench)
{
    for (size_t i = 0; i < bench->original.file.count; i++) {
        const char *tensor = bench->original.file.entries[i].name;
        const char *type = bench->original.file.entries[i].dtype == DTYPE_F32 ? "I32" : "I16";
        char message[300];
        if (is_repeated(tensor))
            continue;
        start(bench);
        bench->edit.items[i].dtype = type;
        snprintf(message, sizeof message, "\"%s\" is stored as %s; vitcl reads F32, F16 and BF16", tensor, type);
        if (is_idle(bench, tensor))
            accept(bench, tensor);
        else
            refuse(bench, tensor, VITCL_ERROR_UNSUPPORTED, message);
    }
}

static void test_types(void **state)
{
    each_model(*state, check_types);
}

/* ---- one too many ------------------------------------------------------------------------------------------------ */

static void check_surplus(struct bench *bench)
{
    static const char *const names[] = {"surprise",          "norm1.weight",         "encoder.layer.00.norm1.weight",
                                        "vit.vit.norm.bias", "head.surprise.weight", "blocks.99.norm2.bias"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char message[300];
        start(bench);
        edit_add_like(&bench->edit, bench->edit.items[0].name, names[i]);
        if (fnmatch("siglip*_classifier", bench->name, 0) == 0 && strncmp(names[i], "head.", 5) == 0)
            continue; /* its unused pooling head may have anything */
        snprintf(message, sizeof message, "a tensor that vitcl does not know in a \"%s\" model: \"%s\"",
                 bench->original.config.family->model_type, names[i]);
        refuse(bench, names[i], VITCL_ERROR_UNSUPPORTED, message);
    }
    start(bench); /* one of no numbers changes nothing */
    edit_add_like(&bench->edit, bench->edit.items[0].name, "surprise")->rank = 1;
    bench->edit.items[bench->edit.count - 1].shape[0] = 0;
    bench->edit.items[bench->edit.count - 1].bytes = 0;
    accept(bench, "surprise");
}

static void test_surplus(void **state)
{
    each_model(*state, check_surplus);
}

/* Exchanges a prefix of the family for the other one: with "vit." "norm" for "vit.norm", and the other way round. */
static void other_prefix(const struct bench *bench, const char *tensor, char other[128])
{
    const char *const *prefixes = bench->original.config.family->prefixes;
    const char *prefix = *prefixes[0] ? prefixes[0] : prefixes[1];
    if (strncmp(tensor, prefix, strlen(prefix)) == 0)
        snprintf(other, 128, "%s", tensor + strlen(prefix));
    else
        snprintf(other, 128, "%s%s", prefix, tensor);
}

static void check_doubled(struct bench *bench)
{
    for (size_t i = 0; i < bench->original.file.count; i++) {
        const char *tensor = bench->original.file.entries[i].name;
        char other[128];
        if (is_idle(bench, tensor) || is_repeated(tensor))
            continue;
        start(bench);
        other_prefix(bench, tensor, other);
        edit_add_like(&bench->edit, tensor, other);
        refuse(bench, tensor, VITCL_ERROR_FORMAT, "which are names of the same tensor");
        assert_non_null(strstr(bench->err.message, tensor));
        assert_non_null(strstr(bench->err.message, other));
    }
}

static void test_doubled(void **state)
{
    each_model(*state, check_doubled);
}

/* ---- the same under other names ---------------------------------------------------------------------------------- */

/* Every second tensor has the other prefix, as ViTMSN mixes them; then all of them. */
static void check_prefixes(struct bench *bench)
{
    for (size_t step = 2; step > 0; step--) {
        start(bench);
        for (size_t i = 0; i < bench->edit.count; i += step) {
            char other[128];
            if (is_idle(bench, bench->edit.items[i].name))
                continue;
            other_prefix(bench, bench->edit.items[i].name, other);
            memcpy(bench->edit.items[i].name, other, sizeof other);
        }
        accept(bench, "other prefixes");
        assert_same_weights(&bench->edited, &bench->original, 0);
    }
}

static void test_prefixes(void **state)
{
    each_model(*state, check_prefixes);
}

static void test_twins(void **state)
{
    static const char *const twins[][2] = {{"models/vit_interpolate", "models/vit_v5names"},
                                           {"models/deit_teacher", "models/deit_v5names"},
                                           {"models/beit", "models/beit_v5names"},
                                           {"models/beit_shared", "models/beit_shared_v5names"},
                                           {"models/dinov2_swiglu", "models/dinov2_v5names"},
                                           {"models/dinov3_gated", "models/dinov3_v5names"},
                                           {"models/clip_vision", "models/clip_vision_v4names"},
                                           {"models/clip_full", "models/clip_config_dict"},
                                           {"models/dinov2_classifier", "models/sharded"}};
    (void)state;
    for (size_t i = 0; i < COUNT(twins); i++) {
        struct model a, b;
        open_fixture(&a, twins[i][0]);
        open_fixture(&b, twins[i][1]);
        assert_same_weights(&a, &b, 0);
        close_model(&a);
        close_model(&b);
    }
}

/* Of one file with three types of numbers. */
static void test_mixed_types(void **state)
{
    struct model model;
    size_t types[3] = {0};
    float row[64];
    (void)state;
    open_fixture(&model, "models/mixed_dtypes");
    for (size_t i = 0; i < model.file.count; i++) {
        const struct tensor_entry *entry = &model.file.entries[i];
        types[entry->dtype == DTYPE_F32 ? 0 : entry->dtype == DTYPE_F16 ? 1 : 2]++;
    }
    assert_true(types[0] && types[1] && types[2]);
    weight_read_row(&model.weights.norm.weight, 0, row);
    for (size_t i = 0; i < 24; i++) /* 1 + 0.2 N(0,1) in any type */
        assert_true(row[i] > 0.2f && row[i] < 1.8f);
    close_model(&model);
}

int main(void)
{
    static struct bench bench;
    const char *base = getenv("TMPDIR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_missing, &bench),
        cmocka_unit_test_prestate(test_shapes, &bench),
        cmocka_unit_test_prestate(test_types, &bench),
        cmocka_unit_test_prestate(test_surplus, &bench),
        cmocka_unit_test_prestate(test_doubled, &bench),
        cmocka_unit_test_prestate(test_prefixes, &bench),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_mixed_types),
    };
    int failed;
    snprintf(bench.temporary, sizeof bench.temporary, "%s/test_weights_XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(bench.temporary))
        return 1;
    snprintf(bench.path, sizeof bench.path, "%s/model.safetensors", bench.temporary);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(bench.path);
    rmdir(bench.temporary);
    return failed;
}

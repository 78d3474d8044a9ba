/* test_weights.c - weights_find sees the same model under every naming, prefix and float type, uses or knows every
 * tensor of the file, and refuses by name what is missing, misshapen, doubled, unknown or of another type.
 *
 * The files are those of tests/fixtures/vit, and edited copies of `cls`: its list of tensors is changed in memory and
 * written out again.
 */
#include "edited_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct bench {
    char folder[512], path[600];
    struct model cls, edited; /* the original; what the last call made of the copy */
    struct edit edit;
    vitcl_error err;
};

static void reset(struct bench *bench)
{
    edit_start(&bench->edit, &bench->cls.file);
}

/* Writes the edited copy and looks for the weights of a model with this config. */
static vitcl_status find(struct bench *bench, const struct config *config, size_t padding)
{
    weights_free(&bench->edited.weights);
    safetensors_close(&bench->edited.file);
    edit_write(&bench->edit, bench->path, padding);
    if (safetensors_open(&bench->edited.file, bench->path, &bench->err) != VITCL_OK)
        fail_msg("%s", bench->err.message);
    bench->edited.config = *config;
    memset(&bench->edited.weights, 0x5a, sizeof bench->edited.weights);
    return weights_find(&bench->edited.weights, config, &bench->edited.file, &bench->err);
}

static void accept(struct bench *bench, const struct config *config)
{
    if (find(bench, config, 0) != VITCL_OK)
        fail_msg("refused: %s", bench->err.message);
}

static void refuse(struct bench *bench, const struct config *config, vitcl_status status, const char *message)
{
    static const struct weights zero;
    if (find(bench, config, 0) == VITCL_OK)
        fail_msg("accepted, expected a refusal with: %s", message);
    if (!strstr(bench->err.message, message))
        fail_msg("expected %s in: %s", message, bench->err.message);
    assert_int_equal(bench->err.status, status);
    assert_memory_equal(&bench->edited.weights, &zero, sizeof zero);
}

/* ---- accepted ---------------------------------------------------------------------------------------------------- */

static void test_same_model_in_every_storage(void **state)
{
    static const struct {
        const char *name;
        double share; /* half of the last place of a float of 24, 11 or 8 bits */
    } storages[] = {
        {"vit/cls", 0}, {"vit/cls_v5", 0}, {"vit/cls_timm_names", 0}, {"vit/f16", 0x1p-11}, {"vit/bf16", 0x1p-8}};
    struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(storages); i++) {
        struct model model;
        open_fixture(&model, storages[i].name);
        assert_same_weights(&model, &bench->cls, storages[i].share);
        close_model(&model);
    }
}

static void test_parts(void **state)
{
    static const char *const names[] = {"query", "key", "value"};
    const struct bench *bench = *state;
    const struct linear *qkv = &bench->cls.weights.blocks[1].qkv;
    uint64_t numbers = 0;
    float row[144];
    for (size_t p = 0; p < 3; p++) { /* a matrix has its parts below, a vector beside each other */
        char name[128];
        snprintf(name, sizeof name, "vit.encoder.layer.1.attention.attention.%s.weight", names[p]);
        weight_read_row(&qkv->weight, 48 * p + 47, row);
        assert_memory_equal(row, safetensors_find(&bench->cls.file, name)->data + 47 * 48 * 4, 48 * 4);
        snprintf(name, sizeof name, "vit.encoder.layer.1.attention.attention.%s.bias", names[p]);
        weight_read_row(&qkv->bias, 0, row);
        assert_memory_equal(row + 48 * p, safetensors_find(&bench->cls.file, name)->data, 48 * 4);
    }
    for (size_t i = 0; i < bench->cls.file.count; i++)
        numbers += bench->cls.file.entries[i].bytes / 4;
    assert_int_equal(bench->cls.weights.parameters, numbers);
}

static void test_without_qkv_bias(void **state)
{
    struct model model;
    float row[3 * 72];
    (void)state;
    open_fixture(&model, "vit/odd");
    assert_int_equal(model.weights.blocks[1].qkv.bias.cols, 3 * 72);
    memset(row, 0x5a, sizeof row);
    weight_read_row(&model.weights.blocks[1].qkv.bias, 0, row);
    for (size_t i = 0; i < COUNT(row); i++)
        assert_true(row[i] == 0);
    close_model(&model);
}

static void test_data_anywhere(void **state)
{
    struct bench *bench = *state;
    for (size_t padding = 0; padding < 4; padding++) {
        reset(bench);
        assert_int_equal(find(bench, &bench->cls.config, padding), VITCL_OK);
        assert_same_weights(&bench->edited, &bench->cls, 0);
    }
}

static void test_mixed_prefixes(void **state)
{
    struct bench *bench = *state;
    reset(bench); /* as ViTMSN writes them: the blocks without "vit.", the rest with it */
    for (size_t i = 0; i < bench->edit.count; i++) {
        char *name = bench->edit.items[i].name;
        if (strncmp(name, "vit.encoder", 11) == 0)
            memmove(name, name + 4, strlen(name + 4) + 1);
    }
    accept(bench, &bench->cls.config);
    assert_same_weights(&bench->edited, &bench->cls, 0);
}

static void test_mixed_types(void **state)
{
    static const uint16_t halves[48] = {0x3c00, 0xc000}; /* 1, -2, 0, ... */
    struct bench *bench = *state;
    struct item *item;
    float row[144];
    reset(bench);
    item = edit_named(&bench->edit, "vit.encoder.layer.0.attention.attention.key.bias");
    item->dtype = "F16";
    item->data = halves;
    item->bytes = sizeof halves;
    accept(bench, &bench->cls.config);
    weight_read_row(&bench->edited.weights.blocks[0].qkv.bias, 0, row);
    assert_true(row[48] == 1 && row[49] == -2 && row[50] == 0 && row[95] == 0 && row[96] != 0);
}

static void test_heads(void **state)
{
    static const struct {
        const char *name;
        enum head head, inferred;
    } rows[] = {{"vit/cls", HEAD_CLASSIFIER, HEAD_CLASSIFIER},
                {"vit/pooler", HEAD_POOLER, HEAD_POOLER},
                {"vit/no_pooler", HEAD_NONE, HEAD_NONE},
                {"vit/msk", HEAD_NONE, HEAD_NONE}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model model;
        vitcl_error err;
        open_fixture(&model, rows[i].name);
        assert_int_equal(model.config.head, rows[i].head);
        assert_int_equal(model.config.pool, rows[i].head == HEAD_NONE ? POOL_NONE : POOL_CLS);
        weights_free(&model.weights);
        model.config.head = HEAD_INFER;
        assert_int_equal(config_complete(&model.config, &model.file, &err), VITCL_OK);
        assert_int_equal(weights_find(&model.weights, &model.config, &model.file, &err), VITCL_OK);
        assert_int_equal(model.config.head, rows[i].inferred);
        assert_int_equal(model.config.pool, rows[i].inferred == HEAD_NONE ? POOL_NONE : POOL_CLS);
        close_model(&model);
    }
}

static void test_ignored(void **state)
{
    static const char *const names[] = {"vit.embeddings.mask_token", "embeddings.position_ids", "decoder.0.weight",
                                        "vit.pooler.dense.weight", "pooler.dense.bias"};
    struct bench *bench = *state;
    struct config headless = bench->cls.config;
    reset(bench);
    for (size_t i = 0; i < COUNT(names); i++)
        edit_add_like(&bench->edit, "classifier.bias", names[i])->dtype = "I32";
    accept(bench, &bench->cls.config);
    assert_same_weights(&bench->edited, &bench->cls, 0);

    headless.head = HEAD_NONE; /* only a classifier does without its pooler */
    refuse(bench, &headless, VITCL_ERROR_UNSUPPORTED, "\"classifier.bias\"");
    edit_drop(&bench->edit, 0);
    edit_drop(&bench->edit, 0);
    refuse(bench, &headless, VITCL_ERROR_UNSUPPORTED, "\"pooler.dense.bias\"");
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

/* Leaves out each tensor whose name ends in one of the suffixes, one at a time. */
static void refuse_without(struct bench *bench, const char *const *suffixes, size_t count, size_t expected)
{
    size_t dropped = 0;
    for (size_t i = 0; i < bench->cls.file.count; i++) {
        const char *name = bench->cls.file.entries[i].name;
        char message[192];
        bool chosen = false;
        for (size_t s = 0; s < count; s++)
            chosen |= strlen(name) >= strlen(suffixes[s]) &&
                      strcmp(name + strlen(name) - strlen(suffixes[s]), suffixes[s]) == 0;
        if (!chosen)
            continue;
        reset(bench);
        edit_drop(&bench->edit, i);
        snprintf(message, sizeof message, "lack the tensor \"%s\"", name + (strncmp(name, "vit.", 4) == 0 ? 4 : 0));
        refuse(bench, &bench->cls.config, VITCL_ERROR_FORMAT, message);
        dropped++;
    }
    assert_int_equal(dropped, expected);
}

static void test_missing(void **state)
{
    static const char *const suffixes[] = {".weight",      "token",       "embeddings",
                                           "_before.bias", "_after.bias", "norm.bias"};
    refuse_without(*state, suffixes, COUNT(suffixes), 2 * 8 + 3 + 2 + 2 * 2 + 1);
}

/* Without the bias that config.json promises the model would run and be wrong. */
static void test_missing_bias(void **state)
{
    static const char *const suffixes[] = {"dense.bias", "query.bias",      "key.bias",
                                           "value.bias", "projection.bias", "classifier.bias"};
    refuse_without(*state, suffixes, COUNT(suffixes), 2 * 6 + 2);
}

/* The fused layer has one name only, that of timm. */
static void test_missing_fused_bias(void **state)
{
    struct model timm;
    vitcl_error err;
    size_t i = 0;
    (void)state;
    open_fixture(&timm, "vit/cls_timm_names");
    weights_free(&timm.weights);
    while (strcmp(timm.file.entries[i].name, "blocks.0.attn.qkv.bias") != 0)
        i++;
    timm.file.count--;
    memmove(&timm.file.entries[i], &timm.file.entries[i + 1], (timm.file.count - i) * sizeof *timm.file.entries);
    assert_int_equal(weights_find(&timm.weights, &timm.config, &timm.file, &err), VITCL_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "lack the tensor \"blocks.0.attn.qkv.bias\""));
    close_model(&timm);
}

static void test_wrong_shape(void **state)
{
    struct bench *bench = *state;
    struct item *fc1, *position;
    struct config config = bench->cls.config;
    for (size_t i = 0; i < bench->cls.file.count; i++) { /* one axis too many */
        reset(bench);
        if (bench->edit.items[i].rank == COUNT(bench->edit.items[i].shape))
            continue;
        bench->edit.items[i].shape[bench->edit.items[i].rank++] = 1;
        refuse(bench, &bench->cls.config, VITCL_ERROR_FORMAT, bench->edit.items[i].name);
    }
    reset(bench);
    fc1 = edit_named(&bench->edit, "vit.encoder.layer.1.intermediate.dense.weight");
    fc1->shape[0] = 48;
    fc1->shape[1] = 96;
    refuse(bench, &bench->cls.config, VITCL_ERROR_FORMAT,
           "layer.1.intermediate.dense.weight\" has the shape [48,96], "
           "expected [96,48]");
    reset(bench); /* as many numbers in patches of another shape */
    config.patch_height = 4;
    config.patch_width = 16;
    memcpy(edit_named(&bench->edit, "vit.embeddings.patch_embeddings.projection.weight")->shape,
           (size_t[]){48, 3, 16, 4}, 4 * sizeof(size_t));
    refuse(bench, &config, VITCL_ERROR_FORMAT, "has the shape [48,3,16,4], expected [48,3,4,16]");
    reset(bench); /* of a larger picture */
    position = edit_named(&bench->edit, "vit.embeddings.position_embeddings");
    position->shape[1] = 51;
    position->shape[2] = 16;
    refuse(bench, &bench->cls.config, VITCL_ERROR_FORMAT, "has the shape [1,51,16], expected [17,48]");
}

static void test_surplus(void **state)
{
    static const char *const names[] = {"lora_A.weight",
                                        "vit.encoder.layer.2.layernorm_before.weight",
                                        "vit.encoder.layer.00.layernorm_before.weight",
                                        "vit.vit.layernorm.weight",
                                        "distillation_token",
                                        "position_ids.weight",
                                        "layernorm"};
    struct bench *bench = *state;
    struct config shallow = bench->cls.config;
    for (size_t i = 0; i < COUNT(names); i++) {
        char message[128];
        reset(bench);
        edit_add_like(&bench->edit, "vit.layernorm.weight", names[i]);
        snprintf(message, sizeof message, "does not know in a \"vit\" model: \"%s\"", names[i]);
        refuse(bench, &bench->cls.config, VITCL_ERROR_UNSUPPORTED, message);
    }
    reset(bench);
    shallow.layers = 1;
    refuse(bench, &shallow, VITCL_ERROR_UNSUPPORTED, "\"vit.encoder.layer.1.attention.attention.key.bias\"");
}

static void test_doubled(void **state)
{
    static const struct {
        const char *like, *name;
    } rows[] = {{"vit.layernorm.weight", "layernorm.weight"},
                {"vit.layernorm.bias", "norm.bias"},
                {"vit.embeddings.cls_token", "vit.cls_token"},
                {"vit.encoder.layer.1.attention.output.dense.weight", "layers.1.attention.o_proj.weight"},
                {"classifier.bias", "head.bias"}};
    struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        reset(bench);
        edit_add_like(&bench->edit, rows[i].like, rows[i].name);
        refuse(bench, &bench->cls.config, VITCL_ERROR_FORMAT, "which are names of the same tensor");
        assert_non_null(strstr(bench->err.message, rows[i].like));
        assert_non_null(strstr(bench->err.message, rows[i].name));
    }
}

static void test_wrong_type(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < bench->cls.file.count; i++) {
        char message[192];
        reset(bench);
        bench->edit.items[i].dtype = "I32";
        snprintf(message, sizeof message, "\"%s\" is stored as I32; vitcl reads F32, F16 and BF16",
                 bench->edit.items[i].name);
        refuse(bench, &bench->cls.config, VITCL_ERROR_UNSUPPORTED, message);
    }
}

static void test_classes(void **state)
{
    struct bench *bench = *state;
    struct config config = bench->cls.config;
    reset(bench);
    config.labels.count = 9;
    refuse(bench, &config, VITCL_ERROR_FORMAT, "\"classifier.weight\" has 10 classes, config.json names 9");
    config.labels.count = 0;
    refuse(bench, &config, VITCL_ERROR_FORMAT, "\"classifier.weight\" has 10 classes, config.json names 0");
    for (size_t i = 0; i < 2;
         i++) { /* "classifier.bias" and "classifier.weight": legal in the file, but no classifier */
        bench->edit.items[i].shape[0] = 0;
        bench->edit.items[i].bytes = 0;
    }
    refuse(bench, &config, VITCL_ERROR_FORMAT, "classes");
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const char *base = getenv("TMPDIR");
    assert_non_null(bench);
    snprintf(bench->folder, sizeof bench->folder, "%s/test_weights_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/model.safetensors", bench->folder);
    open_fixture(&bench->cls, "vit/cls");
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    weights_free(&bench->edited.weights);
    safetensors_close(&bench->edited.file);
    close_model(&bench->cls);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_model_in_every_storage),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_without_qkv_bias),
        cmocka_unit_test(test_data_anywhere),
        cmocka_unit_test(test_mixed_prefixes),
        cmocka_unit_test(test_mixed_types),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_missing_bias),
        cmocka_unit_test(test_missing_fused_bias),
        cmocka_unit_test(test_wrong_shape),
        cmocka_unit_test(test_surplus),
        cmocka_unit_test(test_doubled),
        cmocka_unit_test(test_wrong_type),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

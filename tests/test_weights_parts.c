/* test_weights_parts.c - what weights_find makes of the tensors of other families than ViT: parts that are folded in,
 * put together, split or stand for zeros; and the head that the tensors show where config.json names no class.
 */
#include "edited_model.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- numbers of a file ------------------------------------------------------------------------------------------- */

/* Row `row` of a float32 tensor of rows of `cols` numbers. */
static const float *stored(const struct model *model, const char *name, size_t row, size_t cols)
{
    static float numbers[MAX_COLUMNS];
    const struct tensor_entry *entry = safetensors_find(&model->file, name);
    if (!entry)
        fail_msg("no tensor %s", name);
    assert_int_equal(entry->dtype, DTYPE_F32);
    assert_true(cols <= MAX_COLUMNS && (row + 1) * cols * 4 <= entry->bytes);
    memcpy(numbers, entry->data + row * cols * 4, cols * 4);
    return numbers;
}

/* Numbers `first` on of a row of a weight are those of the tensor's row, times `factor`. */
static void assert_row(const struct model *model, const struct weight *weight, size_t row, size_t first,
                       const char *name, size_t tensor_row, size_t cols, float factor)
{
    static float found[MAX_COLUMNS];
    const float *expected = stored(model, name, tensor_row, cols);
    assert_true(row < weight->rows && first + cols <= weight->cols);
    weight_read_row(weight, row, found);
    for (size_t i = 0; i < cols; i++)
        if (found[first + i] != expected[i] * factor)
            fail_msg("%s [%zu,%zu]: %a", name, tensor_row, i, (double)found[first + i]);
}

static void assert_zeros(const struct weight *weight, size_t first, size_t count)
{
    static float found[MAX_COLUMNS];
    memset(found, 0x5a, sizeof found);
    assert_int_equal(weight->rows, 1);
    assert_true(first + count <= weight->cols);
    weight_read_row(weight, 0, found);
    for (size_t i = 0; i < count; i++)
        assert_true(found[first + i] == 0);
}

/* ---- folded in --------------------------------------------------------------------------------------------------- */

/* LayerScale multiplies what a layer gives: its rows, and its bias number by number. */
static void test_layer_scale(void **state)
{
    static const struct {
        const char *model, *layer, *scale;
        bool second; /* of the MLP */
    } rows[] = {
        {"models/beit", "beit.encoder.layer.1.attention.output.dense", "beit.encoder.layer.1.lambda_1", false},
        {"models/beit", "beit.encoder.layer.1.output.dense", "beit.encoder.layer.1.lambda_2", true},
        {"models/dinov2", "encoder.layer.1.attention.output.dense", "encoder.layer.1.layer_scale1.lambda1", false},
        {"models/dinov2", "encoder.layer.1.mlp.fc2", "encoder.layer.1.layer_scale2.lambda1", true},
        {"models/dinov3", "layer.1.attention.o_proj", "layer.1.layer_scale1.lambda1", false},
        {"models/dinov3", "layer.1.mlp.down_proj", "layer.1.layer_scale2.lambda1", true},
        {"models/timm_deit3", "blocks.1.attn.proj", "blocks.1.ls1.gamma", false},
        {"models/timm_deit3", "blocks.1.mlp.fc2", "blocks.1.ls2.gamma", true},
        {"models/timm_dinov3", "blocks.1.attn.proj", "blocks.1.gamma_1", false},
        {"models/timm_dinov3", "blocks.1.mlp.fc2", "blocks.1.gamma_2", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model model;
        const struct linear *layer;
        char weight[128], bias[128];
        static float found[MAX_COLUMNS], scales[MAX_COLUMNS];
        size_t width;
        open_fixture(&model, rows[i].model);
        width = model.config.width;
        layer = rows[i].second ? &model.weights.blocks[1].fc2 : &model.weights.blocks[1].proj;
        snprintf(weight, sizeof weight, "%s.weight", rows[i].layer);
        snprintf(bias, sizeof bias, "%s.bias", rows[i].layer);
        memcpy(scales, stored(&model, rows[i].scale, 0, width), width * sizeof *scales);
        for (size_t row = 0; row < width; row++)
            assert_row(&model, &layer->weight, row, 0, weight, row, layer->weight.cols, scales[row]);
        weight_read_row(&layer->bias, 0, found);
        for (size_t c = 0; c < width; c++)
            assert_true(found[c] == stored(&model, bias, 0, width)[c] * scales[c]);
        assert_true(scales[0] != scales[1] && scales[0] != 1);
        close_model(&model);
    }
}

/* ---- put together ------------------------------------------------------------------------------------------------ */

/* Tokens before the patches, in the order they run. */
static void test_prefix(void **state)
{
    static const struct {
        const char *model, *tensors[3];
        size_t rows[3];
    } rows[] = {
        {"models/deit_teacher", {"deit.embeddings.cls_token", "deit.embeddings.distillation_token"}, {1, 1}},
        {"models/dinov2_registers", {"embeddings.cls_token", "embeddings.register_tokens"}, {1, 4}},
        {"models/clip_vision", {"embeddings.class_embedding"}, {1}},
        {"models/timm_deit_distilled", {"cls_token", "dist_token"}, {1, 1}},
        {"models/timm_reg4_dinov2", {"cls_token", "reg_token"}, {1, 4}},
        {"models/timm_map_prefix", {"reg_token"}, {1}},
        {"models/dinov3_gated", {"embeddings.cls_token"}, {1}}, /* its register tokens have no rows */
        {"models/ijepa_model", {NULL}, {0}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model model;
        size_t row = 0;
        open_fixture(&model, rows[i].model);
        for (size_t t = 0; t < 3 && rows[i].tensors[t]; t++)
            for (size_t r = 0; r < rows[i].rows[t]; r++)
                assert_row(&model, &model.weights.prefix, row++, 0, rows[i].tensors[t], r, model.config.width, 1);
        assert_int_equal(model.weights.prefix.rows, row);
        assert_int_equal(model.config.prefix, row);
        close_model(&model);
    }
}

/* A gate lies above the value, whether they are one tensor or two. */
static void test_gate(void **state)
{
    struct model model;
    const struct linear *fc1;
    (void)state;
    open_fixture(&model, "models/dinov3_gated");
    fc1 = &model.weights.blocks[1].fc1;
    assert_int_equal(fc1->weight.rows, 88);
    assert_row(&model, &fc1->weight, 43, 0, "layer.1.mlp.gate_proj.weight", 43, 16, 1);
    assert_row(&model, &fc1->weight, 44, 0, "layer.1.mlp.up_proj.weight", 0, 16, 1);
    assert_zeros(&fc1->bias, 0, 88);
    close_model(&model);

    open_fixture(&model, "models/timm_eva02_base");
    fc1 = &model.weights.blocks[1].fc1;
    assert_int_equal(fc1->weight.rows, 2 * model.config.mlp_width);
    assert_row(&model, &fc1->weight, 0, 0, "blocks.1.mlp.fc1_g.weight", 0, 24, 1);
    assert_row(&model, &fc1->weight, model.config.mlp_width, 0, "blocks.1.mlp.fc1_x.weight", 0, 24, 1);
    assert_row(&model, &fc1->bias, 0, model.config.mlp_width, "blocks.1.mlp.fc1_x.bias", 0, model.config.mlp_width, 1);
    close_model(&model);

    open_fixture(&model, "models/timm_dinov2_giant");
    fc1 = &model.weights.blocks[1].fc1;
    assert_int_equal(fc1->weight.rows, 2 * model.config.mlp_width);
    assert_row(&model, &fc1->weight, 2 * model.config.mlp_width - 1, 0, "blocks.1.mlp.fc1.weight",
               2 * model.config.mlp_width - 1, 24, 1);
    close_model(&model);
}

/* Biases that a class has not are zeros between those that it has. */
static void test_biases_apart(void **state)
{
    struct model model;
    const struct weight *bias;
    (void)state;
    open_fixture(&model, "models/beit");
    bias = &model.weights.blocks[1].qkv.bias;
    assert_row(&model, bias, 0, 0, "beit.encoder.layer.1.attention.attention.query.bias", 0, 24, 1);
    assert_zeros(bias, 24, 24);
    assert_row(&model, bias, 0, 48, "beit.encoder.layer.1.attention.attention.value.bias", 0, 24, 1);
    close_model(&model);

    open_fixture(&model, "models/timm_eva02_tiny"); /* beside a fused layer */
    bias = &model.weights.blocks[1].qkv.bias;
    assert_row(&model, bias, 0, 0, "blocks.1.attn.q_bias", 0, 24, 1);
    assert_zeros(bias, 24, 24);
    assert_row(&model, bias, 0, 48, "blocks.1.attn.v_bias", 0, 24, 1);
    assert_row(&model, &model.weights.blocks[1].qkv.weight, 71, 0, "blocks.1.attn.qkv.weight", 71, 24, 1);
    close_model(&model);

    open_fixture(&model, "models/clip_projection");
    assert_zeros(&model.weights.patch.bias, 0, 24);
    assert_zeros(&model.weights.projection.bias, 0, 20);
    close_model(&model);
}

/* ---- split ------------------------------------------------------------------------------------------------------- */

/* The pool's query comes from the probe alone, its keys and values from the tokens. */
static void test_attention_pool(void **state)
{
    struct model model;
    const struct attention_pool_weights *pool = &model.weights.attention_pool;
    (void)state;
    open_fixture(&model, "models/siglip_full");
    assert_true(pool->query.weight.rows == 24 && pool->kv.weight.rows == 48);
    assert_true(pool->query.bias.cols == 24 && pool->kv.bias.cols == 48);
    for (size_t row = 0; row < 72; row++)
        assert_row(&model, row < 24 ? &pool->query.weight : &pool->kv.weight, row < 24 ? row : row - 24, 0,
                   "vision_model.head.attention.in_proj_weight", row, 24, 1);
    for (size_t third = 0; third < 3; third++)
        assert_row(&model, third ? &pool->kv.bias : &pool->query.bias, 0, third == 2 ? 24 : 0,
                   "vision_model.head.attention.in_proj_bias", third, 24, 1);
    assert_row(&model, &pool->probe, 0, 0, "vision_model.head.probe", 0, 24, 1);
    close_model(&model);

    open_fixture(&model, "models/timm_vit_map");
    assert_row(&model, &pool->query.weight, 23, 0, "attn_pool.q.weight", 23, 24, 1);
    assert_row(&model, &pool->kv.weight, 47, 0, "attn_pool.kv.weight", 47, 24, 1);
    close_model(&model);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

struct copy {
    char folder[512], path[600], config[600];
    struct edit edit;
    struct model model;
    vitcl_error err;
};

static void copy_refused(struct copy *copy, const char *folder, vitcl_status status, const char *message)
{
    edit_write(&copy->edit, copy->path, 0);
    if (read_model(&copy->model, folder, copy->path, &copy->err) == VITCL_OK)
        fail_msg("%s: accepted, expected a refusal with \"%s\"", folder, message);
    if (!strstr(copy->err.message, message))
        fail_msg("%s: expected \"%s\" in: %s", folder, message, copy->err.message);
    assert_int_equal(copy->err.status, status);
    close_model(&copy->model);
}

/* A bias of a layer that has none in its class would be left out in silence. */
static void test_surplus_bias(void **state)
{
    static const struct {
        const char *model, *name;
    } rows[] = {{"vit_msn_model", "encoder.layer.0.attention.attention.query.bias"},
                {"beit", "beit.encoder.layer.0.attention.attention.key.bias"},
                {"beit", "beit.layernorm.bias"}, /* it has one for the pooled vector instead */
                {"dinov3", "layer.0.attention.k_proj.bias"},
                {"dinov3_gated", "layer.0.attention.q_proj.bias"},
                {"dinov3_gated", "layer.0.mlp.gate_proj.bias"},
                {"dinov3_gated", "layer.0.mlp.down_proj.bias"},
                {"clip_full", "vision_model.embeddings.patch_embedding.bias"},
                {"clip_full", "visual_projection.bias"},
                {"siglip_no_head", "head.probe"},
                {"timm_clip", "patch_embed.proj.bias"},
                {"timm_eva02_tiny", "blocks.0.attn.k_bias"},
                {"timm_headless", "fc_norm.bias"},
                {"timm_vit", "head_dist.weight"}};
    struct copy *copy = *state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model original;
        char name[300], folder[600], message[300];
        snprintf(name, sizeof name, "models/%s", rows[i].model);
        snprintf(folder, sizeof folder, FIXTURES "/%s", name);
        snprintf(message, sizeof message, "\"%s\"", rows[i].name);
        open_fixture(&original, name);
        edit_start(&copy->edit, &original.file);
        edit_add_like(&copy->edit, original.file.entries[0].name, rows[i].name);
        copy_refused(copy, folder, VITCL_ERROR_UNSUPPORTED, message);
        close_model(&original);
    }
}

/* Each of two classifiers has the classes of config.json. */
static void test_two_classifiers(void **state)
{
    static const char *const names[] = {"cls_classifier.weight", "distillation_classifier.weight"};
    struct copy *copy = *state;
    struct model original;
    open_fixture(&original, "models/deit_teacher");
    for (size_t i = 0; i < COUNT(names); i++) {
        char message[160];
        struct item *item;
        edit_start(&copy->edit, &original.file);
        item = edit_named(&copy->edit, names[i]);
        item->shape[0]--;
        item->bytes -= original.config.width * 4;
        snprintf(message, sizeof message, "\"%s\" has 4 classes, config.json names 5", names[i]);
        copy_refused(copy, FIXTURES "/models/deit_teacher", VITCL_ERROR_FORMAT, message);
    }
    close_model(&original);
}

/* The length of an embedding stands nowhere else. */
static void test_projection_width(void **state)
{
    struct copy *copy = *state;
    struct model original;
    struct item *item;
    open_fixture(&original, "models/clip_projection");
    edit_start(&copy->edit, &original.file);
    item = edit_named(&copy->edit, "visual_projection.weight");
    item->shape[0] = 13;
    item->bytes = 13 * original.config.width * 4;
    edit_write(&copy->edit, copy->path, 0);
    if (read_model(&copy->model, FIXTURES "/models/clip_projection", copy->path, &copy->err) != VITCL_OK)
        fail_msg("%s", copy->err.message);
    assert_int_equal(copy->model.config.projection_width, 13);
    assert_int_equal(copy->model.weights.projection.weight.rows, 13);
    close_model(&copy->model);
    close_model(&original);
}

/* ---- the head that the tensors show ------------------------------------------------------------------------------ */

static int is_hugging_face(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strncmp(entry->d_name, "timm_", 5) != 0 && strcmp(entry->d_name, "sharded") != 0;
}

static void check_guess(struct copy *copy, const char *name)
{
    struct model original;
    char path[600], fixture[300];
    json_t *config;
    snprintf(fixture, sizeof fixture, "models/%s", name);
    open_fixture(&original, fixture);
    snprintf(path, sizeof path, FIXTURES "/models/%s/config.json", name);
    config = json_load_file(path, 0, NULL);
    assert_int_equal(json_object_del(config, "architectures"), 0);
    assert_int_equal(json_dump_file(config, copy->config, 0), 0);
    json_decref(config);
    snprintf(path, sizeof path, FIXTURES "/models/%s/model.safetensors", name);
    if (read_model(&copy->model, copy->folder, path, &copy->err) != VITCL_OK)
        fail_msg("%s: %s", name, copy->err.message);
    if (copy->model.config.head != original.config.head || copy->model.config.pool != original.config.pool ||
        copy->model.config.traits != original.config.traits)
        fail_msg("%s: head %d and pool %d, expected %d and %d", name, copy->model.config.head, copy->model.config.pool,
                 original.config.head, original.config.pool);
    assert_string_equal(copy->model.config.architecture, "");
    assert_same_weights(&copy->model, &original, 0);
    close_model(&copy->model);
    close_model(&original);
}

static void test_guessed_heads(void **state)
{
    struct dirent **entries;
    int count = scandir(FIXTURES "/models", &entries, is_hugging_face, alphasort);
    assert_true(count >= 43);
    for (int i = 0; i < count; i++) {
        check_guess(*state, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static int set_up(void **state)
{
    static struct copy copy;
    const char *base = getenv("TMPDIR");
    snprintf(copy.folder, sizeof copy.folder, "%s/test_weights_XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(copy.folder))
        return -1;
    snprintf(copy.path, sizeof copy.path, "%s/model.safetensors", copy.folder);
    snprintf(copy.config, sizeof copy.config, "%s/config.json", copy.folder);
    *state = &copy;
    return 0;
}

static int tear_down(void **state)
{
    struct copy *copy = *state;
    unlink(copy->path);
    unlink(copy->config);
    return rmdir(copy->folder);
}

/* One row is a matrix where it has one factor, a vector where each number has its own. */
static void test_scale_of_one_row(void **state)
{
    static const float numbers[] = {1, 2, 3}, factors[] = {5, 6, 7};
    const struct tensor_entry tensor = {
        .dtype = DTYPE_F32, .data = (const unsigned char *)numbers, .bytes = sizeof numbers};
    struct tensor_entry scale = {.dtype = DTYPE_F32, .data = (const unsigned char *)factors, .bytes = sizeof *factors};
    const struct weight weight = {
        .part = {{.tensor = &tensor, .rows = 1, .cols = 3}}, .parts = 1, .rows = 1, .cols = 3, .scale = &scale};
    float row[3];
    (void)state;
    weight_read_row(&weight, 0, row);
    assert_true(row[0] == 5 && row[1] == 10 && row[2] == 15);
    scale.bytes = sizeof factors;
    weight_read_row(&weight, 0, row);
    assert_true(row[0] == 5 && row[1] == 12 && row[2] == 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scale_of_one_row), cmocka_unit_test(test_layer_scale),
        cmocka_unit_test(test_prefix),           cmocka_unit_test(test_gate),
        cmocka_unit_test(test_biases_apart),     cmocka_unit_test(test_attention_pool),
        cmocka_unit_test(test_surplus_bias),     cmocka_unit_test(test_two_classifiers),
        cmocka_unit_test(test_projection_width), cmocka_unit_test(test_guessed_heads),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

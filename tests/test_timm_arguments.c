/* test_timm_arguments.c - what config.json of a timm folder says beside the architecture's name: model_args stand over
 * the rules of the name, what vitcl would run otherwise than timm is refused by its key. JSON is written with ' for ".
 */
#include "timm_bench.h"

/* ---- arguments that vitcl does not follow ------------------------------------------------------------------------ */

static void test_refused_arguments(void **state)
{
    static const struct {
        const char *model, *args, *message;
    } rows[] = {
        {"vit", "'use_post_norm': true", "model_args: use_post_norm: true is not supported"},
        {"vit", "'use_naflex': true", "model_args: use_naflex: true is not supported"},
        {"vit", "'dynamic_img_pad': true", "model_args: dynamic_img_pad: true is not supported"},
        {"vit", "'norm_layer': 'rmsnorm'", "model_args: norm_layer: vitcl does not run \"rmsnorm\""},
        {"vit", "'norm_layer': ''", "model_args: norm_layer: vitcl does not run \"\""},
        {"vit", "'attn_layer': 'diff'", "model_args: attn_layer: vitcl does not run \"diff\""},
        {"eva", "'rope_grid_indexing': 'xy'", "model_args: rope_grid_indexing: vitcl does not run \"xy\""},
        {"eva", "'rope_type': 'mixed'", "model_args: rope_type: vitcl does not run \"mixed\""},
        {"eva", "'rope_type': 'mrope'", "model_args: rope_type: vitcl does not run \"mrope\""},
        {"eva", "'rope_grid_offset': 1", "model_args: rope_grid_offset: only 0 is supported"},
        {"eva", "'rope_grid_offset': 0.5", "model_args: rope_grid_offset: only 0 is supported"},
        {"eva", "'rope_rotate_half': true", "rope_rotate_half: not supported with this rope_type"},
        {"dinov3", "'rope_rotate_half': false", "rope_rotate_half: not supported with this rope_type"},
        {"eva", "'attn_pool_num_heads': 4", "model_args: attn_pool_num_heads"},
        {"vit", "'act_layer': 'hard_swish'", "act_layer: vitcl does not run \"hard_swish\"; it has gelu, "},
        {"vit", "'in_chans': 1", "in_chans: vitcl runs models of 3 channels, not 1"},
        {"vit", "'in_chans': 4", "in_chans: vitcl runs models of 3 channels, not 4"},
        {"vit", "'global_pool': 'prr'", "global_pool: vitcl does not run \"prr\"; it has token, avg, "},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *line = *rows[i].model == 'v' ? VIT : *rows[i].model == 'e' ? EVA : DINOV3;
        refuse(*state, line, rows[i].args, VITCL_ERROR_UNSUPPORTED, rows[i].message);
        assert_contains(((struct timm_bench *)*state)->err.message, "config.json: ");
    }
}

/* The same keys with what changes nothing. */
static void test_harmless_arguments(void **state)
{
    accept(*state, VIT,
           "'use_post_norm': false, 'use_naflex': false, 'dynamic_img_pad': null, 'norm_layer': 'layernorm', "
           "'attn_layer': 'attn', 'in_chans': 3, 'act_layer': null, 'global_pool': null");
    accept(*state, VIT, "'attn_layer': '', 'drop_path_rate': 0.1");
    accept(*state, EVA,
           "'rope_grid_indexing': 'ij', 'rope_type': 'cat', 'rope_grid_offset': 0, 'rope_rotate_half': false");
    accept(*state, DINOV3, "'rope_type': 'dinov3', 'rope_grid_offset': 0.0, 'rope_rotate_half': true");
}

static void test_wrong_kinds(void **state)
{
    static const struct {
        const char *args, *message;
    } rows[] = {
        {"'use_post_norm': 1", "use_post_norm: expected true or false, found 1"},
        {"'use_naflex': 'no'", "use_naflex: expected true or false, found \"no\""},
        {"'dynamic_img_pad': 0", "dynamic_img_pad: expected true or false, found 0"},
        {"'dynamic_img_size': 1", "dynamic_img_size: expected true or false, found 1"},
        {"'norm_layer': 3", "norm_layer: expected a string, found 3"},
        {"'attn_layer': []", "attn_layer: expected a string, found []"},
        {"'rope_type': true", "rope_type: expected a string, found true"},
        {"'rope_grid_offset': '0'", "rope_grid_offset: expected a number from -1e+06 to 1e+06, found \"0\""},
        {"'rope_temperature': 0", "rope_temperature: expected a number from 0.001 to 1e+12, found 0"},
        {"'rope_temperature': '1'", "rope_temperature: expected a number "},
        {"'ref_feat_shape': [16]", "ref_feat_shape: expected an integer or [height, width]"},
        {"'ref_feat_shape': 0", "ref_feat_shape: expected an integer from 1 to 65536"},
        {"'use_rot_pos_emb': 'yes'", "use_rot_pos_emb: expected true or false"},
        {"'rope_rotate_half': 0", "rope_rotate_half: expected true or false"},
        {"'pool_include_prefix': 1", "pool_include_prefix: expected true or false"},
        {"'act_layer': ['gelu']", "act_layer: expected a string"},
        {"'global_pool': false", "global_pool: expected a string, found false"},
        {"'img_size': '16'", "img_size: expected an integer from 1 to 65536"},
        {"'img_size': [16]", "img_size: expected an integer or [height, width]"},
        {"'img_size': [0, 16]", "img_size: expected an integer or [height, width]"},
        {"'img_size': 65537", "img_size: expected an integer from 1 to 65536"},
        {"'in_chans': 0", "in_chans: expected an integer from 1 to 65536"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        refuse(*state, EVA, rows[i].args, VITCL_ERROR_FORMAT, rows[i].message);
    for (size_t i = 0; i < 3; i++) {
        static const char *const lists[] = {"[]", "'embed_dim'", "7"};
        struct timm_bench *bench = *state;
        char text[200];
        snprintf(text, sizeof text, "{'architecture': 'vit_tiny_patch16_224', 'model_args': %s}", lists[i]);
        timm_write_config(bench, text);
        assert_int_equal(timm_open(bench), VITCL_ERROR_FORMAT);
        assert_contains(bench->err.message, "model_args: expected an object, found ");
    }
}

/* ---- heads ------------------------------------------------------------------------------------------------------- */

static void test_heads(void **state)
{
    static const char *const wrong[] = {"0", "-2", "65537", "2.0", "'2'", "[2]"};
    assert_int_equal(accept_with(*state, VIT, "", "'num_heads': 3")->heads, 3);
    assert_int_equal(accept_with(*state, VIT, "", "'num_heads': 24, 'embed_dim': 24")->heads, 24);
    assert_int_equal(accept_with(*state, VIT, "", "")->heads, 1);    /* 24 / 64, but one at least */
    assert_int_equal(accept_with(*state, GIANT, "", "")->heads, 16); /* by its name, whatever the width */
    refuse_with(*state, VIT, "", "'embed_dim': 24", VITCL_ERROR_UNSUPPORTED,
                "model_args: embed_dim is there, num_heads is not: how many heads can not be told");
    refuse_with(*state, VIT, "", "'num_heads': 5", VITCL_ERROR_FORMAT, "5 does not divide hidden_size 24");
    refuse_with(*state, EVA, "", "'num_heads': 4", VITCL_ERROR_FORMAT,
                "heads of size 6; rotary positions need a multiple of 4");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char args[64];
        snprintf(args, sizeof args, "'num_heads': %s", wrong[i]);
        refuse_with(*state, VIT, "", args, VITCL_ERROR_FORMAT, "num_heads: expected an integer from 1 to 65536");
    }
}

/* ---- numbers and activations ------------------------------------------------------------------------------------- */

/* A LayerNorm that is asked for by name has the library's eps, not the architecture's. */
static void test_eps(void **state)
{
    char clip[400];
    snprintf(clip, sizeof clip, "vit_base_patch32_clip_224%s", strchr(VIT, ' '));
    assert_true(accept(*state, clip, "")->eps == 1e-5);
    assert_true(accept(*state, clip, "'norm_layer': 'layernorm'")->eps == 1e-6);
    assert_true(accept(*state, VIT, "'norm_layer': 'layernorm'")->eps == 1e-6);
}

static void test_activations(void **state)
{
    char packed[400];
    const struct config *c = accept(*state, VIT, "'act_layer': 'quick_gelu'");
    assert_int_equal(c->activation, ACTIVATION_QUICK_GELU);
    c = accept(*state, MAP, "'act_layer': 'gelu_tanh'"); /* of the pool's MLP, too */
    assert_int_equal(c->activation, ACTIVATION_GELU_TANH);
    assert_int_equal(c->pool_activation, ACTIVATION_GELU_TANH);

    snprintf(packed, sizeof packed, /* a gate in the class VisionTransformer is what act_layer says */
             "vit_giant_patch14_dinov2 vit yes 24 2 2 48 silu packed 1e-06 1e-06 token all 0 0 1 0 0 all 0 0 0 0 "
             "fused+bias 1 ls none - - - - - 16x16 4x4 0 bicubic_aa");
    assert_int_equal(accept(*state, packed, "")->activation, ACTIVATION_SILU);
    assert_int_equal(accept(*state, packed, "'act_layer': 'relu'")->activation, ACTIVATION_RELU);
    assert_int_equal(accept(*state, EVA, "")->activation, ACTIVATION_SILU);
}

/* ---- pool -------------------------------------------------------------------------------------------------------- */

/* model_args, then the file itself, then the architecture. */
static void test_pool(void **state)
{
    static const struct {
        const char *root, *args;
        enum pool pool;
    } rows[] = {
        {"", "", POOL_CLS},
        {"'global_pool': 'avg',", "", POOL_CLS}, /* timm does not read it there */
        {"'global_pool': 'cls',", "", POOL_CLS},
        {"'global_pool': null,", "", POOL_CLS},
        {"", "'global_pool': 'avgmax'", POOL_MEAN_MAX},
        {"'global_pool': 'avg',", "'global_pool': 'token'", POOL_CLS},
        {"'global_pool': 'token',", "'global_pool': 'avg'", POOL_MEAN},
        {"'global_pool': 'token',", "'global_pool': null", POOL_CLS},
    };
    char args[200];
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct config *c;
        snprintf(args, sizeof args, SMALL "%s%s", *rows[i].args ? ", " : "", rows[i].args);
        c = accept_with(*state, VIT, rows[i].root, args);
        assert_int_equal(c->pool, rows[i].pool);
        assert_int_equal(c->head, HEAD_CLASSIFIER);
        assert_false(c->pool_prefix);
    }
    assert_int_equal(accept(*state, DINOV3, "")->pool, POOL_MEAN);
    assert_int_equal(accept(*state, DINOV3, "'global_pool': 'token'")->pool, POOL_CLS);
    assert_true(accept(*state, VIT, "'global_pool': 'avg', 'pool_include_prefix': true")->pool_prefix);
    refuse(*state, VIT, "'global_pool': 'cls'", VITCL_ERROR_UNSUPPORTED, "global_pool: vitcl does not run \"cls\"");
    refuse(*state, VIT, "'global_pool': ''", VITCL_ERROR_UNSUPPORTED, "a classifier of every token");
    refuse(*state, VIT, "'global_pool': 3", VITCL_ERROR_FORMAT, "global_pool: expected a string, found 3");
}

/* A pool that the tensors do not fit is not replaced by one that they do. */
static void test_pool_without_its_tensors(void **state)
{
    assert_int_equal(accept(*state, MAP, "")->pool, POOL_ATTENTION);
    assert_int_equal(accept(*state, MAP, "'global_pool': 'map'")->pool, POOL_ATTENTION);
    refuse(*state, MAP, "'global_pool': 'avg'", VITCL_ERROR_UNSUPPORTED, "\"attn_pool.");
    refuse(*state, VIT, "'global_pool': 'map'", VITCL_ERROR_FORMAT, "lack the tensor \"attn_pool.latent\"");
    refuse(*state, MAP, "'global_pool': 'token'", VITCL_ERROR_FORMAT, "global_pool: the class token is pooled, but ");
    refuse(
        *state, /* a distillation token without a class token */
        "deit_tiny_distilled_patch16_224 deit_distilled yes 24 2 2 48 gelu no 1e-06 1e-06 token all 0 0 0 0 1 all 0 0 "
        "0 0 fused+bias 1 none none - - - - - 16x16 4x4 0 bicubic_aa",
        "", VITCL_ERROR_FORMAT, "global_pool: the class token is pooled, but the weights lack \"cls_token\"");
}

/* Eva pools the tokens before the patches, too, by an MLP with a gelu of its own. */
static void test_attention_pool_of_eva(void **state)
{
    const struct config *c =
        accept(*state,
               "eva02_tiny_patch14_224 eva yes 24 2 2 48 silu packed 1e-06 1e-06 map all 2 1 1 0 0 "
               "all 0 0 0 0 split+bias 1 none eva 10000 16x16 0 yx 0 16x16 4x4 0 bicubic_aa",
               "'global_pool': 'map'");
    assert_int_equal(c->pool, POOL_ATTENTION);
    assert_true(c->pool_prefix);
    assert_int_equal(c->activation, ACTIVATION_SILU);
    assert_int_equal(c->pool_activation, ACTIVATION_GELU);
    assert_int_equal(c->traits & TRAIT_QKV_BIAS, TRAIT_QKV_BIAS); /* each in a tensor of its own */
}

/* ---- image size -------------------------------------------------------------------------------------------------- */

static void assert_size(const struct config *c, size_t height, size_t width)
{
    assert_int_equal(c->image_height, height);
    assert_int_equal(c->image_width, width);
    assert_int_equal(c->grid_height, height / 4);
    assert_int_equal(c->grid_width, width / 4);
}

static void test_image_size(void **state)
{
    assert_size(accept(*state, DINOV3, ""), 16, 16); /* it has no stored position: any size fits */
    assert_size(accept(*state, DINOV3, "'img_size': 24"), 24, 24);
    assert_size(accept(*state, DINOV3, "'img_size': [12, 23]"), 12, 23);
    assert_size(accept(*state, DINOV3, "'img_size': null"), 16, 16);
    refuse(*state, VIT, "'img_size': 20", VITCL_ERROR_FORMAT,
           "\"pos_embed\" has the shape [1,17,24], expected [26,24]");
    refuse(*state, DINOV3, "'img_size': 3", VITCL_ERROR_FORMAT, "a patch of 4x4 is larger than the image of 3x3");
    refuse(*state, DINOV3, "'img_size': [65536, 65536]", VITCL_ERROR_UNSUPPORTED, "tokens; vitcl's limit is");
}

/* Opens the dinov3 model with another pretrained_cfg, or none and its keys in the file itself. */
static vitcl_status open_sized(struct timm_bench *bench, const char *members)
{
    char text[600];
    struct row row;
    row_parse(&row, DINOV3);
    timm_write_weights(bench, &row, CLASSES);
    snprintf(text, sizeof text, "{'architecture': '%s', 'num_classes': 3, 'model_args': {" SMALL "}%s}",
             row.column[NAME], members);
    timm_write_config(bench, text);
    return timm_open(bench);
}

static void test_input_size(void **state)
{
    static const char *const wrong[] = {"[3, 0, 16]",
                                        "[3, 16, -1]",
                                        "[3, 65537, 16]",
                                        "[3, '16', 16]",
                                        "[3, 16.0, 16]",
                                        "[0, 16, 16]",
                                        "[null, 16, 16]",
                                        "[3, 16]",
                                        "[3, 16, 16, 1]",
                                        "[]",
                                        "16",
                                        "{}"};
    struct timm_bench *bench = *state;
    assert_int_equal(open_sized(bench, ""), VITCL_OK);
    assert_size(&bench->config, 224, 224);
    assert_int_equal(open_sized(bench, ", 'input_size': [3, 16, 20]"), VITCL_OK); /* as in the oldest files */
    assert_size(&bench->config, 16, 20);
    assert_int_equal(open_sized(bench, ", 'pretrained_cfg': {'input_size': [3, 20, 16]}, 'input_size': [3, 8, 8]"),
                     VITCL_OK);
    assert_size(&bench->config, 20, 16);
    assert_int_equal(open_sized(bench, ", 'pretrained_cfg': {'input_size': null}"), VITCL_OK);
    assert_size(&bench->config, 224, 224);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char members[100];
        snprintf(members, sizeof members, ", 'pretrained_cfg': {'input_size': %s}", wrong[i]);
        assert_int_equal(open_sized(bench, members), VITCL_ERROR_FORMAT);
        assert_contains(bench->err.message, "input_size: expected [3, height, width], found ");
    }
    assert_int_equal(open_sized(bench, ", 'pretrained_cfg': {'input_size': [1, 16, 16]}"), VITCL_ERROR_UNSUPPORTED);
    assert_contains(bench->err.message, "in_chans: vitcl runs models of 3 channels, not 1");
}

static void test_any_size(void **state)
{
    char flexi[400];
    const struct config *c = accept(*state, VIT, "'dynamic_img_size': true");
    assert_true(c->any_size && c->filter == POSITION_BICUBIC_AA && !c->one_size);
    assert_false(accept(*state, VIT, "'dynamic_img_size': false")->any_size);
    assert_true(accept(*state, DINOV3, "")->any_size);
    assert_false(accept(*state, DINOV3, "'dynamic_img_size': false")->any_size);

    snprintf(flexi, sizeof flexi, "flexivit_small%s", strchr(VIT, ' '));
    c = accept(*state, flexi, "");
    assert_true(!c->any_size && c->filter == POSITION_BILINEAR);
    c = accept(*state, flexi, "'dynamic_img_size': true"); /* the forward pass has one filter for all */
    assert_true(c->any_size && c->filter == POSITION_BICUBIC_AA);
    snprintf(flexi, sizeof flexi, "vit_base_patch16_radio_v3%s", strchr(VIT, ' '));
    assert_true(accept(*state, flexi, "")->one_size);
    assert_false(accept(*state, flexi, "'dynamic_img_size': true")->one_size);
}

/* ---- rotary positions -------------------------------------------------------------------------------------------- */

static void assert_rope(const struct config *c, enum rope_kind kind, double theta, size_t height, size_t width)
{
    assert_int_equal(c->rope.kind, kind);
    assert_true(c->rope.theta == theta);
    assert_int_equal(c->rope.reference.height, height);
    assert_int_equal(c->rope.reference.width, width);
}

static void test_rope(void **state)
{
    assert_rope(accept(*state, EVA, ""), ROPE_EVA, 10000, 16, 16);
    assert_rope(accept(*state, EVA, "'rope_temperature': 100.5, 'ref_feat_shape': 14"), ROPE_EVA, 100.5, 14, 14);
    assert_rope(accept(*state, EVA, "'ref_feat_shape': [7, 9]"), ROPE_EVA, 10000, 7, 9);
    assert_rope(accept(*state, EVA, "'rope_type': 'dinov3', 'rope_rotate_half': true"), ROPE_DINOV3, 100, 0, 0);
    assert_rope(accept(*state, EVA, "'use_rot_pos_emb': false"), ROPE_NONE, 0, 0, 0);
    assert_rope(accept(*state, EVA, "'rope_type': ''"), ROPE_NONE, 0, 0, 0);
    assert_rope(accept(*state, DINOV3, ""), ROPE_DINOV3, 100, 0, 0);
    assert_rope(accept(*state, DINOV3, "'rope_temperature': 50"), ROPE_DINOV3, 50, 0, 0);
    assert_rope(accept(*state, VIT, ""), ROPE_NONE, 0, 0, 0);
    /* An architecture without rotary positions would get them with other parameters than those of the rules. */
    refuse_with(*state, GIANT, "", "'num_heads': 2, 'use_rot_pos_emb': true", VITCL_ERROR_UNSUPPORTED,
                "use_rot_pos_emb");
    assert_rope(accept_with(*state, GIANT, "", "'num_heads': 2, 'rope_type': 'cat'"), ROPE_NONE, 0, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_arguments),
        cmocka_unit_test(test_harmless_arguments),
        cmocka_unit_test(test_wrong_kinds),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_eps),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_without_its_tensors),
        cmocka_unit_test(test_attention_pool_of_eva),
        cmocka_unit_test(test_image_size),
        cmocka_unit_test(test_input_size),
        cmocka_unit_test(test_any_size),
        cmocka_unit_test(test_rope),
    };
    return cmocka_run_group_tests(tests, timm_set_up, timm_tear_down);
}

/* test_config_families.c - config_read on every family of Hugging Face: the defaults of its configuration class where
 * config.json says little, its switches, and the numbers that only some families have.
 */
#include "config_families.h"

/* ---- defaults ---------------------------------------------------------------------------------------------------- */

static void check_defaults(struct bench *bench, const struct defaults *d)
{
    const struct config *c = accept_tower(bench, d, "");
    const size_t prefix = (d->traits & TRAIT_CLS ? 1u : 0u) + (d->traits & TRAIT_DIST ? 1u : 0u) + d->registers;
    const bool naflex = d->traits & TRAIT_NAFLEX, clip = strstr(d->type, "clip"), siglip = strstr(d->type, "siglip");

    print_message("%s\n", d->type);
    assert_string_equal(c->family->model_type, d->type);
    assert_int_equal(c->head, HEAD_INFER);
    assert_string_equal(c->architecture, "");
    assert_false(c->timm);
    assert_int_equal(c->image_height, naflex ? 256 : 224);
    assert_int_equal(c->image_width, naflex ? 256 : 224);
    assert_int_equal(c->patch_height, d->patch);
    assert_int_equal(c->patch_width, d->patch);
    assert_int_equal(c->max_patches, naflex ? 256 : 0);
    assert_int_equal(c->registers, d->registers);
    assert_int_equal(c->prefix, prefix);
    assert_int_equal(c->tokens, d->tokens);
    assert_int_equal(c->width, d->width);
    assert_int_equal(c->layers, 12);
    assert_int_equal(c->heads, d->width / 64);
    assert_int_equal(c->mlp_width, 4 * d->width);
    assert_int_equal(c->pooler_width, d->width);
    assert_true(c->eps == d->eps);
    assert_int_equal(c->activation, d->activation);
    assert_int_equal(c->pool_activation, d->activation);
    if (!clip && !siglip && strncmp(d->type, "dino", 4) != 0 && strcmp(d->type, "vit_msn") != 0)
        assert_int_equal(c->pooler_activation, ACTIVATION_TANH);
    assert_int_equal(c->traits, d->traits);
    assert_int_equal(c->position, d->position);
    assert_int_equal(c->any_size, d->any_size);
    assert_int_equal(c->one_size, false);
    assert_int_equal(c->filter, d->filter);
    assert_int_equal(c->rope.kind, strcmp(d->type, "dinov3_vit") == 0 ? ROPE_DINOV3 : ROPE_NONE);
    assert_true(c->rope.theta == (c->rope.kind == ROPE_NONE ? 0 : 100));
    assert_int_equal(c->labels.count, 2);
}

static void test_defaults(void **state)
{
    for (size_t i = 0; i < COUNT(DEFAULTS); i++) {
        assert_string_equal(family_known(i), DEFAULTS[i].type); /* none is left out */
        check_defaults(*state, &DEFAULTS[i]);
    }
    assert_null(family_known(COUNT(DEFAULTS)));
}

/* The keys that were not there, for --info. */
static void test_assumed(void **state)
{
    for (size_t i = 0; i < COUNT(DEFAULTS); i++) {
        const char *type = DEFAULTS[i].type;
        const struct config *c = accept_tower(*state, &DEFAULTS[i], "");
        char all[200];
        snprintf(all, sizeof all,
                 "%s, patch_size, hidden_size, num_hidden_layers, num_attention_heads, %s, layer_norm_eps, hidden_act",
                 strncmp(type, "siglip2", 7) == 0 ? "num_patches" : "image_size",
                 strncmp(type, "dinov2", 6) == 0 ? "mlp_ratio" : "intermediate_size");
        assert_string_equal(c->assumed, all);
        c = accept_tower(*state, &DEFAULTS[i],
                         "'image_size': 32, 'num_patches': 64, 'patch_size': 4, 'hidden_size': 8, "
                         "'num_hidden_layers': 1, 'num_attention_heads': 1, 'intermediate_size': 9, 'mlp_ratio': 2, "
                         "'layer_norm_eps': 1e-6, 'hidden_act': 'gelu'");
        assert_string_equal(c->assumed, "");
    }
    /* Of the object that counts. */
    assert_string_equal(accept_text(*state, "{'model_type': 'clip', 'patch_size': 9, 'hidden_act': 'relu', "
                                            "'vision_config': {'image_size': 32, 'hidden_size': 768, "
                                            "'num_hidden_layers': 1, 'num_attention_heads': 2, "
                                            "'intermediate_size': 9}}")
                            ->assumed,
                        "patch_size, layer_norm_eps, hidden_act");
}

/* ---- switches ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *types[2], *key, *value;
    unsigned added, taken;
} SWITCHES[] = {
    {{"vit", "vit_msn"}, "qkv_bias", "false", 0, TRAIT_QKV_BIAS},
    {{"vit_mae", "deit"}, "qkv_bias", "false", 0, TRAIT_QKV_BIAS},
    {{"ijepa", "vit"}, "qkv_bias", "true", 0, 0},
    {{"beit", "data2vec-vision"}, "use_absolute_position_embeddings", "true", TRAIT_POSITION, 0},
    {{"beit", "data2vec-vision"}, "use_relative_position_bias", "true", TRAIT_BIAS_TABLE, 0},
    {{"beit", "data2vec-vision"}, "use_shared_relative_position_bias", "true", TRAIT_SHARED_TABLE, 0},
    {{"beit", "data2vec-vision"}, "layer_scale_init_value", "0", 0, TRAIT_SCALE},
    {{"beit", "data2vec-vision"}, "layer_scale_init_value", "-0.1", 0, TRAIT_SCALE},
    {{"beit", "data2vec-vision"}, "layer_scale_init_value", "1e-5", 0, 0},
    {{"beit", "data2vec-vision"}, "layer_scale_init_value", "null", 0, 0},
    {{"beit", "data2vec-vision"}, "use_mean_pooling", "false", TRAIT_NORM, TRAIT_MEAN_POOL | TRAIT_POOL_NORM},
    {{"dinov2", "dinov2_with_registers"}, "qkv_bias", "false", 0, TRAIT_QKV_BIAS},
    {{"dinov2", "dinov2_with_registers"}, "use_swiglu_ffn", "true", TRAIT_GATED, 0},
    {{"dinov3_vit", "dinov3_vit"}, "query_bias", "false", 0, TRAIT_QUERY_BIAS},
    {{"dinov3_vit", "dinov3_vit"}, "key_bias", "true", TRAIT_KEY_BIAS, 0},
    {{"dinov3_vit", "dinov3_vit"}, "value_bias", "false", 0, TRAIT_VALUE_BIAS},
    {{"dinov3_vit", "dinov3_vit"}, "proj_bias", "false", 0, TRAIT_PROJ_BIAS},
    {{"dinov3_vit", "dinov3_vit"}, "mlp_bias", "false", 0, TRAIT_MLP_BIAS},
    {{"dinov3_vit", "dinov3_vit"}, "use_gated_mlp", "true", TRAIT_GATED, 0},
    {{"siglip", "siglip_vision_model"}, "vision_use_head", "false", 0, TRAIT_HEAD},
    {{"siglip2", "siglip2_vision_model"}, "vision_use_head", "false", 0, TRAIT_HEAD},
    {{"vit", "clip"}, "use_swiglu_ffn", "true", 0, 0}, /* those of other families are not read */
    {{"clip", "dinov3_vit"}, "qkv_bias", "false", 0, 0},
};

static void test_switches(void **state)
{
    for (size_t i = 0; i < COUNT(SWITCHES); i++) {
        for (size_t k = 0; k < 2; k++) {
            const struct defaults *d = of_type(SWITCHES[i].types[k]);
            const struct config *c;
            char member[96];
            snprintf(member, sizeof member, "'%s': %s", SWITCHES[i].key, SWITCHES[i].value);
            c = accept_tower(*state, d, member);
            if (c->traits != ((d->traits | SWITCHES[i].added) & ~SWITCHES[i].taken))
                fail_msg("%s: %s: traits %#x", d->type, member, c->traits);
        }
    }
}

static void test_wrong_switches(void **state)
{
    static const char *const wrong[] = {"1", "0", "'true'", "[]", "{}", "1.5"};
    for (size_t i = 0; i < COUNT(SWITCHES) - 2; i++) {
        bool number = strcmp(SWITCHES[i].key, "layer_scale_init_value") == 0;
        for (size_t k = 0; k < COUNT(wrong); k++) {
            char member[96], message[128];
            if (number && (wrong[k][0] == '0' || wrong[k][0] == '1'))
                continue;
            snprintf(member, sizeof member, "'%s': %s", SWITCHES[i].key, wrong[k]);
            snprintf(message, sizeof message, "%s: expected %s, found ", SWITCHES[i].key,
                     number ? "a number from -1e+06 to 1e+06" : "true or false");
            refuse_tower(*state, SWITCHES[i].types[0], member, VITCL_ERROR_FORMAT, message);
        }
    }
}

/* transformers adds up a block's own table and the shared one; vitcl has one of them. */
static void test_two_tables(void **state)
{
    refuse_tower(*state, "beit", "'use_relative_position_bias': true, 'use_shared_relative_position_bias': true",
                 VITCL_ERROR_UNSUPPORTED, "use_relative_position_bias and use_shared_relative_position_bias");
}

/* ---- numbers of some families ------------------------------------------------------------------------------------ */

static void test_mlp_ratio(void **state)
{
    static const char *const wrong[] = {"0.0009", "1000.1", "-4", "'4'", "true", "[4]"};
    const struct defaults *d = of_type("dinov2");
    const struct config *c = accept_tower(*state, d, "'mlp_ratio': 2.5, 'intermediate_size': 7");
    assert_int_equal(c->mlp_width, 1920); /* 768 times 2.5 */
    c = accept_tower(*state, d, "'use_swiglu_ffn': true, 'hidden_act': 'gelu'");
    assert_int_equal(c->mlp_width, 2048); /* two thirds of 3072 */
    assert_int_equal(c->activation, ACTIVATION_SILU);
    c = accept_tower(*state, d, "'use_swiglu_ffn': true, 'hidden_size': 20, 'num_attention_heads': 1, 'mlp_ratio': 2");
    assert_int_equal(c->mlp_width, 32); /* 26, in steps of 8 */
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char member[64];
        snprintf(member, sizeof member, "'mlp_ratio': %s", wrong[i]);
        refuse_tower(*state, "dinov2", member, VITCL_ERROR_FORMAT, "mlp_ratio: expected a number from 0.001 to 1000");
    }
    refuse_tower(*state, "dinov2", "'hidden_size': 12, 'mlp_ratio': 0.01", VITCL_ERROR_FORMAT,
                 "mlp_ratio: expected a ratio that makes the MLP 1 to 1048576 wide");
    refuse_tower(*state, "dinov2_with_registers", "'hidden_size': 65536, 'num_attention_heads': 512, 'mlp_ratio': 17",
                 VITCL_ERROR_FORMAT, "mlp_ratio: expected a ratio that makes the MLP 1 to 1048576 wide");
}

/* A gated MLP of DINOv3 has the activation of hidden_act and all of its width. */
static void test_gated_dinov3(void **state)
{
    const struct config *c = accept_tower(*state, of_type("dinov3_vit"), "'use_gated_mlp': true, 'hidden_act': 'silu'");
    assert_int_equal(c->activation, ACTIVATION_SILU);
    assert_int_equal(c->mlp_width, 1536);
    assert_int_equal(accept_tower(*state, of_type("dinov3_vit"), "'use_gated_mlp': true")->activation, ACTIVATION_GELU);
}

static void test_registers(void **state)
{
    const struct config *c = accept_tower(*state, of_type("dinov2_with_registers"), "'num_register_tokens': 0");
    assert_int_equal(c->prefix, 1);
    assert_int_equal(c->position, POSITION_ALL);
    c = accept_tower(*state, of_type("dinov3_vit"), "'num_register_tokens': 1024");
    assert_int_equal(c->prefix, 1025);
    assert_int_equal(c->tokens, 1025 + 196);
    refuse_tower(*state, "dinov3_vit", "'num_register_tokens': 1025", VITCL_ERROR_FORMAT,
                 "num_register_tokens: expected an integer from 0 to 1024, found 1025");
    refuse_tower(*state, "dinov3_vit", "'num_register_tokens': -1", VITCL_ERROR_FORMAT,
                 "num_register_tokens: expected an integer from 0 to 1024");
    c = accept_tower(*state, of_type("vit"), "'num_register_tokens': 4"); /* a key that the class does not have */
    assert_int_equal(c->prefix, 1);
}

static void test_rope(void **state)
{
    static const char *const wrong[] = {"0", "0.0009", "1e13", "-100", "'100'", "true"};
    assert_true(accept_tower(*state, of_type("dinov3_vit"), "'rope_theta': 10000.5")->rope.theta == 10000.5);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char member[64];
        snprintf(member, sizeof member, "'rope_theta': %s", wrong[i]);
        refuse_tower(*state, "dinov3_vit", member, VITCL_ERROR_FORMAT, "rope_theta: expected a number from 0.001 to ");
    }
    refuse_tower(*state, "dinov3_vit", "'hidden_size': 30, 'num_attention_heads': 5", VITCL_ERROR_FORMAT,
                 "heads of size 6; rotary positions need a multiple of 4");
    assert_int_equal(accept_tower(*state, of_type("vit"), "'hidden_size': 30, 'num_attention_heads': 5")->heads, 5);
}

static void test_variable_resolution(void **state)
{
    static const char *const wrong[] = {"0", "-1", "1048577", "16.0", "'16'", "[4, 4]"};
    const struct config *c = accept_tower(*state, of_type("siglip2"), "'num_patches': 1, 'image_size': 999");
    assert_true(c->tokens == 1 && c->max_patches == 1 && c->image_height == 16 && c->image_width == 16);
    c = accept_tower(*state, of_type("siglip2_vision_model"), "'num_patches': 1048576, 'patch_size': 65536");
    assert_true(c->tokens == 1048576 && c->grid_height == 1024 && c->grid_width == 1024);
    refuse_tower(*state, "siglip2", "'num_patches': 255", VITCL_ERROR_UNSUPPORTED,
                 "config.json: vision_config: num_patches: 255 is not the square of a number");
    refuse_tower(*state, "siglip2_vision_model", "'num_patches': 1048575", VITCL_ERROR_UNSUPPORTED,
                 "config.json: num_patches: 1048575 is not the square of a number");
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char member[64];
        snprintf(member, sizeof member, "'num_patches': %s", wrong[i]);
        refuse_tower(*state, "siglip2", member, VITCL_ERROR_FORMAT,
                     "num_patches: expected an integer from 1 to 1048576");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_assumed),
        cmocka_unit_test(test_switches),     cmocka_unit_test(test_wrong_switches),
        cmocka_unit_test(test_two_tables),   cmocka_unit_test(test_mlp_ratio),
        cmocka_unit_test(test_gated_dinov3), cmocka_unit_test(test_registers),
        cmocka_unit_test(test_rope),         cmocka_unit_test(test_variable_resolution),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* test_config.c - config_read fills in the defaults of the class, takes every number at both ends of its range and no
 * further, checks how the numbers fit together, and refuses by name what vitcl does not run. A refusal has the right
 * status and a message with file, key and what was found; nothing is owned then. Other families than ViT are in
 * test_config_families.c.
 */
#include "config_bench.h"

static const struct config *read_fixture(struct bench *bench, const char *name)
{
    char folder[512];
    snprintf(folder, sizeof folder, FIXTURES "/vit/%s", name);
    config_free(&bench->config);
    if (config_read(&bench->config, folder, &bench->err) != VITCL_OK)
        fail_msg("%s", bench->err.message);
    return &bench->config;
}

/* ---- what is read ------------------------------------------------------------------------------------------------ */

static void assert_grid(const struct config *c, size_t image_height, size_t image_width, size_t grid_height,
                        size_t grid_width)
{
    assert_int_equal(c->image_height, image_height);
    assert_int_equal(c->image_width, image_width);
    assert_int_equal(c->grid_height, grid_height);
    assert_int_equal(c->grid_width, grid_width);
    assert_int_equal(c->tokens, grid_height * grid_width + 1);
}

/* The configuration class of transformers: ViT-B/16 at 224 pixels. */
static void assert_defaults(const struct config *c)
{
    assert_string_equal(c->family->model_type, "vit");
    assert_string_equal(c->architecture, "");
    assert_int_equal(c->head, HEAD_INFER);
    assert_grid(c, 224, 224, 14, 14);
    assert_int_equal(c->patch_height, 16);
    assert_int_equal(c->patch_width, 16);
    assert_int_equal(c->width, 768);
    assert_int_equal(c->heads, 12);
    assert_int_equal(c->layers, 12);
    assert_int_equal(c->mlp_width, 3072);
    assert_int_equal(c->pooler_width, 768);
    assert_int_equal(c->activation, ACTIVATION_GELU);
    assert_int_equal(c->pooler_activation, ACTIVATION_TANH);
    assert_true(c->eps == 1e-12);
    assert_int_equal(c->labels.count, 2);
    assert_string_equal(c->labels.names[0], "LABEL_0");
    assert_string_equal(c->labels.names[1], "LABEL_1");
    assert_int_equal(c->labels.scores, SCORES_SOFTMAX);
}

static void test_defaults(void **state)
{
    assert_defaults(accept(*state, ""));
    assert_defaults(accept(*state, "'image_size': null, 'patch_size': null, 'num_channels': null, 'hidden_size': null, "
                                   "'num_hidden_layers': null, 'num_attention_heads': null, 'intermediate_size': null, "
                                   "'layer_norm_eps': null, 'pooler_output_size': null, 'hidden_act': null, "
                                   "'pooler_act': null, 'architectures': null, 'id2label': null, 'num_labels': null, "
                                   "'problem_type': null"));
    assert_int_equal(accept(*state, "'hidden_size': 60")->pooler_width, 60); /* follows the width */
}

static void test_published_files(void **state)
{
    const struct config *c = read_fixture(*state, "cls");
    assert_string_equal(c->architecture, "ViTForImageClassification");
    assert_int_equal(c->width, 48);
    assert_int_equal(c->heads, 3);
    assert_int_equal(c->layers, 2);
    assert_int_equal(c->mlp_width, 96);
    assert_int_equal(c->labels.count, 10);
    assert_string_equal(c->labels.names[3], "caf\xc3\xa9");
    assert_string_equal(c->labels.names[4], "\xe7\x8a\xac");

    assert_grid(read_fixture(*state, "wide"), 12, 20, 3, 5);
    c = read_fixture(*state, "odd"); /* 30 pixels are 4 patches of 7 and a rest */
    assert_grid(c, 30, 30, 4, 4);
    assert_true(c->eps == 1e-6);
}

/* ---- ranges and relations ---------------------------------------------------------------------------------------- */

static void test_integers(void **state)
{
    static const struct {
        const char *key, *range, *outside[2];
    } rows[] = {
        {"hidden_size", "1 to 65536", {"0", "65537"}},         {"num_hidden_layers", "1 to 4096", {"0", "4097"}},
        {"num_attention_heads", "1 to 65536", {"0", "65537"}}, {"intermediate_size", "1 to 1048576", {"0", "1048577"}},
        {"pooler_output_size", "1 to 65536", {"0", "65537"}},  {"image_size", "1 to 65536", {"0", "65537"}},
        {"patch_size", "1 to 65536", {"0", "65537"}},          {"num_labels", "1 to 1000000", {"0", "1000001"}},
    };
    static const char *const hostile[] = {
        "-1", "-9223372036854775808", "9223372036854775807", "3.0", "3.5", "1e2", "'3'", "''", "true", "{}", "{'a':3}",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char message[96];
        snprintf(message, sizeof message, "expected an integer from %s, found ", rows[i].range);
        refuse_each(*state, rows[i].key, rows[i].outside, 2, message);
        refuse_each(*state, rows[i].key, hostile, COUNT(hostile), message);
    }
    refuse(*state, "'hidden_size': [3]", VITCL_ERROR_FORMAT, "hidden_size: expected an integer from 1 to 65536");
    refuse(*state, "'hidden_size': NaN", VITCL_ERROR_FORMAT, "not valid JSON");
    refuse(*state, "'qkv_bias': 1", VITCL_ERROR_FORMAT, "qkv_bias: expected true or false, found 1");
}

static void test_ends_of_ranges(void **state)
{
    assert_int_equal(accept(*state, "'hidden_size': 1, 'num_attention_heads': 1")->width, 1);
    assert_int_equal(accept(*state, "'hidden_size': 65536, 'num_attention_heads': 65536")->heads, 65536);
    assert_int_equal(accept(*state, "'num_hidden_layers': 1")->layers, 1);
    assert_int_equal(accept(*state, "'num_hidden_layers': 4096")->layers, 4096);
    assert_int_equal(accept(*state, "'intermediate_size': 1")->mlp_width, 1);
    assert_int_equal(accept(*state, "'intermediate_size': 1048576")->mlp_width, 1048576);
    assert_int_equal(accept(*state, "'pooler_output_size': 1")->pooler_width, 1);
    assert_int_equal(accept(*state, "'pooler_output_size': 65536")->pooler_width, 65536);
    assert_int_equal(accept(*state, "'image_size': 1, 'patch_size': 1")->tokens, 2);
    assert_int_equal(accept(*state, "'image_size': 65536, 'patch_size': 65536")->tokens, 2);
    assert_int_equal(accept(*state, "'num_labels': 1")->labels.count, 1);
}

static void test_eps(void **state)
{
    static const char *const bad[] = {"-1e-300", "1.5", "2", "1e300", "'1e-12'", "true", "[1e-12]", "{}"};
    assert_true(accept(*state, "'layer_norm_eps': 0")->eps == 0);
    assert_true(accept(*state, "'layer_norm_eps': 1")->eps == 1);
    assert_true(accept(*state, "'layer_norm_eps': 1e-6")->eps == 1e-6);
    refuse_each(*state, "layer_norm_eps", bad, COUNT(bad), "expected a number from 0 to 1, found ");
    refuse(*state, "'layer_norm_eps': NaN", VITCL_ERROR_FORMAT, "not valid JSON");
}

static void test_sides(void **state)
{
    static const char *const bad[] = {"[]",         "[224]",       "[224,224,224]", "[0,224]",  "[224,0]",
                                      "[-1,224]",   "[224,65537]", "['224',224]",   "[224,[]]", "[224.0,224]",
                                      "[null,224]", "[true,224]",  "[[224,224]]",   "[{},{}]",  "[224,1e2]"};
    const struct config *c = accept(*state, "'image_size': [65536, 100], 'patch_size': [8192, 30]");
    assert_grid(c, 65536, 100, 8, 3);
    assert_int_equal(c->patch_height, 8192);
    assert_int_equal(c->patch_width, 30);
    refuse_each(*state, "image_size", bad, COUNT(bad), "expected an integer or [height, width]");
    refuse_each(*state, "patch_size", bad, COUNT(bad), "expected an integer or [height, width]");
}

static void test_relations(void **state)
{
    refuse(*state, "'hidden_size': 100", VITCL_ERROR_FORMAT, "12 does not divide hidden_size 100");
    refuse(*state, "'hidden_size': 8, 'num_attention_heads': 16", VITCL_ERROR_FORMAT, "16 does not divide");
    assert_int_equal(accept(*state, "'hidden_size': 2048, 'num_attention_heads': 2")->width, 2048);
    refuse(*state, "'hidden_size': 1025, 'num_attention_heads': 1", VITCL_ERROR_UNSUPPORTED, "heads of size 1025");

    assert_int_equal(accept(*state, "'image_size': 16")->tokens, 2);
    refuse(*state, "'image_size': 15", VITCL_ERROR_FORMAT, "a patch of 16x16 is larger than the image of 15x15");
    refuse(*state, "'image_size': [15, 16]", VITCL_ERROR_FORMAT, "larger than the image of 15x16");
    refuse(*state, "'image_size': [16, 15]", VITCL_ERROR_FORMAT, "larger than the image of 16x15");

    assert_int_equal(accept(*state, "'image_size': [1025, 1023], 'patch_size': 1")->tokens, 1048576);
    refuse(*state, "'image_size': 1024, 'patch_size': 1", VITCL_ERROR_UNSUPPORTED, "give 1048577 tokens");
    refuse(*state, "'image_size': 65536, 'patch_size': 1", VITCL_ERROR_UNSUPPORTED, "give 4294967297 tokens");
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void test_activations(void **state)
{
    static const char *const names[ACTIVATION_COUNT][6] = {
        [ACTIVATION_GELU] = {"gelu", "gelu_python"},
        [ACTIVATION_GELU_TANH] = {"gelu_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh",
                                  "gelu_python_tanh"},
        [ACTIVATION_QUICK_GELU] = {"quick_gelu"},
        [ACTIVATION_SILU] = {"silu", "swish"},
        [ACTIVATION_RELU] = {"relu"},
        [ACTIVATION_TANH] = {"tanh"},
    };
    for (size_t i = 0; i < 5 * (size_t)ACTIVATION_COUNT; i++) {
        const char *name = names[i / 5][i % 5];
        char members[128];
        if (!name)
            continue;
        snprintf(members, sizeof members, "'hidden_act': '%s', 'pooler_act': 'relu'", name);
        assert_int_equal(accept(*state, members)->activation, i / 5);
        assert_int_equal(accept(*state, members)->pooler_activation, ACTIVATION_RELU);
    }
    refuse(*state, "'hidden_act': 'mish'", VITCL_ERROR_UNSUPPORTED, "hidden_act: vitcl does not run");
    refuse(*state, "'hidden_act': 'mish'", VITCL_ERROR_UNSUPPORTED,
           "\"mish\"; it has gelu, gelu_tanh, quick_gelu, silu, relu, tanh, gelu_python, gelu_new, gelu_fast, "
           "gelu_accurate, "
           "gelu_pytorch_tanh, gelu_python_tanh, swish");
    refuse(*state, "'hidden_act': 'GELU'", VITCL_ERROR_UNSUPPORTED, "\"GELU\"");
    refuse(*state, "'hidden_act': 'none'", VITCL_ERROR_UNSUPPORTED, "\"none\"");
    refuse(*state, "'pooler_act': 'sigmoid'", VITCL_ERROR_UNSUPPORTED, "pooler_act: vitcl does not run");
    refuse(*state, "'hidden_act': 1", VITCL_ERROR_FORMAT, "hidden_act: expected a string, found 1");
}

static void test_other_families(void **state)
{
    static const char *const others[] = {"swin", "vit_hybrid", "clip_text_model", "bert", "ViT", "vit ", "", "resnet"};
    for (size_t i = 0; i < COUNT(others); i++) {
        char text[64], message[96];
        snprintf(text, sizeof text, "{'model_type': '%s'}", others[i]);
        snprintf(message, sizeof message, "model_type: vitcl does not run \"%s\"; it has vit, vit_msn, ", others[i]);
        refuse_text(*state, text, VITCL_ERROR_UNSUPPORTED, message);
    }
    refuse_text(*state, "{}", VITCL_ERROR_FORMAT, "model_type: expected the family of the model, found nothing");
    refuse_text(*state, "{'model_type': null}", VITCL_ERROR_FORMAT, "model_type: expected the family of the model");
    refuse_text(*state, "{'model_type': 5}", VITCL_ERROR_FORMAT, "model_type: expected a string, found 5");
    refuse(*state, "'pretrained_cfg': {}", VITCL_ERROR_FORMAT, "architecture: expected the name of a timm model");
}

static void test_architectures(void **state)
{
    static const char *const silent[] = {"'hidden_size': 768", "'architectures': null", "'architectures': []"};
    static const char *const wrong[] = {"'ViTModel'", "[1]", "[null]", "[[]]", "{}", "7", "true"};
    for (size_t i = 0; i < COUNT(silent); i++)
        assert_int_equal(accept(*state, silent[i])->head, HEAD_INFER);
    assert_int_equal(accept(*state, "'architectures': ['ViTForImageClassification']")->head, HEAD_CLASSIFIER);
    assert_int_equal(accept(*state, "'architectures': ['ViTModel', 'Other']")->head, HEAD_POOLER);
    assert_int_equal(accept(*state, "'architectures': ['ViTForMaskedImageModeling']")->head, HEAD_NONE);
    refuse_each(*state, "architectures", wrong, COUNT(wrong), "expected a list of class names, found ");
    refuse(*state, "'architectures': ['DeiTModel']", VITCL_ERROR_UNSUPPORTED, "vitcl does not run \"DeiTModel\"");
    refuse(*state, "'architectures': ['Other', 'ViTModel']", VITCL_ERROR_UNSUPPORTED, "\"Other\"");
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static void test_labels(void **state)
{
    const struct labels *labels = &accept(*state, "'id2label': {'1': 'b', '2': 'b', '0': ''}")->labels;
    assert_int_equal(labels->count, 3);
    assert_string_equal(labels->names[0], "");
    assert_string_equal(labels->names[1], "b");
    assert_string_equal(labels->names[2], "b");

    assert_string_equal(accept(*state, "'num_labels': 11")->labels.names[10], "LABEL_10");
    labels = &accept(*state, "'num_labels': 7, 'id2label': {'0': 'a', '01': 'b'}")->labels; /* the names win */
    assert_int_equal(labels->count, 2);
    assert_string_equal(labels->names[1], "b");
    assert_int_equal(accept(*state, "'id2label': {}")->labels.count, 0); /* a model without a classifier */
}

static void test_wrong_labels(void **state)
{
    static const char *const keys[] = {
        "2", "", "-1", "+1", " 1", "1 ", "1.0", "1e0", "0x1", "a", "99999999999999999999", "18446744073709551617",
    };
    static const char *const maps[] = {"[]", "['a','b']", "'a'", "3", "true"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char member[128], message[128];
        snprintf(member, sizeof member, "'id2label': {'0': 'a', '%s': 'b'}", keys[i]);
        snprintf(message, sizeof message, "id2label: expected the keys \"0\" to \"1\", found \"%s\"", keys[i]);
        refuse(*state, member, VITCL_ERROR_FORMAT, message);
    }
    refuse_each(*state, "id2label", maps, COUNT(maps), "expected an object, found ");
    refuse(*state, "'id2label': {'0': 'a', '00': 'b'}", VITCL_ERROR_FORMAT, "id2label: class 0 is named twice");
    refuse(*state, "'id2label': {'0': 'a', '1': 7}", VITCL_ERROR_FORMAT, "id2label: 1: expected a string");
    refuse(*state, "'id2label': {'0': null}", VITCL_ERROR_FORMAT, "id2label: 0: expected a string");
}

static void test_channels(void **state)
{
    accept(*state, "'num_channels': 3");
    refuse(*state, "'num_channels': 1", VITCL_ERROR_UNSUPPORTED,
           "num_channels: vitcl runs models of 3 channels, not 1");
    refuse(*state, "'num_channels': 0", VITCL_ERROR_FORMAT, "num_channels: expected an integer from 1 ");
}

static void test_scores(void **state)
{
    assert_int_equal(accept(*state, "'num_labels': 3")->labels.scores, SCORES_SOFTMAX);
    assert_int_equal(accept(*state, "'num_labels': 3, 'problem_type': 'single_label_classification'")->labels.scores,
                     SCORES_SOFTMAX);
    assert_int_equal(accept(*state, "'num_labels': 3, 'problem_type': 'multi_label_classification'")->labels.scores,
                     SCORES_SIGMOID);
    assert_int_equal(accept(*state, "'num_labels': 1")->labels.scores, SCORES_SIGMOID);
    assert_int_equal(accept(*state, "'id2label': {'0': 'a'}")->labels.scores, SCORES_SIGMOID);
    assert_int_equal(accept(*state, "'num_labels': 1, 'problem_type': 'regression'")->labels.scores, SCORES_LOGITS);
    refuse(*state, "'problem_type': 'nonsense'", VITCL_ERROR_FORMAT, "problem_type: expected regression, ");
    refuse(*state, "'problem_type': 1", VITCL_ERROR_FORMAT, "problem_type: expected a string, found 1");
}

static void test_no_file(void **state)
{
    struct bench *bench = *state;
    unlink(bench->path);
    assert_int_equal(config_read(&bench->config, bench->folder, &bench->err), VITCL_ERROR_IO);
    assert_non_null(strstr(bench->err.message, bench->path));
    assert_int_equal(config_read(&bench->config, bench->folder, NULL), VITCL_ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_published_files),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_ends_of_ranges),
        cmocka_unit_test(test_eps),
        cmocka_unit_test(test_sides),
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_other_families),
        cmocka_unit_test(test_architectures),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_wrong_labels),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

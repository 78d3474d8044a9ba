/* test_cli_usage.c - vitcl_run without a device: its help, what it does not take, models that are none, and machines
 * that have no driver.
 */
#include "cli_program.h"

#include <unistd.h>

static void test_help(void **state)
{
    static const char *const OPTIONS[] = {"--model",
                                          "--device",
                                          "--batch-size",
                                          "--recursive",
                                          "--topk",
                                          "--json",
                                          "--logits",
                                          "--embed",
                                          "--hidden",
                                          "--pixels",
                                          "--quiet",
                                          "--plan",
                                          "--verify",
                                          "--info",
                                          "--list-devices",
                                          "--help",
                                          "--version",
                                          "--image-size",
                                          "--resize",
                                          "--exif",
                                          "--labels",
                                          "--labels-embeddings",
                                          "--profile",
                                          "--bench",
                                          "--tune",
                                          "--tune-seconds",
                                          "--precision f32|bf16|f16",
                                          "--kernels-out"};
    struct output output = RUN(0, "--help"), brief = RUN(0, "-h");
    (void)state;
    assert_string_equal(output.out, brief.out);
    for (size_t i = 0; i < COUNT(OPTIONS); i++)
        assert_contains(output.out, OPTIONS[i]);
    check_and_free(&output, "usage: vitcl_run", NULL);
    output_free(&brief);
}

static void test_version(void **state)
{
    struct output output = RUN(0, "--version");
    (void)state;
    assert_string_equal(output.out, "vitcl_run " VITCL_VERSION_STRING "\n");
    check_and_free(&output, "vitcl_run", NULL);
}

static void test_wrong_usage(void **state)
{
    static const struct {
        const char *message, *arguments[7];
    } CASES[] = {
        {"--magic", {"--magic"}},
        {"'z'", {"-z"}},
        {"no model", {SIX}},
        {"no input", {"-m", DIGITS}},
        {"no input", {"-m", DIGITS, "--verify"}},
        {"no input", {"-m", DIGITS, "--profile"}},
        {"--bench", {"-m", DIGITS, "--bench", SIX}},
        {"--bench", {"-m", DIGITS, "--bench", "--pixels", "a.npy"}},
        {"--bench", {"-m", DIGITS, "--bench", "--hidden", "a.npy"}},
        {"--profile", {"-m", DIGITS, "--embed", "a.npy", "--profile", SIX}},
        {"--model", {"--model"}}, /* its argument is missing */
        {"\"0\"", {"-m", DIGITS, "-b", "0", SIX}},
        {"\"-1\"", {"-m", DIGITS, "-b", "-1", SIX}},
        {"from 1 to 65536, or auto, found \"automatic\"", {"-m", DIGITS, "-b", "automatic", SIX}},
        {"no model", {"--tune"}},
        {"no model", {"--kernels-out", "folder"}},
        {"--kernels-out", {"-m", DIGITS, "--kernels-out"}},
        {"--tune-seconds: expected a number from 1 to 86400, found \"0\"", {"-m", DIGITS, "--tune-seconds", "0"}},
        {"\"65537\"", {"-m", DIGITS, "-b", "65537", SIX}},
        {"\"99999999999999999999\"", {"-m", DIGITS, "-b", "99999999999999999999", SIX}},
        {"\"3x\"", {"-m", DIGITS, "-k", "3x", SIX}},
        {"\"\"", {"-m", DIGITS, "-k", "", SIX}},
        {"same file", {"-m", DIGITS, "--logits", "a.npy", "--embed", "a.npy", SIX}},
        {"--verify", {"-m", DIGITS, "--logits", "a.npy", "--verify", SIX}},
        {"--resize: expected pil or torchvision, found \"bicubic\"", {"-m", DIGITS, "--resize", "bicubic", SIX}},
        {"--resize: expected pil or torchvision, found \"\"", {"-m", DIGITS, "--resize", "", SIX}},
        {"--exif: expected on or off, found \"yes\"", {"-m", DIGITS, "--exif", "yes", SIX}},
        {"--exif: expected on or off, found \"On\"", {"-m", DIGITS, "--exif", "On", SIX}},
        {"--precision: expected f32, bf16 or f16, found \"f64\"", {"-m", DIGITS, "--precision", "f64", SIX}},
        {"--labels", {"-m", DIGITS, SIX, "--labels"}}, /* their arguments are missing */
        {"--image-size", {"-m", DIGITS, SIX, "--image-size"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const char *argv[9] = {VITCL_RUN};
        struct output output;
        memcpy(argv + 1, CASES[i].arguments, sizeof CASES[i].arguments);
        output = run_with(2, CHANGES("VITCL_MODEL"), NULL, argv);
        assert_contains(output.err, "vitcl_run --help");
        check_and_free(&output, NULL, CASES[i].message);
    }
}

static void test_wrong_image_sizes(void **state)
{
    static const char *const SIZES[] = {"0",       "",        "x",      "20x",         "x20",    "20x20x20",
                                        "-5",      "65537",   "20.5",   "20X20",       "0x20",   "20x0",
                                        " 20",     "20 x20",  "20x 20", "0x14x27",     "20x-20", "abc",
                                        "65537x1", "1x65537", "1e2",    "12345678x20", "20x20 "};
    (void)state;
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        struct output output = RUN(2, "-m", DIGITS, "--image-size", SIZES[i], "--info");
        char message[120];
        snprintf(message, sizeof message, "--image-size: expected N or HxW, pixels from 1 to 65536, found \"%s\"\n",
                 SIZES[i]);
        check_and_free(&output, NULL, message);
    }
}

static void test_wrong_model(void **state)
{
    struct output output = RUN(1, "-m", DIGITS "/images", SIX);
    (void)state;
    check_and_free(&output, NULL, DIGITS "/images/config.json");
    output = RUN(1, "-m", SIX, SIX);
    check_and_free(&output, NULL, SIX);
    output = RUN(1, "-m", FIXTURES "/no such folder", "--info");
    check_and_free(&output, NULL, FIXTURES "/no such folder");
}

/* Copies of models in which one key of config.json is not what the model is: told by file and key, and nothing runs. */
static void test_hostile_configs(void **state)
{
    static const struct {
        const char *model, *key, *value, *message;
    } rows[] = {
        {"dinov3", "hidden_size", "1000000", "config.json: hidden_size: expected an integer from 1 to 65536"},
        {"dinov3", "num_attention_heads", "12", "config.json: num_attention_heads: heads of size 2; rotary positions"},
        {"dinov3", "num_register_tokens", "9", "model.safetensors: the weights do not fit config.json: "},
        {"dinov2", "architectures", "[\"Dinov2Backbone\"]", "config.json: architectures: vitcl does not run"},
        {"dinov2", "use_swiglu_ffn", "true", "model.safetensors: the weights "},
        {"clip_full", "vision_config", "[]", "config.json: vision_config: expected an object, found []"},
        {"clip_full", "vision_config", "{\"hidden_size\": 24, \"num_attention_heads\": 7}",
         "config.json: vision_config: num_attention_heads: 7 does not divide hidden_size 24"},
        {"beit", "layer_scale_init_value", "0",
         "model.safetensors: the weights have a tensor that vitcl does not know"},
        {"siglip2_full", "vision_config", "{\"num_patches\": 15}", "num_patches: 15 is not the square of a number"},
        {"deit_teacher", "id2label", "{\"0\": \"a\"}", "has 5 classes, config.json names 1"},
        {"deit_teacher", "model_type", "\"swin\"",
         "config.json: model_type: vitcl does not run \"swin\"; it has vit, "},
        {"timm_vit", "architecture", "\"resnet50\"",
         "config.json: architecture: vitcl does not run timm's \"resnet50\""},
        {"timm_vit", "model_args", "{\"num_heads\": 0}", "config.json: num_heads: expected an integer from 1"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char from[PATH_SIZE], copy[PATH_SIZE], path[PATH_SIZE];
        struct output output;
        path_join(from, FIXTURES "/models", rows[i].model);
        folder_create(copy);
        folder_copy(from, copy);
        path_join(path, copy, "config.json");
        json_change(path, rows[i].key, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        output = RUN(1, "-m", copy, "--info");
        assert_contains(output.err, copy);
        check_and_free(&output, NULL, rows[i].message);
        folder_remove(copy);
    }
}

/* Weights that end early, and none at all. */
static void test_hostile_weights(void **state)
{
    char copy[PATH_SIZE], path[PATH_SIZE];
    struct output output;
    (void)state;
    folder_create(copy);
    folder_copy(FIXTURES "/models/dinov3", copy);
    path_join(path, copy, "model.safetensors");
    for (off_t size = 4000; size >= 0; size -= 1000) {
        assert_int_equal(truncate(path, size), 0);
        output = RUN(1, "-m", copy, "--info");
        check_and_free(&output, NULL, path);
    }
    assert_int_equal(unlink(path), 0);
    output = RUN(1, "-m", copy, "--info");
    check_and_free(&output, NULL, "model.safetensors: no such file, nor model.safetensors.index.json");
    folder_remove(copy);
}

static void test_info(void **state)
{
    struct output output = RUN(0, "-m", FIXTURES "/vit/wide", "--info");
    (void)state;
    assert_contains(output.out, "ViTForImageClassification");
    assert_contains(output.out, "16 tokens");
    assert_contains(output.out, "quick_gelu");
    check_and_free(&output, "20x12", NULL);
}

/* No driver at all: the message says where they were looked for and what to install. */
static void test_no_driver(void **state)
{
    char folder[PATH_SIZE], vendors[PATH_SIZE + 20];
    struct output output;
    (void)state;
    folder_create(folder);
    snprintf(vendors, sizeof vendors, "OCL_ICD_VENDORS=%s", folder);
    output = run_with(1, CHANGES(vendors), NULL, ARGUMENTS("-m", DIGITS, SIX));
    assert_contains(output.err, folder);
    check_and_free(&output, NULL, "install pocl-opencl-icd");
    output = run_with(1, CHANGES(vendors), NULL, ARGUMENTS("--list-devices"));
    check_and_free(&output, NULL, "install pocl-opencl-icd");
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_wrong_image_sizes),
        cmocka_unit_test(test_wrong_model),
        cmocka_unit_test(test_hostile_configs),
        cmocka_unit_test(test_hostile_weights),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_no_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_preprocess.c - recipe_read and recipe_apply: what transformers makes of a picture, to the bit, and which recipes
 * are refused. Every recipe is a file written here, with ' for ", which these files do not use otherwise. */
#include "base/file.h"
#include "image/decode.h"
#include "image/preprocess.h"
#include "model/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define PLAIN        "preprocessor_config.json"
#define NESTED       "processor_config.json"

/* ---- making recipes ---------------------------------------------------------------------------------------------- */

/* The tests' state is the path of a temporary model folder. */
static int make_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    char *folder = file_join(base ? base : "/tmp", "vitcl_test_XXXXXX");
    *state = folder;
    return folder && mkdtemp(folder) ? 0 : -1;
}

static void remove_recipe(const char *folder, const char *name)
{
    char *path = file_join(folder, name);
    unlink(path);
    free(path);
}

static int remove_recipes(void **state)
{
    remove_recipe(*state, PLAIN);
    remove_recipe(*state, NESTED);
    return 0;
}

static int remove_folder(void **state)
{
    const int result = remove_recipes(state) | rmdir(*state);
    free(*state);
    return result;
}

static void write_recipe(const char *folder, const char *name, const char *json)
{
    char *path = file_join(folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (; *json; json++)
        fputc(*json == '\'' ? '"' : *json, file);
    assert_int_equal(fclose(file), 0);
    free(path);
}

static struct recipe read_recipe(const char *folder, const char *json)
{
    struct recipe recipe;
    vitcl_error err = {0};
    write_recipe(folder, PLAIN, json);
    if (recipe_read(&recipe, folder, &err) != VITCL_OK)
        fail_msg("%s: %s", json, err.message);
    return recipe;
}

static void assert_level(const struct recipe *recipe, size_t channel, size_t level, float expected)
{
    if (memcmp(&recipe->value[channel][level], &expected, sizeof expected) != 0)
        fail_msg("channel %zu, level %zu: %.9g, expected %.9g", channel, level, (double)recipe->value[channel][level],
                 (double)expected);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void missing_keys_get_defaults(void **state)
{
    const char *folder = *state;
    const struct recipe recipe = read_recipe(folder, "{}");
    assert_true(recipe.resize);
    assert_int_equal(recipe.width, 224);
    assert_int_equal(recipe.height, 224);
    assert_int_equal(recipe.filter, RESAMPLE_BILINEAR);
    for (size_t c = 0; c < 3; c++) {
        assert_level(&recipe, c, 0, -1.0f);
        assert_level(&recipe, c, 95, -0.25490195f);
        assert_level(&recipe, c, 217, 0.7019608f);
        assert_level(&recipe, c, 255, 1.0f);
    }
}

static void sizes(void **state)
{
    const char *folder = *state;
    static const struct {
        const char *json;
        size_t height, width;
    } cases[] = {
        {"{'size': 384}", 384, 384},
        {"{'size': [192, 256]}", 192, 256},
        {"{'size': {'height': 96, 'width': 64}}", 96, 64},
        {"{'size': {'width': 64, 'height': 96}, 'do_resize': false}", 96, 64},
        {"{'size': null, 'do_resize': false}", 224, 224},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct recipe recipe = read_recipe(folder, cases[i].json);
        assert_int_equal(recipe.height, cases[i].height);
        assert_int_equal(recipe.width, cases[i].width);
    }
}

static void accepted_recipes(void **state)
{
    const char *folder = *state;
    static const char *const cases[] = {
        "{'image_processor_type': 'ViTImageProcessor'}",
        "{'image_processor_type': 'ViTImageProcessorFast'}",
        "{'image_processor_type': 'ViTImageProcessorPil'}",
        "{'feature_extractor_type': 'ViTFeatureExtractor'}",
        "{'feature_extractor_type': 'CLIPFeatureExtractor', 'image_processor_type': 'ViTImageProcessor'}",
        "{'image_processor_type': null, 'processor_class': null, 'data_format': 'channels_first', 'device': null}",
        "{'do_convert_rgb': true, 'default_to_square': true, 'return_tensors': null, 'disable_grouping': null}",
        "{'do_convert_rgb': null, 'do_center_crop': false, 'crop_size': {'height': 224, 'width': 224}}",
        "{'do_center_crop': null, 'do_pad': null, 'pad_size': null, 'size_divisor': null, 'unheard_of': 7}",
        "{'do_rescale': false, 'rescale_factor': null, 'do_normalize': false, 'image_std': [0, 0, 0]}",
        "{'do_resize': false, 'resample': 1}",
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        read_recipe(folder, cases[i]);
}

static void refused_recipes(void **state)
{
    const char *folder = *state;
    static const struct {
        const char *json;
        vitcl_status status;
        const char *message;
    } cases[] = {
        {"{'image_processor_type': 'CLIPImageProcessor'}", VITCL_ERROR_UNSUPPORTED, "\"CLIPImageProcessor\""},
        {"{'feature_extractor_type': 'BeitFeatureExtractor'}", VITCL_ERROR_UNSUPPORTED, "\"BeitFeatureExtractor\""},
        {"{'image_processor_type': 1}", VITCL_ERROR_FORMAT, "image_processor_type"},
        {"{'do_center_crop': true}", VITCL_ERROR_UNSUPPORTED, "do_center_crop"},
        {"{'do_pad': true}", VITCL_ERROR_UNSUPPORTED, "do_pad"},
        {"{'do_pad': 'yes'}", VITCL_ERROR_FORMAT, "do_pad"},
        {"{'do_resize': 1}", VITCL_ERROR_FORMAT, "do_resize"},
        {"{'size': {'shortest_edge': 224}}", VITCL_ERROR_FORMAT, "{\"shortest_edge\":224}"},
        {"{'size': {'height': 224}}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': {'height': 224, 'width': 224, 'longest_edge': 300}}", VITCL_ERROR_FORMAT, "longest_edge"},
        {"{'size': {'height': 224, 'longest_edge': 300}}", VITCL_ERROR_FORMAT, "longest_edge"},
        {"{'size': [224]}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': [224, 224, 3]}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': 0}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': -224}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': 1000000}", VITCL_ERROR_FORMAT, "1000000"},
        {"{'size': '224'}", VITCL_ERROR_FORMAT, "size"},
        {"{'size': 224.5}", VITCL_ERROR_FORMAT, "224.5"},
        {"{'size': null}", VITCL_ERROR_FORMAT, "size"},
        {"{'resample': 0}", VITCL_ERROR_UNSUPPORTED, "nearest"},
        {"{'resample': 1}", VITCL_ERROR_UNSUPPORTED, "Lanczos"},
        {"{'resample': 5}", VITCL_ERROR_UNSUPPORTED, "Hamming"},
        {"{'resample': 6}", VITCL_ERROR_FORMAT, "2 (bilinear) or 3 (bicubic), found 6"},
        {"{'resample': -1}", VITCL_ERROR_FORMAT, "resample"},
        {"{'resample': 'bicubic'}", VITCL_ERROR_FORMAT, "resample"},
        {"{'resample': null}", VITCL_ERROR_FORMAT, "resample"},
        {"{'do_rescale': 'no'}", VITCL_ERROR_FORMAT, "do_rescale"},
        {"{'rescale_factor': null}", VITCL_ERROR_FORMAT, "rescale_factor"},
        {"{'rescale_factor': '1/255'}", VITCL_ERROR_FORMAT, "rescale_factor"},
        {"{'rescale_factor': 1e300}", VITCL_ERROR_FORMAT, "rescale_factor"},
        {"{'do_normalize': 'no'}", VITCL_ERROR_FORMAT, "do_normalize"},
        {"{'image_mean': [0.5, 0.5]}", VITCL_ERROR_FORMAT, "image_mean"},
        {"{'image_mean': [0.5, 0.5, '0.5']}", VITCL_ERROR_FORMAT, "image_mean"},
        {"{'image_mean': null}", VITCL_ERROR_FORMAT, "image_mean"},
        {"{'image_mean': 1e39}", VITCL_ERROR_FORMAT, "image_mean"},
        {"{'image_std': [0.5, 0, 0.5]}", VITCL_ERROR_FORMAT, "image_std"},
        {"{'image_std': -0.5}", VITCL_ERROR_FORMAT, "image_std"},
        {"{'image_std': 1e-320}", VITCL_ERROR_FORMAT, "image_std"},
        {"{'image_std': true}", VITCL_ERROR_FORMAT, "image_std"},
        {"[]", VITCL_ERROR_FORMAT, "object"},
        {"{'size': 224", VITCL_ERROR_FORMAT, "JSON"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct recipe recipe;
        vitcl_error err = {0};
        write_recipe(folder, PLAIN, cases[i].json);
        if (recipe_read(&recipe, folder, &err) != cases[i].status || err.status != cases[i].status ||
            !strstr(err.message, cases[i].message) || !strstr(err.message, PLAIN))
            fail_msg("%s: %s: %s", cases[i].json, vitcl_status_name(err.status), err.message);
    }
}

static void nested_recipe_wins(void **state)
{
    const char *folder = *state;
    struct recipe recipe;
    vitcl_error err = {0};
    write_recipe(folder, PLAIN, "{'size': 100}");
    write_recipe(folder, NESTED, "{'processor_class': 'X', 'image_processor': {'size': 200}}");
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_OK);
    assert_int_equal(recipe.width, 200);

    write_recipe(folder, NESTED, "{'image_processor': {'size': 'large'}}");
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_ERROR_FORMAT);
    assert_non_null(strstr(err.message, NESTED ": image_processor: size"));

    write_recipe(folder, NESTED, "{'image_processor': null, 'size': 200}");
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_OK);
    assert_int_equal(recipe.width, 100);

    write_recipe(folder, NESTED, "{");
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_ERROR_FORMAT);
    assert_non_null(strstr(err.message, NESTED));
}

static void missing_recipe_is_not_guessed(void **state)
{
    const char *folder = *state;
    struct recipe recipe;
    vitcl_error err = {0};
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_ERROR_IO);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "preprocessor_config.json is missing"));
    assert_non_null(strstr(err.message, "download"));
    write_recipe(folder, NESTED, "{}");
    assert_int_equal(recipe_read(&recipe, folder, &err), VITCL_ERROR_IO);
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

/* Each step by itself, as numpy does it. 1/255 in JSON has 17 digits. */
static void steps_off(void **state)
{
    const char *folder = *state;
    static const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
    static const char numbers[] = "'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225], "
                                  "'rescale_factor': 0.00392156862745098";
    for (int steps = 0; steps < 4; steps++) {
        const bool rescale = steps & 1, normalize = steps & 2;
        char json[256];
        struct recipe recipe;
        snprintf(json, sizeof json, "{'do_rescale': %s, 'do_normalize': %s, %s}", rescale ? "true" : "false",
                 normalize ? "true" : "null", numbers);
        recipe = read_recipe(folder, json);
        for (size_t i = 0; i < 3 * 256; i++) {
            const size_t c = i / 256, level = i % 256;
            const volatile float x = rescale ? (float)((double)level * 0.00392156862745098) : (float)level;
            const volatile float centred = x - mean[c];
            assert_level(&recipe, c, level, normalize ? centred / deviation[c] : x);
        }
    }
}

static void one_number_for_all_channels(void **state)
{
    const char *folder = *state;
    const struct recipe recipe = read_recipe(folder, "{'image_mean': 0, 'image_std': 2, 'rescale_factor': 1}");
    for (size_t c = 0; c < 3; c++)
        assert_level(&recipe, c, 7, 3.5f);
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

/* The recipe that "16x24.2.half" stands for: height, width, filter, mean and deviation. */
static struct recipe recipe_of(const char *folder, const char *words)
{
    size_t height, width;
    int filter;
    char numbers[16], json[256];
    assert_int_equal(sscanf(words, "%zux%zu.%d.%15s", &height, &width, &filter, numbers), 4);
    snprintf(json, sizeof json, "{'size': {'height': %zu, 'width': %zu}, 'resample': %d%s}", height, width, filter,
             strcmp(numbers, "half") == 0
                 ? ""
                 : ", 'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]");
    return read_recipe(folder, json);
}

static void assert_pixel_values(const char *name, const struct recipe *recipe, const struct tensor_entry *expected)
{
    char path[512];
    struct mapped_file file;
    vitcl_image image;
    vitcl_error err = {0};
    float *found = malloc(expected->bytes);

    assert_non_null(found);
    assert_int_equal(expected->bytes, 3 * recipe->height * recipe->width * sizeof *found);
    snprintf(path, sizeof path, FIXTURES "/images/%s", name);
    assert_int_equal(file_map(&file, path, &err), VITCL_OK);
    assert_int_equal(image_decode(&image, file.data, file.size, name, &err), VITCL_OK);
    assert_int_equal(recipe_apply(recipe, &image, found, &err), VITCL_OK);
    if (memcmp(found, expected->data, expected->bytes) != 0)
        fail_msg("%s: not what transformers makes of it", expected->name);
    image_free(&image);
    file_unmap(&file);
    free(found);
}

/* Tensors "preprocess.<picture>.<extension>.<recipe>". */
static void pictures_match_transformers(void **state)
{
    const char *folder = *state;
    static const char prefix[] = "preprocess.";
    struct safetensors expected;
    vitcl_error err = {0};
    size_t count = 0;
    assert_int_equal(safetensors_open(&expected, FIXTURES "/images/expected.safetensors", &err), VITCL_OK);
    for (size_t i = 0; i < expected.count; i++) {
        const char *name = expected.entries[i].name, *words;
        char picture[256];
        struct recipe recipe;
        if (strncmp(name, prefix, sizeof prefix - 1) != 0)
            continue;
        name += sizeof prefix - 1;
        words = strchr(strchr(name, '.') + 1, '.');
        snprintf(picture, sizeof picture, "%.*s", (int)(words - name), name);
        recipe = recipe_of(folder, words + 1);
        assert_pixel_values(picture, &recipe, &expected.entries[i]);
        count++;
    }
    assert_true(count >= 10);
    safetensors_close(&expected);
}

/* Pixels become planes; without a resize the size must fit. */
static void no_resize(void **state)
{
    const char *folder = *state;
    static const uint8_t pixels[] = {0, 51, 102, 153, 204, 255};
    static const float planes[] = {0, 153, 51, 204, 102, 255};
    const struct recipe recipe = read_recipe(folder, "{'size': {'height': 1, 'width': 2}, 'do_resize': false, "
                                                     "'do_rescale': false, 'do_normalize': false}");
    vitcl_image image = {.pixels = pixels, .width = 2, .height = 1};
    vitcl_error err = {0};
    float found[6];
    assert_int_equal(recipe_apply(&recipe, &image, found, &err), VITCL_OK);
    assert_memory_equal(found, planes, sizeof planes);
    image = (vitcl_image){.pixels = pixels, .width = 1, .height = 2};
    assert_int_equal(recipe_apply(&recipe, &image, found, &err), VITCL_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "1 x 2"));
    assert_non_null(strstr(err.message, "2 x 1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_get_defaults),
        cmocka_unit_test(sizes),
        cmocka_unit_test(accepted_recipes),
        cmocka_unit_test(refused_recipes),
        cmocka_unit_test_teardown(nested_recipe_wins, remove_recipes),
        cmocka_unit_test_setup(missing_recipe_is_not_guessed, remove_recipes),
        cmocka_unit_test_setup(steps_off, remove_recipes),
        cmocka_unit_test(one_number_for_all_channels),
        cmocka_unit_test(pictures_match_transformers),
        cmocka_unit_test(no_resize),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

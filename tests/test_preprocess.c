/* test_preprocess.c - recipe_read: which recipes are refused and what is said of the others; recipe_apply where
 * test_pixels.c does not look. Every recipe is a file written here, with ' for ", which these files do not use
 * otherwise. */
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
#define TIMM         "config.json"

static const struct recipe_wishes NONE = {0}, PILLOW = {.resizer = RESIZER_WANT_PIL};

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
    remove_recipe(*state, TIMM);
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

/* Writes the JSON as preprocessor_config.json, or as config.json of a timm folder where model_type is NULL. */
static vitcl_status try_recipe(struct recipe *recipe, const char *folder, const char *model_type, const char *json,
                               const struct recipe_wishes *wishes, vitcl_error *err)
{
    write_recipe(folder, model_type ? PLAIN : TIMM, json);
    return recipe_read(recipe, folder, model_type, wishes, err);
}

static struct recipe read_recipe(const char *folder, const char *model_type, const char *json,
                                 const struct recipe_wishes *wishes)
{
    struct recipe recipe;
    vitcl_error err = {0};
    if (try_recipe(&recipe, folder, model_type, json, wishes, &err) != VITCL_OK)
        fail_msg("%s: %s", json, err.message);
    return recipe;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

#define IMAGENET "mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
#define CLIP     "mean 0.48145466 0.4578275 0.40821073, std 0.26862954 0.26130258 0.27577711"
#define HALF     "mean 0.5, std 0.5"
#define FROM     " (from preprocessor_config.json"
#define STEPS    "do_rescale, rescale_factor, do_normalize, image_mean, image_std"

static const struct {
    const char *model_type; /* NULL: timm */
    const char *json;
    struct recipe_wishes wishes;
    const char *line;
} described[] = {
    {"vit",
     "{'image_processor_type': 'ViTImageProcessor'}",
     {0},
     "resize to 224x224 bilinear (torchvision), rescale 1/255, " HALF FROM
     "; assumed: do_resize, size, resample, " STEPS ")"},
    {"vit",
     "{}",
     {.resizer = RESIZER_WANT_PIL},
     "resize to 224x224 bilinear (Pillow), rescale 1/255, " HALF FROM
     "; assumed: image_processor_type, do_resize, size, resample, " STEPS ")"},
    {"deit",
     "{'do_rescale': true, 'rescale_factor': 0.75, 'do_normalize': false, 'resample': 2}",
     {0},
     "resize to 256x256 bilinear (torchvision), crop 224x224, rescale 0.75" FROM
     "; assumed: image_processor_type, do_resize, size, do_center_crop, crop_size)"},
    {"dinov2",
     "{'image_processor_type': 'BitImageProcessor', 'do_resize': true, 'size': {'shortest_edge': 256}, 'resample': 3,"
     "'do_center_crop': true, 'crop_size': {'height': 224, 'width': 224}, 'do_rescale': true, 'do_normalize': true,"
     "'rescale_factor': 0.00392156862745098, 'image_mean': [0.485, 0.456, 0.406], 'image_std': [0.229, 0.224, 0.225]}",
     {0},
     "resize shortest side to 256 bicubic (torchvision), crop 224x224, rescale 1/255, " IMAGENET FROM ")"},
    {"clip",
     "{'size': {'shortest_edge': 30, 'longest_edge': 60}, 'crop_size': [20, 30], 'do_rescale': false}",
     {0},
     "resize shortest side to 30, longest to at most 60, bicubic (torchvision), crop 30x20, no rescale, " CLIP FROM
     "; assumed: image_processor_type, do_resize, resample, do_center_crop, do_normalize, image_mean, image_std)"},
    {"siglip",
     "{'do_resize': false}",
     {0},
     "no resize, rescale 1/255, " HALF FROM "; assumed: image_processor_type, " STEPS ")"},
    {"beit",
     "{'size': {'max_height': 30, 'max_width': 20}}",
     {0},
     "resize to fit into 20x30 bicubic (torchvision), rescale 1/255, " HALF FROM
     "; assumed: image_processor_type, do_resize, resample, " STEPS ")"},
    {"siglip2",
     "{'patch_size': 14}",
     {0},
     "resize to at most 256 patches of 14x14 bilinear (torchvision), rescale 1/255, " HALF FROM
     "; assumed: image_processor_type, do_resize, resample, " STEPS ", max_num_patches)"},
    {"dinov3_vit",
     "{'size': 32}",
     {.resizer = RESIZER_WANT_TORCHVISION},
     "rescale 1/255, resize to 32x32 bilinear (torchvision), " IMAGENET FROM
     "; assumed: image_processor_type, do_resize, resample, " STEPS ")"},
    {NULL,
     "{'pretrained_cfg': {}}",
     {0},
     "resize shortest side to 256 bicubic (Pillow), crop 224x224, rescale 1/255, " IMAGENET
     " (from config.json; assumed: input_size, interpolation, crop_pct, crop_mode, mean, std)"},
    {NULL,
     "{'pretrained_cfg': {'input_size': [3, 20, 30], 'crop_pct': 1.0, 'crop_mode': 'border', 'mean': [0.5, 0.5, 0.5],"
     "'std': [0.5, 0.5, 0.5], 'interpolation': 'lanczos'}}",
     {0},
     "resize to fit into 30x20 lanczos (Pillow), crop 30x20, rescale 1/255, " HALF " (from config.json)"},
    {NULL,
     "{'input_size': [3, 20, 30], 'crop_pct': null}",
     {0},
     "resize to cover 34x22 bicubic (Pillow), crop 30x20, rescale 1/255, " IMAGENET
     " (from config.json; assumed: interpolation, crop_pct, crop_mode, mean, std)"},
};

static void descriptions(void **state)
{
    for (size_t i = 0; i < COUNT(described); i++) {
        const struct recipe recipe =
            read_recipe(*state, described[i].model_type, described[i].json, &described[i].wishes);
        struct text text = {0};
        recipe_describe(&recipe, &text);
        assert_string_equal(text.chars, described[i].line);
        text_free(&text);
    }
}

static void accepted_recipes(void **state)
{
    static const char *const cases[] = {
        "{'image_processor_type': 'ViTImageProcessor'}",
        "{'image_processor_type': 'ViTImageProcessorFast'}",
        "{'image_processor_type': 'ViTImageProcessorPil'}",
        "{'feature_extractor_type': 'ViTFeatureExtractor'}",
        "{'feature_extractor_type': 'ConvNextFeatureExtractor', 'image_processor_type': 'ViTImageProcessor'}",
        "{'image_processor_type': null, 'processor_class': null, 'data_format': 'channels_first', 'device': null}",
        "{'do_convert_rgb': true, 'default_to_square': true, 'return_tensors': null, 'disable_grouping': null}",
        "{'do_convert_rgb': null, 'do_center_crop': false, 'crop_size': {'height': 224, 'width': 224}}",
        "{'do_center_crop': null, 'do_pad': null, 'pad_size': null, 'size_divisor': null, 'unheard_of': 7}",
        "{'do_pad': false, 'crop_pct': null, 'use_square_size': false, 'do_reduce_labels': true}",
        "{'do_rescale': false, 'rescale_factor': null, 'do_normalize': false, 'image_std': [0, 0, 0]}",
        "{'do_resize': false, 'resample': 'any', 'size': null}",
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        read_recipe(*state, "vit", cases[i], &NONE);
}

#define UNSUPPORTED VITCL_ERROR_UNSUPPORTED
#define FORMAT      VITCL_ERROR_FORMAT

static const struct {
    const char *model_type, *json;
    vitcl_status status;
    const char *message;
} refused[] = {
    {"vit", "{'image_processor_type': 'ConvNextImageProcessor'}", UNSUPPORTED, "\"ConvNextImageProcessor\""},
    {"vit", "{'image_processor_type': 'ViTHybridImageProcessor'}", UNSUPPORTED,
     "vitcl has ViTImageProcessor, DeiTImageProcessor, BeitImageProcessor, BitImageProcessor, CLIPImageProcessor, "
     "SiglipImageProcessor, Siglip2ImageProcessor, DINOv3ViTImageProcessor"},
    {"vit", "{'image_processor_type': 'ViTImageProcessorFaster'}", UNSUPPORTED, "\"ViTImageProcessorFaster\""},
    {"vit", "{'image_processor_type': 'ViTFeatureExtractor'}", UNSUPPORTED, "\"ViTFeatureExtractor\""},
    {"vit", "{'image_processor_type': 'ViT'}", UNSUPPORTED, "\"ViT\""},
    {"vit", "{'feature_extractor_type': 'ConvNextFeatureExtractor'}", UNSUPPORTED, "\"ConvNextFeatureExtractor\""},
    {"vit", "{'image_processor_type': 'DINOv3ViTImageProcessorPil'}", UNSUPPORTED, "\"DINOv3ViTImageProcessorPil\""},
    {"vit", "{'image_processor_type': 1}", FORMAT, "image_processor_type"},
    {"dinov2_with_registers", "{}", FORMAT, "no default for model_type \"dinov2_with_registers\""},
    {"vit", "{'do_pad': true}", UNSUPPORTED, "do_pad"},
    {"vit", "{'do_pad': 'yes'}", FORMAT, "do_pad"},
    {"clip", "{'use_square_size': true}", UNSUPPORTED, "use_square_size"},
    {"vit", "{'crop_pct': 0.9}", UNSUPPORTED, "crop_pct"},
    {"vit", "{'do_resize': 1}", FORMAT, "do_resize"},
    {"siglip2", "{'do_resize': false}", UNSUPPORTED, "do_resize"},
    {"siglip2", "{'patch_size': 0}", FORMAT, "patch_size"},
    {"siglip2", "{'max_num_patches': 100000}", FORMAT, "max_num_patches"},
    {"vit", "{'size': {'longest_edge': 224}}", FORMAT, "{\"longest_edge\":224}"},
    {"vit", "{'size': {'height': 224}}", FORMAT, "size"},
    {"vit", "{'size': {'height': 224, 'width': 224, 'longest_edge': 300}}", FORMAT, "longest_edge"},
    {"vit", "{'size': {'height': 224, 'longest_edge': 300}}", FORMAT, "longest_edge"},
    {"vit", "{'size': [224]}", FORMAT, "size"},
    {"vit", "{'size': [224, '224']}", FORMAT, "size"},
    {"vit", "{'size': 0}", FORMAT, "size"},
    {"vit", "{'size': -224}", FORMAT, "size"},
    {"vit", "{'size': 1000000}", FORMAT, "1000000"},
    {"vit", "{'size': '224'}", FORMAT, "size"},
    {"vit", "{'size': 224.5}", FORMAT, "224.5"},
    {"vit", "{'size': true}", FORMAT, "size"},
    {"vit", "{'size': null}", FORMAT, "size"},
    {"vit", "{'default_to_square': 1}", FORMAT, "default_to_square"},
    {"vit", "{'do_center_crop': true}", FORMAT, "crop_size"},
    {"clip", "{'crop_size': null}", FORMAT, "crop_size"},
    {"clip", "{'crop_size': 0}", FORMAT, "crop_size"},
    {"clip", "{'crop_size': {'shortest_edge': 224}}", FORMAT, "crop_size"},
    {"vit", "{'resample': 4}", UNSUPPORTED, "--resize pil"},
    {"vit", "{'resample': 5}", UNSUPPORTED, "torchvision has no hamming filter"},
    {"vit", "{'resample': 6}", UNSUPPORTED, "MKS2013"},
    {"vit", "{'resample': 7}", UNSUPPORTED, "MKS2021"},
    {"vit", "{'resample': 8}", FORMAT, "2 bilinear, 3 bicubic"},
    {"vit", "{'resample': -1}", FORMAT, "resample"},
    {"vit", "{'resample': 'bicubic'}", FORMAT, "resample"},
    {"vit", "{'resample': null}", FORMAT, "resample"},
    {"vit", "{'do_rescale': 'no'}", FORMAT, "do_rescale"},
    {"vit", "{'rescale_factor': null}", FORMAT, "rescale_factor"},
    {"vit", "{'rescale_factor': '1/255'}", FORMAT, "rescale_factor"},
    {"vit", "{'rescale_factor': 0}", FORMAT, "rescale_factor"},
    {"vit", "{'rescale_factor': 1e300}", FORMAT, "rescale_factor"},
    {"vit", "{'do_normalize': 'no'}", FORMAT, "do_normalize"},
    {"vit", "{'image_mean': [0.5, 0.5]}", FORMAT, "image_mean"},
    {"vit", "{'image_mean': [0.5, 0.5, '0.5']}", FORMAT, "image_mean"},
    {"vit", "{'image_mean': null}", FORMAT, "image_mean"},
    {"vit", "{'image_mean': 1e39}", FORMAT, "image_mean"},
    {"vit", "{'image_std': [0.5, 0, 0.5]}", FORMAT, "image_std"},
    {"vit", "{'image_std': -0.5}", FORMAT, "image_std"},
    {"vit", "{'image_std': 1e-320}", FORMAT, "image_std"},
    {"vit", "{'image_std': true}", FORMAT, "image_std"},
    {"dinov3_vit", "{'do_rescale': false}", FORMAT, "do_normalize needs do_rescale"},
    {"vit", "[]", FORMAT, "object"},
    {"vit", "{'size': 224", FORMAT, "JSON"},
    {NULL, "{'pretrained_cfg': 7}", FORMAT, "pretrained_cfg"},
    {NULL, "{'input_size': [1, 28, 28]}", FORMAT, "[3, height, width]"},
    {NULL, "{'input_size': 224}", FORMAT, "input_size"},
    {NULL, "{'input_size': [3, 224, 20000]}", FORMAT, "input_size"},
    {NULL, "{'interpolation': 'random'}", FORMAT, "is for training"},
    {NULL, "{'interpolation': 3}", FORMAT, "interpolation"},
    {NULL, "{'crop_pct': 0}", FORMAT, "crop_pct"},
    {NULL, "{'crop_pct': [1.0, 1.0]}", FORMAT, "crop_pct"},
    {NULL, "{'input_size': [3, 5, 5], 'crop_pct': 50}", FORMAT, "crop_pct"},
    {NULL, "{'crop_mode': 'middle'}", FORMAT, "center, squash or border"},
    {NULL, "{'mean': [0.5]}", FORMAT, "mean"},
    {NULL, "{'std': 0}", FORMAT, "std"},
    {NULL, "{'model_args': {'in_chans': 4}}", UNSUPPORTED, "in_chans: 4"},
    {NULL, "{'fixed_input_size': true, 'model_args': {'img_size': 0}}", FORMAT, "img_size"},
};

static void refused_recipes(void **state)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *file = refused[i].model_type ? PLAIN : TIMM;
        struct recipe recipe;
        vitcl_error err = {0};
        if (try_recipe(&recipe, *state, refused[i].model_type, refused[i].json, &NONE, &err) != refused[i].status ||
            err.status != refused[i].status || !strstr(err.message, refused[i].message) || !strstr(err.message, file))
            fail_msg("%s: %s: %s", refused[i].json, vitcl_status_name(err.status), err.message);
    }
}

static void nested_recipe_wins(void **state)
{
    const char *folder = *state;
    struct recipe recipe;
    vitcl_error err = {0};
    write_recipe(folder, PLAIN, "{'size': 100}");
    write_recipe(folder, NESTED, "{'processor_class': 'X', 'image_processor': {'size': 200}}");
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_OK);
    assert_int_equal(recipe.width, 200);
    assert_string_equal(recipe.file, NESTED);

    write_recipe(folder, NESTED, "{'image_processor': {'size': 'large'}}");
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_ERROR_FORMAT);
    assert_non_null(strstr(err.message, NESTED ": image_processor: size"));

    write_recipe(folder, NESTED, "{'image_processor': null, 'size': 200}");
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_OK);
    assert_int_equal(recipe.width, 100);
    assert_string_equal(recipe.file, PLAIN);

    write_recipe(folder, NESTED, "{");
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_ERROR_FORMAT);
    assert_non_null(strstr(err.message, NESTED));
}

static void missing_recipe_is_not_guessed(void **state)
{
    const char *folder = *state;
    struct recipe recipe;
    vitcl_error err = {0};
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_ERROR_IO);
    assert_non_null(strstr(err.message, folder));
    assert_non_null(strstr(err.message, "preprocessor_config.json is missing"));
    assert_non_null(strstr(err.message, "download"));
    write_recipe(folder, NESTED, "{}");
    assert_int_equal(recipe_read(&recipe, folder, "vit", &NONE, &err), VITCL_ERROR_IO);
    assert_int_equal(recipe_read(&recipe, folder, NULL, &NONE, &err), VITCL_ERROR_IO);
    assert_non_null(strstr(err.message, "config.json is missing"));
}

/* ---- wishes ------------------------------------------------------------------------------------------------------ */

static void back_ends(void **state)
{
    static const struct recipe_wishes torchvision = {.resizer = RESIZER_WANT_TORCHVISION};
    struct recipe recipe;
    vitcl_error err = {0};
    assert_int_equal(read_recipe(*state, "vit", "{'resample': 5}", &PILLOW).resizer, RESIZER_PIL);
    assert_int_equal(read_recipe(*state, "vit", "{}", &torchvision).resizer, RESIZER_TORCHVISION);
    assert_int_equal(try_recipe(&recipe, *state, "dinov3_vit", "{}", &PILLOW, &err), VITCL_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "DINOv3ViTImageProcessor has no Pillow back end"));
    assert_int_equal(read_recipe(*state, NULL, "{'interpolation': 'box'}", &NONE).resizer, RESIZER_PIL);
    assert_int_equal(try_recipe(&recipe, *state, NULL, "{}", &torchvision, &err), VITCL_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "timm resizes pictures by Pillow"));
}

/* Another size of the result; what the resize before it becomes. test_pixels.c has more of them. */
static void other_sizes(void **state)
{
    static const struct {
        const char *model_type, *json;
        size_t height, width, shortest;
    } cases[] = {
        {"dinov2", "{'size': {'shortest_edge': 256}}", 448, 448, 512},
        {"dinov2", "{'size': {'shortest_edge': 256}}", 518, 518, 592},
        {"dinov2", "{'size': {'shortest_edge': 256}}", 300, 300, 343},
        {"dinov2", "{'size': {'shortest_edge': 256}}", 224, 112, 256},
        {"dinov2", "{'size': {'shortest_edge': 10}}", 1, 1, 1},
        {NULL, "{'crop_pct': 0.9}", 448, 448, 497},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct recipe_wishes wishes = {.height = cases[i].height, .width = cases[i].width};
        const struct recipe recipe = read_recipe(*state, cases[i].model_type, cases[i].json, &wishes);
        assert_true(recipe.crop);
        assert_int_equal(recipe.height, cases[i].height);
        assert_int_equal(recipe.width, cases[i].width);
        assert_int_equal(recipe.shortest, cases[i].shortest);
    }
}

static void bad_sizes(void **state)
{
    static const struct recipe_wishes bad[] = {{.height = 224}, {.width = 224}, {.height = 20000, .width = 20000}};
    static const struct recipe_wishes fine = {.height = 224, .width = 224};
    struct recipe recipe;
    vitcl_error err = {0};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(try_recipe(&recipe, *state, "vit", "{}", &bad[i], &err), VITCL_ERROR_ARGUMENT);
    assert_int_equal(try_recipe(&recipe, *state, "siglip2", "{}", &fine, &err), VITCL_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "256 patches of 16x16"));
    assert_int_equal(try_recipe(&recipe, *state, "clip", "{'size': 300, 'crop_size': 2}", &fine, &err),
                     VITCL_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "16384"));
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
    return read_recipe(folder, "vit", json, &PILLOW);
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
    assert_int_equal(image_decode(&image, file.data, file.size, true, name, &err), VITCL_OK);
    assert_int_equal(recipe_apply(recipe, &image, found, NULL, NULL, &err), VITCL_OK);
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
    static const uint8_t pixels[] = {0, 51, 102, 153, 204, 255};
    static const float planes[] = {0, 153, 51, 204, 102, 255};
    static const struct recipe_wishes wishes = {.resizer = RESIZER_WANT_PIL, .height = 1, .width = 2};
    const struct recipe recipe =
        read_recipe(*state, "vit", "{'do_resize': false, 'do_rescale': false, 'do_normalize': false}", &wishes);
    vitcl_image image = {.pixels = pixels, .width = 2, .height = 1};
    vitcl_error err = {0};
    float found[6];
    assert_int_equal(recipe_apply(&recipe, &image, found, NULL, NULL, &err), VITCL_OK);
    assert_memory_equal(found, planes, sizeof planes);
    image = (vitcl_image){.pixels = pixels, .width = 1, .height = 2};
    assert_int_equal(recipe_apply(&recipe, &image, found, NULL, NULL, &err), VITCL_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "1 x 2"));
    assert_non_null(strstr(err.message, "2 x 1"));
}

/* Pictures whose resized size can not be, or would fill the memory. No pixel of them is read. */
static void thin_pictures(void **state)
{
    static const struct {
        const char *json;
        size_t width, height;
        const char *message;
    } cases[] = {
        {"{'size': {'shortest_edge': 224}}", 1, 60000, "224 x 13440000"},
        {"{'size': {'max_height': 24, 'max_width': 24}}", 1, 100, "0 x 24"},
        {"{'size': {'shortest_edge': 10, 'longest_edge': 20}}", 100, 1, "20 x 0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct recipe recipe = read_recipe(*state, "clip", cases[i].json, &NONE);
        const vitcl_image image = {.width = cases[i].width, .height = cases[i].height};
        vitcl_error err = {0};
        assert_int_equal(recipe_apply(&recipe, &image, NULL, NULL, NULL, &err), VITCL_ERROR_ARGUMENT);
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s", err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions),
        cmocka_unit_test(accepted_recipes),
        cmocka_unit_test(refused_recipes),
        cmocka_unit_test_teardown(nested_recipe_wins, remove_recipes),
        cmocka_unit_test_setup(missing_recipe_is_not_guessed, remove_recipes),
        cmocka_unit_test_setup(back_ends, remove_recipes),
        cmocka_unit_test(other_sizes),
        cmocka_unit_test(bad_sizes),
        cmocka_unit_test(pictures_match_transformers),
        cmocka_unit_test(no_resize),
        cmocka_unit_test(thin_pictures),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

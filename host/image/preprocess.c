/* preprocess.c - reads the recipe of transformers' ViTImageProcessor and applies it.
 *
 * Since a sample has 256 levels, rescaling and normalising are a table per channel. Its arithmetic is that of the
 * Pillow back end: the product in double, everything after it in float. As there, a key that is null is not a key that
 * is missing: null switches a step off, and is no value for a step that is on.
 */
#include "image/preprocess.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_SIDE 16384 /* pixels; no model takes more than a few thousand */

/* The JSON object that holds the recipe, and what it and its name live in. */
struct recipe_file {
    struct json_at at;
    json_t *root;
    struct text name;
};

static void recipe_file_close(struct recipe_file *file)
{
    json_decref(file->root);
    text_free(&file->name);
    memset(file, 0, sizeof *file);
}

/* The object in folder/name, or the one under `key` in it. Where there is none, at.object stays NULL. */
static vitcl_status look_in(struct recipe_file *file, const char *folder, const char *name, const char *key,
                            vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const json_t *object = NULL;

    text_add(&file->name, "%s/%s", folder, name);
    if (!file->name.failed && file_exists(file->name.chars)) {
        TRY(json_read(&file->root, file->name.chars, err));
        object = key ? json_object_get(file->root, key) : file->root;
    }
    if (key)
        text_add(&file->name, ": %s", key);
    if (file->name.failed)
        TRY(fail_memory(err, strlen(folder)));
    if (json_is_object(object))
        file->at = (struct json_at){object, file->name.chars};
done:
    if (!file->at.object)
        recipe_file_close(file);
    return status;
}

static vitcl_status recipe_file_open(struct recipe_file *file, const char *folder, vitcl_error *err)
{
    vitcl_status status;
    TRY(look_in(file, folder, "processor_config.json", "image_processor", err));
    if (!file->at.object)
        TRY(look_in(file, folder, "preprocessor_config.json", NULL, err));
    if (!file->at.object)
        TRY(fail(err, VITCL_ERROR_IO,
                 "%s: preprocessor_config.json is missing. How the model wants its pictures scaled can not be guessed: "
                 "download that file from the model's page into the folder",
                 folder));
done:
    return status;
}

static vitcl_status check_class(struct json_at at, vitcl_error *err)
{
    static const char *const known[] = {"ViTImageProcessor", "ViTImageProcessorFast", "ViTImageProcessorPil",
                                        "ViTFeatureExtractor"};
    const char *class_name = NULL;
    vitcl_status status;
    TRY(json_get_string(at, "feature_extractor_type", &class_name, err));
    TRY(json_get_string(at, "image_processor_type", &class_name, err)); /* the newer key wins */
    for (size_t i = 0; i < sizeof known / sizeof *known && class_name; i++)
        if (strcmp(class_name, known[i]) == 0)
            class_name = NULL;
    if (class_name)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: image processor \"%s\" is not supported; vitcl has %s", at.file,
                 class_name, known[0]));
done:
    return status;
}

static vitcl_status get_flag(struct json_at at, const char *key, bool *value, vitcl_error *err)
{
    if (json_is_null(json_object_get(at.object, key)))
        *value = false;
    return json_get_bool(at, key, value, err);
}

static vitcl_status refuse_steps(struct json_at at, vitcl_error *err)
{
    static const char *const steps[] = {"do_center_crop", "do_pad"};
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        bool wanted = false;
        TRY(get_flag(at, steps[i], &wanted, err));
        if (wanted)
            TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: %s: true is not supported; vitcl only resizes", at.file,
                     steps[i]));
    }
done:
    return status;
}

static bool get_side(const json_t *value, size_t *side)
{
    const json_int_t pixels = json_integer_value(value);
    *side = (size_t)pixels;
    return pixels >= 1 && pixels <= LONGEST_SIDE;
}

/* size: 224, [height,width] or {"height","width"}. */
static vitcl_status get_size(struct json_at at, struct recipe *recipe, vitcl_error *err)
{
    const json_t *size = json_object_get(at.object, "size");
    const json_t *height = size, *width = size;
    if (!size || (json_is_null(size) && !recipe->resize))
        return VITCL_OK;
    if (json_is_array(size) && json_array_size(size) == 2) {
        height = json_array_get(size, 0);
        width = json_array_get(size, 1);
    } else if (json_is_object(size) && json_object_size(size) == 2) {
        height = json_object_get(size, "height");
        width = json_object_get(size, "width");
    }
    if (!get_side(height, &recipe->height) || !get_side(width, &recipe->width))
        return json_unexpected(at, "size", "pixels as a number, [height, width] or {\"height\", \"width\"}", err);
    return VITCL_OK;
}

static vitcl_status get_filter(struct json_at at, enum resample *filter, vitcl_error *err)
{
    static const char *const names[] = {"nearest", "Lanczos", "bilinear", "bicubic", "box", "Hamming"};
    const json_t *resample = json_object_get(at.object, "resample");
    const json_int_t code = json_integer_value(resample);
    if (!resample)
        return VITCL_OK;
    if (!json_is_integer(resample) || code < 0 || code >= (json_int_t)(sizeof names / sizeof *names))
        return json_unexpected(at, "resample", "2 (bilinear) or 3 (bicubic)", err);
    if (code != RESAMPLE_BILINEAR && code != RESAMPLE_BICUBIC)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: resample: %d (%s) is not supported; vitcl has bilinear and bicubic", at.file, (int)code,
                    names[code]);
    *filter = (enum resample)code;
    return VITCL_OK;
}

/* The numbers that turn a level into what the model is fed. */
struct arithmetic {
    bool rescale, normalize;
    double factor, mean[3], std[3];
};

/* One number for every channel, or a list of three. */
static vitcl_status get_per_channel(struct json_at at, const char *key, double low, double high, double value[3],
                                    vitcl_error *err)
{
    const json_t *found = json_object_get(at.object, key);
    const bool list = json_is_array(found) && json_array_size(found) == 3;
    for (size_t c = 0; c < 3 && found; c++) {
        const json_t *number = list ? json_array_get(found, c) : found;
        value[c] = json_number_value(number);
        if (!json_is_number(number) || !(value[c] >= low && value[c] <= high)) {
            char expected[96];
            snprintf(expected, sizeof expected, "one number or three, from %g to %g", low, high);
            return json_unexpected(at, key, expected, err);
        }
    }
    return VITCL_OK;
}

static vitcl_status get_factor(struct json_at at, double *factor, vitcl_error *err)
{
    if (json_is_null(json_object_get(at.object, "rescale_factor")))
        return json_unexpected(at, "rescale_factor", "a number, since do_rescale is on", err);
    return json_get_number(at, "rescale_factor", -1e6, 1e6, factor, err);
}

/* The bounds are far from any use; inside them nothing overflows. */
static vitcl_status get_arithmetic(struct json_at at, struct arithmetic *numbers, vitcl_error *err)
{
    vitcl_status status;
    TRY(get_flag(at, "do_rescale", &numbers->rescale, err));
    if (numbers->rescale)
        TRY(get_factor(at, &numbers->factor, err));
    TRY(get_flag(at, "do_normalize", &numbers->normalize, err));
    if (numbers->normalize) {
        TRY(get_per_channel(at, "image_mean", -1e6, 1e6, numbers->mean, err));
        TRY(get_per_channel(at, "image_std", 1e-6, 1e6, numbers->std, err));
    }
done:
    return status;
}

static void fill_table(float value[256], const struct arithmetic *numbers, size_t channel)
{
    const float mean = (float)numbers->mean[channel], deviation = (float)numbers->std[channel];
    for (int level = 0; level < 256; level++) {
        float x = numbers->rescale ? (float)(level * numbers->factor) : (float)level;
        if (numbers->normalize) {
            x -= mean;
            x /= deviation;
        }
        value[level] = x;
    }
}

static vitcl_status read_recipe(struct recipe *recipe, struct json_at at, vitcl_error *err)
{
    struct arithmetic numbers = {true, true, 1.0 / 255.0, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
    vitcl_status status;
    TRY(check_class(at, err));
    TRY(refuse_steps(at, err));
    TRY(get_flag(at, "do_resize", &recipe->resize, err));
    TRY(get_size(at, recipe, err));
    if (recipe->resize)
        TRY(get_filter(at, &recipe->filter, err));
    TRY(get_arithmetic(at, &numbers, err));
    for (size_t c = 0; c < 3; c++)
        fill_table(recipe->value[c], &numbers, c);
done:
    return status;
}

vitcl_status recipe_read(struct recipe *recipe, const char *folder, vitcl_error *err)
{
    struct recipe_file file = {0};
    vitcl_status status = recipe_file_open(&file, folder, err);
    if (status != VITCL_OK)
        return status;
    *recipe = (struct recipe){.resize = true, .width = 224, .height = 224, .filter = RESAMPLE_BILINEAR};
    status = read_recipe(recipe, file.at, err);
    recipe_file_close(&file);
    return status;
}

/* rgb [height,width,3] -> pixel_values [3,height,width]. */
static void look_up(const struct recipe *recipe, const uint8_t *rgb, float *pixel_values)
{
    const size_t count = recipe->width * recipe->height;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < count; i++)
            *pixel_values++ = recipe->value[c][rgb[3 * i + c]];
}

vitcl_status recipe_apply(const struct recipe *recipe, const vitcl_image *image, float *pixel_values, vitcl_error *err)
{
    const size_t bytes = recipe->width * recipe->height * 3; /* fits: recipe_read bounds both */
    vitcl_status status;
    uint8_t *rgb;

    if (!recipe->resize && (image->width != recipe->width || image->height != recipe->height))
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "the picture is %zu x %zu, the model takes %zu x %zu, and its preprocessor_config.json says "
                    "do_resize: false: scale the picture first",
                    image->width, image->height, recipe->width, recipe->height);
    rgb = malloc(bytes);
    if (!rgb)
        return fail_memory(err, bytes);
    status = image_resize(image, RESIZER_PIL, recipe->filter, recipe->width, recipe->height, rgb, err);
    if (status == VITCL_OK)
        look_up(recipe, rgb, pixel_values);
    free(rgb);
    return status;
}

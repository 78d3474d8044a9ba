/* recipe.c - what the readers of recipes share, and the arithmetic of each library as a table of levels.
 *
 * A sample has 256 levels, so rescaling and normalising are a table per channel.
 */
#include "image/recipe.h"
#include "base/size.h"

#include <math.h>
#include <stdio.h>

const char *const recipe_keys[KEY_COUNT] = {
    [KEY_CLASS] = "image_processor_type",
    [KEY_DO_RESIZE] = "do_resize",
    [KEY_SIZE] = "size",
    [KEY_RESAMPLE] = "resample",
    [KEY_DO_CENTER_CROP] = "do_center_crop",
    [KEY_CROP_SIZE] = "crop_size",
    [KEY_DO_RESCALE] = "do_rescale",
    [KEY_RESCALE_FACTOR] = "rescale_factor",
    [KEY_DO_NORMALIZE] = "do_normalize",
    [KEY_IMAGE_MEAN] = "image_mean",
    [KEY_IMAGE_STD] = "image_std",
    [KEY_PATCH_SIZE] = "patch_size",
    [KEY_MAX_NUM_PATCHES] = "max_num_patches",
    [KEY_INPUT_SIZE] = "input_size",
    [KEY_INTERPOLATION] = "interpolation",
    [KEY_CROP_PCT] = "crop_pct",
    [KEY_CROP_MODE] = "crop_mode",
    [KEY_MEAN] = "mean",
    [KEY_STD] = "std",
};

const char *const recipe_filters[FILTER_COUNT] = {
    [RESAMPLE_NEAREST] = "nearest", [RESAMPLE_LANCZOS] = "lanczos", [RESAMPLE_BILINEAR] = "bilinear",
    [RESAMPLE_BICUBIC] = "bicubic", [RESAMPLE_BOX] = "box",         [RESAMPLE_HAMMING] = "hamming",
};

const json_t *recipe_find(struct recipe *recipe, struct json_at at, enum recipe_key key)
{
    const json_t *found = json_object_get(at.object, recipe_keys[key]);
    if (!found)
        recipe->assumed |= 1u << key;
    return found;
}

bool recipe_get_side(const json_t *value, size_t *side)
{
    const json_int_t pixels = json_integer_value(value);
    *side = (size_t)pixels;
    return pixels >= 1 && pixels <= LONGEST_SIDE;
}

static vitcl_status get_per_channel(struct recipe *recipe, struct json_at at, enum recipe_key key, double low,
                                    double value[3], vitcl_error *err)
{
    const json_t *found = recipe_find(recipe, at, key);
    const bool list = json_is_array(found) && json_array_size(found) == 3;
    for (size_t c = 0; c < 3 && found; c++) {
        const json_t *number = list ? json_array_get(found, c) : found;
        value[c] = json_number_value(number);
        if (!json_is_number(number) || !(value[c] >= low && value[c] <= 1e6)) {
            char expected[96];
            snprintf(expected, sizeof expected, "one number or three, from %g to 1e+06", low);
            return json_unexpected(at, recipe_keys[key], expected, err);
        }
    }
    return VITCL_OK;
}

vitcl_status recipe_get_mean(struct recipe *recipe, struct json_at at, enum recipe_key key, double value[3],
                             vitcl_error *err)
{
    return get_per_channel(recipe, at, key, -1e6, value, err);
}

vitcl_status recipe_get_std(struct recipe *recipe, struct json_at at, enum recipe_key key, double value[3],
                            vitcl_error *err)
{
    return get_per_channel(recipe, at, key, 1e-6, value, err);
}

/* ---- another size ------------------------------------------------------------------------------------------------ */

/* side * to / from, to the nearest pixel; a side that is not used is 0 and stays so. */
static size_t scaled(size_t side, size_t to, size_t from)
{
    const double exact = (double)side * (double)to / (double)from;
    return side ? (size_t)fmax(1, nearbyint(exact)) : 0;
}

static void scale_crop(struct recipe *recipe, size_t height, size_t width)
{
    const bool tall = height * recipe->width > width * recipe->height; /* than the crop was; so that it stays covered */
    const size_t to = tall ? height : width, from = tall ? recipe->height : recipe->width;
    recipe->resize_height = scaled(recipe->resize_height, height, recipe->height);
    recipe->resize_width = scaled(recipe->resize_width, width, recipe->width);
    recipe->shortest = scaled(recipe->shortest, to, from);
    recipe->longest = scaled(recipe->longest, to, from);
}

vitcl_status recipe_resize_result(struct recipe *recipe, const struct recipe_wishes *wishes, vitcl_error *err)
{
    if (recipe->rule == SIZE_PATCHES)
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "%s makes up to %zu patches of %zux%zu of a picture of any shape: it has no size to change",
                    recipe->class_name, recipe->max_patches, recipe->patch, recipe->patch);
    if (recipe->crop) {
        scale_crop(recipe, wishes->height, wishes->width);
    } else if (recipe->rule != SIZE_KEEP) {
        recipe->rule = SIZE_EXACT;
        recipe->resize_height = wishes->height;
        recipe->resize_width = wishes->width;
    }
    recipe->height = wishes->height;
    recipe->width = wishes->width;
    if (size_max(recipe->resize_height, recipe->resize_width) > LONGEST_SIDE ||
        size_max(recipe->shortest, recipe->longest) > LONGEST_SIDE)
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "an image size of %zu x %zu pixels: what is cropped to it would be more than %d pixels long",
                    wishes->width, wishes->height, LONGEST_SIDE);
    return VITCL_OK;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* numpy multiplies in double and goes on in float. timm divides by 255 in float, which for all levels is the same. */
static float value_by_steps(const struct arithmetic *numbers, size_t channel, int level)
{
    float value = (float)(level * numbers->factor);
    value -= (float)numbers->mean[channel];
    value /= (float)numbers->std[channel];
    return value;
}

/* torchvision's back end moves the factor into mean and std, where there are both. */
static float value_fused(const struct arithmetic *numbers, size_t channel, int level)
{
    const float scale = (float)(1.0 / numbers->factor);
    const float mean = (float)numbers->mean[channel] * scale, deviation = (float)numbers->std[channel] * scale;
    float value = (float)level;
    value -= mean;
    value /= deviation;
    return value;
}

/* One step alone, in float. DINOv3 without a resize comes here, too. */
static float value_in_float(const struct arithmetic *numbers, size_t channel, int level)
{
    float value = (float)level;
    value *= (float)numbers->factor;
    value -= (float)numbers->mean[channel];
    value /= (float)numbers->std[channel];
    return value;
}

void recipe_tabulate(struct recipe *recipe)
{
    const struct arithmetic *numbers = &recipe->numbers;
    const bool both = numbers->rescale && numbers->normalize && !recipe->float_resize;
    for (size_t c = 0; c < 3; c++)
        for (int level = 0; level < 256; level++)
            recipe->value[c][level] = recipe->library != LIBRARY_TORCHVISION ? value_by_steps(numbers, c, level)
                                      : both                                 ? value_fused(numbers, c, level)
                                                                             : value_in_float(numbers, c, level);
}

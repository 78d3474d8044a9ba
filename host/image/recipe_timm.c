/* recipe_timm.c - reads a recipe out of timm's config.json: what timm.data.resolve_model_data_config and
 * create_transform(is_training=False) make of its pretrained_cfg.
 *
 * As there, test_input_size and test_crop_pct are not looked at, and a key that is null is missing. Files of old
 * versions have no pretrained_cfg but its keys at the root.
 */
#include "image/recipe.h"

#include <math.h>
#include <string.h>

/* Null and missing are the same to timm. */
static const json_t *get(struct recipe *recipe, struct json_at at, enum recipe_key key)
{
    const json_t *found = recipe_find(recipe, at, key);
    if (!json_is_null(found))
        return found;
    recipe->assumed |= 1u << key;
    return NULL;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* Where the architecture fixes the size, model_args.img_size overrides input_size. */
static vitcl_status get_model_args(struct recipe *recipe, struct json_at root, struct json_at cfg, vitcl_error *err)
{
    const struct json_at args = {json_object_get(root.object, "model_args"), root.file};
    const json_t *size = json_object_get(args.object, "img_size");
    const bool list = json_is_array(size) && json_array_size(size) == 2;
    bool fixed = false;
    size_t channels = 3;
    vitcl_status status;
    TRY(json_get_size(args, "in_chans", 1, 1024, &channels, err));
    if (channels != 3)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args.in_chans: %zu is not supported; vitcl has RGB pictures",
                 root.file, channels));
    TRY(json_get_bool(cfg, "fixed_input_size", &fixed, err));
    if (is_true(args.object, "dynamic_img_size") || is_true(args.object, "use_naflex") ||
        json_is_false(json_object_get(args.object, "strict_img_size")))
        fixed = false;
    if (size && !json_is_null(size) && fixed &&
        (!recipe_get_side(list ? json_array_get(size, 0) : size, &recipe->height) ||
         !recipe_get_side(list ? json_array_get(size, 1) : size, &recipe->width)))
        TRY(json_unexpected(args, "img_size", "pixels as a number or [height, width]", err));
done:
    return status;
}

static vitcl_status get_input_size(struct recipe *recipe, struct json_at cfg, vitcl_error *err)
{
    const json_t *size = get(recipe, cfg, KEY_INPUT_SIZE);
    recipe->height = recipe->width = 224;
    if (size && (json_array_size(size) != 3 || json_integer_value(json_array_get(size, 0)) != 3 ||
                 !recipe_get_side(json_array_get(size, 1), &recipe->height) ||
                 !recipe_get_side(json_array_get(size, 2), &recipe->width)))
        return json_unexpected(cfg, "input_size", "[3, height, width]", err);
    return VITCL_OK;
}

static vitcl_status get_filter(struct recipe *recipe, struct json_at cfg, vitcl_error *err)
{
    const char *name = recipe_filters[RESAMPLE_BICUBIC];
    vitcl_status status;
    size_t code = 0;
    get(recipe, cfg, KEY_INTERPOLATION);
    TRY(json_get_string(cfg, "interpolation", &name, err));
    while (code < FILTER_COUNT && strcmp(name, recipe_filters[code]) != 0)
        code++;
    if (code == FILTER_COUNT)
        TRY(json_unexpected(cfg, "interpolation",
                            "nearest, bilinear, bicubic, lanczos, box or hamming (\"random\" is for training, timm "
                            "does not evaluate with it either)",
                            err));
    recipe->filter = (enum resample)code;
done:
    return status;
}

/* The resize that comes before the crop: the result's size through crop_pct, cut to whole pixels. */
static vitcl_status get_crop(struct recipe *recipe, struct json_at cfg, vitcl_error *err)
{
    const char *mode = "center";
    double share = 0.875;
    vitcl_status status;
    get(recipe, cfg, KEY_CROP_PCT);
    get(recipe, cfg, KEY_CROP_MODE);
    TRY(json_get_number(cfg, "crop_pct", 0.01, 100, &share, err));
    TRY(json_get_string(cfg, "crop_mode", &mode, err));
    recipe->crop = true;
    recipe->resize_height = (size_t)floor((double)recipe->height / share);
    recipe->resize_width = (size_t)floor((double)recipe->width / share);
    if (strcmp(mode, "squash") == 0)
        recipe->rule = SIZE_EXACT;
    else if (strcmp(mode, "border") == 0)
        recipe->rule = SIZE_WITHIN_ROUND;
    else if (strcmp(mode, "center") != 0)
        TRY(json_unexpected(cfg, "crop_mode", "center, squash or border", err));
    else
        recipe->rule = recipe->resize_height == recipe->resize_width ? SIZE_SHORTEST : SIZE_COVER_ROUND;
    recipe->shortest = recipe->resize_height;
    if (recipe->resize_height < 1 || recipe->resize_width < 1)
        TRY(json_unexpected(cfg, "crop_pct", "a share that leaves at least one pixel", err));
done:
    return status;
}

static vitcl_status get_arithmetic(struct recipe *recipe, struct json_at cfg, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    recipe->numbers = (struct arithmetic){true, true, 1.0 / 255.0, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
    if (get(recipe, cfg, KEY_MEAN))
        TRY(recipe_get_mean(recipe, cfg, KEY_MEAN, recipe->numbers.mean, err));
    if (get(recipe, cfg, KEY_STD))
        TRY(recipe_get_std(recipe, cfg, KEY_STD, recipe->numbers.std, err));
    for (size_t c = 0; c < 3 && recipe->rule == SIZE_WITHIN_ROUND; c++)
        recipe->border[c] = (uint8_t)nearbyint(fmin(fmax(255 * recipe->numbers.mean[c], 0), 255));
done:
    return status;
}

vitcl_status recipe_read_timm(struct recipe *recipe, struct json_at root, const struct recipe_wishes *wishes,
                              vitcl_error *err)
{
    const json_t *nested = json_object_get(root.object, "pretrained_cfg");
    const struct json_at cfg = {nested ? nested : root.object, root.file};
    vitcl_status status;
    recipe->class_name = "timm";
    recipe->library = LIBRARY_TIMM;
    recipe->resizer = RESIZER_PIL;
    if (wishes->resizer == RESIZER_WANT_TORCHVISION)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: timm resizes pictures by Pillow: leave --resize torchvision away",
                 root.file));
    if (!json_is_object(cfg.object))
        TRY(json_unexpected(root, "pretrained_cfg", "an object", err));
    TRY(get_input_size(recipe, cfg, err));
    TRY(get_model_args(recipe, root, cfg, err));
    if (wishes->height && wishes->width) {
        recipe->height = wishes->height;
        recipe->width = wishes->width;
    }
    TRY(get_filter(recipe, cfg, err));
    TRY(get_crop(recipe, cfg, err));
    TRY(get_arithmetic(recipe, cfg, err));
done:
    return status;
}

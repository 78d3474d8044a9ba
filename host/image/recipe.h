/* recipe.h - what the readers of recipes share (recipe_*.c); nobody else includes it.
 */
#ifndef VITCL_IMAGE_RECIPE_H
#define VITCL_IMAGE_RECIPE_H

#include "base/json.h"
#include "image/preprocess.h"

#define LONGEST_SIDE 16384 /* pixels of a size in a file; no model takes more than a few thousand */

/* Keys whose absence recipe_describe tells. */
enum recipe_key {
    KEY_CLASS,
    KEY_DO_RESIZE,
    KEY_SIZE,
    KEY_RESAMPLE,
    KEY_DO_CENTER_CROP,
    KEY_CROP_SIZE,
    KEY_DO_RESCALE,
    KEY_RESCALE_FACTOR,
    KEY_DO_NORMALIZE,
    KEY_IMAGE_MEAN,
    KEY_IMAGE_STD,
    KEY_PATCH_SIZE,
    KEY_MAX_NUM_PATCHES,
    KEY_INPUT_SIZE, /* from here on timm's */
    KEY_INTERPOLATION,
    KEY_CROP_PCT,
    KEY_CROP_MODE,
    KEY_MEAN,
    KEY_STD,
    KEY_COUNT
};

extern const char *const recipe_keys[KEY_COUNT];

/* "nearest", "lanczos", ... indexed by enum resample. */
#define FILTER_COUNT 6
extern const char *const recipe_filters[FILTER_COUNT];

/* Where the object has no such key, marks it as assumed and returns NULL; a null is found. */
const json_t *recipe_find(struct recipe *recipe, struct json_at at, enum recipe_key key);

/* Pixels from 1 to LONGEST_SIDE. */
bool recipe_get_side(const json_t *value, size_t *side);

/* One number for every channel, or a list of three, within bounds that are far from any use: inside them nothing
 * overflows. A missing key leaves value alone. */
vitcl_status recipe_get_mean(struct recipe *recipe, struct json_at at, enum recipe_key key, double value[3],
                             vitcl_error *err);
vitcl_status recipe_get_std(struct recipe *recipe, struct json_at at, enum recipe_key key, double value[3],
                            vitcl_error *err);

/* The recipe's crop and exact resize for a result of another size, in proportion; transformers' rules. */
vitcl_status recipe_resize_result(struct recipe *recipe, const struct recipe_wishes *wishes, vitcl_error *err);

/* image_processor_type and the rest of a Hugging Face file. */
vitcl_status recipe_read_hf(struct recipe *recipe, struct json_at at, const char *model_type,
                            const struct recipe_wishes *wishes, vitcl_error *err);

/* timm's config.json. */
vitcl_status recipe_read_timm(struct recipe *recipe, struct json_at root, const struct recipe_wishes *wishes,
                              vitcl_error *err);

/* Fills recipe->value from recipe->numbers: what each library's arithmetic makes of the 256 levels. */
void recipe_tabulate(struct recipe *recipe);

/* The size that a picture is resized to. */
vitcl_status recipe_target(const struct recipe *recipe, const vitcl_image *image, size_t *height, size_t *width,
                           vitcl_error *err);

#endif

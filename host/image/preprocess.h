/* preprocess.h - what a model wants done to a picture: read from its folder, applied to RGB8.
 *
 * Order: resize -> centre crop -> rescale -> normalise -> [3,H,W] float; DINOv3 rescales before it resizes. The
 * arithmetic is that of the library and back end that the recipe follows, to the bit.
 */
#ifndef VITCL_IMAGE_PREPROCESS_H
#define VITCL_IMAGE_PREPROCESS_H

#include "base/error.h"
#include "base/text.h"
#include "image/resize.h"

/* What the user wants other than the model's folder says. */
struct recipe_wishes {
    /* DINOv3's processor has torchvision only, timm has Pillow only: the other one is refused. */
    enum resizer_choice { RESIZER_AS_LIBRARY, RESIZER_WANT_PIL, RESIZER_WANT_TORCHVISION } resizer;
    /* Of the result, pixels; 0: as the folder says. A recipe that crops is scaled as a whole, so that 256 -> 224 at 448
     * is 512 -> 448, rounded to the nearest pixel; timm divides the new size by its crop_pct. */
    size_t height, width;
};

/* How a picture's size becomes the size it is resized to. */
enum size_rule {
    SIZE_KEEP,         /* not resized */
    SIZE_EXACT,        /* resize_height x resize_width, whatever the picture's shape */
    SIZE_SHORTEST,     /* the shorter side becomes `shortest`, the longer one follows, up to `longest` where not 0 */
    SIZE_WITHIN,       /* as large as fits into resize_height x resize_width, sides cut to whole pixels */
    SIZE_WITHIN_ROUND, /* the same, sides rounded (timm) */
    SIZE_COVER_ROUND,  /* as small as covers resize_height x resize_width, sides rounded (timm) */
    SIZE_PATCHES /* SigLIP 2: as large as `max_patches` whole patches allow, sides stretched to multiples of `patch` */
};

/* Whose crop and arithmetic. */
enum recipe_library {
    LIBRARY_PIL,         /* transformers' Pillow back end */
    LIBRARY_TORCHVISION, /* transformers' torchvision back end */
    LIBRARY_TIMM
};

/* The numbers that turn a level into what the model is fed, as the folder gives them. */
struct arithmetic {
    bool rescale, normalize;
    double factor, mean[3], std[3]; /* factor 1, mean 0, std 1 for a step that is off */
};

struct recipe {
    enum size_rule rule;
    size_t resize_height, resize_width, shortest, longest;
    size_t patch, max_patches; /* SIZE_PATCHES: pixel values are [max_patches,3*patch*patch] */
    enum resizer resizer;
    enum resample filter;
    enum recipe_library library;
    bool crop;            /* to height x width */
    uint8_t border[3];    /* levels around a picture that is smaller than the crop */
    size_t height, width; /* of the result, pixels; 0 where it follows the picture. The caller may set them then */
    bool float_resize;    /* rescale first, resize in float */
    struct arithmetic numbers;
    float value[3][256]; /* per channel: 8-bit level -> what the model is fed (rescaled, normalised) */

    const char *class_name; /* of the image processor, or "timm" */
    const char *file;       /* where it was read, without the folder */
    uint32_t assumed;       /* bit for each key that the file did not have (enum recipe_key) */
};

/* Reads the recipe of a model's folder. A Hugging Face folder: the "image_processor" of processor_config.json where
 * there is one, else preprocessor_config.json; the class is named there, or else is the one of the `model_type` of
 * config.json. A timm folder (model_type NULL): pretrained_cfg in config.json. Missing keys get the class's defaults.
 * A class or key that asks for something else is refused by name. Does not check the size against the model. */
vitcl_status recipe_read(struct recipe *recipe, const char *folder, const char *model_type,
                         const struct recipe_wishes *wishes, vitcl_error *err);

/* Adds one line: "resize shortest side to 256 bicubic (torchvision), crop 224x224, ... (from
 * preprocessor_config.json)"; what the folder did not say is marked as assumed. */
void recipe_describe(const struct recipe *recipe, struct text *text);

/* pixel_values [3,height,width], or [max_patches,3*patch*patch] with the patches beyond the picture zero; caller's
 * memory. *grid_height and *grid_width: patches of the picture under SIZE_PATCHES, else left alone. A picture that the
 * recipe can not bring to its size is VITCL_ERROR_ARGUMENT. */
vitcl_status recipe_apply(const struct recipe *recipe, const vitcl_image *image, float *pixel_values,
                          size_t *grid_height, size_t *grid_width, vitcl_error *err);

#endif

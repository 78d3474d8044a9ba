/* preprocess.h - what a model wants done to a picture: read from its folder, applied to RGB8.
 *
 * Order: resize -> rescale -> normalise -> [3,H,W] float. The arithmetic is that of transformers' Pillow back end, to
 * the bit.
 */
#ifndef VITCL_IMAGE_PREPROCESS_H
#define VITCL_IMAGE_PREPROCESS_H

#include "base/error.h"
#include "image/resize.h"

struct recipe {
    bool resize;
    size_t width, height; /* after the resize, pixels */
    enum resample filter;
    float value[3][256]; /* per channel: 8-bit level -> what the model is fed (rescaled, normalised) */
};

/* Reads the recipe of class ViTImageProcessor from the model's folder: the "image_processor" of processor_config.json
 * where there is one, else preprocessor_config.json. Missing keys get that class's defaults. A class or key that asks
 * for something else is refused by name. Does not check the size against the model. */
vitcl_status recipe_read(struct recipe *recipe, const char *folder, vitcl_error *err);

/* pixel_values [3,height,width], caller's memory. Without `resize` the image must have that size already. */
vitcl_status recipe_apply(const struct recipe *recipe, const vitcl_image *image, float *pixel_values, vitcl_error *err);

#endif

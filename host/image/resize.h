/* resize.h - the resizes of Pillow and of torchvision, to the bit. */
#ifndef VITCL_IMAGE_RESIZE_H
#define VITCL_IMAGE_RESIZE_H

#include "base/error.h"

/* Values are the codes of Pillow and of preprocessor_config.json. */
enum resample {
    RESAMPLE_NEAREST = 0,
    RESAMPLE_LANCZOS = 1,
    RESAMPLE_BILINEAR = 2,
    RESAMPLE_BICUBIC = 3,
    RESAMPLE_BOX = 4,
    RESAMPLE_HAMMING = 5,
};

/* Whose bytes. The two libraries differ by a level here and there, and with them the back ends of transformers. */
enum resizer { RESIZER_PIL, RESIZER_TORCHVISION };

/* Resizes image to rgb [height,width,3], caller's memory. Sizes are at least 1. torchvision has no box and no hamming:
 * the caller has refused them. */
vitcl_status image_resize(const vitcl_image *image, enum resizer resizer, enum resample filter, size_t width,
                          size_t height, uint8_t *rgb, vitcl_error *err);

/* torchvision's resize (antialias=True) of float pictures, as DINOv3's processor does it: each level becomes
 * level * factor in float first, and nothing is rounded to levels. planes [3,height,width], caller's memory. */
vitcl_status image_resize_float(const vitcl_image *image, enum resample filter, float factor, size_t width,
                                size_t height, float *planes, vitcl_error *err);

#endif

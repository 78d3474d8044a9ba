/* resize.h - Pillow's resize of 8-bit RGB, to the bit. */
#ifndef VITCL_IMAGE_RESIZE_H
#define VITCL_IMAGE_RESIZE_H

#include "base/error.h"

/* Values are the codes of Pillow and of preprocessor_config.json. */
enum resample { RESAMPLE_BILINEAR = 2, RESAMPLE_BICUBIC = 3 };

/* Resizes image to rgb [height,width,3], caller's memory. Sizes are at least 1. */
vitcl_status image_resize(const vitcl_image *image, enum resample filter, size_t width, size_t height, uint8_t *rgb,
                          vitcl_error *err);

#endif

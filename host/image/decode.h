/* decode.h - JPEG, PNG and WebP bytes to RGB8, as Pillow's convert("RGB") gives them. */
#ifndef VITCL_IMAGE_DECODE_H
#define VITCL_IMAGE_DECODE_H

#include "base/error.h"

/* The format is told by content. `upright`: turned as EXIF or XMP ask for, like Pillow's ImageOps.exif_transpose; else
 * the rows as they are stored. `name` is used in messages. On success *image owns its pixels (image_free); on failure
 * it is all zero. Damaged or truncated data is an error, never grey pixels. */
vitcl_status image_decode(vitcl_image *image, const unsigned char *bytes, size_t size, bool upright, const char *name,
                          vitcl_error *err);

/* Accepts a zeroed image; zeroes it. */
void image_free(vitcl_image *image);

#endif

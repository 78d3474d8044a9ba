/* decode_internal.h - what decode.c, the three formats' decoders and orientation.c share; nobody else includes it. */
#ifndef VITCL_IMAGE_DECODE_INTERNAL_H
#define VITCL_IMAGE_DECODE_INTERNAL_H

#include "base/error.h"

/* A picture file in memory and the name it has in messages. */
struct picture_file {
    const unsigned char *bytes;
    size_t size;
    const char *name;
};

struct block {
    const unsigned char *bytes; /* NULL where the file has no such block */
    size_t size;
};

/* The blocks that may say how the camera was held. They belong to whoever found them. */
struct metadata {
    struct block exif; /* a TIFF header and its directories, with or without "Exif\0\0" before them */
    struct block xmp;  /* RDF as text */
};

/* Each fills the zeroed *image with the pixels as stored and *orientation with 1..8. After a failure *image may be half
 * filled: image_free it. */
vitcl_status decode_jpeg(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err);
vitcl_status decode_png(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err);
vitcl_status decode_webp(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err);

/* Gives *image black pixels [height,width,3], and *pixels a way to write them. Sizes that no sane picture has are
 * refused before any memory is asked for. */
vitcl_status image_allocate(vitcl_image *image, uint8_t **pixels, size_t width, size_t height, const char *name,
                            vitcl_error *err);

/* The EXIF orientation 1..8 that the blocks ask for; 1 (as stored) where they say nothing or nonsense. */
vitcl_status orientation_find(int *orientation, const struct metadata *metadata, vitcl_error *err);

/* Turns and mirrors the pixels so that they are upright. */
vitcl_status orientation_apply(vitcl_image *image, int orientation, const char *name, vitcl_error *err);

#endif

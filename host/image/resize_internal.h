/* resize_internal.h - the weights of one axis, and rows laid side by side; shared by the resizers of levels and of
 * floats.
 */
#ifndef VITCL_IMAGE_RESIZE_INTERNAL_H
#define VITCL_IMAGE_RESIZE_INTERNAL_H

#include "image/resize.h"

#define CHANNELS    3
#define GROUP       16                 /* rows that the pass across takes at once */
#define LANES       (GROUP * CHANNELS) /* sums made at once: they fill 12 vector registers */
#define WEIGHT_BITS 22                 /* fractional bits of Pillow's weights */

/* Whose weights: Pillow's, torchvision's for 8-bit pictures, torchvision's for float pictures. */
enum weights { WEIGHTS_PIL, WEIGHTS_TORCHVISION, WEIGHTS_FLOAT };

/* The input pixels that one output pixel is a weighted mean of. */
struct window {
    size_t first, count;
};

/* Bounds of how much more Pillow's sum is than that with the short weights, whatever the levels; in its units. */
struct slack {
    int32_t low, high;
};

/* One pass: output pixel j is the sum over k of input pixel windows[j].first + k times weight [j * taps + k]. */
struct axis {
    size_t out, taps;
    struct window *windows; /* [out] */
    float *floats;          /* [out,taps]; WEIGHTS_FLOAT only */
    int bits;               /* fractional bits of `shorts`, as many as the largest weight leaves */
    int16_t *shorts;        /* [out,taps]; not for WEIGHTS_FLOAT */
    int32_t *longs;         /* [out,taps]; WEIGHTS_PIL only */
    struct slack *slacks;   /* [out]; WEIGHTS_PIL only */
};

/* On failure *axis is all zero. */
vitcl_status axis_create(struct axis *axis, enum weights kind, enum resample filter, size_t in, size_t out,
                         vitcl_error *err);
void axis_free(struct axis *axis);

/* Rows first..first+GROUP-1 side by side: samples [width,CHANNELS,GROUP], of interleaved_size(width) bytes. Where the
 * picture ends its last row is repeated. */
size_t interleaved_size(size_t width);
void interleave_rows(const vitcl_image *image, size_t first, uint8_t *samples);

#endif

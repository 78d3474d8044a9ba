/* position.h - position embeddings on another patch grid than they were trained on, and the angles of rotary ones.
 *
 * Each library resizes its own way, and the numbers differ: the filter is part of a family's definition. All of it is
 * done once per plan, on the host.
 */
#ifndef VITCL_MODEL_POSITION_H
#define VITCL_MODEL_POSITION_H

#include "base/error.h"

/* How torch.nn.functional.interpolate is called, always with align_corners=False and the output's size. */
enum position_filter {
    POSITION_BICUBIC,    /* antialias=False: a = -0.75, 4 taps also where the grid shrinks */
    POSITION_BICUBIC_AA, /* antialias=True: a = -0.5, wider where the grid shrinks */
    POSITION_BILINEAR,   /* antialias=False: 2 taps */
    POSITION_BILINEAR_AA /* antialias=True: a triangle, wider where the grid shrinks */
};

struct grid {
    size_t height, width;
};

/* Resizes a grid of vectors: from [from.height,from.width,width] -> to [to.height,to.width,width], caller's memory. On
 * equal grids a copy. VITCL_ERROR_MEMORY is the only error. */
vitcl_status position_resize(const float *from, struct grid from_grid, enum position_filter filter, size_t width,
                             float *to, struct grid to_grid, vitcl_error *err);

/* Rotary position embedding (Su et al., "RoFormer"): an angle per patch and pair of a head's numbers, half of the pairs
 * for the row, half for the column. */
enum rope_kind {
    ROPE_NONE,
    ROPE_DINOV3, /* coordinates from -1 to 1 over the image, times 2 pi; number j pairs with j + d/2 */
    ROPE_EVA     /* coordinates in patches of a reference grid; number 2j pairs with 2j + 1 */
};

struct rope {
    enum rope_kind kind;
    double theta;          /* ROPE_DINOV3: 100; ROPE_EVA: 10000 */
    struct grid reference; /* ROPE_EVA: the grid that coordinates are scaled to; 0 x 0 scales nothing */
};

/* Fills table [height*width, head_size]: the cosines of a patch's head_size/2 angles, then their sines. head_size is a
 * multiple of 4. */
void rope_fill(const struct rope *rope, struct grid grid, size_t head_size, float *table);

#endif

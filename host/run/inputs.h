/* inputs.h - what a run is fed: pixel values and, in a model of variable resolution, each image's grid. */
#ifndef VITCL_RUN_INPUTS_H
#define VITCL_RUN_INPUTS_H

#include "run/executor.h"
#include "run/reference.h"

/* Host memory of a plan's inputs, for all images of a run; B is their number, rounded up to whole passes. */
struct inputs {
    float *pixels;   /* [B,3,H,W], or patches [B,N,3pp] */
    float *position; /* [B,N,D]; NULL where the plan has one position for all images */
    float *lengths;  /* [B]; NULL likewise */
};

/* Host memory for an input or output of all images of a run, all zero; NO_TENSOR needs none. */
vitcl_status batch_allocate(const struct plan *plan, int tensor, float **memory, vitcl_error *err);

vitcl_status inputs_create(struct inputs *inputs, const struct plan *plan, vitcl_error *err);
void inputs_destroy(struct inputs *inputs);

/* Image number `image` has this grid of patches: fills its length and its position. */
vitcl_status inputs_set_grid(struct inputs *inputs, const struct request *request, size_t image, struct grid grid,
                             vitcl_error *err);

/* Brings `count` images, those of one pass, from the first'th on to where the steps read them. The memory of a device's
 * inputs must stay as it is until the device is done. */
vitcl_status inputs_upload(const struct inputs *inputs, struct executor *executor, const struct plan *plan,
                           size_t first, size_t count, vitcl_error *err);
void inputs_copy(const struct inputs *inputs, struct reference *reference, size_t first, size_t count);

#endif

/* inputs.c - the inputs of a plan in host memory. */
#include "run/inputs.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    int tensor;
    float *memory;
};

/* A plan's input tensors beside their memory. */
static void list(const struct inputs *inputs, const struct plan *plan, struct pair pairs[3])
{
    pairs[0] = (struct pair){plan->pixels, inputs->pixels};
    pairs[1] = (struct pair){plan->position, inputs->position};
    pairs[2] = (struct pair){plan->lengths, inputs->lengths};
}

/* What a run of `count` images brings of an input. Every image has a length, also one that this run does not have: what
 * another tensor left at its place would send a kernel anywhere. */
static size_t bytes_to_bring(const struct plan *plan, int tensor, size_t count)
{
    return plan_image_bytes(plan, tensor, tensor == plan->lengths ? plan->geometry.batch : count);
}

vitcl_status batch_allocate(const struct plan *plan, int tensor, float **memory, vitcl_error *err)
{
    size_t bytes;
    if (tensor == NO_TENSOR)
        return VITCL_OK;
    bytes = plan_image_bytes(plan, tensor, plan->geometry.batch);
    *memory = calloc(bytes, 1);
    return *memory ? VITCL_OK : fail_memory(err, bytes);
}

vitcl_status inputs_create(struct inputs *inputs, const struct plan *plan, vitcl_error *err)
{
    vitcl_status status;
    memset(inputs, 0, sizeof *inputs);
    TRY(batch_allocate(plan, plan->pixels, &inputs->pixels, err));
    TRY(batch_allocate(plan, plan->position, &inputs->position, err));
    TRY(batch_allocate(plan, plan->lengths, &inputs->lengths, err));
    for (size_t i = 0; inputs->lengths && i < plan->geometry.batch; i++)
        inputs->lengths[i] = 1; /* of images that no run has had yet: nothing must divide by 0 */
done:
    if (status != VITCL_OK)
        inputs_destroy(inputs);
    return status;
}

void inputs_destroy(struct inputs *inputs)
{
    free(inputs->pixels);
    free(inputs->position);
    free(inputs->lengths);
    memset(inputs, 0, sizeof *inputs);
}

/* The rows beyond the image's patches hold its first position, as the library leaves them. */
vitcl_status inputs_set_grid(struct inputs *inputs, const struct request *request, size_t image, struct grid grid,
                             vitcl_error *err)
{
    const struct config *c = request->config;
    const struct grid native = {c->grid_height, c->grid_width};
    size_t length = grid.height * grid.width;
    size_t rows = request->max_patches;
    float *position = inputs->position + image * rows * c->width;
    float *stored = malloc(c->max_patches * c->width * sizeof *stored);
    vitcl_status status;

    if (!stored)
        return fail_memory(err, c->max_patches * c->width * sizeof *stored);
    for (size_t i = 0; i < c->max_patches; i++)
        weight_read_row(&request->weights->position, i, stored + i * c->width);
    status = position_resize(stored, native, c->filter, c->width, position, grid, err);
    for (size_t i = length; status == VITCL_OK && i < rows; i++)
        memcpy(position + i * c->width, position, c->width * sizeof *position);
    inputs->lengths[image] = (float)length;
    free(stored);
    return status;
}

vitcl_status inputs_upload(const struct inputs *inputs, struct executor *executor, const struct plan *plan,
                           size_t count, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct pair pairs[3];
    list(inputs, plan, pairs);
    for (size_t i = 0; i < 3 && status == VITCL_OK; i++)
        if (pairs[i].tensor != NO_TENSOR)
            status = buffer_write(executor_buffer(executor, pairs[i].tensor), pairs[i].memory,
                                  bytes_to_bring(plan, pairs[i].tensor, count), err);
    return status;
}

void inputs_copy(const struct inputs *inputs, struct reference *reference, size_t count)
{
    struct pair pairs[3];
    list(inputs, reference->plan, pairs);
    for (size_t i = 0; i < 3; i++)
        if (pairs[i].tensor != NO_TENSOR)
            memcpy(reference->data[pairs[i].tensor], pairs[i].memory,
                   bytes_to_bring(reference->plan, pairs[i].tensor, count));
}

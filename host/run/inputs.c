/* inputs.c - the inputs of a plan in host memory. */
#include "run/inputs.h"

#include <stdlib.h>
#include <string.h>

/* What a pass brings of an input. */
struct part {
    int tensor;
    const float *memory;
    size_t bytes;
};

/* `count` images from the first'th on. Every image of the batch has a length, also one that this pass does not have:
 * what another tensor left at its place would send a kernel anywhere. */
static struct part part_of(const struct plan *plan, int tensor, const float *memory, size_t first, size_t count)
{
    if (tensor == NO_TENSOR)
        return (struct part){.tensor = NO_TENSOR};
    if (tensor == plan->lengths)
        count = plan->geometry.batch;
    return (struct part){tensor, memory + plan_image_bytes(plan, tensor, first) / sizeof *memory,
                         plan_image_bytes(plan, tensor, count)};
}

static void list(const struct inputs *inputs, const struct plan *plan, size_t first, size_t count, struct part parts[3])
{
    parts[0] = part_of(plan, plan->pixels, inputs->pixels, first, count);
    parts[1] = part_of(plan, plan->position, inputs->position, first, count);
    parts[2] = part_of(plan, plan->lengths, inputs->lengths, first, count);
}

/* Images that inputs and outputs have room for: whole passes. */
static size_t room_of(const struct plan *plan)
{
    return plan_passes(plan) * plan->geometry.batch;
}

vitcl_status batch_allocate(const struct plan *plan, int tensor, float **memory, vitcl_error *err)
{
    size_t bytes;
    if (tensor == NO_TENSOR)
        return VITCL_OK;
    bytes = plan_image_bytes(plan, tensor, room_of(plan));
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
    for (size_t i = 0; inputs->lengths && i < room_of(plan); i++)
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
                           size_t first, size_t count, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct part parts[3];
    list(inputs, plan, first, count, parts);
    for (size_t i = 0; i < 3 && status == VITCL_OK; i++)
        if (parts[i].tensor != NO_TENSOR)
            status = buffer_write(executor_buffer(executor, parts[i].tensor), parts[i].memory, parts[i].bytes, err);
    return status;
}

void inputs_copy(const struct inputs *inputs, struct reference *reference, size_t first, size_t count)
{
    struct part parts[3];
    list(inputs, reference->plan, first, count, parts);
    for (size_t i = 0; i < 3; i++)
        if (parts[i].tensor != NO_TENSOR)
            memcpy(reference->data[parts[i].tensor], parts[i].memory, parts[i].bytes);
}

/* builder.c - adds steps, their weights and their outputs to a plan. */
#include "plan/builder.h"

#include <stdio.h>
#include <string.h>

/* ---- tensors ---- */

int new_tensor(struct builder *b, const char *name, const size_t *shape, size_t rank)
{
    int tensor = NO_TENSOR;
    char full[80]; /* cut to fit by plan_add_tensor */
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    if (!b->failed)
        tensor = plan_add_tensor(b->plan, full, shape, rank);
    b->failed |= tensor == NO_TENSOR;
    return tensor;
}

/* A tensor with the leading axes of `like` and `cols` columns. */
static int output_like(struct builder *b, const char *name, int like, size_t cols)
{
    size_t shape[4], rank;
    if (b->failed)
        return NO_TENSOR;
    rank = b->plan->tensors[like].rank;
    memcpy(shape, b->plan->tensors[like].shape, sizeof shape);
    shape[rank - 1] = cols;
    return new_tensor(b, name, shape, rank);
}

static int weight_tensor(struct builder *b, const char *label, const char *part, const struct weight *weight)
{
    int tensor = NO_TENSOR;
    char name[80];
    snprintf(name, sizeof name, "%s%s.%s", b->prefix, label, part);
    if (!b->failed)
        tensor = plan_add_weight(b->plan, weight, name);
    b->failed |= tensor == NO_TENSOR;
    return tensor;
}

int keep_tensor(struct builder *b, int tensor)
{
    if (!b->failed)
        b->plan->tensors[tensor].keep = true;
    return tensor;
}

/* ---- steps ---- */

static struct step new_step(enum op op, int x, int output)
{
    return (struct step){
        .op = op, .input = {x, NO_TENSOR}, .weight = {NO_TENSOR, NO_TENSOR}, .output = {output, NO_TENSOR}};
}

static void add_step(struct builder *b, struct step *step, const char *label)
{
    snprintf(step->label, sizeof step->label, "%s%s", b->prefix, label);
    if (!b->failed)
        b->failed = plan_add_step(b->plan, step) == NO_TENSOR;
}

int step_im2patch(struct builder *b, const char *label, int pixels)
{
    const struct geometry *g = &b->plan->geometry;
    size_t numbers = 3 * g->patch_height * g->patch_width;
    int patches = new_tensor(b, label, (size_t[]){g->batch, g->patches, numbers}, 3);
    struct step step = new_step(OP_IM2PATCH, pixels, patches);
    add_step(b, &step, label);
    return patches;
}

int step_matmul(struct builder *b, const char *label, int x, const struct linear *layer, enum activation activation)
{
    int y = output_like(b, label, x, layer->weight.rows);
    struct step step = new_step(OP_MATMUL, x, y);
    step.weight[0] = weight_tensor(b, label, "weight", &layer->weight);
    step.weight[1] = weight_tensor(b, label, "bias", &layer->bias);
    step.activation = activation;
    add_step(b, &step, label);
    return y;
}

int step_tokens(struct builder *b, const char *label, int patches, const struct weights *weights)
{
    const struct geometry *g = &b->plan->geometry;
    int x = new_tensor(b, label, (size_t[]){g->batch, g->tokens, g->width}, 3);
    struct step step = new_step(OP_TOKENS, patches, x);
    step.weight[0] = weight_tensor(b, label, "cls", &weights->cls_token);
    step.weight[1] = weight_tensor(b, label, "position", &weights->position);
    add_step(b, &step, label);
    return x;
}

int step_residual_norm(struct builder *b, const char *label, int *x, int branch, const struct norm *norm)
{
    size_t width = b->plan->geometry.width;
    int normed = output_like(b, label, *x, width);
    struct step step = new_step(OP_RESIDUAL_NORM, *x, normed);
    step.weight[0] = weight_tensor(b, label, "weight", &norm->weight);
    step.weight[1] = weight_tensor(b, label, "bias", &norm->bias);
    step.eps = b->eps;
    if (branch != NO_TENSOR && !b->failed) {
        char name[48];
        snprintf(name, sizeof name, "%s sum", label);
        step.input[1] = branch;
        step.output[1] = output_like(b, name, *x, width);
    }
    add_step(b, &step, label);
    if (step.output[1] != NO_TENSOR) {
        b->plan->tensors[step.output[1]].reuse = *x;
        *x = step.output[1];
    }
    return normed;
}

int step_attention(struct builder *b, const char *label, int qkv)
{
    int context = output_like(b, label, qkv, b->plan->geometry.width);
    struct step step = new_step(OP_ATTENTION, qkv, context);
    add_step(b, &step, label);
    return context;
}

int step_pool(struct builder *b, const char *label, int x)
{
    const struct geometry *g = &b->plan->geometry;
    int pooled = new_tensor(b, label, (size_t[]){g->batch, g->width}, 2);
    struct step step = new_step(OP_POOL, x, pooled);
    add_step(b, &step, label);
    return pooled;
}

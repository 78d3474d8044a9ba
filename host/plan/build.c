/* build.c - the forward pass of the Vision Transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words"), written
 * once, as the paper does. Read plan_build first; what stands above it only adds one step each to the plan.
 *
 * Letters: B batch, N patches, T tokens, D width, H heads, M mlp width, C classes, p patch side.
 */
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The plan being written. Once a tensor can not be added, everything after it is NO_TENSOR. */
struct builder {
    struct plan *plan;
    const struct config *config;
    char prefix[32]; /* "block 3 ", before each label */
    bool failed;
};

static int new_tensor(struct builder *b, const char *name, const size_t *shape, size_t rank)
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
static int new_like(struct builder *b, const char *name, int like, size_t cols)
{
    size_t shape[4], rank;
    if (b->failed)
        return NO_TENSOR;
    rank = b->plan->tensors[like].rank;
    memcpy(shape, b->plan->tensors[like].shape, sizeof shape);
    shape[rank - 1] = cols;
    return new_tensor(b, name, shape, rank);
}

static int new_weight(struct builder *b, const char *label, const char *part, const struct weight *weight)
{
    int tensor = NO_TENSOR;
    char name[48];
    snprintf(name, sizeof name, "%s%s.%s", b->prefix, label, part);
    if (!b->failed)
        tensor = plan_add_weight(b->plan, weight, name);
    b->failed |= tensor == NO_TENSOR;
    return tensor;
}

static void add_step(struct builder *b, struct step step, const char *label)
{
    step.workspace = NO_TENSOR;
    snprintf(step.label, sizeof step.label, "%s%s", b->prefix, label);
    if (!b->failed)
        b->failed = plan_add_step(b->plan, &step) == NO_TENSOR;
}

#define NONE                                                                                                           \
    {                                                                                                                  \
        NO_TENSOR, NO_TENSOR                                                                                           \
    }

static int im2patch(struct builder *b, const char *label, int pixels)
{
    const struct geometry *g = &b->plan->geometry;
    int patches = new_tensor(b, label, (size_t[]){g->batch, g->patches, 3 * g->patch_height * g->patch_width}, 3);
    add_step(b,
             (struct step){OP_IM2PATCH, .input = {pixels, NO_TENSOR}, .weight = NONE, .output = {patches, NO_TENSOR}},
             label);
    return patches;
}

static int matmul(struct builder *b, const char *label, int x, const struct linear *layer, enum activation activation)
{
    int w = new_weight(b, label, "weight", &layer->weight);
    int bias = new_weight(b, label, "bias", &layer->bias);
    int y = new_like(b, label, x, layer->weight.rows);
    add_step(b,
             (struct step){OP_MATMUL, .input = {x, NO_TENSOR}, .weight = {w, bias}, .output = {y, NO_TENSOR},
                           .activation = activation},
             label);
    return y;
}

static int tokens(struct builder *b, const char *label, int patches, const struct weights *w)
{
    const struct geometry *g = &b->plan->geometry;
    int cls = new_weight(b, label, "cls", &w->cls_token);
    int position = new_weight(b, label, "position", &w->position);
    int x = new_tensor(b, label, (size_t[]){g->batch, g->tokens, g->width}, 3);
    add_step(
        b, (struct step){OP_TOKENS, .input = {patches, NO_TENSOR}, .weight = {cls, position}, .output = {x, NO_TENSOR}},
        label);
    return x;
}

/* x += branch, where there is one; returns LayerNorm(x). */
static int residual_norm(struct builder *b, const char *label, int *x, int branch, const struct norm *norm)
{
    size_t width = b->plan->geometry.width;
    int weight = new_weight(b, label, "weight", &norm->weight);
    int bias = new_weight(b, label, "bias", &norm->bias);
    int normed = new_like(b, label, *x, width);
    char sum_name[32];
    int sum = NO_TENSOR;
    snprintf(sum_name, sizeof sum_name, "%s sum", label);
    if (branch != NO_TENSOR)
        sum = new_like(b, sum_name, *x, width);
    add_step(b,
             (struct step){OP_RESIDUAL_NORM, .input = {*x, branch}, .weight = {weight, bias}, .output = {normed, sum},
                           .eps = (float)b->config->eps},
             label);
    if (sum != NO_TENSOR) {
        b->plan->tensors[sum].reuse = *x;
        *x = sum;
    }
    return normed;
}

static int attention(struct builder *b, const char *label, int qkv)
{
    int context = new_like(b, label, qkv, b->plan->geometry.width);
    add_step(b, (struct step){OP_ATTENTION, .input = {qkv, NO_TENSOR}, .weight = NONE, .output = {context, NO_TENSOR}},
             label);
    return context;
}

static int pool(struct builder *b, const char *label, int x)
{
    const struct geometry *g = &b->plan->geometry;
    int pooled = new_tensor(b, label, (size_t[]){g->batch, g->width}, 2);
    add_step(b, (struct step){OP_POOL, .input = {x, NO_TENSOR}, .weight = NONE, .output = {pooled, NO_TENSOR}}, label);
    return pooled;
}

static int keep(struct builder *b, int tensor)
{
    if (!b->failed)
        b->plan->tensors[tensor].keep = true;
    return tensor;
}

static void set_geometry(struct geometry *g, const struct config *c, size_t batch)
{
    *g = (struct geometry){.batch = batch,
                           .image_height = c->image_height,
                           .image_width = c->image_width,
                           .patch_height = c->patch_height,
                           .patch_width = c->patch_width,
                           .grid_height = c->grid_height,
                           .grid_width = c->grid_width,
                           .patches = c->grid_height * c->grid_width,
                           .tokens = c->tokens,
                           .width = c->width,
                           .heads = c->heads,
                           .head_size = c->width / c->heads};
}

vitcl_status plan_build(struct plan *plan, const struct config *config, const struct weights *weights, size_t batch,
                        unsigned outputs, vitcl_error *err)
{
    struct builder b = {.plan = plan, .config = config};
    int patches, embedded, x, normed, qkv, context, mlp, hidden, pooled;
    int branch = NO_TENSOR;

    memset(plan, 0, sizeof *plan);
    plan->logits = plan->embedding = plan->hidden = NO_TENSOR;
    set_geometry(&plan->geometry, config, batch);

    plan->pixels = new_tensor(&b, "pixel values", (size_t[]){batch, 3, config->image_height, config->image_width}, 4);
    patches = im2patch(&b, "im2patch", plan->pixels);
    embedded = matmul(&b, "patch embedding", patches, &weights->patch, ACTIVATION_NONE);
    x = tokens(&b, "tokens", embedded, weights);

    for (size_t i = 0; i < config->layers; i++) {
        const struct block_weights *block = &weights->blocks[i];
        snprintf(b.prefix, sizeof b.prefix, "block %zu ", i);
        normed = residual_norm(&b, "norm1", &x, branch, &block->norm1);
        qkv = matmul(&b, "qkv", normed, &block->qkv, ACTIVATION_NONE);
        context = attention(&b, "attention", qkv);
        branch = matmul(&b, "proj", context, &block->proj, ACTIVATION_NONE);
        normed = residual_norm(&b, "norm2", &x, branch, &block->norm2);
        mlp = matmul(&b, "fc1", normed, &block->fc1, config->activation);
        branch = matmul(&b, "fc2", mlp, &block->fc2, ACTIVATION_NONE);
    }
    b.prefix[0] = '\0';

    hidden = residual_norm(&b, "norm", &x, branch, &weights->norm);
    if (outputs & VITCL_OUTPUT_HIDDEN)
        plan->hidden = keep(&b, hidden);
    if (outputs & (VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_LOGITS)) {
        pooled = pool(&b, "pool", hidden);
        if (weights->head == HEAD_POOLER)
            pooled = matmul(&b, "pooler", pooled, &weights->pooler, config->pooler_activation);
        if (outputs & VITCL_OUTPUT_EMBEDDING)
            plan->embedding = keep(&b, pooled);
        if (outputs & VITCL_OUTPUT_LOGITS)
            plan->logits = keep(&b, matmul(&b, "head", pooled, &weights->classifier, ACTIVATION_NONE));
    }
    if (b.failed) {
        plan_free(plan);
        return fail(err, VITCL_ERROR_MEMORY, "a plan for batch %zu does not fit into this machine's memory", batch);
    }
    return VITCL_OK;
}

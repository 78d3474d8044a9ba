/* build.c - the forward pass of the Vision Transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words"), written
 * once, as the paper does. Each step_ function adds one step to the plan and returns the tensor it writes
 * (plan/builder.h).
 */
#include "plan/builder.h"

#include <stdio.h>
#include <string.h>

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
    struct builder b = {.plan = plan, .eps = (float)config->eps};
    int patches, embedded, x, normed, qkv, context, mlp, hidden, pooled;
    int branch = NO_TENSOR;

    memset(plan, 0, sizeof *plan);
    plan->outputs[OUTPUT_LOGITS] = plan->outputs[OUTPUT_EMBEDDING] = plan->outputs[OUTPUT_HIDDEN] = NO_TENSOR;
    set_geometry(&plan->geometry, config, batch);

    plan->pixels = new_tensor(&b, "pixel values", (size_t[]){batch, 3, config->image_height, config->image_width}, 4);
    patches = step_im2patch(&b, "im2patch", plan->pixels);
    embedded = step_matmul(&b, "patch embedding", patches, &weights->patch, ACTIVATION_NONE);
    x = step_tokens(&b, "tokens", embedded, weights);

    for (size_t i = 0; i < config->layers; i++) {
        const struct block_weights *block = &weights->blocks[i];
        snprintf(b.prefix, sizeof b.prefix, "block %zu ", i);
        normed = step_residual_norm(&b, "norm1", &x, branch, &block->norm1);
        qkv = step_matmul(&b, "qkv", normed, &block->qkv, ACTIVATION_NONE);
        context = step_attention(&b, "attention", qkv);
        branch = step_matmul(&b, "proj", context, &block->proj, ACTIVATION_NONE);
        normed = step_residual_norm(&b, "norm2", &x, branch, &block->norm2);
        mlp = step_matmul(&b, "fc1", normed, &block->fc1, config->activation);
        branch = step_matmul(&b, "fc2", mlp, &block->fc2, ACTIVATION_NONE);
    }
    b.prefix[0] = '\0';

    hidden = step_residual_norm(&b, "norm", &x, branch, &weights->norm);
    if (outputs & VITCL_OUTPUT_HIDDEN)
        plan->outputs[OUTPUT_HIDDEN] = keep_tensor(&b, hidden);
    if (outputs & (VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_LOGITS)) {
        pooled = step_pool(&b, "pool", hidden);
        if (weights->head == HEAD_POOLER)
            pooled = step_matmul(&b, "pooler", pooled, &weights->pooler, config->pooler_activation);
        if (outputs & VITCL_OUTPUT_EMBEDDING)
            plan->outputs[OUTPUT_EMBEDDING] = keep_tensor(&b, pooled);
        if (outputs & VITCL_OUTPUT_LOGITS)
            plan->outputs[OUTPUT_LOGITS] =
                keep_tensor(&b, step_matmul(&b, "head", pooled, &weights->classifier, ACTIVATION_NONE));
    }
    if (b.failed) {
        plan_free(plan);
        return fail(err, VITCL_ERROR_MEMORY, "a plan for batch %zu does not fit into this machine's memory", batch);
    }
    return VITCL_OK;
}

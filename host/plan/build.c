/* build.c - the forward pass of the Vision Transformer (Dosovitskiy et al., "An Image is Worth 16x16 Words") and its
 * descendants, written once. Each step_ function adds one step to the plan and returns the tensor it writes
 * (plan/builder.h); what a family does not have is skipped.
 */
#include "plan/builder.h"

#include <stdio.h>
#include <string.h>

static void set_geometry(struct geometry *g, const struct request *request)
{
    const struct config *c = request->config;
    const struct grid grid = config_grid(c, request->height, request->width);
    const size_t patches = request->max_patches ? request->max_patches : grid.height * grid.width;
    *g = (struct geometry){.batch = request->batch,
                           .image_height = request->height,
                           .image_width = request->width,
                           .patch_height = c->patch_height,
                           .patch_width = c->patch_width,
                           .grid_height = grid.height,
                           .grid_width = grid.width,
                           .patches = patches,
                           .prefix = c->prefix,
                           .tokens = c->prefix + patches,
                           .width = c->width,
                           .heads = c->heads,
                           .head_size = c->width / c->heads};
}

/* The image as tokens [B,T,D]. In a model of variable resolution the host has cut the patches already. */
static int build_embedding(struct builder *b, const struct weights *w)
{
    const struct geometry *g = &b->plan->geometry;
    const size_t columns = w->patch.weight.cols;
    int patches, embedded;

    if (b->config->traits & TRAIT_NAFLEX) {
        patches = b->plan->pixels = new_tensor(b, "patches", (size_t[]){g->batch, g->patches, columns}, 3);
        b->plan->position = new_tensor(b, "position", (size_t[]){g->batch, g->patches, g->width}, 3);
        b->plan->lengths = new_tensor(b, "lengths", &g->batch, 1);
    } else {
        b->plan->pixels = new_tensor(b, "pixel values", (size_t[]){g->batch, 3, g->image_height, g->image_width}, 4);
        patches = step_im2patch(b, "im2patch", b->plan->pixels);
    }
    embedded = step_matmul(b, "patch embedding", patches, &w->patch, ACTIVATION_NONE);
    return step_tokens(b, "tokens", embedded, w);
}

/* x + what the last block's MLP gave becomes x + attention, and the MLP's branch is returned. */
static int build_block(struct builder *b, int *x, int branch, const struct block_weights *w, const struct weights *all)
{
    const enum activation activation = b->config->activation;
    const bool gated = b->config->traits & TRAIT_GATED;
    int normed = step_residual_norm(b, "norm1", x, branch, &w->norm1);
    int qkv = step_matmul(b, "qkv", normed, &w->qkv, ACTIVATION_NONE), context, mlp;

    if (w->q_norm.weight.parts)
        qkv = step_qk_norm(b, "qk norm", qkv, &w->q_norm, &w->k_norm);
    if (b->config->rope.kind != ROPE_NONE)
        qkv = step_rope(b, "rope", qkv, &b->config->rope);
    context = step_attention(b, "attention", qkv, w->bias_table.parts ? &w->bias_table : &all->shared_table);
    if (w->attention_norm.weight.parts)
        context = step_residual_norm(b, "attention norm", &context, NO_TENSOR, &w->attention_norm);
    branch = step_matmul(b, "proj", context, &w->proj, ACTIVATION_NONE);

    normed = step_residual_norm(b, "norm2", x, branch, &w->norm2);
    mlp = step_matmul(b, "fc1", normed, &w->fc1, gated ? ACTIVATION_NONE : activation);
    if (gated)
        mlp = step_gate(b, "gate", mlp, activation);
    if (w->mlp_norm.weight.parts)
        mlp = step_residual_norm(b, "mlp norm", &mlp, NO_TENSOR, &w->mlp_norm);
    return step_matmul(b, "fc2", mlp, &w->fc2, ACTIVATION_NONE);
}

/* The pooling head of SigLIP (Zhai et al., "Scaling Vision Transformers"): one learned query looks at all tokens. */
static int build_attention_pool(struct builder *b, int hidden, const struct attention_pool_weights *w)
{
    int kv = step_matmul(b, "pool kv", hidden, &w->kv, ACTIVATION_NONE);
    int context = step_attention_pool(b, "pool attention", kv, w, b->config->pool_prefix ? 0 : b->config->prefix);
    int pooled = step_matmul(b, "pool proj", context, &w->proj, ACTIVATION_NONE);
    int normed = step_residual_norm(b, "pool norm", &pooled, NO_TENSOR, &w->norm);
    int mlp = step_matmul(b, "pool fc1", normed, &w->fc1, b->config->pool_activation);
    return step_residual(b, "pool", pooled, step_matmul(b, "pool fc2", mlp, &w->fc2, ACTIVATION_NONE));
}

/* The vector that stands for the image: the embedding, which a classifier reads. */
static int build_pooled(struct builder *b, int hidden, const struct weights *w)
{
    const struct config *c = b->config;
    int pooled = c->pool == POOL_ATTENTION ? build_attention_pool(b, hidden, &w->attention_pool)
                                           : step_pool(b, "pool", hidden, c->pool);
    if (w->pool_norm.weight.parts)
        pooled = step_residual_norm(b, "pool norm", &pooled, NO_TENSOR, &w->pool_norm);
    if (c->head == HEAD_POOLER)
        pooled = step_matmul(b, "pooler", pooled, &w->pooler, c->pooler_activation);
    if (c->head == HEAD_PROJECTION)
        pooled = step_matmul(b, "projection", pooled, &w->projection, ACTIVATION_NONE);
    return pooled;
}

static void build_head(struct builder *b, int hidden, const struct weights *w, unsigned outputs)
{
    int *kept = b->plan->outputs, pooled;
    if (outputs & VITCL_OUTPUT_HIDDEN)
        kept[OUTPUT_HIDDEN] = keep_tensor(b, hidden);
    if (!(outputs & (VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_LOGITS)))
        return;
    pooled = build_pooled(b, hidden, w);
    if (outputs & VITCL_OUTPUT_EMBEDDING)
        kept[OUTPUT_EMBEDDING] = keep_tensor(b, pooled);
    if (!(outputs & VITCL_OUTPUT_LOGITS))
        return;
    if (b->config->head == HEAD_TWO_CLASSIFIERS)
        pooled = step_mean_matmul(b, "head", pooled, &w->classifier, &w->dist_classifier);
    else
        pooled = step_matmul(b, "head", pooled, &w->classifier, ACTIVATION_NONE);
    kept[OUTPUT_LOGITS] = keep_tensor(b, pooled);
}

vitcl_status plan_build(struct plan *plan, const struct request *request, vitcl_error *err)
{
    const struct config *config = request->config;
    const struct weights *weights = request->weights;
    struct builder b = {.plan = plan, .config = config, .eps = (float)config->eps};
    int x, hidden, branch = NO_TENSOR;

    memset(plan, 0, sizeof *plan);
    plan->outputs[OUTPUT_LOGITS] = plan->outputs[OUTPUT_EMBEDDING] = plan->outputs[OUTPUT_HIDDEN] = NO_TENSOR;
    plan->position = plan->lengths = NO_TENSOR;
    plan->precision = request->precision;
    set_geometry(&plan->geometry, request);
    plan->images = request->batch;

    x = build_embedding(&b, weights);
    if (weights->pre_norm.weight.parts)
        x = step_residual_norm(&b, "pre norm", &x, NO_TENSOR, &weights->pre_norm);
    for (size_t i = 0; i < config->layers; i++) {
        snprintf(b.prefix, sizeof b.prefix, "block %zu ", i);
        branch = build_block(&b, &x, branch, &weights->blocks[i], weights);
    }
    b.prefix[0] = '\0';
    if (weights->norm.weight.parts)
        hidden = step_residual_norm(&b, "norm", &x, branch, &weights->norm);
    else
        hidden = step_residual(&b, "residual", x, branch);
    build_head(&b, hidden, weights, request->outputs);

    if (b.failed) {
        plan_free(plan);
        return fail(err, VITCL_ERROR_MEMORY, "a plan for batch %zu does not fit into this machine's memory",
                    request->batch);
    }
    return VITCL_OK;
}

/* jobs.c - see jobs.h. */
#include "jobs.h"

/* ---- matmul ---- */

void build_matmul(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    struct step step = single_step(OP_MATMUL);
    step.input[0] = plan_add_tensor(plan, "x", (size_t[]){job->rows, job->k}, 2);
    step.weight[0] = add_weight(plan, &weights[0], job->n, job->k);
    step.weight[1] = add_weight(plan, &weights[1], 1, job->n);
    step.output[0] = plan_add_tensor(plan, "y", (size_t[]){job->rows, job->n}, 2);
    step.activation = job->activation;
    add_single_step(plan, &step);
}

void build_attention(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    const size_t distances = (2 * g->grid_height - 1) * (2 * g->grid_width - 1);
    struct step step = single_step(OP_ATTENTION);
    step.input[0] = plan_add_tensor(plan, "qkv", (size_t[]){g->batch, g->tokens, 3 * g->width}, 3);
    if (job->masked)
        step.input[1] = plan_add_tensor(plan, "lengths", &g->batch, 1);
    if (job->biased)
        step.weight[0] = add_weight(plan, &weights[0], distances + 3, g->heads);
    step.output[0] = plan_add_tensor(plan, "context", (size_t[]){g->batch, g->tokens, g->width}, 3);
    add_single_step(plan, &step);
}

/* All tokens in the first image; then 5, 10, ... tokens behind the first one looked at, over and over. */
static size_t length_of(const struct job *job, size_t image)
{
    const size_t most = job->g.tokens - job->first;
    return job->first + 1 + (most - 1 + 5 * image) % most;
}

/* Queries are asked of all tokens, keys and values of the image's only. */
void spoil_attention(const struct job *job, float *const inputs[STEP_INPUTS])
{
    const struct geometry *g = &job->g;
    for (size_t image = 0; image < g->batch && job->masked; image++) {
        const size_t length = length_of(job, image);
        inputs[1][image] = (float)length;
        for (size_t token = length; token < g->tokens; token++)
            poison(inputs[0] + (image * g->tokens + token) * 3 * g->width + g->width, 2 * g->width);
    }
}

void build_attention_pool(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    struct step step = single_step(OP_ATTENTION_POOL);
    step.input[0] = plan_add_tensor(plan, "kv", (size_t[]){g->batch, g->tokens, 2 * g->width}, 3);
    if (job->masked)
        step.input[1] = plan_add_tensor(plan, "lengths", &g->batch, 1);
    step.weight[0] = add_weight(plan, &weights[0], 1, g->width);
    step.output[0] = plan_add_tensor(plan, "context", (size_t[]){g->batch, g->width}, 2);
    step.first = job->first;
    add_single_step(plan, &step);
}

void spoil_attention_pool(const struct job *job, float *const inputs[STEP_INPUTS])
{
    const struct geometry *g = &job->g;
    for (size_t image = 0; image < g->batch; image++) {
        float *kv = inputs[0] + image * g->tokens * 2 * g->width;
        poison(kv, job->first * 2 * g->width);
        if (!job->masked)
            continue;
        inputs[1][image] = (float)length_of(job, image);
        poison(kv + length_of(job, image) * 2 * g->width, (g->tokens - length_of(job, image)) * 2 * g->width);
    }
}

void build_residual_norm(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const size_t shape[] = {job->rows, job->g.width};
    struct step step = single_step(OP_RESIDUAL_NORM);
    int sum = NO_TENSOR, outputs = 0;
    step.input[0] = plan_add_tensor(plan, "x", shape, 2);
    if (job->residual)
        step.input[1] = plan_add_tensor(plan, "y", shape, 2);
    if (!job->unnormed) {
        step.weight[0] = add_weight(plan, &weights[0], 1, job->g.width);
        step.weight[1] = add_weight(plan, &weights[1], 1, job->g.width);
        step.output[outputs++] = plan_add_tensor(plan, "normed", shape, 2);
    }
    if (job->residual)
        sum = step.output[outputs++] = plan_add_tensor(plan, "sum", shape, 2);
    if (job->in_place)
        plan->tensors[sum].reuse = step.input[0];
    step.eps = job->eps;
    add_single_step(plan, &step);
}

void build_qk_norm(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const size_t shape[] = {job->rows, 3 * job->g.width};
    struct step step = single_step(OP_QK_NORM);
    step.input[0] = plan_add_tensor(plan, "qkv", shape, 2);
    for (size_t w = 0; w < STEP_WEIGHTS; w++)
        step.weight[w] = add_weight(plan, &weights[w], 1, job->g.head_size);
    step.output[0] = plan_add_tensor(plan, "normed", shape, 2);
    if (job->in_place)
        plan->tensors[step.output[0]].reuse = step.input[0];
    step.eps = job->eps;
    add_single_step(plan, &step);
}

void build_im2patch(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    struct step step = single_step(OP_IM2PATCH);
    (void)weights;
    step.input[0] = plan_add_tensor(plan, "pixels", (size_t[]){g->batch, 3, g->image_height, g->image_width}, 4);
    step.output[0] =
        plan_add_tensor(plan, "patches", (size_t[]){g->batch, g->patches, 3 * g->patch_height * g->patch_width}, 3);
    add_single_step(plan, &step);
}

void build_tokens(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    const size_t shape[] = {g->batch, g->tokens, g->width};
    struct step step = single_step(OP_TOKENS);
    step.input[0] = plan_add_tensor(plan, "patches", (size_t[]){g->batch, g->patches, g->width}, 3);
    if (g->prefix)
        step.weight[0] = add_weight(plan, &weights[0], g->prefix, g->width);
    if (job->own_positions)
        step.input[1] = plan_add_tensor(plan, "position", shape, 3);
    else
        step.weight[1] = add_weight(plan, &weights[1], g->tokens, g->width);
    step.output[0] = plan_add_tensor(plan, "x", shape, 3);
    add_single_step(plan, &step);
}

void build_rope(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    const size_t shape[] = {g->batch, g->tokens, 3 * g->width};
    struct step step = single_step(OP_ROPE);
    step.input[0] = plan_add_tensor(plan, "qkv", shape, 3);
    step.weight[0] = add_weight(plan, &weights[0], g->patches, g->head_size);
    step.output[0] = plan_add_tensor(plan, "turned", shape, 3);
    if (job->in_place)
        plan->tensors[step.output[0]].reuse = step.input[0];
    step.rope = job->rope;
    add_single_step(plan, &step);
}

void build_gate(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    struct step step = single_step(OP_GATE);
    (void)weights;
    step.input[0] = plan_add_tensor(plan, "x", (size_t[]){job->rows, 2 * job->n}, 2);
    step.output[0] = plan_add_tensor(plan, "y", (size_t[]){job->rows, job->n}, 2);
    step.activation = job->activation;
    add_single_step(plan, &step);
}

bool pool_copies(enum pool pool)
{
    return pool == POOL_CLS || pool == POOL_CLS_DIST;
}

void build_pool(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    const size_t vectors = job->pool == POOL_CLS_DIST || job->pool == POOL_CLS_MEAN ? 2 : 1;
    struct step step = single_step(OP_POOL);
    (void)weights;
    step.input[0] = plan_add_tensor(plan, "x", (size_t[]){g->batch, g->tokens, g->width}, 3);
    if (job->masked)
        step.input[1] = plan_add_tensor(plan, "lengths", &g->batch, 1);
    step.output[0] = plan_add_tensor(plan, "pooled", (size_t[]){g->batch, vectors * g->width}, 2);
    step.pool = job->pool;
    step.first = job->first;
    add_single_step(plan, &step);
}

/* All that a pool does not read. */
void spoil_pool(const struct job *job, float *const inputs[STEP_INPUTS])
{
    const struct geometry *g = &job->g;
    const size_t copied = job->pool == POOL_CLS_DIST ? 2 : job->pool == POOL_CLS || job->pool == POOL_CLS_MEAN ? 1 : 0;
    for (size_t image = 0; image < g->batch; image++) {
        const size_t length = job->masked ? length_of(job, image) : g->tokens;
        if (job->masked)
            inputs[1][image] = (float)length;
        for (size_t token = copied; token < g->tokens; token++)
            if (pool_copies(job->pool) || token < job->first || token >= length)
                poison(inputs[0] + (image * g->tokens + token) * g->width, g->width);
    }
}

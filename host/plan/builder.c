/* builder.c - adds steps, their weights and their outputs to a plan. */
#include "plan/builder.h"
#include "plan/computed.h"

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

/* weight NULL: it could not be made. */
static int weight_tensor(struct builder *b, const char *label, const char *part, const struct weight *weight)
{
    int tensor = NO_TENSOR;
    char name[80];
    snprintf(name, sizeof name, "%s%s.%s", b->prefix, label, part);
    if (!b->failed && weight)
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
    struct step step = {.op = op, .input = {x, NO_TENSOR}, .output = {output, NO_TENSOR}};
    for (size_t i = 0; i < STEP_WEIGHTS; i++)
        step.weight[i] = NO_TENSOR;
    return step;
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

static int add_matmul(struct builder *b, const char *label, int x, const struct weight *weight,
                      const struct weight *bias, enum activation activation)
{
    int y = output_like(b, label, x, weight ? weight->rows : 1);
    struct step step = new_step(OP_MATMUL, x, y);
    step.weight[0] = weight_tensor(b, label, "weight", weight);
    step.weight[1] = weight_tensor(b, label, "bias", bias);
    step.activation = activation;
    add_step(b, &step, label);
    return y;
}

int step_matmul(struct builder *b, const char *label, int x, const struct linear *layer, enum activation activation)
{
    return add_matmul(b, label, x, &layer->weight, &layer->bias, activation);
}

int step_mean_matmul(struct builder *b, const char *label, int x, const struct linear *first,
                     const struct linear *second)
{
    const struct weight *weight, *bias;
    mean_of_layers(b, first, second, &weight, &bias);
    return add_matmul(b, label, x, weight, bias, ACTIVATION_NONE);
}

int step_tokens(struct builder *b, const char *label, int patches, const struct weights *weights)
{
    const struct geometry *g = &b->plan->geometry;
    int x = new_tensor(b, label, (size_t[]){g->batch, g->tokens, g->width}, 3);
    struct step step = new_step(OP_TOKENS, patches, x);
    if (g->prefix)
        step.weight[0] = weight_tensor(b, label, "prefix", &weights->prefix);
    if (b->plan->position != NO_TENSOR)
        step.input[1] = b->plan->position;
    else
        step.weight[1] = weight_tensor(b, label, "position", position_of(b, weights));
    add_step(b, &step, label);
    return x;
}

/* A tensor of the shape of x, whose place it takes once x is not needed any more. */
static int changed(struct builder *b, const char *label, int x)
{
    int y = output_like(b, label, x, b->failed ? 1 : b->plan->tensors[x].cols);
    if (!b->failed)
        b->plan->tensors[y].reuse = x;
    return y;
}

static int sum_of(struct builder *b, const char *label, int x)
{
    char name[48];
    snprintf(name, sizeof name, "%s sum", label);
    return changed(b, name, x);
}

int step_residual_norm(struct builder *b, const char *label, int *x, int branch, const struct norm *norm)
{
    int normed = output_like(b, label, *x, norm->weight.cols);
    struct step step = new_step(OP_RESIDUAL_NORM, *x, normed);
    step.weight[0] = weight_tensor(b, label, "weight", &norm->weight);
    step.weight[1] = weight_tensor(b, label, "bias", &norm->bias);
    step.eps = b->eps;
    if (branch != NO_TENSOR) {
        step.input[1] = branch;
        step.output[1] = sum_of(b, label, *x);
    }
    add_step(b, &step, label);
    if (step.output[1] != NO_TENSOR)
        *x = step.output[1];
    return normed;
}

int step_residual(struct builder *b, const char *label, int x, int branch)
{
    struct step step = new_step(OP_RESIDUAL_NORM, x, sum_of(b, label, x));
    step.input[1] = branch;
    add_step(b, &step, label);
    return step.output[0];
}

int step_qk_norm(struct builder *b, const char *label, int qkv, const struct norm *q_norm, const struct norm *k_norm)
{
    struct step step = new_step(OP_QK_NORM, qkv, changed(b, label, qkv));
    step.weight[0] = weight_tensor(b, label, "q weight", &q_norm->weight);
    step.weight[1] = weight_tensor(b, label, "q bias", &q_norm->bias);
    step.weight[2] = weight_tensor(b, label, "k weight", &k_norm->weight);
    step.weight[3] = weight_tensor(b, label, "k bias", &k_norm->bias);
    step.eps = b->eps;
    add_step(b, &step, label);
    return step.output[0];
}

int step_rope(struct builder *b, const char *label, int qkv, const struct rope *rope)
{
    struct step step = new_step(OP_ROPE, qkv, changed(b, label, qkv));
    step.weight[0] = weight_tensor(b, label, "angles", angles_of(b, rope));
    step.rope = rope->kind;
    add_step(b, &step, label);
    return step.output[0];
}

int step_attention(struct builder *b, const char *label, int qkv, const struct weight *bias_table)
{
    struct step step = new_step(OP_ATTENTION, qkv, output_like(b, label, qkv, b->plan->geometry.width));
    step.input[1] = b->plan->lengths;
    if (bias_table->parts)
        step.weight[0] = weight_tensor(b, label, "bias table", bias_table_of(b, bias_table));
    add_step(b, &step, label);
    return step.output[0];
}

int step_gate(struct builder *b, const char *label, int x, enum activation activation)
{
    int y = output_like(b, label, x, b->failed ? 1 : b->plan->tensors[x].cols / 2);
    struct step step = new_step(OP_GATE, x, y);
    step.activation = activation;
    add_step(b, &step, label);
    return y;
}

int step_pool(struct builder *b, const char *label, int x, enum pool pool)
{
    const struct geometry *g = &b->plan->geometry;
    size_t vectors = pool == POOL_CLS_MEAN || pool == POOL_CLS_DIST ? 2 : 1;
    struct step step = new_step(OP_POOL, x, new_tensor(b, label, (size_t[]){g->batch, vectors * g->width}, 2));
    step.input[1] = b->plan->lengths;
    step.pool = pool;
    step.first = b->config->pool_prefix ? 0 : g->prefix;
    add_step(b, &step, label);
    return step.output[0];
}

int step_attention_pool(struct builder *b, const char *label, int kv, const struct attention_pool_weights *weights,
                        size_t first)
{
    const struct geometry *g = &b->plan->geometry;
    struct step step = new_step(OP_ATTENTION_POOL, kv, new_tensor(b, label, (size_t[]){g->batch, g->width}, 2));
    step.input[1] = b->plan->lengths;
    step.weight[0] = weight_tensor(b, label, "query", apply_layer(b, &weights->probe, &weights->query));
    step.first = first;
    add_step(b, &step, label);
    return step.output[0];
}

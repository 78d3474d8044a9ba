/* attention.c - context = softmax(q k^T / sqrt(d)) v per image and head; qkv [B,T,3,H,d] -> context [B,T,H,d]. */
#include "ops/ops.h"

#include <math.h>

static float scale_of(const struct plan *plan)
{
    return (float)(1 / sqrt((double)plan->geometry.head_size));
}

static void cost(const struct plan *plan, struct step *step)
{
    const struct geometry *g = &plan->geometry;
    double batch = (double)g->batch, tokens = (double)g->tokens, width = (double)g->width;
    step->flops = 4 * batch * tokens * tokens * width;
    step->bytes = sizeof(float) * 4 * batch * tokens * width;
}

/* The context of one query and head. Sums run over the keys once: sum of exp(s - m) and of exp(s - m) v, both scaled
 * down whenever a larger score m comes along (Milakov and Gimelshein, "Online normalizer calculation for softmax"). */
static void attend(const float *q, const float *keys, const float *values, size_t stride, const struct geometry *g,
                   double scale, float *context)
{
    double largest = -INFINITY, sum = 0, total[MAX_HEAD_SIZE] = {0};
    for (size_t j = 0; j < g->tokens; j++) {
        double score = 0, weight, shrink = 1;
        for (size_t c = 0; c < g->head_size; c++)
            score += (double)q[c] * (double)keys[j * stride + c];
        score *= scale;
        if (score > largest) {
            shrink = exp(largest - score);
            largest = score;
        }
        weight = exp(score - largest);
        sum = sum * shrink + weight;
        for (size_t c = 0; c < g->head_size; c++)
            total[c] = total[c] * shrink + weight * (double)values[j * stride + c];
    }
    for (size_t c = 0; c < g->head_size; c++)
        context[c] = (float)(total[c] / sum);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    size_t stride = 3 * g->width;
    const float *qkv = data[step->input[0]];
    for (size_t row = first; row < last; row++) {
        const float *image = qkv + row / g->tokens * g->tokens * stride;
        for (size_t h = 0; h < g->heads; h++) {
            size_t column = h * g->head_size;
            attend(qkv + row * stride + column, image + g->width + column, image + 2 * g->width + column, stride, g,
                   (double)scale_of(plan), data[step->output[0]] + row * g->width + column);
        }
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_launch("attention", "attention", facts, 16, (size_t[]){g->tokens, g->heads, g->batch});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->tokens));
    add_arg(out, arg_int(g->heads));
    add_arg(out, arg_int(g->head_size));
    add_arg(out, arg_float(scale_of(plan)));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation ATTENTION = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

/* attention.c - context = softmax(q k^T / sqrt(d) + bias) v per image and head; qkv [B,T,3,H,d] -> context [B,T,H,d].
 * The bias is BEiT's, from a table [R,H] by the distance of two patches in the grid; with lengths [B] only an image's
 * first keys count. */
#include "ops/attention_internal.h"

#include <math.h>

static void cost(const struct plan *plan, struct step *step)
{
    const struct geometry *g = &plan->geometry;
    double batch = (double)g->batch, tokens = (double)g->tokens, width = (double)g->width;
    step->flops = 4 * batch * tokens * tokens * width;
    step->bytes = sizeof(float) * 4 * batch * tokens * width;
}

float attention_scale(size_t head_size)
{
    return (float)(1 / sqrt((double)head_size));
}

/* The table's row for query i and key j: by the distance of their patches; the last three rows are for the class token
 * with a patch, a patch with the class token, and the class token with itself. */
static size_t bias_row(const struct geometry *g, size_t i, size_t j)
{
    size_t height = g->grid_height, width = g->grid_width, special = (2 * height - 1) * (2 * width - 1);
    size_t down, across;
    if (i == 0 || j == 0)
        return special + (i > 0 ? 1 : j > 0 ? 0 : 2);
    down = (i - 1) / width + height - 1 - (j - 1) / width;
    across = (i - 1) % width + width - 1 - (j - 1) % width;
    return down * (2 * width - 1) + across;
}

/* Sums run over the keys once: sum of exp(s - m) and of exp(s - m) v, both scaled down whenever a larger score m comes
 * along (Milakov and Gimelshein, "Online normalizer calculation for softmax"). */
void attend(const struct geometry *g, const struct query *query, const struct keys *keys, float *context)
{
    double largest = -INFINITY, sum = 0, total[MAX_HEAD_SIZE] = {0}, scale = (double)attention_scale(g->head_size);
    for (size_t j = 0; j < keys->count; j++) {
        double score = 0, weight, shrink = 1;
        for (size_t c = 0; c < g->head_size; c++)
            score += (double)query->q[c] * (double)keys->k[j * keys->stride + c];
        score *= scale;
        if (query->bias_table)
            score += (double)query->bias_table[bias_row(g, query->token, j) * g->heads + query->head];
        if (score > largest) {
            shrink = exp(largest - score);
            largest = score;
        }
        weight = exp(score - largest);
        sum = sum * shrink + weight;
        for (size_t c = 0; c < g->head_size; c++)
            total[c] = total[c] * shrink + weight * (double)keys->v[j * keys->stride + c];
    }
    for (size_t c = 0; c < g->head_size; c++)
        context[c] = (float)(total[c] / sum);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    const float *lengths = optional(data, step->input[1]);
    size_t stride = 3 * g->width;
    for (size_t row = first; row < last; row++) {
        size_t image = row / g->tokens;
        for (size_t h = 0; h < g->heads; h++) {
            const float *values = data[step->input[0]] + image * g->tokens * stride + h * g->head_size;
            struct query query = {.q = values + row % g->tokens * stride,
                                  .token = row % g->tokens,
                                  .head = h,
                                  .bias_table = optional(data, step->weight[0])};
            struct keys keys = {.k = values + g->width,
                                .v = values + 2 * g->width,
                                .stride = stride,
                                .count = lengths ? (size_t)lengths[image] : g->tokens};
            attend(g, &query, &keys, data[step->output[0]] + row * g->width + h * g->head_size);
        }
    }
}

enum form form_of(const struct step *step)
{
    return step->weight[0] != NO_TENSOR ? FORM_BIASED : step->input[1] != NO_TENSOR ? FORM_MASKED : FORM_PLAIN;
}

void add_attention_args(const struct plan *plan, const struct step *step, size_t own, struct launch *launch)
{
    const struct geometry *g = &plan->geometry;
    const bool biased = step->weight[0] != NO_TENSOR, masked = step->input[1] != NO_TENSOR;
    add_arg(launch, arg_tensor(step->input[0]));
    if (biased || masked)
        add_arg(launch, arg_tensor(biased ? step->weight[0] : step->input[1]));
    add_arg(launch, arg_tensor(step->output[0]));
    add_arg(launch, arg_int(g->tokens));
    add_arg(launch, arg_int(g->heads));
    if (own)
        add_arg(launch, arg_int(own));
    add_arg(launch, arg_float(attention_scale(g->head_size)));
    if (biased) {
        add_arg(launch, arg_int(g->grid_height));
        add_arg(launch, arg_int(g->grid_width));
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const bool biased = step->weight[0] != NO_TENSOR, masked = step->input[1] != NO_TENSOR;
    const char *kernel = biased ? "attention_biased" : masked ? "attention_masked" : "attention";
    out[0] = make_launch("attention", kernel, facts, 16, (size_t[]){g->tokens, g->heads, g->batch});
    add_attention_args(plan, step, g->head_size, &out[0]);
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation ATTENTION = {
    .cost = cost,
    .reference = reference,
    .variants = {&ATTENTION_AMX, &ATTENTION_FUSED, &ATTENTION_MMA, &ATTENTION_GROUP, &PORTABLE}};

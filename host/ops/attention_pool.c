/* attention_pool.c - the pooling head's attention (Lee et al., "Set Transformer"): one learned query [D] for all images
 * over their tokens' kv [B,T,2,H,d], from token `first` on -> context [B,H,d]; with lengths [B] only an image's first
 * tokens count. */
#include "ops/attention_internal.h"

static void cost(const struct plan *plan, struct step *step)
{
    const struct geometry *g = &plan->geometry;
    double count = (double)g->batch * (double)g->width;
    double tokens = (double)g->tokens;
    step->flops = 4 * count * tokens;
    step->bytes = sizeof(float) * count * (2 * tokens + 1);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    const float *lengths = optional(data, step->input[1]);
    size_t tokens = plan->geometry.tokens;
    for (size_t image = first; image < last; image++) {
        for (size_t h = 0; h < g->heads; h++) {
            const float *k = data[step->input[0]] + (image * tokens + step->first) * 2 * g->width + h * g->head_size;
            struct query query = {.q = data[step->weight[0]] + h * g->head_size, .head = h};
            struct keys keys = {.k = k,
                                .v = k + g->width,
                                .stride = 2 * g->width,
                                .count = (lengths ? (size_t)lengths[image] : tokens) - step->first};
            attend(g, &query, &keys, data[step->output[0]] + image * g->width + h * g->head_size);
        }
    }
}

void add_attention_pool_args(const struct plan *plan, const struct step *step, size_t own, struct launch *launch)
{
    const struct geometry *g = &plan->geometry;
    add_arg(launch, arg_tensor(step->weight[0]));
    add_arg(launch, arg_tensor(step->input[0]));
    if (step->input[1] != NO_TENSOR)
        add_arg(launch, arg_tensor(step->input[1]));
    add_arg(launch, arg_tensor(step->output[0]));
    add_arg(launch, arg_int(g->tokens));
    add_arg(launch, arg_int(step->first));
    add_arg(launch, arg_int(g->heads));
    if (own)
        add_arg(launch, arg_int(own));
    add_arg(launch, arg_float(attention_scale(g->head_size)));
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const bool masked = step->input[1] != NO_TENSOR;
    out[0] = make_launch("attention", masked ? "attention_pool_masked" : "attention_pool", facts, 16,
                         (size_t[]){g->heads, g->batch, 1});
    add_attention_pool_args(plan, step, g->head_size, &out[0]);
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation ATTENTION_POOL = {
    .cost = cost, .reference = reference, .variants = {&ATTENTION_POOL_GROUP, &PORTABLE}};

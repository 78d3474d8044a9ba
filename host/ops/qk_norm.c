/* qk_norm.c - LayerNorm of each head's query and key on its own: qkv [B,T,3,H,d]; values stay (Dehghani et al.,
 * "Scaling Vision Transformers to 22 Billion Parameters"). */
#include "ops/norm_internal.h"

#include <string.h>

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *qkv = &plan->tensors[step->input[0]];
    double count = (double)qkv->rows * (double)plan->geometry.width * 2;
    step->flops = 8 * count;
    step->bytes = sizeof(float) * 2 * count;
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    const int *w = step->weight;
    for (size_t row = first; row < last; row++) {
        const float *x = data[step->input[0]] + row * 3 * g->width;
        float *normed = data[step->output[0]] + row * 3 * g->width;
        for (size_t h = 0; h < 2 * g->heads; h++) {
            bool key = h >= g->heads;
            layer_norm(x + h * g->head_size, data[w[key ? 2 : 0]], data[w[key ? 3 : 1]], normed + h * g->head_size,
                       g->head_size, (double)step->eps);
        }
        memmove(normed + 2 * g->width, x + 2 * g->width, g->width * sizeof *x);
    }
}

static void add_args(const struct plan *plan, const struct step *step, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    add_arg(out, arg_tensor(step->input[0]));
    for (size_t i = 0; i < 4; i++)
        add_arg(out, arg_tensor(step->weight[i]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->heads));
    add_arg(out, arg_int(g->head_size));
    add_arg(out, arg_float(step->eps));
}

static size_t launch_wide(const struct plan *plan, const struct step *step, const struct facts *facts,
                          struct launch *out)
{
    size_t rows = plan->tensors[step->input[0]].rows;
    out[0] = make_launch("residual_norm_wide", "qk_norm_wide", facts, 1, (size_t[]){rows, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_args(plan, step, &out[0]);
    return 1;
}

static size_t launch_group(const struct plan *plan, const struct step *step, const struct facts *facts,
                           struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_norm_launch("qk_norm_group", facts, g->head_size, 3 * g->heads, plan->tensors[step->input[0]].rows);
    add_args(plan, step, &out[0]);
    return 1;
}

static size_t launch_portable(const struct plan *plan, const struct step *step, const struct facts *facts,
                              struct launch *out)
{
    size_t rows = plan->tensors[step->input[0]].rows;
    out[0] = make_launch("residual_norm", "qk_norm", facts, 16, (size_t[]){plan->geometry.heads, rows, 1});
    add_args(plan, step, &out[0]);
    return 1;
}

static const struct variant WIDE = {.name = "wide", .obstacle = vector_obstacle, .launch = launch_wide};
static const struct variant GROUP = {
    .name = "group", .obstacle = norm_group_obstacle, .suits = suits_groups, .launch = launch_group};
static const struct variant PORTABLE = {.name = "portable", .launch = launch_portable};

const struct operation QK_NORM = {.cost = cost, .reference = reference, .variants = {&WIDE, &GROUP, &PORTABLE}};

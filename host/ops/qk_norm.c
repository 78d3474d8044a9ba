/* qk_norm.c - LayerNorm of each head's query and key on its own: qkv [B,T,3,H,d]; values stay (Dehghani et al.,
 * "Scaling Vision Transformers to 22 Billion Parameters"). */
#include "ops/ops.h"

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

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] =
        make_launch("residual_norm", "qk_norm", facts, 16, (size_t[]){g->heads, plan->tensors[step->input[0]].rows, 1});
    add_arg(out, arg_tensor(step->input[0]));
    for (size_t i = 0; i < 4; i++)
        add_arg(out, arg_tensor(step->weight[i]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->heads));
    add_arg(out, arg_int(g->head_size));
    add_arg(out, arg_float(step->eps));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation QK_NORM = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

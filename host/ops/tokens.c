/* tokens.c - x [B,T,D] = (class token; patches [B,N,D]) + position [T,D]. */
#include "ops/ops.h"

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *x = &plan->tensors[step->output[0]];
    const struct geometry *g = &plan->geometry;
    step->flops = (double)x->rows * (double)x->cols;
    step->bytes =
        sizeof(float) * (double)x->cols * ((double)(g->batch * g->patches) + 1 + (double)g->tokens + (double)x->rows);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    for (size_t row = first; row < last; row++) {
        size_t image = row / g->tokens, token = row % g->tokens;
        const float *value =
            token == 0 ? data[step->weight[0]] : data[step->input[0]] + (image * g->patches + token - 1) * g->width;
        const float *position = data[step->weight[1]] + token * g->width;
        float *x = data[step->output[0]] + row * g->width;
        for (size_t i = 0; i < g->width; i++)
            x[i] = value[i] + position[i];
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_launch("tokens", "tokens", facts, 64, (size_t[]){g->width, g->tokens, g->batch});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->weight[0]));
    add_arg(out, arg_tensor(step->weight[1]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->tokens));
    add_arg(out, arg_int(g->width));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation TOKENS = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

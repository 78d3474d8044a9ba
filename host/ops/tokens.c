/* tokens.c - x [B,T,D] = (prefix [P,D]; patches [B,N,D]) + position, which is one [T,D] for all images or, in a model
 * of variable resolution, one [B,T,D] per image. */
#include "ops/ops.h"

static bool position_per_image(const struct step *step)
{
    return step->input[1] != NO_TENSOR;
}

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *x = &plan->tensors[step->output[0]];
    const struct geometry *g = &plan->geometry;
    double images = (double)(position_per_image(step) ? g->batch : 1);
    double rows = (double)(g->batch * g->patches + g->prefix) + images * (double)g->tokens + (double)x->rows;
    step->flops = (double)x->rows * (double)x->cols;
    step->bytes = sizeof(float) * (double)x->cols * rows;
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    for (size_t row = first; row < last; row++) {
        size_t image = row / g->tokens, token = row % g->tokens;
        const float *value = token < g->prefix
                                 ? data[step->weight[0]] + token * g->width
                                 : data[step->input[0]] + (image * g->patches + token - g->prefix) * g->width;
        const float *position =
            position_per_image(step) ? data[step->input[1]] + row * g->width : data[step->weight[1]] + token * g->width;
        float *x = data[step->output[0]] + row * g->width;
        for (size_t i = 0; i < g->width; i++)
            x[i] = value[i] + position[i];
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    int position = position_per_image(step) ? step->input[1] : step->weight[1];
    out[0] = make_launch("tokens", "tokens", facts, 64, (size_t[]){g->width, g->tokens, g->batch});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(g->prefix ? step->weight[0] : position)); /* without a prefix it is not read */
    add_arg(out, arg_tensor(position));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->tokens));
    add_arg(out, arg_int(g->width));
    add_arg(out, arg_int(g->prefix));
    add_arg(out, arg_int(position_per_image(step) ? g->tokens * g->width : 0));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation TOKENS = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

/* pool.c - pooled [B,D] = the class token, token 0 of x [B,T,D]. */
#include "ops/ops.h"

#include <string.h>

static void cost(const struct plan *plan, struct step *step)
{
    step->flops = 0;
    step->bytes = 2.0 * sizeof(float) * (double)plan->geometry.batch * (double)plan->geometry.width;
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    for (size_t image = first; image < last; image++)
        memcpy(data[step->output[0]] + image * g->width, data[step->input[0]] + image * g->tokens * g->width,
               g->width * sizeof(float));
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_launch("pool", "pool_cls", facts, 64, (size_t[]){g->width, g->batch, 1});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->tokens));
    add_arg(out, arg_int(g->width));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation POOL = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

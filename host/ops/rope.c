/* rope.c - turns the queries and keys of qkv [B,T,3,H,d] by their patches' angles (Su et al., "RoFormer"); values and
 * the tokens before the patches stay. */
#include "ops/ops.h"

#include <string.h>

/* The two numbers of a pair lie this far apart. */
static size_t distance(const struct plan *plan, const struct step *step)
{
    return step->rope == ROPE_EVA ? 1 : plan->geometry.head_size / 2;
}

static void cost(const struct plan *plan, struct step *step)
{
    const struct geometry *g = &plan->geometry;
    double batch = (double)g->batch, patches = (double)g->patches, width = (double)g->width;
    step->flops = 6 * batch * patches * width;
    step->bytes = sizeof(float) * patches * (4 * batch * width + (double)g->head_size);
}

/* One head's numbers [d], by the patch's angles [d]: cosines, then sines. */
static void turn(const float *x, const float *angles, size_t d, size_t apart, float *turned)
{
    for (size_t pair = 0; pair < d / 2; pair++) {
        size_t i = apart == 1 ? 2 * pair : pair, k = i + apart;
        double a = (double)x[i], b = (double)x[k], cosine = (double)angles[pair], sine = (double)angles[d / 2 + pair];
        turned[i] = (float)(a * cosine - b * sine);
        turned[k] = (float)(b * cosine + a * sine);
    }
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    for (size_t row = first; row < last; row++) {
        size_t token = row % g->tokens;
        const float *x = data[step->input[0]] + row * 3 * g->width;
        float *turned = data[step->output[0]] + row * 3 * g->width;
        size_t turning = token < g->prefix ? 0 : 2 * g->heads; /* heads of queries and keys */
        for (size_t h = 0; h < turning; h++)
            turn(x + h * g->head_size, data[step->weight[0]] + (token - g->prefix) * g->head_size, g->head_size,
                 distance(plan, step), turned + h * g->head_size);
        memmove(turned + turning * g->head_size, x + turning * g->head_size,
                (3 * g->heads - turning) * g->head_size * sizeof *x);
    }
}

/* `items` for each token. */
static size_t launch_items(const struct plan *plan, const struct step *step, const struct facts *facts,
                           const char *kernel, size_t items, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_launch("rope", kernel, facts, 64, (size_t[]){items, g->tokens, g->batch});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->weight[0]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->tokens));
    add_arg(out, arg_int(g->heads));
    add_arg(out, arg_int(g->head_size));
    add_arg(out, arg_int(g->prefix));
    add_arg(out, arg_int(distance(plan, step)));
    return 1;
}

static size_t launch_pairs(const struct plan *plan, const struct step *step, const struct facts *facts,
                           struct launch *out)
{
    return launch_items(plan, step, facts, "rope_pairs", 3 * plan->geometry.width / 2, out);
}

static size_t launch_portable(const struct plan *plan, const struct step *step, const struct facts *facts,
                              struct launch *out)
{
    return launch_items(plan, step, facts, "rope", 3 * plan->geometry.heads, out);
}

static const struct variant PAIRS = {.name = "pairs", .suits = suits_groups, .launch = launch_pairs};
static const struct variant PORTABLE = {.name = "portable", .launch = launch_portable};

const struct operation ROPE = {.cost = cost, .reference = reference, .variants = {&PAIRS, &PORTABLE}};

/* pool.c - one vector per image from x [B,T,D]: its first token, an average or maximum of its patches, or two of these
 * (enum pool); with lengths [B] only an image's first tokens count. */
#include "base/size.h"
#include "ops/ops.h"

#include <math.h>
#include <string.h>

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *pooled = &plan->tensors[step->output[0]];
    double read = (double)plan->geometry.tokens * (double)plan->geometry.batch * (double)plan->geometry.width;
    bool copies = step->pool == POOL_CLS || step->pool == POOL_CLS_DIST;
    double written = (double)pooled->rows * (double)pooled->cols;
    step->flops = copies ? 0 : read;
    step->bytes = sizeof(float) * (written + (copies ? written : read));
}

/* One column's mean or maximum over `count` rows. */
static float pool_column(const float *x, size_t width, size_t count, enum pool pool)
{
    double sum = 0, largest = -INFINITY, mean;
    for (size_t i = 0; i < count; i++) {
        double value = (double)x[i * width];
        sum += value;
        largest = value > largest || isnan(value) ? value : largest;
    }
    mean = sum / (double)count;
    return (float)(pool == POOL_MAX ? largest : pool == POOL_MEAN_MAX ? (mean + largest) / 2 : mean);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    size_t width = plan->geometry.width, columns = plan->tensors[step->output[0]].cols;
    size_t tokens = plan->geometry.tokens, skip = step->first;
    size_t copied = step->pool == POOL_CLS || step->pool == POOL_CLS_DIST ? columns : columns - width;
    const float *lengths = optional(data, step->input[1]);
    for (size_t image = first; image < last; image++) {
        const float *x = data[step->input[0]] + image * tokens * width;
        float *pooled = data[step->output[0]] + image * columns;
        memcpy(pooled, x, copied * sizeof *x);
        for (size_t i = copied; i < columns; i++)
            pooled[i] = pool_column(x + skip * width + i - copied, width,
                                    (lengths ? (size_t)lengths[image] : tokens) - skip, step->pool);
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct tensor *pooled = &plan->tensors[step->output[0]];
    const bool masked = step->input[1] != NO_TENSOR;
    out[0] = make_launch("pool", masked ? "pool_masked" : "pool", facts, 8,
                         (size_t[]){size_ceil_div(pooled->cols, 8), pooled->rows, 1});
    add_arg(out, arg_tensor(step->input[0]));
    if (masked)
        add_arg(out, arg_tensor(step->input[1]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(plan->geometry.tokens));
    add_arg(out, arg_int(plan->geometry.width));
    add_arg(out, arg_int(pooled->cols));
    add_arg(out, arg_int(step->first));
    add_arg(out, arg_int(step->pool));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation POOL = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

/* residual_norm.c - sum = x + y, where there is a y; normed = LayerNorm(sum), where there are weights (Ba, Kiros,
 * Hinton, "Layer Normalization", with the biased variance). */
#include "base/size.h"
#include "ops/norm_internal.h"

#include <math.h>

static bool has_residual(const struct step *step)
{
    return step->input[1] != NO_TENSOR;
}

static bool has_norm(const struct step *step)
{
    return step->weight[0] != NO_TENSOR;
}

/* The sum is the first output where nothing is normalised. */
static int sum_of(const struct step *step)
{
    return step->output[has_norm(step) ? 1 : 0];
}

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    double count = (double)x->rows * (double)x->cols, residual = has_residual(step), norm = has_norm(step);
    step->flops = (residual + 8 * norm) * count;
    step->bytes = sizeof(float) * ((1 + 2 * residual + norm) * count + 2 * norm * (double)x->cols);
}

void layer_norm(const float *x, const float *weight, const float *bias, float *normed, size_t width, double eps)
{
    double mean = 0, variance = 0, scale;
    for (size_t i = 0; i < width; i++)
        mean += (double)x[i];
    mean /= (double)width;
    for (size_t i = 0; i < width; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean);
    scale = 1 / sqrt(variance / (double)width + eps);
    for (size_t i = 0; i < width; i++)
        normed[i] = (float)(((double)x[i] - mean) * scale * (double)weight[i] + (double)bias[i]);
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    size_t width = plan->tensors[step->input[0]].cols;
    const float *x = data[step->input[0]];
    if (has_residual(step)) {
        const float *y = data[step->input[1]];
        float *sum = data[sum_of(step)];
        for (size_t i = first * width; i < last * width; i++)
            sum[i] = x[i] + y[i];
        x = sum;
    }
    for (size_t row = first; row < last && has_norm(step); row++)
        layer_norm(x + row * width, data[step->weight[0]], data[step->weight[1]], data[step->output[0]] + row * width,
                   width, (double)step->eps);
}

/* The arguments that the kernels of all variants begin with. */
static void add_tensors(const struct step *step, struct launch *out)
{
    add_arg(out, arg_tensor(step->input[0]));
    if (has_residual(step))
        add_arg(out, arg_tensor(step->input[1]));
    if (has_norm(step)) {
        add_arg(out, arg_tensor(step->weight[0]));
        add_arg(out, arg_tensor(step->weight[1]));
        add_arg(out, arg_tensor(step->output[0]));
    }
    if (has_residual(step))
        add_arg(out, arg_tensor(sum_of(step)));
}

static size_t launch_portable(const struct plan *plan, const struct step *step, const struct facts *facts,
                              struct launch *out)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    const char *kernel = !has_norm(step) ? "residual" : has_residual(step) ? "residual_norm" : "norm";
    size_t items = has_norm(step) ? x->rows : x->rows * x->cols;
    out[0] = make_launch("residual_norm", kernel, facts, 64, (size_t[]){items, 1, 1});
    add_tensors(step, &out[0]);
    add_arg(&out[0], arg_int(items));
    if (has_norm(step)) {
        add_arg(&out[0], arg_int(x->cols));
        add_arg(&out[0], arg_float(step->eps));
    }
    return 1;
}

static size_t launch_wide(const struct plan *plan, const struct step *step, const struct facts *facts,
                          struct launch *out)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    const char *kernel = !has_norm(step) ? "residual_wide" : has_residual(step) ? "residual_norm_wide" : "norm_wide";
    out[0] = make_launch("residual_norm_wide", kernel, facts, 1, (size_t[]){x->rows, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_tensors(step, &out[0]);
    add_arg(&out[0], arg_int(x->cols));
    if (has_norm(step))
        add_arg(&out[0], arg_float(step->eps));
    return 1;
}

/* ---- one work-group per row ---- */

#define MIN_WORKERS 32
#define MAX_WORKERS 256
#define MANY_VALUES 16 /* of a work-item: more would take too many registers */

const char *norm_group_obstacle(const struct facts *facts)
{
    if (!facts->has_compiler)
        return "it is compiled for the numbers that each work-item keeps";
    return facts->max_work_group < MIN_WORKERS ? "it needs work-groups of 32" : NULL;
}

/* As few work-items as can keep a row: what they share costs each of them the more, the more they are. */
struct launch make_norm_launch(const char *kernel, const struct facts *facts, size_t width, size_t across, size_t down)
{
    struct launch launch;
    size_t workers = MIN_WORKERS;
    while (size_ceil_div(width, workers) > MANY_VALUES && 2 * workers <= size_min(MAX_WORKERS, facts->max_work_group))
        workers *= 2;
    launch = make_launch("residual_norm_group", kernel, facts, workers, (size_t[]){across * workers, down, 1});
    add_option(&launch, "WORKERS", workers);
    add_option(&launch, "VALUES", size_ceil_div(width, workers));
    return launch;
}

/* Sums alone need no work-group. */
static size_t launch_group(const struct plan *plan, const struct step *step, const struct facts *facts,
                           struct launch *out)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    if (!has_norm(step))
        return launch_portable(plan, step, facts, out);
    out[0] = make_norm_launch(has_residual(step) ? "residual_norm_group" : "norm_group", facts, x->cols, x->rows, 1);
    add_tensors(step, &out[0]);
    add_arg(&out[0], arg_int(x->cols));
    add_arg(&out[0], arg_float(step->eps));
    return 1;
}

static const struct variant WIDE = {
    .name = "wide", .writes = NUMBERS_ALL, .obstacle = vector_obstacle, .launch = launch_wide};
static const struct variant GROUP = {.name = "group",
                                     .writes = NUMBERS_ALL,
                                     .obstacle = norm_group_obstacle,
                                     .suits = suits_groups,
                                     .launch = launch_group};
static const struct variant PORTABLE = {.name = "portable", .writes = NUMBERS_ALL, .launch = launch_portable};

const struct operation RESIDUAL_NORM = {.cost = cost, .reference = reference, .variants = {&WIDE, &GROUP, &PORTABLE}};

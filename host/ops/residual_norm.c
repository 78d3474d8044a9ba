/* residual_norm.c - sum = x + y, where there is a y; normed = LayerNorm(sum) (Ba, Kiros, Hinton, "Layer
 * Normalization", with the biased variance). */
#include "ops/ops.h"

#include <math.h>

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    double count = (double)x->rows * (double)x->cols;
    bool residual = step->input[1] != NO_TENSOR;
    step->flops = (residual ? 9 : 8) * count;
    step->bytes = sizeof(float) * ((residual ? 4 : 2) * count + 2.0 * (double)x->cols);
}

static void layer_norm(const float *x, const float *weight, const float *bias, float *normed, size_t width, double eps)
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
    size_t width = plan->geometry.width;
    const float *x = data[step->input[0]];
    if (step->input[1] != NO_TENSOR) {
        const float *y = data[step->input[1]];
        float *sum = data[step->output[1]];
        for (size_t i = first * width; i < last * width; i++)
            sum[i] = x[i] + y[i];
        x = sum;
    }
    for (size_t row = first; row < last; row++)
        layer_norm(x + row * width, data[step->weight[0]], data[step->weight[1]], data[step->output[0]] + row * width,
                   width, (double)step->eps);
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    size_t rows = plan->tensors[step->input[0]].rows;
    bool residual = step->input[1] != NO_TENSOR;
    out[0] = make_launch("residual_norm", residual ? "residual_norm" : "norm", facts, 64, (size_t[]){rows, 1, 1});
    add_arg(out, arg_tensor(step->input[0]));
    if (residual)
        add_arg(out, arg_tensor(step->input[1]));
    add_arg(out, arg_tensor(step->weight[0]));
    add_arg(out, arg_tensor(step->weight[1]));
    add_arg(out, arg_tensor(step->output[0]));
    if (residual)
        add_arg(out, arg_tensor(step->output[1]));
    add_arg(out, arg_int(rows));
    add_arg(out, arg_int(plan->geometry.width));
    add_arg(out, arg_float(step->eps));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .launch = launch};

const struct operation RESIDUAL_NORM = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

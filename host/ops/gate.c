/* gate.c - y [rows,M] = activation(left half) * right half of x [rows,2M]: the gated MLP (Shazeer, "GLU Variants
 * Improve Transformer"). */
#include "base/size.h"
#include "ops/ops.h"

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *y = &plan->tensors[step->output[0]];
    double count = (double)y->rows * (double)y->cols;
    step->flops = count;
    step->bytes = sizeof(float) * 3 * count;
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    size_t width = plan->tensors[step->output[0]].cols;
    for (size_t row = first; row < last; row++) {
        const float *left = data[step->input[0]] + row * 2 * width, *right = left + width;
        float *y = data[step->output[0]] + row * width;
        for (size_t i = 0; i < width; i++)
            y[i] = (float)(activate(step->activation, (double)left[i]) * (double)right[i]);
    }
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct tensor *y = &plan->tensors[step->output[0]];
    out[0] = make_launch("gate", "gate", facts, 64, (size_t[]){size_ceil_div(y->cols, 8), y->rows, 1});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(y->cols));
    add_arg(out, arg_int(step->activation));
    return 1;
}

static const struct variant PORTABLE = {.name = "portable", .writes = NUMBERS_ALL, .launch = launch};

const struct operation GATE = {.cost = cost, .reference = reference, .variants = {&PORTABLE}};

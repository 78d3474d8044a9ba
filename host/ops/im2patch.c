/* im2patch.c - pixels [B,3,Hi,Wi] -> patches [B,N,3*ph*pw] in (channel, y, x) order. */
#include "ops/ops.h"

static void cost(const struct plan *plan, struct step *step)
{
    const struct tensor *patches = &plan->tensors[step->output[0]];
    step->flops = 0;
    step->bytes = 2.0 * sizeof(float) * (double)patches->rows * (double)patches->cols;
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct geometry *g = &plan->geometry;
    const float *pixels = data[step->input[0]];
    size_t columns = plan->tensors[step->output[0]].cols;
    for (size_t row = first; row < last; row++) {
        float *patch = data[step->output[0]] + row * columns;
        size_t image = row / g->patches, n = row % g->patches;
        size_t top = n / g->grid_width * g->patch_height, left = n % g->grid_width * g->patch_width;
        for (size_t c = 0; c < 3; c++)
            for (size_t y = top; y < top + g->patch_height; y++)
                for (size_t x = left; x < left + g->patch_width; x++)
                    *patch++ = pixels[((image * 3 + c) * g->image_height + y) * g->image_width + x];
    }
}

/* `items` for each patch, in groups of `group`. */
static size_t launch_items(const struct plan *plan, const struct step *step, const struct facts *facts,
                           const char *kernel, size_t items, size_t group, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    out[0] = make_launch("im2patch", kernel, facts, group, (size_t[]){items, g->patches, g->batch});
    add_arg(out, arg_tensor(step->input[0]));
    add_arg(out, arg_tensor(step->output[0]));
    add_arg(out, arg_int(g->image_height));
    add_arg(out, arg_int(g->image_width));
    add_arg(out, arg_int(g->patch_height));
    add_arg(out, arg_int(g->patch_width));
    add_arg(out, arg_int(g->grid_height));
    add_arg(out, arg_int(g->grid_width));
    return 1;
}

static size_t launch_numbers(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    return launch_items(plan, step, facts, "im2patch_numbers", 3 * g->patch_height * g->patch_width, 64, out);
}

static size_t launch_portable(const struct plan *plan, const struct step *step, const struct facts *facts,
                              struct launch *out)
{
    return launch_items(plan, step, facts, "im2patch", 3 * plan->geometry.patch_height, 16, out);
}

static const struct variant PER_NUMBER = {
    .name = "numbers", .writes = NUMBERS_ALL, .suits = suits_groups, .launch = launch_numbers};
static const struct variant PORTABLE = {.name = "portable", .writes = NUMBERS_ALL, .launch = launch_portable};

const struct operation IM2PATCH = {.cost = cost, .reference = reference, .variants = {&PER_NUMBER, &PORTABLE}};

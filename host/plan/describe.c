/* describe.c - a plan as text: what it is for, a row per step, a row per tensor, totals. Golden tests pin it. */
#include "base/text.h"
#include "plan/plan.h"

#include <stdio.h>

#define MEGA 1e6

const char *plan_op_name(enum op op)
{
    static const char *const NAMES[OP_COUNT] = {
        [OP_IM2PATCH] = "im2patch",   [OP_MATMUL] = "matmul",
        [OP_TOKENS] = "tokens",       [OP_RESIDUAL_NORM] = "residual_norm",
        [OP_QK_NORM] = "qk_norm",     [OP_ROPE] = "rope",
        [OP_ATTENTION] = "attention", [OP_GATE] = "gate",
        [OP_POOL] = "pool",           [OP_ATTENTION_POOL] = "attention_pool",
    };
    return NAMES[op];
}

static void add_shape(struct text *text, const struct tensor *tensor, int width)
{
    char shape[96];
    int length = snprintf(shape, sizeof shape, "[");
    for (size_t i = 0; i < tensor->rank; i++)
        length += snprintf(shape + length, sizeof shape - (size_t)length, "%s%zu", i ? "," : "", tensor->shape[i]);
    snprintf(shape + length, sizeof shape - (size_t)length, "]");
    text_add(text, "%-*s", width, shape);
}

static void add_heading(struct text *text, const struct plan *plan)
{
    const struct geometry *g = &plan->geometry;
    if (plan->lengths != NO_TENSOR)
        text_add(text, "batch %zu: images of up to %zu", g->batch, g->patches);
    else
        text_add(text, "batch %zu: images of %zux%zu, %zux%zu", g->batch, g->image_width, g->image_height,
                 g->grid_width, g->grid_height);
    text_add(text, " patches of %zux%zu, %zu tokens, width %zu, %zu heads of %zu\n", g->patch_width, g->patch_height,
             g->tokens, g->width, g->heads, g->head_size);
    if (plan_passes(plan) > 1)
        text_add(text, "%zu images run in %zu passes of this plan, so that no launch takes long\n", plan->images,
                 plan_passes(plan));
    text_add(text, "\n");
}

static void add_tuning(struct text *text, const struct step *step)
{
    if (step->tuned && step->tuning.tile)
        text_add(text, "  tuned: tile %zu, block %zu", step->tuning.tile, step->tuning.block);
    else if (step->tuned)
        text_add(text, "  tuned: best as it is");
}

static void add_steps(struct text *text, const struct plan *plan)
{
    text_add(text, "%4s  %-18s %-14s %-10s %-18s %-18s %10s %10s\n", "step", "label", "op", "variant", "input",
             "output", "MFLOP", "MB moved");
    for (size_t s = 0; s < plan->step_count; s++) {
        const struct step *step = &plan->steps[s];
        text_add(text, "%4zu  %-18s %-14s %-10s ", s, step->label, plan_op_name(step->op), step->variant_name);
        add_shape(text, &plan->tensors[step->input[0]], 18);
        text_add(text, " ");
        add_shape(text, &plan->tensors[step->output[0]], 18);
        text_add(text, " %10.2f %10.2f%s%s", step->flops / MEGA, step->bytes / MEGA, step->activation ? "  " : "",
                 step->activation ? activation_name(step->activation) : "");
        add_tuning(text, step);
        text_add(text, "\n");
    }
}

static void add_tensors(struct text *text, const struct plan *plan)
{
    text_add(text, "\n%-28s %-18s %12s %12s  %s\n", "tensor in the arena", "shape", "offset", "bytes",
             "alive in steps");
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (tensor->weight)
            continue;
        text_add(text, "%-28s ", tensor->name);
        add_shape(text, tensor, 18);
        text_add(text, " %12zu %12zu  ", tensor->offset, tensor->bytes);
        if (tensor->producer < 0)
            text_add(text, "input");
        else
            text_add(text, "%d", tensor->producer);
        if (tensor->keep)
            text_add(text, " - output\n");
        else
            text_add(text, " - %d\n", tensor->last_use);
    }
}

static void add_totals(struct text *text, const struct plan *plan)
{
    double flops = 0, moved = 0;
    size_t apart = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        flops += plan->steps[s].flops;
        moved += plan->steps[s].bytes;
    }
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (!plan->tensors[t].weight)
            apart += plan->tensors[t].bytes;
    text_add(text, "\ntotals: %zu steps, %.3f GFLOP (%.3f per image), %.1f MB moved\n", plan->step_count, flops / 1e9,
             flops / 1e9 / (double)plan->geometry.batch, moved / MEGA);
    text_add(text, "memory: weights %.1f MB, activations %.1f MB in one arena", (double)plan->weight_bytes / MEGA,
             (double)plan->arena_bytes / MEGA);
    if (plan->segment_count > 1)
        text_add(text, " of %zu buffers", plan->segment_count);
    text_add(text, " (%.1f MB without sharing)\n", (double)apart / MEGA);
}

/* One line per operation that the plan has: its variant, and why. */
static void add_choices(struct text *text, const struct plan *plan)
{
    for (size_t op = 0; op < OP_COUNT; op++) {
        for (size_t s = 0; s < plan->step_count; s++) {
            const struct step *step = &plan->steps[s];
            if (step->op != (enum op)op)
                continue;
            text_add(text, "%-14s %-10s %s\n", plan_op_name(step->op), step->variant_name, step->reason);
            break;
        }
    }
}

vitcl_status plan_describe(const struct plan *plan, char **text, vitcl_error *err)
{
    struct text out = {0};
    *text = NULL;
    add_heading(&out, plan);
    add_steps(&out, plan);
    add_tensors(&out, plan);
    add_totals(&out, plan);
    text_add(&out, "\n");
    add_choices(&out, plan);
    if (out.failed) {
        text_free(&out);
        return fail_memory(err, out.capacity);
    }
    *text = out.chars;
    return VITCL_OK;
}

/* plan_text.c - see plan_text.h. */
#include "plan_text.h"
#include "ops/ops.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void select_and_place(struct plan *plan, const struct facts *facts, const char *overrides)
{
    vitcl_error err;
    assert_ok(ops_select(plan, facts, overrides, &err), &err);
    assert_ok(plan_place(plan, facts->buffer_align, 0, &err), &err);
}

static void add_names(struct text *text, const struct plan *plan, const int *tensors, size_t count, const char **before)
{
    for (size_t i = 0; i < count; i++) {
        if (tensors[i] == NO_TENSOR)
            continue;
        text_add(text, "%s%s", *before, plan->tensors[tensors[i]].name);
        *before = ", ";
    }
}

void add_step_text(struct text *text, const struct plan *plan, const struct step *step)
{
    const struct tensor *output = &plan->tensors[step->output[0]];
    const char *before = "";
    text_add(text, "%s(", plan_op_name(step->op));
    add_names(text, plan, step->input, STEP_INPUTS, &before);
    add_names(text, plan, step->weight, STEP_WEIGHTS, &before);
    before = ") -> ";
    add_names(text, plan, step->output, STEP_OUTPUTS, &before);
    for (size_t i = 0; i < output->rank; i++)
        text_add(text, "%s%zu", i ? "," : " [", output->shape[i]);
    text_add(text, "]");
    if (step->activation)
        text_add(text, " %s", activation_name(step->activation));
    if (step->pool)
        text_add(text, " %s", pool_name(step->pool));
    if (step->op == OP_POOL || step->op == OP_ATTENTION_POOL)
        text_add(text, " from %zu on", step->first);
    if (step->rope)
        text_add(text, " %s", step->rope == ROPE_EVA ? "neighbours" : "halves");
    assert_false(text->failed);
}

char *describe_plan(struct plan *plan, const struct facts *facts)
{
    char *text;
    vitcl_error err;
    select_and_place(plan, facts, NULL);
    assert_ok(plan_describe(plan, &text, &err), &err);
    plan_free(plan);
    return text;
}

void assert_golden(const char *text, const char *name)
{
    char path[PATH_SIZE], golden[32768];
    size_t length = 0;
    FILE *file;
    snprintf(path, sizeof path, FIXTURES "/plans/%s", name);
    file = fopen(path, "rb");
    if (file) {
        length = fread(golden, 1, sizeof golden - 1, file);
        fclose(file);
    }
    golden[length] = '\0';
    if (strcmp(text, golden) != 0) {
        fputs(text, stderr); /* too long for fail_msg */
        fail_msg("%s differs from the plan above", path);
    }
}

/* tensors.c - grows a plan's lists. */
#include "base/size.h"
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more item in a list; false when memory is out. */
static bool grow(void **items, size_t count, size_t *capacity, size_t item_size)
{
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown;
    if (count < *capacity)
        return true;
    grown = realloc(*items, wanted * item_size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static int add(struct plan *plan, const struct tensor *tensor)
{
    if (!grow((void **)&plan->tensors, plan->tensor_count, &plan->tensor_capacity, sizeof *plan->tensors))
        return NO_TENSOR;
    plan->tensors[plan->tensor_count] = *tensor;
    return (int)plan->tensor_count++;
}

int plan_add_tensor(struct plan *plan, const char *name, const size_t *shape, size_t rank)
{
    struct tensor t = {.rank = rank, .rows = 1, .cols = shape[rank - 1], .producer = -1, .reuse = NO_TENSOR};
    size_t floats;
    snprintf(t.name, sizeof t.name, "%s", name);
    for (size_t i = 0; i < rank; i++) {
        t.shape[i] = shape[i];
        if (i + 1 < rank && !size_mul(t.rows, shape[i], &t.rows))
            return NO_TENSOR;
    }
    if (t.rows > PTRDIFF_MAX || !size_mul(size_round_up(t.rows, ROW_PAD), t.cols, &floats) ||
        !size_mul(floats, sizeof(float), &t.bytes) || t.bytes > PTRDIFF_MAX)
        return NO_TENSOR;
    return add(plan, &t);
}

size_t number_bytes(enum number number)
{
    return number == NUMBER_F32 ? sizeof(float) : sizeof(uint16_t);
}

const char *number_name(enum number number)
{
    static const char *const NAMES[] = {[NUMBER_F32] = "f32", [NUMBER_BF16] = "bf16", [NUMBER_F16] = "f16"};
    return NAMES[number];
}

enum number number_of_precision(vitcl_precision precision)
{
    static const enum number NUMBERS[] = {
        [VITCL_PRECISION_F32] = NUMBER_F32, [VITCL_PRECISION_BF16] = NUMBER_BF16, [VITCL_PRECISION_F16] = NUMBER_F16};
    return NUMBERS[precision];
}

bool plan_in_panels(const struct tensor *weight)
{
    return weight->layout == LAYOUT_PANELS || weight->layout == LAYOUT_PAIRS;
}

bool plan_in_pairs(const struct tensor *weight)
{
    return plan_in_panels(weight) &&
           (weight->number == NUMBER_BF16 || (weight->number == NUMBER_F16 && weight->layout == LAYOUT_PAIRS));
}

void plan_set_layout(struct plan *plan, int weight, enum number number, enum layout layout, size_t panel)
{
    struct tensor *t = &plan->tensors[weight];
    size_t rows, cols;
    t->number = number;
    t->layout = layout;
    t->panel = panel;
    rows = plan_in_panels(t) ? size_round_up(t->rows, panel) : t->rows;
    cols = plan_in_pairs(t) ? size_round_up(t->cols, 2) : t->cols;
    plan->weight_bytes -= t->bytes;
    t->bytes = rows * cols * number_bytes(number);
    plan->weight_bytes += t->bytes;
}

/* A weight that several steps use is one tensor. */
static int find_weight(const struct plan *plan, const struct weight *weight)
{
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (plan->tensors[t].weight == weight)
            return (int)t;
    return NO_TENSOR;
}

int plan_add_weight(struct plan *plan, const struct weight *weight, const char *name)
{
    int known = find_weight(plan, weight);
    struct tensor t = {.rank = weight->rows == 1 ? 1 : 2,
                       .shape = {weight->rows == 1 ? weight->cols : weight->rows, weight->cols},
                       .rows = weight->rows,
                       .cols = weight->cols,
                       .weight = weight,
                       .producer = -1,
                       .reuse = NO_TENSOR,
                       .bytes = weight->rows * weight->cols * sizeof(float)};
    if (known != NO_TENSOR)
        return known;
    snprintf(t.name, sizeof t.name, "%s", name);
    plan->weight_bytes += t.bytes;
    return add(plan, &t);
}

int plan_add_step(struct plan *plan, const struct step *step)
{
    if (!grow((void **)&plan->steps, plan->step_count, &plan->step_capacity, sizeof *plan->steps))
        return NO_TENSOR;
    plan->steps[plan->step_count] = *step;
    for (size_t i = 0; i < STEP_OUTPUTS; i++)
        if (step->output[i] != NO_TENSOR)
            plan->tensors[step->output[i]].producer = (int)plan->step_count;
    return (int)plan->step_count++;
}

struct computed *plan_add_computed(struct plan *plan, size_t rows, size_t cols)
{
    struct computed *c = NULL;
    size_t bytes;
    if (size_mul(rows, cols, &bytes) && size_mul(bytes, sizeof(float), &bytes))
        c = calloc(1, sizeof *c + bytes);
    if (!c)
        return NULL;
    c->tensor = (struct tensor_entry){
        .name = "computed", .dtype = DTYPE_F32, .dtype_name = "F32", .rank = 2, .shape = {rows, cols}, .bytes = bytes};
    c->tensor.data = (const unsigned char *)c->values;
    c->weight = (struct weight){
        .part = {{.tensor = &c->tensor, .rows = rows, .cols = cols}}, .parts = 1, .rows = rows, .cols = cols};
    c->next = plan->computed;
    plan->computed = c;
    return c;
}

size_t plan_passes(const struct plan *plan)
{
    return size_ceil_div(plan->images, plan->geometry.batch);
}

size_t plan_image_bytes(const struct plan *plan, int tensor, size_t count)
{
    const struct tensor *t = &plan->tensors[tensor];
    return t->rows * t->cols / plan->geometry.batch * count * sizeof(float);
}

void plan_free(struct plan *plan)
{
    while (plan->computed) {
        struct computed *next = plan->computed->next;
        free(plan->computed);
        plan->computed = next;
    }
    free(plan->steps);
    free(plan->tensors);
    memset(plan, 0, sizeof *plan);
}

/* computed.c - positions, angles and folded layers of a plan. */
#include "plan/computed.h"

#include <stdlib.h>
#include <string.h>

static struct computed *make(struct builder *b, size_t rows, size_t cols)
{
    struct computed *c = b->failed ? NULL : plan_add_computed(b->plan, rows, cols);
    b->failed |= !c;
    return c;
}

/* Rows [first, first + count) of a weight, one below the other. */
static void copy_rows(const struct weight *weight, size_t first, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        weight_read_row(weight, first + i, to + i * weight->cols);
}

/* Grid rows of a weight, from row `first` on, resized. */
static void resize_rows(struct builder *b, const struct weight *weight, size_t first, struct grid from,
                        enum position_filter filter, float *to, struct grid to_grid)
{
    size_t count = from.height * from.width;
    float *rows = malloc(count * weight->cols * sizeof *rows);
    b->failed |= !rows;
    if (!rows)
        return;
    copy_rows(weight, first, count, rows);
    b->failed |= position_resize(rows, from, filter, weight->cols, to, to_grid, NULL) != VITCL_OK;
    free(rows);
}

const struct weight *position_of(struct builder *b, const struct weights *weights)
{
    const struct geometry *g = &b->plan->geometry;
    const struct config *c = b->config;
    const struct grid native = {c->grid_height, c->grid_width}, grid = {g->grid_height, g->grid_width};
    struct computed *position;

    if (c->position != POSITION_NONE && config_position_prefix(c) == g->prefix && native.height == grid.height &&
        native.width == grid.width)
        return &weights->position;
    position = make(b, g->tokens, g->width);
    if (!position)
        return NULL;
    if (c->position == POSITION_NONE)
        return &position->weight;
    copy_rows(&weights->position, 0, config_position_prefix(c), position->values);
    resize_rows(b, &weights->position, config_position_prefix(c), native, c->filter,
                position->values + g->prefix * g->width, grid);
    return &position->weight;
}

const struct weight *bias_table_of(struct builder *b, const struct weight *table)
{
    const struct geometry *g = &b->plan->geometry;
    const struct grid native = {2 * b->config->grid_height - 1, 2 * b->config->grid_width - 1};
    const struct grid grid = {2 * g->grid_height - 1, 2 * g->grid_width - 1};
    size_t distances = grid.height * grid.width, special = 3;
    struct computed *resized;

    if (native.height == grid.height && native.width == grid.width)
        return table;
    if (b->stored == table)
        return b->resized;
    resized = make(b, distances + special, table->cols);
    if (!resized)
        return NULL;
    resize_rows(b, table, 0, native, POSITION_BILINEAR, resized->values, grid);
    copy_rows(table, table->rows - special, special, resized->values + distances * table->cols);
    b->stored = table;
    b->resized = &resized->weight;
    return b->resized;
}

const struct weight *angles_of(struct builder *b, const struct rope *rope)
{
    const struct geometry *g = &b->plan->geometry;
    struct computed *angles;
    if (b->angles || b->failed)
        return b->angles;
    angles = make(b, g->patches, g->head_size);
    if (!angles)
        return NULL;
    rope_fill(rope, (struct grid){g->grid_height, g->grid_width}, g->head_size, angles->values);
    b->angles = &angles->weight;
    return b->angles;
}

const struct weight *apply_layer(struct builder *b, const struct weight *x, const struct linear *layer)
{
    size_t in = layer->weight.cols, out = layer->weight.rows;
    struct computed *y = make(b, 1, out);
    float *rows = malloc(2 * in * sizeof *rows);
    if (y && rows) {
        weight_read_row(x, 0, rows);
        weight_read_row(&layer->bias, 0, y->values);
        for (size_t i = 0; i < out; i++) {
            double sum = (double)y->values[i];
            weight_read_row(&layer->weight, i, rows + in);
            for (size_t k = 0; k < in; k++)
                sum += (double)rows[k] * (double)rows[in + k];
            y->values[i] = (float)sum;
        }
    }
    b->failed |= !rows;
    free(rows);
    return y && rows ? &y->weight : NULL;
}

/* values becomes half of a row of a weight. */
static void read_half(const struct weight *weight, size_t row, float *values)
{
    weight_read_row(weight, row, values);
    for (size_t i = 0; i < weight->cols; i++)
        values[i] /= 2;
}

void mean_of_layers(struct builder *b, const struct linear *first, const struct linear *second,
                    const struct weight **weight, const struct weight **bias)
{
    size_t out = first->weight.rows, in = first->weight.cols;
    struct computed *w = make(b, out, 2 * in), *sum = make(b, 1, out), *other = make(b, 1, out);
    *weight = w ? &w->weight : NULL;
    *bias = sum ? &sum->weight : NULL;
    if (!w || !sum || !other)
        return;
    for (size_t i = 0; i < out; i++) {
        read_half(&first->weight, i, w->values + i * 2 * in);
        read_half(&second->weight, i, w->values + i * 2 * in + in);
    }
    read_half(&first->bias, 0, sum->values);
    read_half(&second->bias, 0, other->values);
    for (size_t i = 0; i < out; i++)
        sum->values[i] += other->values[i];
}

/* edited_model.h - for tests: the models of tests/fixtures/vit with their weights, the comparison of two of them, and
 * copies of a weights file whose list of tensors is changed in memory before it is written out again. Included by one
 * test at a time.
 */
#ifndef VITCL_TESTS_EDITED_MODEL_H
#define VITCL_TESTS_EDITED_MODEL_H

#include "model/weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MAX_ITEMS 64

struct model {
    struct config config;
    struct safetensors file;
    struct weights weights;
};

/* One tensor of an edited copy; its data lies in `cls` or in a test. */
struct item {
    char name[128];
    const char *dtype;
    size_t rank, shape[4];
    const void *data;
    size_t bytes;
};

/* The tensors of a file to be written. */
struct edit {
    struct item items[MAX_ITEMS];
    size_t count;
};

/* ---- models ------------------------------------------------------------------------------------------------------ */

static void open_fixture(struct model *model, const char *name)
{
    char folder[512], path[600];
    vitcl_error err;
    snprintf(folder, sizeof folder, FIXTURES "/vit/%s", name);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (config_read(&model->config, folder, &err) != VITCL_OK ||
        safetensors_open(&model->file, path, &err) != VITCL_OK ||
        weights_find(&model->weights, &model->config, &model->file, &err) != VITCL_OK)
        fail_msg("%s: %s", name, err.message);
}

static void close_model(struct model *model)
{
    weights_free(&model->weights);
    safetensors_close(&model->file);
    config_free(&model->config);
}

/* Every weight of a model in a fixed order; returns how many. */
static size_t list_weights(const struct model *model, const struct weight *list[MAX_ITEMS])
{
    const struct weights *w = &model->weights;
    const struct linear *linear[MAX_ITEMS] = {&w->patch, &w->pooler, &w->classifier};
    const struct norm *norm[MAX_ITEMS] = {&w->norm};
    size_t linears = 3, norms = 1, count = 0;
    for (size_t i = 0; i < model->config.layers; i++) {
        norm[norms++] = &w->blocks[i].norm1;
        linear[linears++] = &w->blocks[i].qkv;
        linear[linears++] = &w->blocks[i].proj;
        norm[norms++] = &w->blocks[i].norm2;
        linear[linears++] = &w->blocks[i].fc1;
        linear[linears++] = &w->blocks[i].fc2;
    }
    list[count++] = &w->cls_token;
    list[count++] = &w->position;
    for (size_t i = 0; i < linears; i++) {
        list[count++] = &linear[i]->weight;
        list[count++] = &linear[i]->bias;
    }
    for (size_t i = 0; i < norms; i++) {
        list[count++] = &norm[i]->weight;
        list[count++] = &norm[i]->bias;
    }
    return count;
}

/* Same shapes, and numbers that differ by no more than `share` of themselves, or by what a 16-bit float of the smallest
 * exponent may. */
static void assert_same_weights(const struct model *model, const struct model *expected, double share)
{
    const struct weight *a[MAX_ITEMS], *b[MAX_ITEMS];
    float found[512], wanted[512];
    const double floor = share > 0 ? 0x1p-25 : 0;
    assert_int_equal(list_weights(model, a), list_weights(expected, b));
    for (size_t w = 0; w < list_weights(expected, b); w++) {
        assert_int_equal(a[w]->rows, b[w]->rows);
        assert_int_equal(a[w]->cols, b[w]->cols);
        assert_true(b[w]->cols <= sizeof found / sizeof *found);
        for (size_t row = 0; row < b[w]->rows; row++) {
            weight_read_row(a[w], row, found);
            weight_read_row(b[w], row, wanted);
            for (size_t i = 0; i < b[w]->cols; i++)
                if (!(fabs((double)found[i] - (double)wanted[i]) <= fmax(share * fabs((double)wanted[i]), floor)))
                    fail_msg("weight %zu [%zu,%zu]: %a, expected %a", w, row, i, (double)found[i], (double)wanted[i]);
        }
    }
    assert_int_equal(model->weights.parameters, expected->weights.parameters);
}

/* ---- edited copies ----------------------------------------------------------------------------------------------- */

/* Starts an edit with the tensors of a file as they are. The file must stay open. */
static void edit_start(struct edit *edit, const struct safetensors *file)
{
    assert_true(file->count <= MAX_ITEMS);
    edit->count = file->count;
    for (size_t i = 0; i < file->count; i++) {
        const struct tensor_entry *entry = &file->entries[i];
        struct item *item = &edit->items[i];
        *item =
            (struct item){.dtype = entry->dtype_name, .rank = entry->rank, .data = entry->data, .bytes = entry->bytes};
        snprintf(item->name, sizeof item->name, "%s", entry->name);
        memcpy(item->shape, entry->shape, sizeof item->shape);
    }
}

static struct item *edit_named(struct edit *edit, const char *name)
{
    for (size_t i = 0; i < edit->count; i++)
        if (strcmp(edit->items[i].name, name) == 0)
            return &edit->items[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void edit_drop(struct edit *edit, size_t index)
{
    memmove(&edit->items[index], &edit->items[index + 1], (--edit->count - index) * sizeof *edit->items);
}

/* Adds a copy of a tensor under another name. */
static struct item *edit_add_like(struct edit *edit, const char *like, const char *name)
{
    struct item *item = &edit->items[edit->count++];
    assert_true(edit->count <= MAX_ITEMS);
    *item = *edit_named(edit, like);
    snprintf(item->name, sizeof item->name, "%s", name);
    return item;
}

static size_t write_header(const struct edit *edit, char *header, size_t size)
{
    size_t offset = 0, length = (size_t)snprintf(header, size, "{");
    for (size_t i = 0; i < edit->count; i++) {
        const struct item *item = &edit->items[i];
        length += (size_t)snprintf(header + length, size - length, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                                   i ? "," : "", item->name, item->dtype);
        for (size_t d = 0; d < item->rank; d++)
            length += (size_t)snprintf(header + length, size - length, "%s%zu", d ? "," : "", item->shape[d]);
        length += (size_t)snprintf(header + length, size - length, "],\"data_offsets\":[%zu,%zu]}", offset,
                                   offset + item->bytes);
        offset += item->bytes;
    }
    length += (size_t)snprintf(header + length, size - length, "}");
    assert_true(length < size);
    return length;
}

/* `padding` spaces after the header shift the data. */
static void edit_write(const struct edit *edit, const char *path, size_t padding)
{
    char header[16384];
    size_t length = write_header(edit, header, sizeof header);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)((length + padding) >> 8 * i & 0xff), file);
    fprintf(file, "%s%*s", header, (int)padding, "");
    for (size_t i = 0; i < edit->count; i++)
        fwrite(edit->items[i].data, 1, edit->items[i].bytes, file);
    assert_int_equal(fclose(file), 0);
}

#endif

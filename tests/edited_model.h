/* edited_model.h - for tests: the models of tests/fixtures with their weights, the comparison of two of them, and
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

#define MAX_ITEMS   96
#define MAX_WEIGHTS 160
#define MAX_COLUMNS 4096

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

/* Reads a folder as model_open does, with the tensors of another file where `path` is not NULL. */
static inline vitcl_status read_model(struct model *model, const char *folder, const char *path, vitcl_error *err)
{
    vitcl_status status;
    memset(model, 0, sizeof *model);
    status = config_read(&model->config, folder, err);
    if (status == VITCL_OK)
        status = path ? safetensors_open(&model->file, path, err) : safetensors_open_folder(&model->file, folder, err);
    if (status == VITCL_OK)
        status = config_complete(&model->config, &model->file, err);
    return status == VITCL_OK ? weights_find(&model->weights, &model->config, &model->file, err) : status;
}

/* `name` is below tests/fixtures: "vit/cls". */
static inline void open_fixture(struct model *model, const char *name)
{
    char folder[512];
    vitcl_error err;
    snprintf(folder, sizeof folder, FIXTURES "/%s", name);
    if (read_model(model, folder, NULL, &err) != VITCL_OK)
        fail_msg("%s: %s", name, err.message);
}

static inline void close_model(struct model *model)
{
    weights_free(&model->weights);
    safetensors_close(&model->file);
    config_free(&model->config);
}

struct weight_list {
    const struct weight *weight[MAX_WEIGHTS];
    size_t count;
};

static inline void list_weight(struct weight_list *list, const struct weight *weight)
{
    assert_true(list->count < MAX_WEIGHTS);
    list->weight[list->count++] = weight;
}

static inline void list_pair(struct weight_list *list, const struct weight *weight, const struct weight *bias)
{
    list_weight(list, weight);
    list_weight(list, bias);
}

static inline void list_block(struct weight_list *list, const struct block_weights *block)
{
    const struct norm *norms[] = {&block->norm1,          &block->q_norm, &block->k_norm,
                                  &block->attention_norm, &block->norm2,  &block->mlp_norm};
    const struct linear *linears[] = {&block->qkv, &block->proj, &block->fc1, &block->fc2};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        list_pair(list, &norms[i]->weight, &norms[i]->bias);
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        list_pair(list, &linears[i]->weight, &linears[i]->bias);
    list_weight(list, &block->bias_table);
}

/* Every weight of a model in a fixed order; those that it does not have are empty. */
static inline struct weight_list list_weights(const struct model *model)
{
    const struct weights *w = &model->weights;
    const struct attention_pool_weights *pool = &w->attention_pool;
    const struct linear *linears[] = {&w->patch,  &pool->query, &pool->kv,      &pool->proj,    &pool->fc1,
                                      &pool->fc2, &w->pooler,   &w->projection, &w->classifier, &w->dist_classifier};
    const struct norm *norms[] = {&w->pre_norm, &w->norm, &w->pool_norm, &pool->norm};
    const struct weight *others[] = {&w->prefix,   &w->position,    &w->shared_table,
                                     &pool->probe, &w->logit_scale, &w->logit_bias};
    struct weight_list list = {.count = 0};

    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
        list_pair(&list, &linears[i]->weight, &linears[i]->bias);
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        list_pair(&list, &norms[i]->weight, &norms[i]->bias);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        list_weight(&list, others[i]);
    for (size_t i = 0; i < model->config.layers; i++)
        list_block(&list, &w->blocks[i]);
    return list;
}

/* Same shapes, and numbers that differ by no more than `share` of themselves, or by what a 16-bit float of the smallest
 * exponent may. */
static inline void assert_same_weight(const struct weight *a, const struct weight *b, double share)
{
    static float found[MAX_COLUMNS], wanted[MAX_COLUMNS];
    const double floor = share > 0 ? 0x1p-25 : 0;
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->cols, b->cols);
    assert_true(b->cols <= MAX_COLUMNS);
    for (size_t row = 0; row < b->rows; row++) {
        weight_read_row(a, row, found);
        weight_read_row(b, row, wanted);
        for (size_t i = 0; i < b->cols; i++)
            if (!(fabs((double)found[i] - (double)wanted[i]) <= fmax(share * fabs((double)wanted[i]), floor)))
                fail_msg("[%zu,%zu]: %a, expected %a", row, i, (double)found[i], (double)wanted[i]);
    }
}

static inline void assert_same_weights(const struct model *model, const struct model *expected, double share)
{
    const struct weight_list a = list_weights(model), b = list_weights(expected);
    assert_int_equal(a.count, b.count);
    for (size_t w = 0; w < b.count; w++)
        assert_same_weight(a.weight[w], b.weight[w], share);
    assert_int_equal(model->weights.parameters, expected->weights.parameters);
}

/* ---- edited copies ----------------------------------------------------------------------------------------------- */

/* Starts an edit with the tensors of a file as they are. The file must stay open. */
static inline void edit_start(struct edit *edit, const struct safetensors *file)
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

static inline struct item *edit_named(struct edit *edit, const char *name)
{
    for (size_t i = 0; i < edit->count; i++)
        if (strcmp(edit->items[i].name, name) == 0)
            return &edit->items[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static inline void edit_drop(struct edit *edit, size_t index)
{
    memmove(&edit->items[index], &edit->items[index + 1], (--edit->count - index) * sizeof *edit->items);
}

/* Adds a copy of a tensor under another name. */
static inline struct item *edit_add_like(struct edit *edit, const char *like, const char *name)
{
    struct item *item = &edit->items[edit->count++];
    assert_true(edit->count <= MAX_ITEMS);
    *item = *edit_named(edit, like);
    snprintf(item->name, sizeof item->name, "%s", name);
    return item;
}

static inline size_t write_header(const struct edit *edit, char *header, size_t size)
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
static inline void edit_write(const struct edit *edit, const char *path, size_t padding)
{
    char header[16384];
    size_t length = write_header(edit, header, sizeof header);
    FILE *file;
    remove(path); /* a file that is overwritten goes to the disk at once on ext4; a new one does not */
    file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)((length + padding) >> 8 * i & 0xff), file);
    fprintf(file, "%s%*s", header, (int)padding, "");
    for (size_t i = 0; i < edit->count; i++)
        fwrite(edit->items[i].data, 1, edit->items[i].bytes, file);
    assert_int_equal(fclose(file), 0);
}

#endif

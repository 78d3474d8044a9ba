/* weights.c - finds each role's tensor under any of the names it may have, and checks its shape and type. */
#include "model/weights.h"
#include "base/size.h"
#include "base/text.h"
#include "model/half.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 160

struct finder {
    const struct config *config;
    const struct safetensors *file;
    struct weights *weights;
    bool *used; /* [file->count] */
    vitcl_error *err;
};

/* Writes prefix + pattern + suffix, with the block's number for "{i}". */
static void make_name(char name[NAME_SIZE], const char *prefix, const char *pattern, size_t block, const char *suffix)
{
    const char *hole = strstr(pattern, "{i}");
    if (hole)
        snprintf(name, NAME_SIZE, "%s%.*s%zu%s%s", prefix, (int)(hole - pattern), pattern, block, hole + 3, suffix);
    else
        snprintf(name, NAME_SIZE, "%s%s%s", prefix, pattern, suffix);
}

/* Sets *found to the tensor of a role, NULL where the file has none under any name. */
static vitcl_status look_up(struct finder *f, enum role role, size_t block, const char *suffix,
                            const struct tensor_entry **found)
{
    const struct family *family = f->config->family;
    *found = NULL;
    for (size_t p = 0; family->prefixes[p]; p++) {
        for (size_t g = 0; g < GENERATIONS; g++) {
            char name[NAME_SIZE];
            const struct tensor_entry *entry;
            if (!family->names[role][g])
                continue;
            make_name(name, family->prefixes[p], family->names[role][g], block, suffix);
            entry = safetensors_find(f->file, name);
            if (entry && *found)
                return fail(f->err, VITCL_ERROR_FORMAT,
                            "the weights have both \"%s\" and \"%s\", which are names of the same tensor",
                            (*found)->name, name);
            if (entry)
                *found = entry;
        }
    }
    return VITCL_OK;
}

static void shape_text(struct text *text, const size_t *shape, size_t rank)
{
    text_add(text, "[");
    for (size_t i = 0; i < rank && i < TENSOR_MAX_RANK; i++)
        text_add(text, "%s%zu", i ? "," : "", shape[i]);
    text_add(text, rank > TENSOR_MAX_RANK ? ",...]" : "]");
}

static vitcl_status fail_shape(struct finder *f, const struct tensor_entry *entry, const size_t *shape, size_t rank)
{
    struct text found = {0}, expected = {0};
    shape_text(&found, entry->shape, entry->rank);
    shape_text(&expected, shape, rank);
    fail(f->err, VITCL_ERROR_FORMAT, "the weights do not fit config.json: \"%s\" has the shape %s, expected %s",
         entry->name, found.chars ? found.chars : "?", expected.chars ? expected.chars : "?");
    text_free(&found);
    text_free(&expected);
    return VITCL_ERROR_FORMAT;
}

/* Adds one tensor of the given shape to a weight, as `rows` rows of `cols`. entry NULL adds zeros. */
static vitcl_status add_part(struct finder *f, struct weight *weight, const struct tensor_entry *entry,
                             const size_t *shape, size_t rank, size_t rows, size_t cols)
{
    if (entry) {
        if (entry->rank != rank || memcmp(entry->shape, shape, rank * sizeof *shape) != 0)
            return fail_shape(f, entry, shape, rank);
        if (entry->dtype == DTYPE_OTHER)
            return fail(f->err, VITCL_ERROR_UNSUPPORTED, "\"%s\" is stored as %s; vitcl reads F32, F16 and BF16",
                        entry->name, entry->dtype_name);
        f->used[entry - f->file->entries] = true;
        f->weights->parameters += rows * cols;
    }
    weight->part[weight->parts].tensor = entry;
    weight->part[weight->parts].rows = rows;
    weight->part[weight->parts].cols = cols;
    weight->parts++;
    if (rank == 1 && weight->rows == 1) {
        weight->cols += cols;
    } else {
        weight->rows += rows;
        weight->cols = cols;
    }
    return VITCL_OK;
}

static vitcl_status fail_missing(struct finder *f, enum role role, size_t block, const char *suffix)
{
    char name[NAME_SIZE];
    size_t g = 0;
    while (!f->config->family->names[role][g]) /* not every generation has every tensor */
        g++;
    make_name(name, "", f->config->family->names[role][g], block, suffix);
    return fail(f->err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"%s\" (under this or any other known name)",
                name);
}

/* A required tensor of a role, seen as rows x cols. */
static vitcl_status find_tensor(struct finder *f, enum role role, size_t block, const char *suffix,
                                struct weight *weight, const size_t *shape, size_t rank, size_t rows, size_t cols)
{
    const struct tensor_entry *entry;
    vitcl_status status = look_up(f, role, block, suffix, &entry);
    if (status != VITCL_OK)
        return status;
    if (!entry)
        return fail_missing(f, role, block, suffix);
    return add_part(f, weight, entry, shape, rank, rows, cols);
}

/* Without `biased` the layer has no bias in the model's class: a file that has one is refused for it later. */
static vitcl_status find_linear(struct finder *f, enum role role, size_t block, struct linear *linear, size_t out,
                                size_t in, bool biased)
{
    vitcl_status status = find_tensor(f, role, block, ".weight", &linear->weight, (size_t[]){out, in}, 2, out, in);
    if (status != VITCL_OK)
        return status;
    if (biased)
        return find_tensor(f, role, block, ".bias", &linear->bias, (size_t[]){out}, 1, 1, out);
    return add_part(f, &linear->bias, NULL, (size_t[]){out}, 1, 1, out);
}

static vitcl_status find_norm(struct finder *f, enum role role, size_t block, struct norm *norm)
{
    size_t width = f->config->width;
    vitcl_status status = find_tensor(f, role, block, ".weight", &norm->weight, (size_t[]){width}, 1, 1, width);
    if (status == VITCL_OK)
        status = find_tensor(f, role, block, ".bias", &norm->bias, (size_t[]){width}, 1, 1, width);
    return status;
}

static vitcl_status find_qkv(struct finder *f, size_t block, struct linear *qkv)
{
    size_t width = f->config->width;
    const struct tensor_entry *fused;
    vitcl_status status = look_up(f, ROLE_QKV, block, ".weight", &fused);
    if (status == VITCL_OK && fused)
        return find_linear(f, ROLE_QKV, block, qkv, 3 * width, width, f->config->qkv_bias);
    for (enum role role = ROLE_QUERY; status == VITCL_OK && role <= ROLE_VALUE; role++)
        status = find_linear(f, role, block, qkv, width, width, f->config->qkv_bias);
    return status;
}

static vitcl_status find_block(struct finder *f, size_t i, struct block_weights *block)
{
    vitcl_status status;
    size_t width = f->config->width, mlp_width = f->config->mlp_width;
    TRY(find_norm(f, ROLE_NORM1, i, &block->norm1));
    TRY(find_qkv(f, i, &block->qkv));
    TRY(find_linear(f, ROLE_PROJ, i, &block->proj, width, width, true));
    TRY(find_norm(f, ROLE_NORM2, i, &block->norm2));
    TRY(find_linear(f, ROLE_FC1, i, &block->fc1, mlp_width, width, true));
    TRY(find_linear(f, ROLE_FC2, i, &block->fc2, width, mlp_width, true));
done:
    return status;
}

static vitcl_status find_embeddings(struct finder *f)
{
    vitcl_status status;
    const struct config *c = f->config;
    struct weights *w = f->weights;
    size_t patch[] = {c->width, 3, c->patch_height, c->patch_width};

    TRY(find_tensor(f, ROLE_CLS_TOKEN, 0, "", &w->cls_token, (size_t[]){1, 1, c->width}, 3, 1, c->width));
    TRY(find_tensor(f, ROLE_POSITION, 0, "", &w->position, (size_t[]){1, c->tokens, c->width}, 3, c->tokens, c->width));
    TRY(find_tensor(f, ROLE_PATCH, 0, ".weight", &w->patch.weight, patch, 4, patch[0], 3 * patch[2] * patch[3]));
    TRY(find_tensor(f, ROLE_PATCH, 0, ".bias", &w->patch.bias, &c->width, 1, 1, c->width));
done:
    return status;
}

/* Finds the head that the architecture, or where it is silent the file, asks for. */
static vitcl_status find_head(struct finder *f)
{
    const struct config *c = f->config;
    const struct tensor_entry *classifier, *pooler;
    struct weights *w = f->weights;
    vitcl_status status;

    TRY(look_up(f, ROLE_CLASSIFIER, 0, ".weight", &classifier));
    TRY(look_up(f, ROLE_POOLER, 0, ".weight", &pooler));
    w->head = c->head;
    if (w->head == HEAD_INFER)
        w->head = classifier ? HEAD_CLASSIFIER : HEAD_POOLER;
    if (w->head == HEAD_POOLER && !pooler)
        w->head = HEAD_NONE;
    if (w->head == HEAD_POOLER)
        TRY(find_linear(f, ROLE_POOLER, 0, &w->pooler, c->pooler_width, c->width, true));
    if (w->head == HEAD_CLASSIFIER && classifier && classifier->rank == 2 && classifier->shape[0] != c->labels.count)
        TRY(fail(f->err, VITCL_ERROR_FORMAT,
                 "the weights do not fit config.json: \"%s\" has %zu classes, config.json names %zu", classifier->name,
                 classifier->shape[0], c->labels.count));
    if (w->head == HEAD_CLASSIFIER && c->labels.count == 0)
        TRY(fail(f->err, VITCL_ERROR_FORMAT, "a classifier needs classes, config.json names none (id2label)"));
    if (w->head == HEAD_CLASSIFIER)
        TRY(find_linear(f, ROLE_CLASSIFIER, 0, &w->classifier, c->labels.count, c->width, true));
done:
    return status;
}

static bool matches(const char *const *patterns, size_t count, const char *name)
{
    for (size_t i = 0; i < count && patterns[i]; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

static vitcl_status check_all_used(struct finder *f)
{
    const struct family *family = f->config->family;
    for (size_t i = 0; i < f->file->count; i++) {
        const char *name = f->file->entries[i].name;
        if (f->used[i] || matches(family->ignored, sizeof family->ignored / sizeof *family->ignored, name))
            continue;
        if (f->weights->head == HEAD_CLASSIFIER &&
            matches(family->ignored_by_classifier, sizeof family->ignored_by_classifier / sizeof(char *), name))
            continue;
        return fail(f->err, VITCL_ERROR_UNSUPPORTED,
                    "the weights have a tensor that vitcl does not know in a \"%s\" model: \"%.120s\". Running without "
                    "it could give wrong results",
                    family->model_type, name);
    }
    return VITCL_OK;
}

vitcl_status weights_find(struct weights *weights, const struct config *config, const struct safetensors *file,
                          vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct finder f = {.config = config, .file = file, .weights = weights, .err = err};

    memset(weights, 0, sizeof *weights);
    f.used = calloc(file->count ? file->count : 1, sizeof *f.used);
    weights->blocks = calloc(config->layers, sizeof *weights->blocks);
    if (!f.used || !weights->blocks)
        TRY(fail_memory(err, config->layers * sizeof *weights->blocks));
    TRY(find_embeddings(&f));
    for (size_t i = 0; i < config->layers; i++)
        TRY(find_block(&f, i, &weights->blocks[i]));
    TRY(find_norm(&f, ROLE_NORM, 0, &weights->norm));
    TRY(find_head(&f));
    TRY(check_all_used(&f));
done:
    free(f.used);
    if (status != VITCL_OK)
        weights_free(weights);
    return status;
}

void weights_free(struct weights *weights)
{
    free(weights->blocks);
    memset(weights, 0, sizeof *weights);
}

/* count numbers of a tensor, from number `first` on, as float. The file promises no alignment. */
static void read_numbers(const struct tensor_entry *tensor, size_t first, size_t count, float *values)
{
    if (tensor->dtype == DTYPE_F32) {
        memcpy(values, tensor->data + 4 * first, 4 * count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, tensor->data + 2 * (first + i), sizeof bits);
        values[i] = tensor->dtype == DTYPE_F16 ? half_to_float(bits) : bf16_to_float(bits);
    }
}

void weight_read_row(const struct weight *weight, size_t row, float *values)
{
    for (size_t p = 0; p < weight->parts; p++) {
        size_t rows = weight->part[p].rows, cols = weight->part[p].cols;
        if (row >= rows) { /* the parts of a matrix lie below each other */
            row -= rows;
            continue;
        }
        if (weight->part[p].tensor)
            read_numbers(weight->part[p].tensor, row * cols, cols, values);
        else
            memset(values, 0, cols * sizeof *values);
        if (cols == weight->cols)
            return;
        values += cols; /* those of a vector beside each other */
    }
}

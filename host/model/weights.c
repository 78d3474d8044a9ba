/* weights.c - which weights a model's traits ask for, and the numbers in them. */
#include "model/weights.h"
#include "base/size.h"
#include "model/finder.h"
#include "model/half.h"

#include <stdlib.h>
#include <string.h>

/* ---- blocks ---- */

static vitcl_status find_qkv(struct finder *f, size_t block, struct linear *qkv)
{
    const struct config *c = f->config;
    size_t width = c->width;
    const struct tensor_entry *fused, *query_bias;
    vitcl_status status;

    TRY(find_role(f, ROLE_QKV, block, ".weight", &fused));
    TRY(find_role(f, ROLE_QUERY_BIAS, block, "", &query_bias));
    if (fused && !query_bias) {
        TRY(find_linear(f, ROLE_QKV, block, qkv, 3 * width, width, c->traits & TRAIT_QUERY_BIAS));
    } else if (fused) { /* EVA keeps the biases of query and value beside the fused layer */
        TRY(find_tensor(f, ROLE_QKV, block, ".weight", &qkv->weight, (size_t[]){3 * width, width}, 2));
        TRY(find_tensor(f, ROLE_QUERY_BIAS, block, "", &qkv->bias, &width, 1));
        add_zeros(&qkv->bias, 1, width);
        TRY(find_tensor(f, ROLE_VALUE_BIAS, block, "", &qkv->bias, &width, 1));
    } else {
        TRY(find_linear(f, ROLE_QUERY, block, qkv, width, width, c->traits & TRAIT_QUERY_BIAS));
        TRY(find_linear(f, ROLE_KEY, block, qkv, width, width, c->traits & TRAIT_KEY_BIAS));
        TRY(find_linear(f, ROLE_VALUE, block, qkv, width, width, c->traits & TRAIT_VALUE_BIAS));
        make_matrix(&qkv->weight, width);
    }
done:
    return status;
}

static vitcl_status find_attention(struct finder *f, size_t i, struct block_weights *block)
{
    const struct config *c = f->config;
    size_t table[] = {(2 * c->grid_height - 1) * (2 * c->grid_width - 1) + 3, c->heads};
    vitcl_status status;

    TRY(find_norm(f, ROLE_NORM1, i, &block->norm1, c->width));
    TRY(find_qkv(f, i, &block->qkv));
    if (c->traits & TRAIT_QK_NORM) {
        TRY(find_norm(f, ROLE_QUERY_NORM, i, &block->q_norm, c->width / c->heads));
        TRY(find_norm(f, ROLE_KEY_NORM, i, &block->k_norm, c->width / c->heads));
    }
    if (c->traits & TRAIT_BIAS_TABLE)
        TRY(find_tensor(f, ROLE_BIAS_TABLE, i, "", &block->bias_table, table, 2));
    if (i == 0 && c->traits & TRAIT_SHARED_TABLE)
        TRY(find_tensor(f, ROLE_SHARED_TABLE, i, "", &f->weights->shared_table, table, 2));
    if (c->traits & TRAIT_ATTENTION_NORM)
        TRY(find_norm(f, ROLE_ATTENTION_NORM, i, &block->attention_norm, c->width));
    TRY(find_linear(f, ROLE_PROJ, i, &block->proj, c->width, c->width, c->traits & TRAIT_PROJ_BIAS));
    if (c->traits & TRAIT_SCALE)
        TRY(find_scale(f, ROLE_SCALE1, i, &block->proj));
done:
    return status;
}

static vitcl_status find_mlp(struct finder *f, size_t i, struct block_weights *block)
{
    const struct config *c = f->config;
    const struct tensor_entry *gate = NULL;
    size_t rows = c->traits & TRAIT_GATED ? 2 * c->mlp_width : c->mlp_width;
    bool biased = c->traits & TRAIT_MLP_BIAS;
    vitcl_status status;

    TRY(find_norm(f, ROLE_NORM2, i, &block->norm2, c->width));
    if (c->traits & TRAIT_GATED)
        TRY(find_role(f, ROLE_GATE, i, ".weight", &gate));
    if (gate) {
        TRY(find_linear(f, ROLE_GATE, i, &block->fc1, c->mlp_width, c->width, biased));
        rows = c->mlp_width;
    }
    TRY(find_linear(f, ROLE_FC1, i, &block->fc1, rows, c->width, biased));
    make_matrix(&block->fc1.weight, c->width);
    if (c->traits & TRAIT_MLP_NORM)
        TRY(find_norm(f, ROLE_MLP_NORM, i, &block->mlp_norm, c->mlp_width));
    TRY(find_linear(f, ROLE_FC2, i, &block->fc2, c->width, c->mlp_width, biased));
    if (c->traits & TRAIT_SCALE)
        TRY(find_scale(f, ROLE_SCALE2, i, &block->fc2));
done:
    return status;
}

/* ---- what stands before and behind the blocks ---- */

static vitcl_status find_embeddings(struct finder *f)
{
    vitcl_status status = VITCL_OK;
    const struct config *c = f->config;
    struct weights *w = f->weights;
    size_t token[] = {c->width}, registers[] = {c->registers, c->width},
           position[] = {config_position_prefix(c) + c->grid_height * c->grid_width, c->width};
    size_t columns = 3 * c->patch_height * c->patch_width;

    if (c->traits & TRAIT_CLS)
        TRY(find_tensor(f, ROLE_CLS_TOKEN, 0, "", &w->prefix, token, 1));
    if (c->traits & TRAIT_DIST)
        TRY(find_tensor(f, ROLE_DIST_TOKEN, 0, "", &w->prefix, token, 1));
    if (c->registers)
        TRY(find_tensor(f, ROLE_REGISTER_TOKENS, 0, "", &w->prefix, registers, 2));
    make_matrix(&w->prefix, c->width);
    if (c->position != POSITION_NONE)
        TRY(find_tensor(f, ROLE_POSITION, 0, "", &w->position, position, 2));
    make_matrix(&w->position, c->width);
    if (c->traits & TRAIT_NAFLEX) {
        TRY(find_linear(f, ROLE_PATCH, 0, &w->patch, c->width, columns, true));
    } else {
        size_t kernel[] = {c->width, 3, c->patch_height, c->patch_width};
        TRY(find_tensor(f, ROLE_PATCH, 0, ".weight", &w->patch.weight, kernel, 4));
        TRY(find_bias(f, ROLE_PATCH, 0, &w->patch, c->width, c->traits & TRAIT_PATCH_BIAS));
    }
    if (c->traits & TRAIT_PRE_NORM)
        TRY(find_norm(f, ROLE_PRE_NORM, 0, &w->pre_norm, c->width));
done:
    return status;
}

static vitcl_status find_attention_pool(struct finder *f, struct attention_pool_weights *pool)
{
    const struct config *c = f->config;
    size_t width = c->width;
    const struct tensor_entry *qkv;
    vitcl_status status;

    TRY(find_tensor(f, ROLE_PROBE, 0, "", &pool->probe, &width, 1));
    TRY(find_role(f, ROLE_POOL_QKV, 0, ".weight", &qkv));
    if (qkv || (*c->family->names)[ROLE_POOL_QKV][0]) {
        TRY(find_linear(f, ROLE_POOL_QKV, 0, &pool->query, 3 * width, width, true));
        split_rows(&pool->query, width, &pool->kv);
    } else {
        TRY(find_linear(f, ROLE_POOL_QUERY, 0, &pool->query, width, width, true));
        TRY(find_linear(f, ROLE_POOL_KV, 0, &pool->kv, 2 * width, width, true));
    }
    TRY(find_linear(f, ROLE_POOL_PROJ, 0, &pool->proj, width, width, true));
    TRY(find_norm(f, ROLE_POOL_MLP_NORM, 0, &pool->norm, width));
    TRY(find_linear(f, ROLE_POOL_FC1, 0, &pool->fc1, c->mlp_width, width, true));
    TRY(find_linear(f, ROLE_POOL_FC2, 0, &pool->fc2, width, c->mlp_width, true));
done:
    return status;
}

size_t pooled_width(const struct config *c)
{
    return c->pool == POOL_CLS_MEAN ? 2 * c->width : c->width;
}

static vitcl_status find_classifier(struct finder *f, enum role role, struct linear *classifier)
{
    const struct config *c = f->config;
    const struct tensor_entry *tensor;
    vitcl_status status;

    TRY(find_role(f, role, 0, ".weight", &tensor));
    if (tensor && tensor->rank == 2 && tensor->shape[0] != c->labels.count)
        TRY(fail(f->err, VITCL_ERROR_FORMAT,
                 "the weights do not fit config.json: \"%s\" has %zu classes, config.json names %zu", tensor->name,
                 tensor->shape[0], c->labels.count));
    if (c->labels.count == 0)
        TRY(fail(f->err, VITCL_ERROR_FORMAT, "a classifier needs classes, config.json names none (id2label)"));
    TRY(find_linear(f, role, 0, classifier, c->labels.count, pooled_width(c), true));
done:
    return status;
}

/* The scalars of the similarity to texts, where the file has them. */
static vitcl_status find_similarity(struct finder *f, struct weights *w)
{
    static const size_t one = 1;
    const struct tensor_entry *scale, *bias;
    vitcl_status status;
    TRY(find_role(f, ROLE_LOGIT_SCALE, 0, "", &scale));
    TRY(find_role(f, ROLE_LOGIT_BIAS, 0, "", &bias));
    if (scale)
        TRY(find_tensor(f, ROLE_LOGIT_SCALE, 0, "", &w->logit_scale, &one, 1));
    if (bias)
        TRY(find_tensor(f, ROLE_LOGIT_BIAS, 0, "", &w->logit_bias, &one, 1));
done:
    return status;
}

static vitcl_status find_head(struct finder *f)
{
    const struct config *c = f->config;
    struct weights *w = f->weights;
    vitcl_status status = VITCL_OK;

    if (c->traits & TRAIT_NORM)
        TRY(find_norm(f, ROLE_NORM, 0, &w->norm, c->width));
    if (c->pool == POOL_ATTENTION)
        TRY(find_attention_pool(f, &w->attention_pool));
    if (c->traits & TRAIT_POOL_NORM && c->pool != POOL_NONE)
        TRY(find_norm(f, ROLE_POOL_NORM, 0, &w->pool_norm, c->width));
    if (c->head == HEAD_POOLER)
        TRY(find_linear(f, ROLE_POOLER, 0, &w->pooler, c->pooler_width, c->width, true));
    if (c->head == HEAD_PROJECTION)
        TRY(find_linear(f, ROLE_PROJECTION, 0, &w->projection, c->projection_width, c->width, false));
    if (c->head == HEAD_CLASSIFIER || c->head == HEAD_TWO_CLASSIFIERS)
        TRY(find_classifier(f, ROLE_CLASSIFIER, &w->classifier));
    if (c->head == HEAD_TWO_CLASSIFIERS)
        TRY(find_classifier(f, ROLE_DIST_CLASSIFIER, &w->dist_classifier));
    TRY(find_similarity(f, w));
done:
    return status;
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
    for (size_t i = 0; i < config->layers; i++) {
        TRY(find_attention(&f, i, &weights->blocks[i]));
        TRY(find_mlp(&f, i, &weights->blocks[i]));
    }
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

/* ---- numbers ---- */

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

static void scale_row(const struct weight *weight, size_t row, float *values)
{
    const size_t size = weight->scale->dtype == DTYPE_F32 ? 4 : 2;
    const bool per_row = weight->scale->bytes / size == weight->rows; /* else per number of a vector */
    for (size_t c = 0; c < weight->cols; c++) {
        float factor;
        read_numbers(weight->scale, per_row ? row : c, 1, &factor);
        values[c] *= factor;
    }
}

void weight_read_row(const struct weight *weight, size_t row, float *values)
{
    size_t above = row; /* rows of the part that holds the row, above it */
    float *part_values = values;
    for (size_t p = 0; p < weight->parts; p++) {
        size_t rows = weight->part[p].rows, cols = weight->part[p].cols;
        if (above >= rows) { /* the parts of a matrix lie below each other */
            above -= rows;
            continue;
        }
        if (weight->part[p].tensor)
            read_numbers(weight->part[p].tensor, weight->part[p].first + above * cols, cols, part_values);
        else
            memset(part_values, 0, cols * sizeof *part_values);
        if (cols == weight->cols)
            break;
        part_values += cols; /* those of a vector beside each other */
    }
    if (weight->scale)
        scale_row(weight, row, values);
}

void weight_release(const struct weight *weight, size_t first, size_t last)
{
    size_t above = 0;
    for (size_t p = 0; p < weight->parts; p++) {
        size_t rows = weight->part[p].rows, cols = weight->part[p].cols;
        size_t from = size_max(first, above), to = size_min(last, above + rows);
        if (weight->part[p].tensor && from < to)
            safetensors_release(weight->part[p].tensor, weight->part[p].first + (from - above) * cols,
                                (to - from) * cols);
        above += weight->rows == 1 ? 0 : rows; /* the parts of a vector lie beside each other */
    }
}

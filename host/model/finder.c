/* finder.c - names, shapes and types of tensors. */
#include "model/finder.h"
#include "base/text.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 160

/* ---- names ---- */

/* Writes prefix + pattern + suffix, with the block's number for "{i}". A pattern that ends with "_" takes the suffix
 * without its dot. */
static void make_name(char name[NAME_SIZE], const char *prefix, const char *pattern, size_t block, const char *suffix)
{
    const char *hole = strstr(pattern, "{i}");
    size_t length = strlen(pattern);
    if (*suffix && length && pattern[length - 1] == '_')
        suffix++;
    if (hole)
        snprintf(name, NAME_SIZE, "%s%.*s%zu%s%s", prefix, (int)(hole - pattern), pattern, block, hole + 3, suffix);
    else
        snprintf(name, NAME_SIZE, "%s%s%s", prefix, pattern, suffix);
}

vitcl_status find_role(struct finder *f, enum role role, size_t block, const char *suffix,
                       const struct tensor_entry **found)
{
    const struct family *family = f->config->family;
    *found = NULL;
    for (size_t p = 0; family->prefixes[p]; p++) {
        for (size_t g = 0; g < GENERATIONS; g++) {
            char name[NAME_SIZE];
            const struct tensor_entry *entry;
            if (!(*family->names)[role][g])
                continue;
            make_name(name, family->prefixes[p], (*family->names)[role][g], block, suffix);
            entry = safetensors_find(f->file, name);
            if (entry && *found && entry != *found)
                return fail(f->err, VITCL_ERROR_FORMAT,
                            "the weights have both \"%s\" and \"%s\", which are names of the same tensor",
                            (*found)->name, name);
            if (entry)
                *found = entry;
        }
    }
    return VITCL_OK;
}

const struct tensor_entry *finder_look(const struct config *config, const struct safetensors *tensors, enum role role,
                                       size_t block, const char *suffix)
{
    struct finder finder = {.config = config, .file = tensors};
    const struct tensor_entry *found;
    find_role(&finder, role, block, suffix, &found);
    return found;
}

static vitcl_status fail_missing(struct finder *f, enum role role, size_t block, const char *suffix)
{
    const struct family *family = f->config->family;
    char name[NAME_SIZE] = "?";
    for (size_t g = GENERATIONS; g-- > 0;) /* not every generation has every tensor */
        if ((*family->names)[role][g])
            make_name(name, "", (*family->names)[role][g], block, suffix);
    return fail(f->err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"%s\" (under this or any other known name)",
                name);
}

/* ---- shapes ---- */

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

static bool same_shape(const struct tensor_entry *entry, const size_t *shape, size_t rank)
{
    const size_t *found = entry->shape;
    size_t found_rank = entry->rank;
    if (found_rank > TENSOR_MAX_RANK)
        return false;
    for (; found_rank > 0 && *found == 1; found++)
        found_rank--;
    for (; rank > 0 && *shape == 1; shape++)
        rank--;
    return found_rank == rank && memcmp(found, shape, rank * sizeof *shape) == 0;
}

/* ---- weights ---- */

static void add_part(struct weight *weight, const struct tensor_entry *tensor, size_t rows, size_t cols)
{
    weight->part[weight->parts].tensor = tensor;
    weight->part[weight->parts].rows = rows;
    weight->part[weight->parts].cols = cols;
    weight->parts++;
    if (rows == 1 && weight->rows == 1) {
        weight->cols += cols;
    } else {
        weight->rows += rows;
        weight->cols = cols;
    }
}

void add_zeros(struct weight *weight, size_t rows, size_t cols)
{
    add_part(weight, NULL, rows, cols);
}

void make_matrix(struct weight *weight, size_t cols)
{
    weight->rows = 0;
    weight->cols = cols;
    for (size_t p = 0; p < weight->parts; p++)
        weight->rows += weight->part[p].rows;
}

void split_rows(struct linear *linear, size_t rows, struct linear *rest)
{
    size_t all = linear->weight.rows;
    *rest = *linear;
    linear->weight.rows = linear->weight.part[0].rows = rows;
    linear->bias.cols = linear->bias.part[0].cols = rows;
    rest->weight.rows = rest->weight.part[0].rows = all - rows;
    rest->weight.part[0].first = rows * linear->weight.cols;
    rest->bias.cols = rest->bias.part[0].cols = all - rows;
    rest->bias.part[0].first = rows;
}

/* Marks a tensor as used, once its shape and type are right. */
static vitcl_status use(struct finder *f, const struct tensor_entry *entry, const size_t *shape, size_t rank)
{
    size_t count = 1;
    if (!same_shape(entry, shape, rank))
        return fail_shape(f, entry, shape, rank);
    if (entry->dtype == DTYPE_OTHER)
        return fail(f->err, VITCL_ERROR_UNSUPPORTED, "\"%s\" is stored as %s; vitcl reads F32, F16 and BF16",
                    entry->name, entry->dtype_name);
    for (size_t i = 0; i < rank; i++)
        count *= shape[i];
    f->used[entry - f->file->entries] = true;
    f->weights->parameters += count;
    return VITCL_OK;
}

vitcl_status find_tensor(struct finder *f, enum role role, size_t block, const char *suffix, struct weight *weight,
                         const size_t *shape, size_t rank)
{
    const struct tensor_entry *entry;
    size_t rows = rank == 1 ? 1 : shape[0], cols = 1;
    vitcl_status status;

    TRY(find_role(f, role, block, suffix, &entry));
    if (!entry)
        TRY(fail_missing(f, role, block, suffix));
    TRY(use(f, entry, shape, rank));
    for (size_t i = rank == 1 ? 0 : 1; i < rank; i++)
        cols *= shape[i];
    add_part(weight, entry, rows, cols);
done:
    return status;
}

vitcl_status find_bias(struct finder *f, enum role role, size_t block, struct linear *linear, size_t out, bool biased)
{
    if (biased)
        return find_tensor(f, role, block, ".bias", &linear->bias, &out, 1);
    add_zeros(&linear->bias, 1, out);
    return VITCL_OK;
}

vitcl_status find_linear(struct finder *f, enum role role, size_t block, struct linear *linear, size_t out, size_t in,
                         bool biased)
{
    vitcl_status status = find_tensor(f, role, block, ".weight", &linear->weight, (size_t[]){out, in}, 2);
    return status == VITCL_OK ? find_bias(f, role, block, linear, out, biased) : status;
}

vitcl_status find_norm(struct finder *f, enum role role, size_t block, struct norm *norm, size_t width)
{
    vitcl_status status = find_tensor(f, role, block, ".weight", &norm->weight, &width, 1);
    return status == VITCL_OK ? find_tensor(f, role, block, ".bias", &norm->bias, &width, 1) : status;
}

vitcl_status find_scale(struct finder *f, enum role role, size_t block, struct linear *linear)
{
    struct weight scale = {0};
    vitcl_status status = find_tensor(f, role, block, "", &scale, &linear->weight.rows, 1);
    linear->weight.scale = linear->bias.scale = scale.part[0].tensor;
    return status;
}

/* ---- what is left over ---- */

static bool matches(const char *const *patterns, size_t count, const char *name)
{
    for (size_t i = 0; i < count && patterns[i]; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

#define MATCHES(patterns, name) matches(patterns, sizeof(patterns) / sizeof *(patterns), name)

/* Buffers and training leftovers that any family's file may have. */
static const char *const IGNORED[] = {"*position_ids", "*mask_token", "*relative_position_index*", "*rope_embeddings.*",
                                      "*inv_freq"};

vitcl_status check_all_used(struct finder *f)
{
    const struct family *family = f->config->family;
    bool classifies = f->config->head == HEAD_CLASSIFIER || f->config->head == HEAD_TWO_CLASSIFIERS;
    for (size_t i = 0; i < f->file->count; i++) {
        const char *name = f->file->entries[i].name;
        if (f->used[i] || f->file->entries[i].bytes == 0 || MATCHES(IGNORED, name) || MATCHES(family->ignored, name) ||
            (classifies && MATCHES(family->ignored_by_classifier, name)))
            continue;
        return fail(f->err, VITCL_ERROR_UNSUPPORTED,
                    "the weights have a tensor that vitcl does not know in a \"%s\" model: \"%.120s\". Running without "
                    "it could give wrong results",
                    family->model_type, name);
    }
    return VITCL_OK;
}

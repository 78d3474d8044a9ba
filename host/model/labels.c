/* labels.c - id2label maps decimal strings to names; every index from 0 to count-1 must be there once. */
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LABELS     1000000 /* far above any published classifier; keeps a hostile count from becoming a size */
#define DEFAULT_LABELS 2       /* transformers' num_labels where the file says nothing */

static vitcl_status allocate(struct labels *labels, size_t count, vitcl_error *err)
{
    labels->names = calloc(count ? count : 1, sizeof *labels->names);
    if (!labels->names)
        return fail_memory(err, count * sizeof *labels->names);
    labels->count = count;
    return VITCL_OK;
}

static vitcl_status set_name(struct labels *labels, size_t index, const char *name, vitcl_error *err)
{
    labels->names[index] = strdup(name);
    return labels->names[index] ? VITCL_OK : fail_memory(err, strlen(name) + 1);
}

/* The index that a key of id2label stands for; `count` for anything but a plain decimal below count. */
static size_t parse_index(const char *key, size_t count)
{
    size_t index = 0;
    if (!*key)
        return count;
    for (; *key; key++) {
        if (*key < '0' || *key > '9' || index >= count)
            return count;
        index = index * 10 + (size_t)(*key - '0');
    }
    return index < count ? index : count;
}

static vitcl_status read_map(struct labels *labels, struct json_at config, json_t *map, vitcl_error *err)
{
    const char *key;
    json_t *name;
    size_t count = json_object_size(map);
    vitcl_status status = allocate(labels, count, err);
    if (status != VITCL_OK)
        return status;
    json_object_foreach(map, key, name) {
        size_t index = parse_index(key, count);
        if (index == count)
            return fail(err, VITCL_ERROR_FORMAT, "%s: id2label: expected the keys \"0\" to \"%zu\", found \"%.40s\"",
                        config.file, count - 1, key);
        if (!json_is_string(name))
            return fail(err, VITCL_ERROR_FORMAT, "%s: id2label: %s: expected a string", config.file, key);
        if (labels->names[index])
            return fail(err, VITCL_ERROR_FORMAT, "%s: id2label: class %zu is named twice", config.file, index);
        status = set_name(labels, index, json_string_value(name), err);
        if (status != VITCL_OK)
            return status;
    }
    return VITCL_OK;
}

static vitcl_status make_names(struct labels *labels, size_t count, vitcl_error *err)
{
    vitcl_status status = allocate(labels, count, err);
    for (size_t i = 0; status == VITCL_OK && i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "LABEL_%zu", i);
        status = set_name(labels, i, name, err);
    }
    return status;
}

static vitcl_status find_scores(struct labels *labels, struct json_at config, const char *problem, vitcl_error *err)
{
    labels->scores = labels->count == 1 ? SCORES_SIGMOID : SCORES_SOFTMAX;
    if (!*problem || strcmp(problem, "single_label_classification") == 0)
        return VITCL_OK;
    if (strcmp(problem, "regression") == 0)
        labels->scores = SCORES_LOGITS;
    else if (strcmp(problem, "multi_label_classification") == 0)
        labels->scores = SCORES_SIGMOID;
    else
        return json_unexpected(config, "problem_type",
                               "regression, single_label_classification or multi_label_classification", err);
    return VITCL_OK;
}

vitcl_status labels_read(struct labels *labels, struct json_at config, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const char *problem = "";
    size_t count = DEFAULT_LABELS;
    json_t *map = json_object_get(config.object, "id2label");

    memset(labels, 0, sizeof *labels);
    TRY(json_get_string(config, "problem_type", &problem, err));
    TRY(json_get_size(config, "num_labels", 1, MAX_LABELS, &count, err));
    if (map && !json_is_null(map) && !json_is_object(map))
        TRY(json_unexpected(config, "id2label", "an object", err));
    if (json_is_object(map))
        TRY(read_map(labels, config, map, err));
    else
        TRY(make_names(labels, count, err));
    TRY(find_scores(labels, config, problem, err));
done:
    if (status != VITCL_OK)
        labels_free(labels);
    return status;
}

void labels_free(struct labels *labels)
{
    for (size_t i = 0; i < labels->count; i++)
        free(labels->names[i]);
    free(labels->names);
    memset(labels, 0, sizeof *labels);
}

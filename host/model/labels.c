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

static vitcl_status read_map(struct labels *labels, struct json_at config, const char *map_key, json_t *map,
                             vitcl_error *err)
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
            return fail(err, VITCL_ERROR_FORMAT, "%s: %s: expected the keys \"0\" to \"%zu\", found \"%.40s\"",
                        config.file, map_key, count - 1, key);
        if (!json_is_string(name))
            return fail(err, VITCL_ERROR_FORMAT, "%s: %s: %s: expected a string", config.file, map_key, key);
        if (labels->names[index])
            return fail(err, VITCL_ERROR_FORMAT, "%s: %s: class %zu is named twice", config.file, map_key, index);
        status = set_name(labels, index, json_string_value(name), err);
        if (status != VITCL_OK)
            return status;
    }
    return VITCL_OK;
}

static vitcl_status make_names(struct labels *labels, const char *prefix, size_t count, vitcl_error *err)
{
    vitcl_status status = allocate(labels, count, err);
    for (size_t i = 0; status == VITCL_OK && i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%zu", prefix, i);
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
        TRY(read_map(labels, config, "id2label", map, err));
    else
        TRY(make_names(labels, "LABEL_", count, err));
    TRY(find_scores(labels, config, problem, err));
done:
    if (status != VITCL_OK)
        labels_free(labels);
    return status;
}

static vitcl_status read_list(struct labels *labels, struct json_at config, const char *key, const json_t *list,
                              vitcl_error *err)
{
    vitcl_status status = allocate(labels, json_array_size(list), err);
    for (size_t i = 0; status == VITCL_OK && i < labels->count; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        status = name ? set_name(labels, i, name, err) : json_unexpected(config, key, "a list of strings", err);
    }
    return status;
}

vitcl_status labels_read_timm(struct labels *labels, struct json_at config, vitcl_error *err)
{
    static const char *const keys[] = {"label_names", "labels"}; /* the second in the oldest files */
    vitcl_status status = VITCL_OK;
    const json_t *cfg = json_object_get(config.object, "pretrained_cfg");
    json_t *names = NULL;
    size_t count = 1000, key = 2;

    memset(labels, 0, sizeof *labels);
    while (!names && key > 0)
        names = json_object_get(config.object, keys[--key]);
    if (json_is_object(cfg))
        TRY(json_get_size((struct json_at){cfg, config.file}, "num_classes", 0, MAX_LABELS, &count, err));
    TRY(json_get_size(config, "num_classes", 0, MAX_LABELS, &count, err));
    if (json_is_array(names))
        TRY(read_list(labels, config, keys[key], names, err));
    else if (json_is_object(names))
        TRY(read_map(labels, config, keys[key], names, err));
    else if (names && !json_is_null(names))
        TRY(json_unexpected(config, keys[key], "a list of names", err));
    else
        TRY(make_names(labels, "", count, err));
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

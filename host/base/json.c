/* json.c - typed, range-checked access to jansson objects. */
#include "base/json.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* Rejecting duplicates costs nothing and keeps two readers of one file from disagreeing. */
#define PARSE_FLAGS JSON_REJECT_DUPLICATES

vitcl_status json_parse(json_t **root, const char *bytes, size_t size, const char *name, vitcl_error *err)
{
    json_error_t where;
    *root = NULL;
    if (memchr(bytes, '\0', size)) /* jansson would take one after a number as white space */
        return fail(err, VITCL_ERROR_FORMAT, "%s: not valid JSON: it contains a zero byte", name);
    *root = json_loadb(bytes, size, PARSE_FLAGS, &where);
    if (!*root && json_error_code(&where) == json_error_out_of_memory)
        return fail_memory(err, size);
    if (!*root)
        return fail(err, VITCL_ERROR_FORMAT, "%s: not valid JSON: line %d, column %d: %s", name, where.line,
                    where.column, where.text);
    if (!json_is_object(*root)) {
        json_decref(*root);
        *root = NULL;
        return fail(err, VITCL_ERROR_FORMAT, "%s: expected a JSON object at the top level", name);
    }
    return VITCL_OK;
}

vitcl_status json_read(json_t **root, const char *path, vitcl_error *err)
{
    struct mapped_file file;
    vitcl_status status = file_map(&file, path, err);
    *root = NULL;
    if (status != VITCL_OK)
        return status;
    status = json_parse(root, (const char *)file.data, file.size, path, err);
    file_unmap(&file);
    return status;
}

vitcl_status json_unexpected(struct json_at at, const char *key, const char *expected, vitcl_error *err)
{
    const json_t *found = json_object_get(at.object, key);
    char *text = found ? json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    vitcl_status status = fail(err, VITCL_ERROR_FORMAT, "%s: %s: expected %s, found %.200s", at.file, key, expected,
                               text ? text : "nothing");
    free(text);
    return status;
}

/* The value of a key; NULL where it is missing or null. */
static const json_t *lookup(struct json_at at, const char *key)
{
    const json_t *value = json_object_get(at.object, key);
    return json_is_null(value) ? NULL : value;
}

vitcl_status json_get_size(struct json_at at, const char *key, size_t low, size_t high, size_t *value, vitcl_error *err)
{
    const json_t *found = lookup(at, key);
    json_int_t number;
    char expected[96];
    if (!found)
        return VITCL_OK;
    number = json_integer_value(found);
    if (!json_is_integer(found) || number < 0 || (uintmax_t)number < low || (uintmax_t)number > high) {
        snprintf(expected, sizeof expected, "an integer from %zu to %zu", low, high);
        return json_unexpected(at, key, expected, err);
    }
    *value = (size_t)number;
    return VITCL_OK;
}

vitcl_status json_get_number(struct json_at at, const char *key, double low, double high, double *value,
                             vitcl_error *err)
{
    const json_t *found = lookup(at, key);
    double number;
    char expected[96];
    if (!found)
        return VITCL_OK;
    number = json_number_value(found);
    if (!json_is_number(found) || !(number >= low && number <= high)) {
        snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
        return json_unexpected(at, key, expected, err);
    }
    *value = number;
    return VITCL_OK;
}

vitcl_status json_get_bool(struct json_at at, const char *key, bool *value, vitcl_error *err)
{
    const json_t *found = lookup(at, key);
    if (!found)
        return VITCL_OK;
    if (!json_is_boolean(found))
        return json_unexpected(at, key, "true or false", err);
    *value = json_is_true(found);
    return VITCL_OK;
}

vitcl_status json_get_string(struct json_at at, const char *key, const char **value, vitcl_error *err)
{
    const json_t *found = lookup(at, key);
    if (!found)
        return VITCL_OK;
    if (!json_is_string(found))
        return json_unexpected(at, key, "a string", err);
    *value = json_string_value(found);
    return VITCL_OK;
}

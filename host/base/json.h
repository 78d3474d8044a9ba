/* json.h - reads numbers, flags and strings out of JSON files, with messages that name file, key, found and expected.
 *
 * Each getter leaves *value alone where the key is missing or null: set the default first.
 */
#ifndef VITCL_BASE_JSON_H
#define VITCL_BASE_JSON_H

#include "base/error.h"

#include <jansson.h>

/* A JSON object and the name it has in messages. `at` may be nested: file "config.json: vision_config". */
struct json_at {
    const json_t *object;
    const char *file;
};

/* Parses a file whose top level must be an object; duplicate keys are refused. The caller frees *root by json_decref.
 */
vitcl_status json_read(json_t **root, const char *path, vitcl_error *err);

/* The same for bytes in memory; `name` is used in messages. */
vitcl_status json_parse(json_t **root, const char *bytes, size_t size, const char *name, vitcl_error *err);

vitcl_status json_get_size(struct json_at at, const char *key, size_t low, size_t high, size_t *value,
                           vitcl_error *err);
vitcl_status json_get_number(struct json_at at, const char *key, double low, double high, double *value,
                             vitcl_error *err);
vitcl_status json_get_bool(struct json_at at, const char *key, bool *value, vitcl_error *err);
/* The string belongs to the JSON object. */
vitcl_status json_get_string(struct json_at at, const char *key, const char **value, vitcl_error *err);

/* Fails with "file: key: expected <what>, found <value>". */
vitcl_status json_unexpected(struct json_at at, const char *key, const char *expected, vitcl_error *err);

#endif

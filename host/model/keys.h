/* keys.h - reads the keys of config.json, within limits far above any published model and far below any overflow. */
#ifndef VITCL_MODEL_KEYS_H
#define VITCL_MODEL_KEYS_H

#include "base/json.h"
#include "model/families.h"

#define MAX_SIDE      65536
#define MAX_WIDTH     65536
#define MAX_LAYERS    4096
#define MAX_MLP_WIDTH 1048576
#define MAX_TOKENS    1048576
#define MAX_REGISTERS 1024

/* 224 or [height, width]. Left alone where the key is missing. */
vitcl_status json_get_sides(struct json_at at, const char *key, size_t *height, size_t *width, vitcl_error *err);

/* An activation's name; by_default (which may be NULL) where the key is missing. */
vitcl_status json_get_activation(struct json_at at, const char *key, const char *by_default,
                                 enum activation *activation, vitcl_error *err);

/* Writes those of the keys that the object does not have: "a, b". */
void json_list_missing(struct json_at at, const char *const *keys, size_t count, char *text, size_t size);

/* "file: key: vitcl does not run "value"; it has a, b, c", by index from known(), which ends with NULL. */
vitcl_status fail_unknown(struct json_at at, const char *key, const char *value, const char *(*known)(size_t),
                          vitcl_error *err);

#endif

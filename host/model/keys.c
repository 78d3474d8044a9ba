/* keys.c - the kinds of values that config.json has beside numbers, flags and strings. */
#include "model/keys.h"
#include "base/text.h"

#include <stdio.h>

vitcl_status json_get_sides(struct json_at at, const char *key, size_t *height, size_t *width, vitcl_error *err)
{
    const json_t *value = json_object_get(at.object, key);
    vitcl_status status;
    if (!json_is_array(value)) {
        size_t side = 0;
        status = json_get_size(at, key, 1, MAX_SIDE, &side, err);
        if (side)
            *height = *width = side;
        return status;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_array_get(value, i);
        json_int_t number = json_integer_value(side);
        if (json_array_size(value) != 2 || !json_is_integer(side) || number < 1 || number > MAX_SIDE)
            return json_unexpected(at, key, "an integer or [height, width], each from 1 to 65536", err);
        *(i == 0 ? height : width) = (size_t)number;
    }
    return VITCL_OK;
}

/* "file: key: vitcl does not know "value"; it has a, b, c" */
vitcl_status fail_unknown(struct json_at at, const char *key, const char *value, const char *(*known)(size_t),
                          vitcl_error *err)
{
    struct text choices = {0};
    for (size_t i = 0; known(i); i++)
        text_add(&choices, "%s%s", i ? ", " : "", known(i));
    fail(err, VITCL_ERROR_UNSUPPORTED, "%s: %s: vitcl does not run \"%.80s\"; it has %s", at.file, key, value,
         choices.chars ? choices.chars : "none");
    text_free(&choices);
    return VITCL_ERROR_UNSUPPORTED;
}

vitcl_status json_get_activation(struct json_at at, const char *key, const char *by_default,
                                 enum activation *activation, vitcl_error *err)
{
    const char *name = by_default;
    vitcl_status status = json_get_string(at, key, &name, err);
    if (status != VITCL_OK || !name)
        return status;
    return activation_find(name, activation) ? VITCL_OK : fail_unknown(at, key, name, activation_known, err);
}

void json_list_missing(struct json_at at, const char *const *keys, size_t count, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && length < size; i++)
        if (!json_object_get(at.object, keys[i]))
            length += (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "", keys[i]);
}

/* config.c - reads config.json. Every number is range-checked here, so that what follows may multiply sizes freely:
 * the limits are far above any published model and far below any overflow. */
#include "model/config.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE      65536
#define MAX_WIDTH     65536
#define MAX_LAYERS    4096
#define MAX_MLP_WIDTH 1048576
#define MAX_TOKENS    1048576

/* "image_size": 224 or [height, width]. */
static vitcl_status read_sides(struct json_at at, const char *key, size_t *height, size_t *width, vitcl_error *err)
{
    const json_t *value = json_object_get(at.object, key);
    vitcl_status status;
    if (!json_is_array(value)) {
        status = json_get_size(at, key, 1, MAX_SIDE, height, err);
        *width = *height;
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
static vitcl_status fail_unknown(struct json_at at, const char *key, const char *value, const char *(*known)(size_t),
                                 vitcl_error *err)
{
    struct text choices = {0};
    for (size_t i = 0; known(i); i++)
        text_add(&choices, "%s%s", i ? ", " : "", known(i));
    fail(err, VITCL_ERROR_UNSUPPORTED, "%s: %s: vitcl does not know \"%.80s\"; it has %s", at.file, key, value,
         choices.chars ? choices.chars : "none");
    text_free(&choices);
    return VITCL_ERROR_UNSUPPORTED;
}

static vitcl_status read_activation(struct json_at at, const char *key, const char *name, enum activation *activation,
                                    vitcl_error *err)
{
    vitcl_status status = json_get_string(at, key, &name, err);
    if (status != VITCL_OK)
        return status;
    if (!activation_find(name, activation))
        return fail_unknown(at, key, name, activation_known, err);
    return VITCL_OK;
}

static vitcl_status read_family(struct config *config, struct json_at at, vitcl_error *err)
{
    const char *type = NULL;
    vitcl_status status;
    if (json_object_get(at.object, "pretrained_cfg"))
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: this is a timm folder (it has pretrained_cfg), which vitcl does "
                    "not read yet; it reads Hugging Face folders",
                    at.file);
    status = json_get_string(at, "model_type", &type, err);
    if (status != VITCL_OK)
        return status;
    if (!type)
        return json_unexpected(at, "model_type", "the family of the model", err);
    config->family = family_find(type);
    if (!config->family)
        return fail_unknown(at, "model_type", type, family_known, err);
    return VITCL_OK;
}

/* architectures[0] names the class, and with it the head. */
static vitcl_status read_architecture(struct config *config, struct json_at at, vitcl_error *err)
{
    const json_t *list = json_object_get(at.object, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    const struct family *family = config->family;

    config->head = HEAD_INFER;
    if (!list || json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0))
        return VITCL_OK;
    if (!name)
        return json_unexpected(at, "architectures", "a list of class names", err);
    for (size_t i = 0; i < sizeof family->architectures / sizeof *family->architectures; i++) {
        if (family->architectures[i].name && strcmp(family->architectures[i].name, name) == 0) {
            snprintf(config->architecture, sizeof config->architecture, "%s", name);
            config->head = family->architectures[i].head;
            return VITCL_OK;
        }
    }
    return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: architectures: vitcl does not run \"%.80s\"", at.file, name);
}

static vitcl_status read_numbers(struct config *c, struct json_at at, vitcl_error *err)
{
    vitcl_status status;
    size_t channels = 3;
    const struct family *family = c->family;

    c->image_height = c->image_width = family->defaults.image_size;
    c->patch_height = c->patch_width = family->defaults.patch_size;
    c->width = family->defaults.width;
    c->layers = family->defaults.layers;
    c->heads = family->defaults.heads;
    c->mlp_width = family->defaults.mlp_width;
    c->eps = family->defaults.eps;
    TRY(read_sides(at, "image_size", &c->image_height, &c->image_width, err));
    TRY(read_sides(at, "patch_size", &c->patch_height, &c->patch_width, err));
    TRY(json_get_size(at, "num_channels", 1, MAX_WIDTH, &channels, err));
    if (channels != 3)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: num_channels: vitcl runs models of 3 channels, not %zu", at.file,
                 channels));
    TRY(json_get_size(at, "hidden_size", 1, MAX_WIDTH, &c->width, err));
    TRY(json_get_size(at, "num_hidden_layers", 1, MAX_LAYERS, &c->layers, err));
    TRY(json_get_size(at, "num_attention_heads", 1, MAX_WIDTH, &c->heads, err));
    TRY(json_get_size(at, "intermediate_size", 1, MAX_MLP_WIDTH, &c->mlp_width, err));
    TRY(json_get_number(at, "layer_norm_eps", 0, 1, &c->eps, err));
    c->qkv_bias = true;
    TRY(json_get_bool(at, "qkv_bias", &c->qkv_bias, err));
    c->pooler_width = c->width;
    TRY(json_get_size(at, "pooler_output_size", 1, MAX_WIDTH, &c->pooler_width, err));
    TRY(read_activation(at, "hidden_act", family->defaults.activation, &c->activation, err));
    TRY(read_activation(at, "pooler_act", family->defaults.pooler_activation, &c->pooler_activation, err));
done:
    return status;
}

/* Rules between the numbers. */
static vitcl_status check_numbers(struct config *c, const char *file, vitcl_error *err)
{
    if (c->width % c->heads)
        return fail(err, VITCL_ERROR_FORMAT, "%s: num_attention_heads: %zu does not divide hidden_size %zu", file,
                    c->heads, c->width);
    if (c->width / c->heads > MAX_HEAD_SIZE)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: num_attention_heads: heads of size %zu; vitcl's limit is %d",
                    file, c->width / c->heads, MAX_HEAD_SIZE);
    if (c->patch_height > c->image_height || c->patch_width > c->image_width)
        return fail(err, VITCL_ERROR_FORMAT, "%s: patch_size: a patch of %zux%zu is larger than the image of %zux%zu",
                    file, c->patch_height, c->patch_width, c->image_height, c->image_width);
    c->grid_height = c->image_height / c->patch_height;
    c->grid_width = c->image_width / c->patch_width;
    c->tokens = c->grid_height * c->grid_width + 1;
    if (c->tokens > MAX_TOKENS)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: image_size and patch_size give %zu tokens; vitcl's limit is %d",
                    file, c->tokens, MAX_TOKENS);
    return VITCL_OK;
}

vitcl_status config_read(struct config *config, const char *folder, vitcl_error *err)
{
    vitcl_status status;
    json_t *root = NULL;
    char *path = file_join(folder, "config.json");
    struct json_at at;

    memset(config, 0, sizeof *config);
    if (!path)
        return fail_memory(err, strlen(folder));
    if (file_exists(folder))
        TRY(fail(err, VITCL_ERROR_IO, "%s is a file; a model is the folder it lies in", folder));
    if (!file_exists(path))
        TRY(fail(err, VITCL_ERROR_IO,
                 "%s: no such file. A model is a folder with config.json, model.safetensors and "
                 "preprocessor_config.json, as published on the Hugging Face hub",
                 path));
    TRY(json_read(&root, path, err));
    at = (struct json_at){root, path};
    TRY(read_family(config, at, err));
    TRY(read_architecture(config, at, err));
    TRY(read_numbers(config, at, err));
    TRY(check_numbers(config, path, err));
    TRY(labels_read(&config->labels, at, err));
done:
    json_decref(root);
    free(path);
    if (status != VITCL_OK)
        config_free(config);
    return status;
}

void config_free(struct config *config)
{
    labels_free(&config->labels);
    memset(config, 0, sizeof *config);
}

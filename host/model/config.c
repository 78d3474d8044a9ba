/* config.c - reads config.json. Every number is range-checked here, so that what follows may multiply sizes freely:
 * the limits are far above any published model and far below any overflow. */
#include "model/config.h"
#include "base/file.h"
#include "base/json.h"
#include "base/size.h"
#include "base/text.h"
#include "model/finder.h"
#include "model/keys.h"
#include "model/timm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Hugging Face ---- */

static vitcl_status read_family(struct config *config, struct json_at at, vitcl_error *err)
{
    const char *type = NULL;
    vitcl_status status = json_get_string(at, "model_type", &type, err);
    if (status != VITCL_OK)
        return status;
    if (!type)
        return json_unexpected(at, "model_type", "the family of the model", err);
    config->family = family_find(type);
    return config->family ? VITCL_OK : fail_unknown(at, "model_type", type, family_known, err);
}

static void set_architecture(struct config *config, const struct architecture *architecture)
{
    config->head = architecture->head;
    config->pool = architecture->pool;
    config->traits |= architecture->adds;
}

/* architectures[0] names the class, and with it the head. Where it is missing the tensors decide: config_complete. */
static vitcl_status read_architecture(struct config *config, struct json_at at, vitcl_error *err)
{
    const json_t *list = json_object_get(at.object, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    const struct family *family = config->family;

    if (!list || json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0))
        return VITCL_OK;
    if (!name)
        return json_unexpected(at, "architectures", "a list of class names", err);
    for (size_t i = 0; i < MAX_ARCHITECTURES && family->architectures[i].name; i++) {
        if (strcmp(family->architectures[i].name, name) == 0) {
            snprintf(config->architecture, sizeof config->architecture, "%s", name);
            set_architecture(config, &family->architectures[i]);
            return VITCL_OK;
        }
    }
    return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: architectures: vitcl does not run \"%.80s\"", at.file, name);
}

static vitcl_status read_switch(struct json_at at, const struct trait_switch *s, bool *on, vitcl_error *err)
{
    double number = s->by_default;
    vitcl_status status;
    *on = s->by_default;
    if (!s->is_number)
        return json_get_bool(at, s->key, on, err);
    status = json_get_number(at, s->key, -1e6, 1e6, &number, err);
    *on = number > 0;
    return status;
}

static vitcl_status read_traits(struct config *config, struct json_at at, vitcl_error *err)
{
    const struct family *family = config->family;
    config->traits |= family->traits;
    for (size_t i = 0; i < MAX_SWITCHES && family->switches[i].key; i++) {
        const struct trait_switch *s = &family->switches[i];
        bool on;
        vitcl_status status = read_switch(at, s, &on, err);
        if (status != VITCL_OK)
            return status;
        config->traits =
            on ? (config->traits | s->when_true) & ~s->when_false : (config->traits & ~s->when_true) | s->when_false;
    }
    return VITCL_OK;
}

/* The keys that decide numbers, but those that this family does not have. */
static void note_assumed(struct config *c, struct json_at at)
{
    const char *const keys[] = {c->traits & TRAIT_NAFLEX ? "num_patches" : "image_size",
                                "patch_size",
                                "hidden_size",
                                "num_hidden_layers",
                                "num_attention_heads",
                                c->mlp_width ? "intermediate_size" : "mlp_ratio",
                                "layer_norm_eps",
                                "hidden_act"};
    json_list_missing(at, keys, sizeof keys / sizeof *keys, c->assumed, sizeof c->assumed);
}

/* Shazeer's gated MLP has three matrices for two: DINOv2 makes them two thirds as wide, in multiples of 8. */
static vitcl_status read_mlp_width(struct config *c, struct json_at at, vitcl_error *err)
{
    double ratio = c->family->defaults.mlp_ratio;
    vitcl_status status;
    if (c->mlp_width)
        return json_get_size(at, "intermediate_size", 1, MAX_MLP_WIDTH, &c->mlp_width, err);
    status = json_get_number(at, "mlp_ratio", 1e-3, 1e3, &ratio, err);
    c->mlp_width = (size_t)((double)c->width * ratio);
    if (c->traits & TRAIT_GATED)
        c->mlp_width = size_round_up((size_t)((double)c->mlp_width * 2 / 3), 8);
    if (status == VITCL_OK && (c->mlp_width < 1 || c->mlp_width > MAX_MLP_WIDTH))
        return json_unexpected(at, "mlp_ratio", "a ratio that makes the MLP 1 to 1048576 wide", err);
    return status;
}

static vitcl_status read_numbers(struct config *c, struct json_at at, vitcl_error *err)
{
    vitcl_status status;
    size_t channels = 3;

    TRY(json_get_sides(at, "image_size", &c->image_height, &c->image_width, err));
    TRY(json_get_sides(at, "patch_size", &c->patch_height, &c->patch_width, err));
    TRY(json_get_size(at, "num_channels", 1, MAX_WIDTH, &channels, err));
    if (channels != 3)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: num_channels: vitcl runs models of 3 channels, not %zu", at.file,
                 channels));
    TRY(json_get_size(at, "hidden_size", 1, MAX_WIDTH, &c->width, err));
    TRY(json_get_size(at, "num_hidden_layers", 1, MAX_LAYERS, &c->layers, err));
    TRY(json_get_size(at, "num_attention_heads", 1, MAX_WIDTH, &c->heads, err));
    TRY(read_mlp_width(c, at, err));
    TRY(json_get_number(at, "layer_norm_eps", 0, 1, &c->eps, err));
    if ((*c->family->names)[ROLE_REGISTER_TOKENS][0])
        TRY(json_get_size(at, "num_register_tokens", 0, MAX_REGISTERS, &c->registers, err));
    if (c->traits & TRAIT_NAFLEX)
        TRY(json_get_size(at, "num_patches", 1, MAX_TOKENS, &c->max_patches, err));
    if (c->rope.kind != ROPE_NONE)
        TRY(json_get_number(at, "rope_theta", 1e-3, 1e12, &c->rope.theta, err));
    c->pooler_width = c->width;
    TRY(json_get_size(at, "pooler_output_size", 1, MAX_WIDTH, &c->pooler_width, err));
    TRY(json_get_activation(at, "hidden_act", c->family->defaults.activation, &c->activation, err));
    if (c->traits & TRAIT_GATED && c->family->defaults.gate_activation)
        activation_find(c->family->defaults.gate_activation, &c->activation);
    c->pool_activation = c->activation;
    TRY(json_get_activation(at, "pooler_act", c->family->defaults.pooler_activation, &c->pooler_activation, err));
done:
    return status;
}

static void set_defaults(struct config *c)
{
    const struct family *f = c->family;
    c->image_height = c->image_width = f->defaults.image_size;
    c->patch_height = c->patch_width = f->defaults.patch_size;
    c->width = f->defaults.width;
    c->layers = f->defaults.layers;
    c->heads = f->defaults.heads;
    c->mlp_width = f->defaults.mlp_width;
    c->eps = f->defaults.eps;
    c->registers = f->defaults.registers;
    c->max_patches = f->defaults.max_patches;
    c->filter = f->filter;
    c->any_size = f->any_size;
    c->rope = (struct rope){.kind = f->rope, .theta = f->defaults.rope_theta};
}

/* What follows from architecture, traits and numbers together. */
static void settle_traits(struct config *c)
{
    if (c->traits & TRAIT_MEAN_POOL && c->pool == POOL_CLS)
        c->pool = POOL_MEAN;
    if (c->pool == POOL_ATTENTION && !(c->traits & TRAIT_HEAD)) {
        c->pool = POOL_NONE;
        c->head = HEAD_NONE;
    }
    if (c->traits & TRAIT_POSITION)
        c->position = c->family->position_without_prefix ? POSITION_PATCHES
                      : c->registers                     ? POSITION_CLS
                                                         : POSITION_ALL;
    if (c->traits & TRAIT_NAFLEX) { /* the stored position is a square of as many patches as an image may have */
        size_t side = 1;
        while ((side + 1) * (side + 1) <= c->max_patches)
            side++;
        c->image_height = side * c->patch_height;
        c->image_width = side * c->patch_width;
    }
}

/* The vision tower's own object. CLIP's first files repeat it as vision_config_dict, which then counts alone. */
static vitcl_status enter_nested(const struct family *family, struct json_at *at, struct text *name, vitcl_error *err)
{
    static const char *const legacy = "vision_config_dict";
    const char *key = family->nested;
    if (!key)
        return VITCL_OK;
    if (json_is_object(json_object_get(at->object, legacy)))
        key = legacy;
    if (!json_is_object(json_object_get(at->object, key)))
        return json_unexpected(*at, key, "an object", err);
    text_add(name, "%s: %s", at->file, key);
    if (name->failed)
        return fail_memory(err, strlen(at->file));
    *at = (struct json_at){json_object_get(at->object, key), name->chars};
    return VITCL_OK;
}

/* ---- rules between the numbers ---- */

struct grid config_grid(const struct config *config, size_t height, size_t width)
{
    return (struct grid){height / config->patch_height, width / config->patch_width};
}

size_t config_position_prefix(const struct config *config)
{
    return config->position == POSITION_ALL ? config->prefix : config->position == POSITION_CLS ? 1 : 0;
}

static vitcl_status check_heads(const struct config *c, vitcl_error *err)
{
    size_t d;
    if (c->width % c->heads)
        return fail(err, VITCL_ERROR_FORMAT, "num_attention_heads: %zu does not divide hidden_size %zu", c->heads,
                    c->width);
    d = c->width / c->heads;
    if (d > MAX_HEAD_SIZE)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "num_attention_heads: heads of size %zu; vitcl's limit is %d", d,
                    MAX_HEAD_SIZE);
    if (c->rope.kind != ROPE_NONE && d % 4)
        return fail(err, VITCL_ERROR_FORMAT,
                    "num_attention_heads: heads of size %zu; rotary positions need a multiple of 4", d);
    return VITCL_OK;
}

/* 1 or 0 */
static size_t has(const struct config *c, enum trait trait)
{
    return c->traits & trait ? 1 : 0;
}

static vitcl_status check_numbers(struct config *c, vitcl_error *err)
{
    struct grid grid;
    vitcl_status status = check_heads(c, err);
    if (status != VITCL_OK)
        return status;
    if (c->patch_height > c->image_height || c->patch_width > c->image_width)
        return fail(err, VITCL_ERROR_FORMAT, "patch_size: a patch of %zux%zu is larger than the image of %zux%zu",
                    c->patch_height, c->patch_width, c->image_height, c->image_width);
    if (has(c, TRAIT_BIAS_TABLE) && has(c, TRAIT_SHARED_TABLE))
        return fail(
            err, VITCL_ERROR_UNSUPPORTED,
            "use_relative_position_bias and use_shared_relative_position_bias: vitcl has one of them, not both");
    grid = config_grid(c, c->image_height, c->image_width);
    c->grid_height = grid.height;
    c->grid_width = grid.width;
    if (!c->timm && grid.height != grid.width && c->traits & (TRAIT_POSITION | TRAIT_BIAS_TABLE | TRAIT_SHARED_TABLE)) {
        if (c->any_size) /* transformers takes any table for that of a square */
            return fail(err, VITCL_ERROR_UNSUPPORTED,
                        "image_size: %zux%zu patches; vitcl runs this family with square images only, as transformers "
                        "interpolates positions as if they were square",
                        grid.height, grid.width);
        c->one_size = true;
    }
    c->prefix = has(c, TRAIT_CLS) + has(c, TRAIT_DIST) + c->registers;
    c->tokens = c->prefix + grid.height * grid.width;
    if (c->traits & TRAIT_NAFLEX && grid.height * grid.width != c->max_patches)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "num_patches: %zu is not the square of a number", c->max_patches);
    if (c->tokens > MAX_TOKENS)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "image_size and patch_size give %zu tokens; vitcl's limit is %d",
                    c->tokens, MAX_TOKENS);
    return VITCL_OK;
}

static vitcl_status read_hugging_face(struct config *config, struct json_at root, vitcl_error *err)
{
    vitcl_status status;
    struct json_at at = root;
    struct text name = {0};

    TRY(read_family(config, root, err));
    set_defaults(config);
    TRY(read_architecture(config, root, err));
    TRY(enter_nested(config->family, &at, &name, err));
    TRY(read_traits(config, at, err));
    note_assumed(config, at);
    TRY(read_numbers(config, at, err));
    TRY(labels_read(&config->labels, root, err));
    settle_traits(config);
    status = check_numbers(config, err);
    if (status != VITCL_OK)
        TRY(fail_context(err, status, "%s", at.file));
done:
    text_free(&name);
    return status;
}

/* ---- what only the tensors tell ---- */

/* The architecture whose head the file has, for a config.json that names none. */
static const struct architecture *guess_architecture(const struct config *c, const struct safetensors *tensors)
{
    static const struct {
        enum head head;
        enum role role;
    } signs[] = {{HEAD_TWO_CLASSIFIERS, ROLE_DIST_CLASSIFIER},
                 {HEAD_CLASSIFIER, ROLE_CLASSIFIER},
                 {HEAD_PROJECTION, ROLE_PROJECTION},
                 {HEAD_POOLER, ROLE_POOLER},
                 {HEAD_POOLED, ROLE_PATCH},
                 {HEAD_NONE, ROLE_PATCH}};
    for (size_t s = 0; s < sizeof signs / sizeof *signs; s++)
        for (size_t i = 0; i < MAX_ARCHITECTURES && c->family->architectures[i].name; i++)
            if (c->family->architectures[i].head == signs[s].head &&
                finder_look(c, tensors, signs[s].role, 0, ".weight"))
                return &c->family->architectures[i];
    return &c->family->architectures[0];
}

vitcl_status config_complete(struct config *config, const struct safetensors *tensors, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const struct tensor_entry *projection;
    if (config->timm) {
        status = timm_complete(config, tensors, err);
        if (status == VITCL_OK)
            status = check_numbers(config, err);
        if (status != VITCL_OK)
            return status;
    } else if (config->head == HEAD_INFER) {
        set_architecture(config, guess_architecture(config, tensors));
        settle_traits(config);
    }
    if (config->head == HEAD_POOLER && !finder_look(config, tensors, ROLE_POOLER, 0, ".weight"))
        config->head = HEAD_NONE;
    if (config->head == HEAD_POOLED && config->family->optional_pooler && has(config, TRAIT_POOL_NORM) &&
        !finder_look(config, tensors, ROLE_POOL_NORM, 0, ".weight"))
        config->head = HEAD_NONE;
    projection = config->head == HEAD_PROJECTION ? finder_look(config, tensors, ROLE_PROJECTION, 0, ".weight") : NULL;
    config->projection_width = projection && projection->rank == 2 ? projection->shape[0] : 0;
    if (projection && (config->projection_width < 1 || config->projection_width > MAX_WIDTH))
        return fail(err, VITCL_ERROR_FORMAT, "\"%s\": expected the shape [E,%zu], E from 1 to %d", projection->name,
                    config->width, MAX_WIDTH);
    if (config->head == HEAD_NONE)
        config->pool = POOL_NONE;
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
    config->timm = json_object_get(root, "pretrained_cfg") || json_object_get(root, "architecture");
    TRY(config->timm ? timm_read(config, at, err) : read_hugging_face(config, at, err));
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

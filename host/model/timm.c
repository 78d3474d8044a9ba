/* timm.c - the models of timm 1.0 (VisionTransformer and Eva). An argument comes from model_args in config.json, else
 * from the architecture's function in timm, for which timm_rules.c stands; what shows in the tensors (widths, tokens,
 * biases, norms, gates) is read off them. */
#include "model/timm.h"
#include "base/json.h"
#include "model/finder.h"
#include "model/keys.h"
#include "model/timm_rules.h"

#include <stdio.h>
#include <string.h>

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

/* ---- config.json ---- */

/* model_args, an empty object where the file has none; `file` is its name in messages. */
static struct json_at model_args(struct json_at at, json_t *empty)
{
    const json_t *args = json_object_get(at.object, "model_args");
    return (struct json_at){json_is_object(args) ? args : empty, at.file};
}

/* Arguments that change the forward pass into one that vitcl does not have. */
static vitcl_status refuse_arguments(struct json_at args, vitcl_error *err)
{
    static const char *const flags[] = {"use_post_norm", "use_naflex", "dynamic_img_pad"};
    static const struct {
        const char *key, *legal[3];
    } names[] = {{"norm_layer", {"layernorm"}},
                 {"attn_layer", {"", "attn"}},
                 {"rope_grid_indexing", {"ij"}},
                 {"rope_type", {"cat", "dinov3", ""}}};
    vitcl_status status = VITCL_OK;
    double offset = 0;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool on = false;
        TRY(json_get_bool(args, flags[i], &on, err));
        if (on)
            TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: %s: true is not supported", args.file, flags[i]));
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = NULL;
        bool legal = false;
        TRY(json_get_string(args, names[i].key, &value, err));
        for (size_t k = 0; value && k < 3; k++)
            legal |= is(names[i].legal[k], value);
        if (value && !legal)
            TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: %s: vitcl does not run \"%.40s\"", args.file,
                     names[i].key, value));
    }
    if (json_is_integer(json_object_get(args.object, "attn_pool_num_heads")))
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: attn_pool_num_heads is not supported", args.file));
    TRY(json_get_number(args, "rope_grid_offset", -1e6, 1e6, &offset, err));
    if (offset != 0)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: rope_grid_offset: only 0 is supported", args.file));
done:
    return status;
}

/* The library does not read the global_pool at the root of config.json. */
static vitcl_status read_pool(struct config *c, const struct timm_rules *rules, struct json_at args, vitcl_error *err)
{
    static const struct {
        const char *name;
        enum pool pool;
    } pools[] = {
        {"token", POOL_CLS}, {"avg", POOL_MEAN}, {"max", POOL_MAX}, {"avgmax", POOL_MEAN_MAX}, {"map", POOL_ATTENTION}};
    const char *name = rules->pool;
    vitcl_status status;

    TRY(json_get_string(args, "global_pool", &name, err));
    c->pool = POOL_NONE;
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        if (strcmp(pools[i].name, name) == 0)
            c->pool = pools[i].pool;
    if (*name && c->pool == POOL_NONE)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED,
                 "%s: model_args: global_pool: vitcl does not run \"%.40s\"; it has token, avg, max, avgmax and map",
                 args.file, name));
    c->pool_prefix = rules->pool_prefix;
    TRY(json_get_bool(args, "pool_include_prefix", &c->pool_prefix, err));
done:
    return status;
}

static vitcl_status read_rope(struct config *c, const struct timm_rules *rules, struct json_at args, vitcl_error *err)
{
    const char *kind = rules->rope;
    bool on = !is(kind, "none"), half;
    vitcl_status status;

    TRY(json_get_string(args, "rope_type", &kind, err));
    TRY(json_get_bool(args, "use_rot_pos_emb", &on, err));
    if (on && is(kind, "none"))
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: use_rot_pos_emb: \"%s\" has none of its own", args.file,
                 c->architecture));
    if (!on || !*kind || is(kind, "none"))
        return VITCL_OK;
    c->rope = is(kind, "dinov3") ? (struct rope){.kind = ROPE_DINOV3, .theta = 100}
                                 : (struct rope){.kind = ROPE_EVA, .theta = 10000, .reference = {16, 16}};
    TRY(json_get_number(args, "rope_temperature", 1e-3, 1e12, &c->rope.theta, err));
    if (c->rope.kind == ROPE_EVA)
        TRY(json_get_sides(args, "ref_feat_shape", &c->rope.reference.height, &c->rope.reference.width, err));
    half = is(rules->rope, "dinov3");
    TRY(json_get_bool(args, "rope_rotate_half", &half, err));
    if (half != (c->rope.kind == ROPE_DINOV3))
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: model_args: rope_rotate_half: not supported with this rope_type",
                 args.file));
done:
    return status;
}

/* The position that must be among the tensors; which tokens it covers shows in them. */
static vitcl_status read_position_argument(struct config *c, const struct timm_rules *rules, struct json_at args,
                                           vitcl_error *err)
{
    const char *name = "learn";
    bool on = rules->has_position;
    vitcl_status status;
    TRY(json_get_bool(args, "use_abs_pos_emb", &on, err));
    TRY(json_get_string(args, "pos_embed", &name, err));
    c->position = on && *name && !is(name, "none") ? POSITION_ALL : POSITION_NONE;
done:
    return status;
}

/* model_args.img_size, else the input_size [3,H,W] of pretrained_cfg (in the oldest files, of the root). */
static vitcl_status read_image_size(struct config *c, struct json_at at, struct json_at args, vitcl_error *err)
{
    const json_t *cfg = json_object_get(at.object, "pretrained_cfg");
    const json_t *size = json_object_get(json_is_object(cfg) ? cfg : at.object, "input_size");
    size_t channels = 3;
    vitcl_status status;

    c->image_height = c->image_width = 224;
    if (size && !json_is_null(size)) {
        struct {
            size_t high, *value;
        } sides[] = {{MAX_WIDTH, &channels}, {MAX_SIDE, &c->image_height}, {MAX_SIDE, &c->image_width}};
        for (size_t i = 0; i < 3; i++) {
            json_int_t number = json_integer_value(json_array_get(size, i));
            if (json_array_size(size) != 3 || number < 1 || number > (json_int_t)sides[i].high)
                return json_unexpected((struct json_at){json_is_object(cfg) ? cfg : at.object, at.file}, "input_size",
                                       "[3, height, width]", err);
            *sides[i].value = (size_t)number;
        }
    }
    TRY(json_get_size(args, "in_chans", 1, MAX_WIDTH, &channels, err));
    if (channels != 3)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: in_chans: vitcl runs models of 3 channels, not %zu", at.file,
                 channels));
    TRY(json_get_sides(args, "img_size", &c->image_height, &c->image_width, err));
done:
    return status;
}

/* Only the rules of the name say how many heads a model has: they hold for the width that the name has. */
static vitcl_status read_heads(struct config *c, const struct timm_rules *rules, struct json_at args, vitcl_error *err)
{
    vitcl_status status = json_get_size(args, "num_heads", 1, MAX_WIDTH, &c->heads, err);
    if (status != VITCL_OK || c->heads)
        return status;
    if (json_is_integer(json_object_get(args.object, "embed_dim")))
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: model_args: embed_dim is there, num_heads is not: how many heads can not be told", args.file);
    c->heads = rules->heads; /* 0: by the width, in timm_complete */
    return VITCL_OK;
}

static vitcl_status read_all(struct config *c, const struct timm_rules *rules, struct json_at at, struct json_at args,
                             vitcl_error *err)
{
    bool any_size = rules->any_size, final_norm = rules->final_norm;
    static const char *const by_name[] = {"num_heads", "act_layer", "norm_layer"};
    const char *norm_layer = NULL;
    vitcl_status status;

    TRY(refuse_arguments(args, err));
    TRY(json_get_size(args, "depth", 1, MAX_LAYERS, &c->layers, err));
    TRY(json_get_size(args, "embed_dim", 1, MAX_WIDTH, &c->width, err));
    TRY(json_get_bool(args, "final_norm", &final_norm, err));
    c->traits = final_norm ? TRAIT_NORM : 0; /* what timm_complete must find */
    TRY(read_heads(c, rules, args, err));
    TRY(read_pool(c, rules, args, err));
    TRY(read_rope(c, rules, args, err));
    TRY(read_position_argument(c, rules, args, err));
    TRY(read_image_size(c, at, args, err));
    TRY(json_get_bool(args, "dynamic_img_size", &any_size, err));
    c->any_size = any_size;
    c->one_size = !any_size && is(rules->filter, "unknown");
    c->filter = !any_size && is(rules->filter, "bilinear") ? POSITION_BILINEAR : POSITION_BICUBIC_AA;
    TRY(json_get_string(args, "norm_layer", &norm_layer, err));
    c->eps = norm_layer ? 1e-6 : rules->eps; /* a layer given by name has timm's own eps */
    TRY(json_get_activation(args, "act_layer", rules->activation, &c->activation, err));
    c->gate_activation = ACTIVATION_SILU;
    if (c->family == &TIMM_VIT)
        TRY(json_get_activation(args, "act_layer", "silu", &c->gate_activation, err));
    json_list_missing(args, by_name, sizeof by_name / sizeof *by_name, c->assumed, sizeof c->assumed);
    TRY(labels_read_timm(&c->labels, at, err));
done:
    return status;
}

vitcl_status timm_read(struct config *c, struct json_at at, vitcl_error *err)
{
    const char *name = NULL;
    struct timm_rules rules;
    const json_t *args = json_object_get(at.object, "model_args");
    json_t *empty = json_object();
    vitcl_status status;

    if (args && !json_is_null(args) && !json_is_object(args))
        TRY(json_unexpected(at, "model_args", "an object", err));
    TRY(json_get_string(at, "architecture", &name, err));
    if (!name)
        TRY(json_unexpected(at, "architecture", "the name of a timm model", err));
    if (strlen(name) >= sizeof c->architecture)
        TRY(fail(err, VITCL_ERROR_FORMAT, "%s: architecture: a name of %zu characters", at.file, strlen(name)));
    snprintf(c->architecture, sizeof c->architecture, "%s", name);
    rules = timm_look_up(name);
    if (rules.refused)
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: architecture: vitcl does not run timm's \"%s\": %s", at.file, name,
                 rules.refused));
    c->family = rules.is_eva ? &TIMM_EVA : &TIMM_VIT;
    TRY(read_all(c, &rules, at, model_args(at, empty), err));
done:
    json_decref(empty);
    return status;
}

/* ---- tensors ---- */

static void read_traits(struct config *c, const struct safetensors *tensors)
{
    static const struct {
        enum role role;
        const char *suffix;
        unsigned trait;
    } signs[] = {
        {ROLE_CLS_TOKEN, "", TRAIT_CLS},
        {ROLE_DIST_TOKEN, "", TRAIT_DIST},
        {ROLE_POSITION, "", TRAIT_POSITION},
        {ROLE_PRE_NORM, ".weight", TRAIT_PRE_NORM},
        {ROLE_QKV, ".bias", TRAIT_QKV_BIAS},
        {ROLE_QUERY, ".bias", TRAIT_QUERY_BIAS},
        {ROLE_KEY, ".bias", TRAIT_KEY_BIAS},
        {ROLE_VALUE, ".bias", TRAIT_VALUE_BIAS},
        {ROLE_QUERY_NORM, ".weight", TRAIT_QK_NORM},
        {ROLE_ATTENTION_NORM, ".weight", TRAIT_ATTENTION_NORM},
        {ROLE_PROJ, ".bias", TRAIT_PROJ_BIAS},
        {ROLE_SCALE1, "", TRAIT_SCALE},
        {ROLE_GATE, ".weight", TRAIT_GATED},
        {ROLE_MLP_NORM, ".weight", TRAIT_MLP_NORM},
        {ROLE_FC2, ".bias", TRAIT_MLP_BIAS},
        {ROLE_NORM, ".weight", TRAIT_NORM},
        {ROLE_POOL_NORM, ".weight", TRAIT_POOL_NORM},
    };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (finder_look(c, tensors, signs[i].role, 0, signs[i].suffix))
            c->traits |= signs[i].trait;
    if (!(c->traits & TRAIT_PRE_NORM))
        c->traits |= TRAIT_PATCH_BIAS;
}

/* The sizes that the shapes tell; weights.c holds all shapes against them. */
static vitcl_status read_shapes(struct config *c, const struct safetensors *tensors, vitcl_error *err)
{
    size_t layers = 0;
    const struct tensor_entry *patch = finder_look(c, tensors, ROLE_PATCH, 0, ".weight");
    const struct tensor_entry *registers = finder_look(c, tensors, ROLE_REGISTER_TOKENS, 0, "");
    const struct tensor_entry *fc1 = finder_look(c, tensors, ROLE_FC1, 0, ".weight");
    const struct tensor_entry *fc2 = finder_look(c, tensors, ROLE_FC2, 0, ".weight");

    if (!patch || patch->rank != 4 || !patch->shape[0] || !patch->shape[2] || !patch->shape[3] ||
        patch->shape[0] > MAX_WIDTH || patch->shape[2] > MAX_SIDE || patch->shape[3] > MAX_SIDE)
        return fail(err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"patch_embed.proj.weight\" [D,3,p,p]");
    if (!fc1 || !fc2 || fc1->rank != 2 || fc2->rank != 2 || !fc2->shape[1] || fc2->shape[1] > MAX_MLP_WIDTH)
        return fail(err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"blocks.0.mlp.fc2.weight\" [D,M]");
    if (c->width && c->width != patch->shape[0])
        return fail(err, VITCL_ERROR_FORMAT, "model_args: embed_dim: %zu, but \"%s\" is for a width of %zu", c->width,
                    patch->name, patch->shape[0]);
    c->width = patch->shape[0];
    c->patch_height = patch->shape[2];
    c->patch_width = patch->shape[3];
    c->mlp_width = fc2->shape[1];
    if (fc1->shape[0] == 2 * fc2->shape[1])
        c->traits |= TRAIT_GATED;
    if (registers && (registers->rank != 3 || registers->shape[1] > MAX_REGISTERS))
        return fail(err, VITCL_ERROR_FORMAT, "\"reg_token\": expected the shape [1,R,D]");
    c->registers = registers ? registers->shape[1] : 0;
    while (layers < MAX_LAYERS && finder_look(c, tensors, ROLE_NORM1, layers, ".weight"))
        layers++;
    if (layers == 0 || layers < c->layers)
        return fail(err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"blocks.%zu.norm1.weight\"", layers);
    c->layers = layers;
    if (c->heads == 0)
        c->heads = c->width < 64 ? 1 : c->width / 64;
    return VITCL_OK;
}

/* Whether the stored position covers the tokens before the patches shows in its number of rows. */
static vitcl_status read_position(struct config *c, const struct safetensors *tensors, vitcl_error *err)
{
    const struct tensor_entry *position = finder_look(c, tensors, ROLE_POSITION, 0, "");
    const struct grid grid = config_grid(c, c->image_height, c->image_width);
    if (!position && c->position != POSITION_NONE)
        return fail(err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"pos_embed\"");
    if (position && position->rank == 3 && position->shape[1] == grid.height * grid.width)
        c->position = POSITION_PATCHES;
    else if (position)
        c->position = POSITION_ALL;
    return VITCL_OK;
}

static vitcl_status read_head(struct config *c, const struct safetensors *tensors, vitcl_error *err)
{
    const struct tensor_entry *head = finder_look(c, tensors, ROLE_CLASSIFIER, 0, ".weight");
    bool two = c->traits & TRAIT_DIST;
    if (c->pool == POOL_NONE && head)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "global_pool: a classifier of every token is not supported");
    if (c->pool == POOL_ATTENTION && c->family == &TIMM_EVA)
        c->pool_prefix = true;
    if (two && !head)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "a distilled model of timm without its classifiers is not supported");
    if (two)
        c->pool = POOL_CLS_DIST;
    if ((c->pool == POOL_CLS || two) && !(c->traits & TRAIT_CLS))
        return fail(err, VITCL_ERROR_FORMAT,
                    "global_pool: the class token is pooled, but the weights lack \"cls_token\"");
    c->head = two ? HEAD_TWO_CLASSIFIERS : head ? HEAD_CLASSIFIER : c->pool == POOL_NONE ? HEAD_NONE : HEAD_POOLED;
    return VITCL_OK;
}

vitcl_status timm_complete(struct config *c, const struct safetensors *tensors, vitcl_error *err)
{
    vitcl_status status;
    const bool final_norm = c->traits & TRAIT_NORM;
    c->traits = 0;
    read_traits(c, tensors);
    if (final_norm && !(c->traits & (TRAIT_NORM | TRAIT_POOL_NORM)))
        return fail(err, VITCL_ERROR_FORMAT, "the weights lack the tensor \"norm.weight\" (or \"fc_norm.weight\")");
    TRY(read_shapes(c, tensors, err));
    TRY(read_position(c, tensors, err));
    TRY(read_head(c, tensors, err));
    c->pool_activation = c->family == &TIMM_EVA ? ACTIVATION_GELU : c->activation;
    if (c->traits & TRAIT_GATED)
        c->activation = c->gate_activation;
done:
    return status;
}

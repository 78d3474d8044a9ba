/* families.c - the tables. Sources: the configuration and model classes of transformers and timm and the state dicts
 * they write. */
#include "model/families.h"

#include <string.h>

/* ---- activations and pools ---- */

static const struct {
    const char *name;
    enum activation activation;
} ACTIVATIONS[] = {
    /* the first name of each is the one that is printed */
    {"gelu", ACTIVATION_GELU},
    {"gelu_tanh", ACTIVATION_GELU_TANH},
    {"quick_gelu", ACTIVATION_QUICK_GELU},
    {"silu", ACTIVATION_SILU},
    {"relu", ACTIVATION_RELU},
    {"tanh", ACTIVATION_TANH},
    {"gelu_python", ACTIVATION_GELU},
    {"gelu_new", ACTIVATION_GELU_TANH},
    {"gelu_fast", ACTIVATION_GELU_TANH},
    {"gelu_accurate", ACTIVATION_GELU_TANH},
    {"gelu_pytorch_tanh", ACTIVATION_GELU_TANH},
    {"gelu_python_tanh", ACTIVATION_GELU_TANH},
    {"swish", ACTIVATION_SILU},
};

#define ACTIVATION_NAMES (sizeof ACTIVATIONS / sizeof *ACTIVATIONS)

const char *activation_known(size_t index)
{
    return index < ACTIVATION_NAMES ? ACTIVATIONS[index].name : NULL;
}

const char *activation_name(enum activation activation)
{
    for (size_t i = 0; i < ACTIVATION_NAMES; i++)
        if (ACTIVATIONS[i].activation == activation)
            return ACTIVATIONS[i].name;
    return "none";
}

bool activation_find(const char *name, enum activation *activation)
{
    for (size_t i = 0; i < ACTIVATION_NAMES; i++) {
        if (strcmp(ACTIVATIONS[i].name, name) == 0) {
            *activation = ACTIVATIONS[i].activation;
            return true;
        }
    }
    return false;
}

const char *pool_name(enum pool pool)
{
    static const char *const NAMES[] = {
        [POOL_NONE] = "none",
        [POOL_CLS] = "class token",
        [POOL_CLS_DIST] = "class and distillation token",
        [POOL_CLS_MEAN] = "class token and mean of the patches",
        [POOL_MEAN] = "mean of the patches",
        [POOL_MAX] = "maximum of the patches",
        [POOL_MEAN_MAX] = "mean and maximum of the patches",
        [POOL_ATTENTION] = "attention",
    };
    return NAMES[pool];
}

/* ---- names ---- */

/* ViT and its kin. The columns: on the hub; transformers v5 in memory; timm. */
static const role_names VIT_NAMES = {
    [ROLE_CLS_TOKEN] = {"embeddings.cls_token", NULL, "cls_token"},
    [ROLE_DIST_TOKEN] = {"embeddings.distillation_token", NULL, "dist_token"},
    [ROLE_POSITION] = {"embeddings.position_embeddings", NULL, "pos_embed"},
    [ROLE_PATCH] = {"embeddings.patch_embeddings.projection", NULL, "patch_embed.proj"},
    [ROLE_NORM1] = {"encoder.layer.{i}.layernorm_before", "layers.{i}.layernorm_before", "blocks.{i}.norm1"},
    [ROLE_QKV] = {NULL, NULL, "blocks.{i}.attn.qkv"},
    [ROLE_QUERY] = {"encoder.layer.{i}.attention.attention.query", "layers.{i}.attention.q_proj"},
    [ROLE_KEY] = {"encoder.layer.{i}.attention.attention.key", "layers.{i}.attention.k_proj"},
    [ROLE_VALUE] = {"encoder.layer.{i}.attention.attention.value", "layers.{i}.attention.v_proj"},
    [ROLE_BIAS_TABLE] = {"encoder.layer.{i}.attention.attention.relative_position_bias.relative_position_bias_table",
                         "layers.{i}.relative_position_bias.relative_position_bias_table"},
    [ROLE_SHARED_TABLE] = {"encoder.relative_position_bias.relative_position_bias_table",
                           "shared_position_bias.relative_position_bias_table"},
    [ROLE_PROJ] = {"encoder.layer.{i}.attention.output.dense", "layers.{i}.attention.o_proj", "blocks.{i}.attn.proj"},
    [ROLE_SCALE1] = {"encoder.layer.{i}.lambda_1", "layers.{i}.lambda_1"},
    [ROLE_NORM2] = {"encoder.layer.{i}.layernorm_after", "layers.{i}.layernorm_after", "blocks.{i}.norm2"},
    [ROLE_FC1] = {"encoder.layer.{i}.intermediate.dense", "layers.{i}.mlp.fc1", "blocks.{i}.mlp.fc1"},
    [ROLE_FC2] = {"encoder.layer.{i}.output.dense", "layers.{i}.mlp.fc2", "blocks.{i}.mlp.fc2"},
    [ROLE_SCALE2] = {"encoder.layer.{i}.lambda_2", "layers.{i}.lambda_2"},
    [ROLE_NORM] = {"layernorm", NULL, "norm"},
    [ROLE_POOL_NORM] = {"pooler.layernorm"},
    [ROLE_POOLER] = {"pooler.dense"},
    [ROLE_CLASSIFIER] = {"classifier", "cls_classifier", "head"},
    [ROLE_DIST_CLASSIFIER] = {"distillation_classifier", NULL, "head_dist"},
};

/* DINOv2, with and without registers. */
static const role_names DINOV2_NAMES = {
    [ROLE_CLS_TOKEN] = {"embeddings.cls_token"},
    [ROLE_REGISTER_TOKENS] = {"embeddings.register_tokens"},
    [ROLE_POSITION] = {"embeddings.position_embeddings"},
    [ROLE_PATCH] = {"embeddings.patch_embeddings.projection"},
    [ROLE_NORM1] = {"encoder.layer.{i}.norm1"},
    [ROLE_QUERY] = {"encoder.layer.{i}.attention.attention.query", "encoder.layer.{i}.attention.q_proj"},
    [ROLE_KEY] = {"encoder.layer.{i}.attention.attention.key", "encoder.layer.{i}.attention.k_proj"},
    [ROLE_VALUE] = {"encoder.layer.{i}.attention.attention.value", "encoder.layer.{i}.attention.v_proj"},
    [ROLE_PROJ] = {"encoder.layer.{i}.attention.output.dense", "encoder.layer.{i}.attention.o_proj"},
    [ROLE_SCALE1] = {"encoder.layer.{i}.layer_scale1.lambda1"},
    [ROLE_NORM2] = {"encoder.layer.{i}.norm2"},
    [ROLE_GATE] = {NULL, "encoder.layer.{i}.mlp.gate_proj"},
    [ROLE_FC1] = {"encoder.layer.{i}.mlp.fc1", "encoder.layer.{i}.mlp.up_proj", "encoder.layer.{i}.mlp.weights_in"},
    [ROLE_FC2] = {"encoder.layer.{i}.mlp.fc2", "encoder.layer.{i}.mlp.down_proj", "encoder.layer.{i}.mlp.weights_out"},
    [ROLE_SCALE2] = {"encoder.layer.{i}.layer_scale2.lambda1"},
    [ROLE_NORM] = {"layernorm"},
    [ROLE_CLASSIFIER] = {"classifier"},
};

static const role_names DINOV3_NAMES = {
    [ROLE_CLS_TOKEN] = {"embeddings.cls_token"},
    [ROLE_REGISTER_TOKENS] = {"embeddings.register_tokens"},
    [ROLE_PATCH] = {"embeddings.patch_embeddings"},
    [ROLE_NORM1] = {"layer.{i}.norm1"},
    [ROLE_QUERY] = {"layer.{i}.attention.q_proj"},
    [ROLE_KEY] = {"layer.{i}.attention.k_proj"},
    [ROLE_VALUE] = {"layer.{i}.attention.v_proj"},
    [ROLE_PROJ] = {"layer.{i}.attention.o_proj"},
    [ROLE_SCALE1] = {"layer.{i}.layer_scale1.lambda1"},
    [ROLE_NORM2] = {"layer.{i}.norm2"},
    [ROLE_GATE] = {"layer.{i}.mlp.gate_proj"},
    [ROLE_FC1] = {"layer.{i}.mlp.up_proj"},
    [ROLE_FC2] = {"layer.{i}.mlp.down_proj"},
    [ROLE_SCALE2] = {"layer.{i}.layer_scale2.lambda1"},
    [ROLE_NORM] = {"norm"},
};

/* The vision towers of CLIP and SigLIP. */
static const role_names TOWER_NAMES = {
    [ROLE_CLS_TOKEN] = {"embeddings.class_embedding"},
    [ROLE_POSITION] = {"embeddings.position_embedding.weight"},
    [ROLE_PATCH] = {"embeddings.patch_embedding"},
    [ROLE_PRE_NORM] = {"pre_layrnorm"},
    [ROLE_NORM1] = {"encoder.layers.{i}.layer_norm1"},
    [ROLE_QUERY] = {"encoder.layers.{i}.self_attn.q_proj"},
    [ROLE_KEY] = {"encoder.layers.{i}.self_attn.k_proj"},
    [ROLE_VALUE] = {"encoder.layers.{i}.self_attn.v_proj"},
    [ROLE_PROJ] = {"encoder.layers.{i}.self_attn.out_proj"},
    [ROLE_NORM2] = {"encoder.layers.{i}.layer_norm2"},
    [ROLE_FC1] = {"encoder.layers.{i}.mlp.fc1"},
    [ROLE_FC2] = {"encoder.layers.{i}.mlp.fc2"},
    [ROLE_NORM] = {"post_layernorm"},      /* SigLIP: of all tokens */
    [ROLE_POOL_NORM] = {"post_layernorm"}, /* CLIP: of the pooled one */
    [ROLE_PROBE] = {"head.probe"},
    [ROLE_POOL_QKV] = {"head.attention.in_proj_"},
    [ROLE_POOL_PROJ] = {"head.attention.out_proj"},
    [ROLE_POOL_MLP_NORM] = {"head.layernorm"},
    [ROLE_POOL_FC1] = {"head.mlp.fc1"},
    [ROLE_POOL_FC2] = {"head.mlp.fc2"},
    [ROLE_PROJECTION] = {"visual_projection"},
    [ROLE_CLASSIFIER] = {"classifier"},
    [ROLE_LOGIT_SCALE] = {"logit_scale"},
    [ROLE_LOGIT_BIAS] = {"logit_bias"},
};

/* timm's VisionTransformer and Eva. */
static const role_names TIMM_NAMES = {
    [ROLE_CLS_TOKEN] = {"cls_token"},
    [ROLE_DIST_TOKEN] = {"dist_token"},
    [ROLE_REGISTER_TOKENS] = {"reg_token"},
    [ROLE_POSITION] = {"pos_embed"},
    [ROLE_PATCH] = {"patch_embed.proj"},
    [ROLE_PRE_NORM] = {"norm_pre"},
    [ROLE_NORM1] = {"blocks.{i}.norm1"},
    [ROLE_QKV] = {"blocks.{i}.attn.qkv"},
    [ROLE_QUERY] = {"blocks.{i}.attn.q_proj"},
    [ROLE_KEY] = {"blocks.{i}.attn.k_proj"},
    [ROLE_VALUE] = {"blocks.{i}.attn.v_proj"},
    [ROLE_QUERY_BIAS] = {"blocks.{i}.attn.q_bias"},
    [ROLE_VALUE_BIAS] = {"blocks.{i}.attn.v_bias"},
    [ROLE_QUERY_NORM] = {"blocks.{i}.attn.q_norm"},
    [ROLE_KEY_NORM] = {"blocks.{i}.attn.k_norm"},
    [ROLE_ATTENTION_NORM] = {"blocks.{i}.attn.norm"},
    [ROLE_PROJ] = {"blocks.{i}.attn.proj"},
    [ROLE_SCALE1] = {"blocks.{i}.ls1.gamma", "blocks.{i}.gamma_1"},
    [ROLE_NORM2] = {"blocks.{i}.norm2"},
    [ROLE_GATE] = {"blocks.{i}.mlp.fc1_g"},
    [ROLE_FC1] = {"blocks.{i}.mlp.fc1", "blocks.{i}.mlp.fc1_x"},
    [ROLE_MLP_NORM] = {"blocks.{i}.mlp.norm"},
    [ROLE_FC2] = {"blocks.{i}.mlp.fc2"},
    [ROLE_SCALE2] = {"blocks.{i}.ls2.gamma", "blocks.{i}.gamma_2"},
    [ROLE_NORM] = {"norm"},
    [ROLE_POOL_NORM] = {"fc_norm"},
    [ROLE_PROBE] = {"attn_pool.latent"},
    [ROLE_POOL_QUERY] = {"attn_pool.q"},
    [ROLE_POOL_KV] = {"attn_pool.kv"},
    [ROLE_POOL_PROJ] = {"attn_pool.proj"},
    [ROLE_POOL_MLP_NORM] = {"attn_pool.norm"},
    [ROLE_POOL_FC1] = {"attn_pool.mlp.fc1"},
    [ROLE_POOL_FC2] = {"attn_pool.mlp.fc2"},
    [ROLE_CLASSIFIER] = {"head"},
    [ROLE_DIST_CLASSIFIER] = {"head_dist"},
};

/* ---- families ---- */

/* What most families share. */
#define BASE_SIZES   .width = 768, .layers = 12, .heads = 12, .mlp_width = 3072, .image_size = 224, .patch_size = 16
#define VIT_DEFAULTS .eps = 1e-12, BASE_SIZES, .activation = "gelu", .pooler_activation = "tanh"
#define VIT_TRAITS   (TRAIT_CLS | TRAIT_POSITION | TRAIT_PATCH_BIAS | TRAIT_BIASES | TRAIT_NORM)
#define QKV_BIAS_SWITCH                                                                                                \
    {                                                                                                                  \
        "qkv_bias", true, false, TRAIT_QKV_BIAS, 0                                                                     \
    }

#define BEIT_SHAPE                                                                                                     \
    .traits = TRAIT_CLS | TRAIT_PATCH_BIAS | TRAIT_QUERY_BIAS | TRAIT_VALUE_BIAS | TRAIT_PROJ_BIAS | TRAIT_MLP_BIAS,   \
    .switches = {{"use_absolute_position_embeddings", false, false, TRAIT_POSITION, 0},                                \
                 {"use_relative_position_bias", false, false, TRAIT_BIAS_TABLE, 0},                                    \
                 {"use_shared_relative_position_bias", false, false, TRAIT_SHARED_TABLE, 0},                           \
                 {"layer_scale_init_value", true, true, TRAIT_SCALE, 0},                                               \
                 {"use_mean_pooling", true, false, TRAIT_MEAN_POOL | TRAIT_POOL_NORM, TRAIT_NORM}},                    \
    .defaults = {VIT_DEFAULTS}, .filter = POSITION_BICUBIC, .any_size = true, .optional_pooler = true,                 \
    .names = &VIT_NAMES

#define DINOV2_SHAPE                                                                                                   \
    .traits = VIT_TRAITS | TRAIT_SCALE,                                                                                \
    .switches = {QKV_BIAS_SWITCH, {"use_swiglu_ffn", false, false, TRAIT_GATED, 0}}, .any_size = true,                 \
    .names = &DINOV2_NAMES

#define CLIP_SHAPE(NAME)                                                                                               \
    .architectures = {{NAME "Model", HEAD_PROJECTION, POOL_CLS, TRAIT_POOL_NORM},                                      \
                      {NAME "VisionModel", HEAD_POOLED, POOL_CLS, TRAIT_POOL_NORM},                                    \
                      {NAME "VisionModelWithProjection", HEAD_PROJECTION, POOL_CLS, TRAIT_POOL_NORM},                  \
                      {NAME "ForImageClassification", HEAD_CLASSIFIER, POOL_MEAN, 0}},                                 \
    .traits = CLIP_TRAITS, .defaults = {CLIP_DEFAULTS}, .filter = POSITION_BICUBIC, .prefixes = {"vision_model.", ""}, \
    .names = &TOWER_NAMES, .ignored = {"text_model.*", "text_projection.*"},                                           \
    .ignored_by_classifier = {"*post_layernorm.*"}
#define CLIP_TRAITS (TRAIT_CLS | TRAIT_POSITION | TRAIT_BIASES | TRAIT_PRE_NORM)
#define CLIP_DEFAULTS                                                                                                  \
    .eps = 1e-5, .width = 768, .layers = 12, .heads = 12, .mlp_width = 3072, .image_size = 224, .patch_size = 32,      \
    .activation = "quick_gelu"

#define SIGLIP_SHAPE                                                                                                   \
    .switches = {{"vision_use_head", true, false, TRAIT_HEAD, 0}}, .position_without_prefix = true,                    \
    .prefixes = {"vision_model.", ""}, .names = &TOWER_NAMES, .ignored = {"text_model.*"},                             \
    .ignored_by_classifier = {"*vision_model.head.*", "head.*"}
#define SIGLIP_TRAITS   (TRAIT_POSITION | TRAIT_PATCH_BIAS | TRAIT_BIASES | TRAIT_NORM)
#define SIGLIP_DEFAULTS .eps = 1e-6, BASE_SIZES, .activation = "gelu_pytorch_tanh"

static const struct family FAMILIES[] = {
    {
        .model_type = "vit",
        .architectures = {{"ViTForImageClassification", HEAD_CLASSIFIER, POOL_CLS, 0},
                          {"ViTModel", HEAD_POOLER, POOL_CLS, 0},
                          {"ViTForMaskedImageModeling", HEAD_NONE, POOL_NONE, 0}},
        .traits = VIT_TRAITS,
        .switches = {QKV_BIAS_SWITCH},
        .defaults = {VIT_DEFAULTS},
        .filter = POSITION_BICUBIC,
        .prefixes = {"vit.", ""},
        .names = &VIT_NAMES,
        .ignored = {"decoder.*"},
        .ignored_by_classifier = {"*pooler.dense.*"},
    },
    {
        .model_type = "vit_msn",
        .architectures = {{"ViTMSNForImageClassification", HEAD_CLASSIFIER, POOL_CLS, 0},
                          {"ViTMSNModel", HEAD_NONE, POOL_NONE, 0}},
        .traits = VIT_TRAITS,
        .switches = {QKV_BIAS_SWITCH},
        .defaults = {.eps = 1e-6, BASE_SIZES, .activation = "gelu"},
        .filter = POSITION_BICUBIC,
        .prefixes = {"vit.", ""},
        .names = &VIT_NAMES,
    },
    {
        .model_type = "vit_mae",
        .architectures = {{"ViTMAEForPreTraining", HEAD_NONE, POOL_NONE, 0}, {"ViTMAEModel", HEAD_NONE, POOL_NONE, 0}},
        .traits = VIT_TRAITS,
        .switches = {QKV_BIAS_SWITCH},
        .defaults = {VIT_DEFAULTS},
        .filter = POSITION_BICUBIC,
        .prefixes = {"vit.", ""},
        .names = &VIT_NAMES,
        .ignored = {"decoder.*"},
    },
    {
        .model_type = "deit",
        .architectures = {{"DeiTForImageClassificationWithTeacher", HEAD_TWO_CLASSIFIERS, POOL_CLS_DIST, 0},
                          {"DeiTForImageClassification", HEAD_CLASSIFIER, POOL_CLS, 0},
                          {"DeiTModel", HEAD_POOLER, POOL_CLS, 0},
                          {"DeiTForMaskedImageModeling", HEAD_NONE, POOL_NONE, 0}},
        .traits = VIT_TRAITS | TRAIT_DIST,
        .switches = {QKV_BIAS_SWITCH},
        .defaults = {VIT_DEFAULTS},
        .filter = POSITION_BICUBIC,
        .prefixes = {"deit.", ""},
        .names = &VIT_NAMES,
        .ignored = {"decoder.*"},
        .ignored_by_classifier = {"*pooler.dense.*"},
    },
    {
        .model_type = "ijepa",
        .architectures = {{"IJepaForImageClassification", HEAD_CLASSIFIER, POOL_MEAN, 0},
                          {"IJepaModel", HEAD_NONE, POOL_NONE, 0}},
        .traits = VIT_TRAITS & ~TRAIT_CLS,
        .switches = {QKV_BIAS_SWITCH},
        .defaults = {VIT_DEFAULTS},
        .filter = POSITION_BICUBIC,
        .prefixes = {"ijepa.", ""},
        .names = &VIT_NAMES,
    },
    {
        .model_type = "beit",
        .architectures = {{"BeitForImageClassification", HEAD_CLASSIFIER, POOL_CLS, 0},
                          {"BeitModel", HEAD_POOLED, POOL_CLS, 0},
                          {"BeitForMaskedImageModeling", HEAD_NONE, POOL_NONE, 0}},
        BEIT_SHAPE,
        .prefixes = {"beit.", ""},
        .ignored = {"lm_head.*", "layernorm.*"},
    },
    {
        .model_type = "data2vec-vision",
        .architectures = {{"Data2VecVisionForImageClassification", HEAD_CLASSIFIER, POOL_CLS, 0},
                          {"Data2VecVisionModel", HEAD_POOLED, POOL_CLS, 0}},
        BEIT_SHAPE,
        .prefixes = {"data2vec_vision.", ""},
    },
    {
        .model_type = "dinov2",
        .architectures = {{"Dinov2ForImageClassification", HEAD_CLASSIFIER, POOL_CLS_MEAN, 0},
                          {"Dinov2Model", HEAD_POOLED, POOL_CLS, 0}},
        DINOV2_SHAPE,
        .defaults = {.eps = 1e-6,
                     .width = 768,
                     .layers = 12,
                     .heads = 12,
                     .mlp_ratio = 4,
                     .image_size = 224,
                     .patch_size = 14,
                     .activation = "gelu",
                     .gate_activation = "silu"},
        .filter = POSITION_BICUBIC,
        .prefixes = {"dinov2.", ""},
    },
    {
        .model_type = "dinov2_with_registers",
        .architectures = {{"Dinov2WithRegistersForImageClassification", HEAD_CLASSIFIER, POOL_CLS_MEAN, 0},
                          {"Dinov2WithRegistersModel", HEAD_POOLED, POOL_CLS, 0}},
        DINOV2_SHAPE,
        .defaults = {.eps = 1e-6,
                     .width = 768,
                     .layers = 12,
                     .heads = 12,
                     .mlp_ratio = 4,
                     .image_size = 224,
                     .patch_size = 16,
                     .registers = 4,
                     .activation = "gelu",
                     .gate_activation = "silu"},
        .filter = POSITION_BICUBIC_AA,
        .prefixes = {"dinov2_with_registers.", ""},
    },
    {
        .model_type = "dinov3_vit",
        .architectures = {{"DINOv3ViTModel", HEAD_POOLED, POOL_CLS, 0}},
        .traits = TRAIT_CLS | TRAIT_PATCH_BIAS | TRAIT_NORM | TRAIT_SCALE,
        .switches = {{"query_bias", true, false, TRAIT_QUERY_BIAS, 0},
                     {"key_bias", false, false, TRAIT_KEY_BIAS, 0},
                     {"value_bias", true, false, TRAIT_VALUE_BIAS, 0},
                     {"proj_bias", true, false, TRAIT_PROJ_BIAS, 0},
                     {"mlp_bias", true, false, TRAIT_MLP_BIAS, 0},
                     {"use_gated_mlp", false, false, TRAIT_GATED, 0}},
        .defaults = {.eps = 1e-5,
                     .width = 384,
                     .layers = 12,
                     .heads = 6,
                     .mlp_width = 1536,
                     .image_size = 224,
                     .patch_size = 16,
                     .rope_theta = 100,
                     .activation = "gelu"},
        .any_size = true,
        .rope = ROPE_DINOV3,
        .prefixes = {"", "model."},
        .names = &DINOV3_NAMES,
    },
    {.model_type = "clip", .nested = "vision_config", CLIP_SHAPE("CLIP")},
    {.model_type = "clip_vision_model", CLIP_SHAPE("CLIP")},
    {.model_type = "metaclip_2", .nested = "vision_config", CLIP_SHAPE("MetaClip2")},
    {.model_type = "metaclip_2_vision_model", CLIP_SHAPE("MetaClip2")},
    {
        .model_type = "siglip",
        .nested = "vision_config",
        .architectures = {{"SiglipModel", HEAD_POOLED, POOL_ATTENTION, 0},
                          {"SiglipForImageClassification", HEAD_CLASSIFIER, POOL_MEAN, 0}},
        .traits = SIGLIP_TRAITS,
        .defaults = {SIGLIP_DEFAULTS},
        .filter = POSITION_BICUBIC,
        SIGLIP_SHAPE,
    },
    {
        .model_type = "siglip_vision_model",
        .architectures = {{"SiglipVisionModel", HEAD_POOLED, POOL_ATTENTION, 0}},
        .traits = SIGLIP_TRAITS,
        .defaults = {SIGLIP_DEFAULTS},
        .filter = POSITION_BICUBIC,
        SIGLIP_SHAPE,
    },
    {
        .model_type = "siglip2",
        .nested = "vision_config",
        .architectures = {{"Siglip2Model", HEAD_POOLED, POOL_ATTENTION, 0},
                          {"Siglip2ForImageClassification", HEAD_CLASSIFIER, POOL_MEAN, 0}},
        .traits = SIGLIP_TRAITS | TRAIT_NAFLEX,
        .defaults = {SIGLIP_DEFAULTS, .max_patches = 256},
        .filter = POSITION_BILINEAR_AA,
        SIGLIP_SHAPE,
    },
    {
        .model_type = "siglip2_vision_model",
        .architectures = {{"Siglip2VisionModel", HEAD_POOLED, POOL_ATTENTION, 0}},
        .traits = SIGLIP_TRAITS | TRAIT_NAFLEX,
        .defaults = {SIGLIP_DEFAULTS, .max_patches = 256},
        .filter = POSITION_BILINEAR_AA,
        SIGLIP_SHAPE,
    },
};

#define FAMILY_COUNT (sizeof FAMILIES / sizeof *FAMILIES)

const struct family *family_find(const char *model_type)
{
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        if (strcmp(FAMILIES[i].model_type, model_type) == 0)
            return &FAMILIES[i];
    return NULL;
}

const char *family_known(size_t index)
{
    return index < FAMILY_COUNT ? FAMILIES[index].model_type : NULL;
}

/* timm's models say little in config.json: most traits are read off the tensors (timm.c). */
#define TIMM_SHAPE                                                                                                     \
    .defaults = {.eps = 1e-6, .activation = "gelu"}, .filter = POSITION_BICUBIC_AA, .prefixes = {"", "timm_model."},   \
    .names = &TIMM_NAMES

const struct family TIMM_VIT = {.model_type = "timm VisionTransformer", TIMM_SHAPE};
const struct family TIMM_EVA = {.model_type = "timm Eva", TIMM_SHAPE};

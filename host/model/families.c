/* families.c - the tables. Sources: the configuration and model classes of transformers and the state dicts they
 * write. Names without ".weight" and ".bias" are linear, convolution or norm layers, which have both (or no bias). */
#include "model/families.h"

#include <string.h>

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

static const struct family FAMILIES[] = {
    {
        .model_type = "vit",
        .architectures = {{"ViTForImageClassification", HEAD_CLASSIFIER},
                          {"ViTModel", HEAD_POOLER},
                          {"ViTForMaskedImageModeling", HEAD_NONE}},
        .defaults = {.eps = 1e-12,
                     .image_size = 224,
                     .patch_size = 16,
                     .width = 768,
                     .layers = 12,
                     .heads = 12,
                     .mlp_width = 3072,
                     .activation = "gelu",
                     .pooler_activation = "tanh"},
        .prefixes = {"", "vit."},
        .names =
            {
                [ROLE_CLS_TOKEN] = {"embeddings.cls_token", NULL, "cls_token"},
                [ROLE_POSITION] = {"embeddings.position_embeddings", NULL, "pos_embed"},
                [ROLE_PATCH] = {"embeddings.patch_embeddings.projection", NULL, "patch_embed.proj"},
                [ROLE_NORM1] = {"encoder.layer.{i}.layernorm_before", "layers.{i}.layernorm_before",
                                "blocks.{i}.norm1"},
                [ROLE_QKV] = {NULL, NULL, "blocks.{i}.attn.qkv"},
                [ROLE_QUERY] = {"encoder.layer.{i}.attention.attention.query", "layers.{i}.attention.q_proj"},
                [ROLE_KEY] = {"encoder.layer.{i}.attention.attention.key", "layers.{i}.attention.k_proj"},
                [ROLE_VALUE] = {"encoder.layer.{i}.attention.attention.value", "layers.{i}.attention.v_proj"},
                [ROLE_PROJ] = {"encoder.layer.{i}.attention.output.dense", "layers.{i}.attention.o_proj",
                               "blocks.{i}.attn.proj"},
                [ROLE_NORM2] = {"encoder.layer.{i}.layernorm_after", "layers.{i}.layernorm_after", "blocks.{i}.norm2"},
                [ROLE_FC1] = {"encoder.layer.{i}.intermediate.dense", "layers.{i}.mlp.fc1", "blocks.{i}.mlp.fc1"},
                [ROLE_FC2] = {"encoder.layer.{i}.output.dense", "layers.{i}.mlp.fc2", "blocks.{i}.mlp.fc2"},
                [ROLE_NORM] = {"layernorm", NULL, "norm"},
                [ROLE_POOLER] = {"pooler.dense"},
                [ROLE_CLASSIFIER] = {"classifier", NULL, "head"},
            },
        .ignored = {"*embeddings.mask_token", "*position_ids", "decoder.*"},
        .ignored_by_classifier = {"*pooler.dense.*"},
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

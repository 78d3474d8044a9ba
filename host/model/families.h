/* families.h - what vitcl knows about each family of models, as tables: names, defaults, tensor names.
 *
 * A new family is new rows in families.c, not new branches elsewhere.
 */
#ifndef VITCL_MODEL_FAMILIES_H
#define VITCL_MODEL_FAMILIES_H

#include "model/position.h"

#include <stdbool.h>
#include <stddef.h>

enum activation {
    ACTIVATION_NONE,
    ACTIVATION_GELU,       /* x/2 (1 + erf(x/sqrt 2)) */
    ACTIVATION_GELU_TANH,  /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    ACTIVATION_QUICK_GELU, /* x sigmoid(1.702 x) */
    ACTIVATION_SILU,       /* x sigmoid(x) */
    ACTIVATION_RELU,
    ACTIVATION_TANH,
    ACTIVATION_COUNT
};

/* "gelu" for ACTIVATION_GELU, as printed in plans. */
const char *activation_name(enum activation activation);

/* The activation that a name in a config.json stands for; false for a name vitcl does not know. */
bool activation_find(const char *name, enum activation *activation);

/* The names activation_find knows, by index, for messages; NULL past the last. */
const char *activation_known(size_t index);

/* How tokens become one vector. "Patches" are the tokens behind the prefix. */
enum pool {
    POOL_NONE,
    POOL_CLS,      /* the first token */
    POOL_CLS_DIST, /* the first two, beside each other */
    POOL_CLS_MEAN, /* the first, and the mean of the patches, beside each other */
    POOL_MEAN,     /* of the patches */
    POOL_MAX,
    POOL_MEAN_MAX, /* half of the mean plus half of the maximum */
    POOL_ATTENTION /* a learned query, then an MLP with a residual */
};

/* "mean", for --info. */
const char *pool_name(enum pool pool);

/* What a model puts on top of the pooled vector. */
enum head {
    HEAD_INFER,          /* config.json names no architecture: the tensors decide (config_complete) */
    HEAD_NONE,           /* hidden states only: no pooled vector */
    HEAD_POOLED,         /* the pooled vector itself is the embedding */
    HEAD_POOLER,         /* a linear layer and an activation, where the file has them; else hidden states only */
    HEAD_PROJECTION,     /* a linear layer into the space that texts share */
    HEAD_CLASSIFIER,     /* logits */
    HEAD_TWO_CLASSIFIERS /* the mean of two: of the class token's and the distillation token's */
};

/* What a model's graph has beyond the plain ViT: a set of these. */
enum trait {
    TRAIT_CLS = 1 << 0,        /* a class token before the patches */
    TRAIT_DIST = 1 << 1,       /* a distillation token behind it */
    TRAIT_PATCH_BIAS = 1 << 2, /* of the patch embedding */
    TRAIT_QUERY_BIAS = 1 << 3,
    TRAIT_KEY_BIAS = 1 << 4,
    TRAIT_VALUE_BIAS = 1 << 5,
    TRAIT_PROJ_BIAS = 1 << 6, /* of the attention's output */
    TRAIT_MLP_BIAS = 1 << 7,
    TRAIT_PRE_NORM = 1 << 8,        /* LayerNorm before the first block */
    TRAIT_QK_NORM = 1 << 9,         /* of each head's query and key */
    TRAIT_ATTENTION_NORM = 1 << 10, /* LayerNorm of the attention's context */
    TRAIT_MLP_NORM = 1 << 11,       /* LayerNorm inside the MLP */
    TRAIT_GATED = 1 << 12,          /* the MLP's first layer is a gate and a value */
    TRAIT_SCALE = 1 << 13,          /* LayerScale */
    TRAIT_BIAS_TABLE = 1 << 14,     /* relative position bias, one table per block */
    TRAIT_SHARED_TABLE = 1 << 15,   /* relative position bias, one table for all blocks */
    TRAIT_NORM = 1 << 16,           /* LayerNorm of all tokens behind the last block */
    TRAIT_POOL_NORM = 1 << 17,      /* LayerNorm of the pooled vector */
    TRAIT_MEAN_POOL = 1 << 18,      /* patches are averaged, whatever the architecture pools */
    TRAIT_HEAD = 1 << 19,           /* the attention pool is there: without it hidden states only */
    TRAIT_POSITION = 1 << 20,       /* a learned position is added */
    TRAIT_NAFLEX = 1 << 21,         /* images keep their shape: a varying grid of up to max_patches patches */
    TRAIT_QKV_BIAS = TRAIT_QUERY_BIAS | TRAIT_KEY_BIAS | TRAIT_VALUE_BIAS,
    TRAIT_BIASES = TRAIT_QKV_BIAS | TRAIT_PROJ_BIAS | TRAIT_MLP_BIAS
};

/* A tensor's part in the model. In a block's roles the name has "{i}" where the block's number stands. */
enum role {
    ROLE_CLS_TOKEN,
    ROLE_DIST_TOKEN,
    ROLE_REGISTER_TOKENS,
    ROLE_POSITION,
    ROLE_PATCH,
    ROLE_PRE_NORM,
    ROLE_NORM1,
    ROLE_QKV, /* fused; where a file has it, query, key and value are not looked for */
    ROLE_QUERY,
    ROLE_KEY,
    ROLE_VALUE,
    ROLE_QUERY_BIAS, /* of a fused qkv, where stored apart */
    ROLE_VALUE_BIAS,
    ROLE_QUERY_NORM,
    ROLE_KEY_NORM,
    ROLE_BIAS_TABLE,
    ROLE_SHARED_TABLE,
    ROLE_ATTENTION_NORM,
    ROLE_PROJ,
    ROLE_SCALE1,
    ROLE_NORM2,
    ROLE_GATE, /* where gate and value are two layers, fc1 is the value */
    ROLE_FC1,
    ROLE_MLP_NORM,
    ROLE_FC2,
    ROLE_SCALE2,
    ROLE_NORM,
    ROLE_POOL_NORM,
    ROLE_PROBE, /* the attention pool: its query before the layer */
    ROLE_POOL_QKV,
    ROLE_POOL_QUERY,
    ROLE_POOL_KV,
    ROLE_POOL_PROJ,
    ROLE_POOL_MLP_NORM,
    ROLE_POOL_FC1,
    ROLE_POOL_FC2,
    ROLE_POOLER,
    ROLE_PROJECTION,
    ROLE_CLASSIFIER,
    ROLE_DIST_CLASSIFIER,
    ROLE_LOGIT_SCALE,
    ROLE_LOGIT_BIAS,
    ROLE_COUNT
};

/* Names that one role may have in a family's files: those of the hub, of transformers v5 in memory, of timm, or of
 * another class's layer in the same place. */
#define GENERATIONS 3

/* The names of each role. Those of linear, convolution and norm layers are without ".weight" and ".bias" (one that ends
 * with "_": without "weight" and "bias"). NULL: this generation has no such tensor. */
typedef const char *role_names[ROLE_COUNT][GENERATIONS];

struct architecture {
    const char *name;
    enum head head;
    enum pool pool;
    unsigned adds; /* traits */
};

/* A key of config.json that is true or false, and the traits that it adds or takes. */
struct trait_switch {
    const char *key;
    bool by_default;
    bool is_number;                 /* true where it is above 0 */
    unsigned when_true, when_false; /* the first are taken away where the key is false, the second where it is true */
};

#define MAX_ARCHITECTURES 6
#define MAX_SWITCHES      8

struct family {
    const char *model_type;
    const char *nested; /* the key of the vision tower's own object; NULL where config.json is flat */
    struct architecture architectures[MAX_ARCHITECTURES]; /* ends with NULL */
    unsigned traits;
    struct trait_switch switches[MAX_SWITCHES]; /* ends with NULL */
    struct {
        double eps, rope_theta, mlp_ratio;
        size_t image_size, patch_size, width, layers, heads, mlp_width, registers, max_patches;
        const char *activation, *pooler_activation;
        const char *gate_activation; /* of a gated MLP, whatever hidden_act says; NULL: hidden_act */
    } defaults;
    bool optional_pooler;         /* a model without a pooler gives hidden states only */
    bool position_without_prefix; /* the stored position covers the patches only */
    enum position_filter filter;  /* how positions come to another grid */
    bool any_size;                /* the library resizes positions unasked */
    enum rope_kind rope;
    const char *prefixes[4]; /* any of them may stand before any name; ends with NULL */
    const role_names *names;
    const char *ignored[10];              /* shell patterns of tensors that do not change the outputs */
    const char *ignored_by_classifier[3]; /* the same, where the architecture is a classifier */
};

/* The family of a model_type; NULL where vitcl has none. */
const struct family *family_find(const char *model_type);

/* The model types, by index, for messages; NULL past the last. */
const char *family_known(size_t index);

/* The two of timm, by class. */
extern const struct family TIMM_VIT, TIMM_EVA;

#endif

/* families.h - what vitcl knows about each family of models, as tables: names, defaults, tensor names.
 *
 * A new family is new rows here, not new branches elsewhere.
 */
#ifndef VITCL_MODEL_FAMILIES_H
#define VITCL_MODEL_FAMILIES_H

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

/* What a model puts on top of the last LayerNorm. */
enum head {
    HEAD_INFER,      /* the file names no architecture: the tensors decide */
    HEAD_NONE,       /* hidden states only */
    HEAD_POOLER,     /* pooler_output, where the tensors have a pooler */
    HEAD_CLASSIFIER, /* logits */
};

/* A tensor's part in the model. In a block's roles the name has "{i}" where the block's number stands. */
enum role {
    ROLE_CLS_TOKEN,
    ROLE_POSITION,
    ROLE_PATCH,
    ROLE_NORM1,
    ROLE_QKV, /* fused; where a file has it, query, key and value are not looked for */
    ROLE_QUERY,
    ROLE_KEY,
    ROLE_VALUE,
    ROLE_PROJ,
    ROLE_NORM2,
    ROLE_FC1,
    ROLE_FC2,
    ROLE_NORM,
    ROLE_POOLER,
    ROLE_CLASSIFIER,
    ROLE_COUNT
};

#define GENERATIONS 3 /* on the hub; transformers v5 in memory; timm */

struct family {
    const char *model_type;
    struct {
        const char *name;
        enum head head;
    } architectures[4];
    struct {
        double eps;
        size_t image_size, patch_size, width, layers, heads, mlp_width;
        const char *activation, *pooler_activation;
    } defaults;
    const char *prefixes[3];                    /* any of them may stand before any name; ends with NULL */
    const char *names[ROLE_COUNT][GENERATIONS]; /* NULL: this generation has no such tensor */
    const char *ignored[8];                     /* shell patterns of tensors that do not change the outputs */
    const char *ignored_by_classifier[2];       /* the same, where the architecture is a classifier */
};

/* The family of a model_type; NULL where vitcl has none. */
const struct family *family_find(const char *model_type);

/* The model types, by index, for messages; NULL past the last. */
const char *family_known(size_t index);

#endif

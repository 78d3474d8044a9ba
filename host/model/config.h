/* config.h - config.json of a Hugging Face or timm folder, checked, with the defaults of the model's class filled in:
 * all that decides a model's graph and sizes. */
#ifndef VITCL_MODEL_CONFIG_H
#define VITCL_MODEL_CONFIG_H

#include "base/error.h"
#include "model/families.h"
#include "model/labels.h"
#include "model/safetensors.h"

/* The largest head vitcl takes, far above the 128 of published models. */
#define MAX_HEAD_SIZE 1024

/* Which tokens the stored position covers, in the order they are stored; the others get none. */
enum position {
    POSITION_NONE,
    POSITION_ALL,     /* all tokens */
    POSITION_CLS,     /* the class token and the patches: registers between them get none */
    POSITION_PATCHES, /* the patches */
};

struct config {
    const struct family *family;
    char architecture[96]; /* architectures[0], or timm's architecture; "" where the file names none */
    bool timm;
    enum head head;
    enum pool pool;
    unsigned traits;
    size_t image_height, image_width; /* that the stored position was trained at */
    size_t patch_height, patch_width;
    size_t grid_height, grid_width; /* whole patches; pixels that remain at the right and bottom are dropped */
    size_t max_patches;             /* TRAIT_NAFLEX: of one image; 0 otherwise */
    size_t registers;               /* register tokens */
    size_t prefix;                  /* P: tokens before the patches */
    size_t tokens;                  /* T, at the sizes above */
    size_t width, heads, layers;
    size_t mlp_width; /* M; of a gated MLP, behind the gate */
    size_t pooler_width, projection_width;
    enum position position;
    enum position_filter filter;
    bool any_size;                   /* the library resizes positions unasked */
    bool one_size;                   /* vitcl does not have its way of resizing positions */
    bool pool_prefix;                /* tokens before the patches are pooled, too */
    enum activation pool_activation; /* of the attention pool's MLP */
    struct rope rope;
    enum activation activation, pooler_activation;
    enum activation gate_activation; /* timm: in place of activation, where the tensors show a gate */
    double eps;                      /* of every LayerNorm */
    char assumed[200]; /* the keys that config.json did not have and a default filled, "a, b"; "" for none */
    struct labels labels;
};

/* Reads folder/config.json. On failure nothing is owned. */
vitcl_status config_read(struct config *config, const char *folder, vitcl_error *err);

/* Settles what only the tensors tell: the head where config.json names no architecture, most of a timm model. */
vitcl_status config_complete(struct config *config, const struct safetensors *tensors, vitcl_error *err);

void config_free(struct config *config);

/* The grid of whole patches of an image of height x width pixels. */
struct grid config_grid(const struct config *config, size_t height, size_t width);

/* Tokens before the patches that the stored position covers: its first rows are theirs. */
size_t config_position_prefix(const struct config *config);

#endif

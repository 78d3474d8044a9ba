/* config.h - config.json of a Hugging Face folder, checked, with the defaults of the model's class filled in. */
#ifndef VITCL_MODEL_CONFIG_H
#define VITCL_MODEL_CONFIG_H

#include "base/error.h"
#include "model/families.h"
#include "model/labels.h"

/* The largest head vitcl takes, far above the 128 of published models. */
#define MAX_HEAD_SIZE 1024

struct config {
    const struct family *family;
    char architecture[96]; /* architectures[0]; "" where the file names none */
    enum head head;        /* what the architecture puts on top; HEAD_INFER where the file names none */
    size_t image_height, image_width;
    size_t patch_height, patch_width;
    size_t grid_height, grid_width; /* whole patches; pixels that remain at the right and bottom are dropped */
    size_t tokens;                  /* T: class token and patches */
    size_t width, heads, layers, mlp_width;
    size_t pooler_width;
    enum activation activation, pooler_activation;
    double eps;    /* of every LayerNorm */
    bool qkv_bias; /* query, key and value have biases; all other linear layers do in any case */
    struct labels labels;
};

/* Reads folder/config.json. On failure nothing is owned. */
vitcl_status config_read(struct config *config, const char *folder, vitcl_error *err);
void config_free(struct config *config);

#endif

/* weights.h - the tensors of a file as the named, shape-checked parts of a Vision Transformer.
 *
 * Nothing is copied: a weight is a view of the mapped file, which must stay open. Every tensor of the file is used or
 * on the family's list of those that do not matter; any other refuses the model by its name.
 */
#ifndef VITCL_MODEL_WEIGHTS_H
#define VITCL_MODEL_WEIGHTS_H

#include "model/config.h"
#include "model/safetensors.h"

/* A matrix [rows,cols], or a vector as [1,cols]: up to three tensors below (vector: beside) each other, so that query,
 * key and value are one weight however the file stores them. */
struct weight {
    struct {
        const struct tensor_entry *tensor; /* NULL: zeros, for a bias that the model does not have */
        size_t rows, cols;
    } part[3];
    size_t parts;
    size_t rows, cols;
};

struct linear {
    struct weight weight; /* [out,in] */
    struct weight bias;   /* [1,out] */
};

struct norm {
    struct weight weight, bias; /* [1,D] */
};

struct block_weights {
    struct norm norm1;
    struct linear qkv;  /* [3D,D], rows query; key; value */
    struct linear proj; /* [D,D] */
    struct norm norm2;
    struct linear fc1; /* [M,D] */
    struct linear fc2; /* [D,M] */
};

struct weights {
    struct weight cls_token;      /* [1,D] */
    struct weight position;       /* [T,D] */
    struct linear patch;          /* [D,3*p*p], columns in the order channel, y, x */
    struct block_weights *blocks; /* [layers] */
    struct norm norm;
    struct linear pooler;     /* head == HEAD_POOLER: [E,D] */
    struct linear classifier; /* head == HEAD_CLASSIFIER: [C,D] */
    enum head head;           /* HEAD_NONE, HEAD_POOLER or HEAD_CLASSIFIER: what the file really has */
    uint64_t parameters;      /* numbers in the tensors used */
};

vitcl_status weights_find(struct weights *weights, const struct config *config, const struct safetensors *file,
                          vitcl_error *err);
void weights_free(struct weights *weights);

/* Row `row` of a weight as float: values [cols]. */
void weight_read_row(const struct weight *weight, size_t row, float *values);

#endif

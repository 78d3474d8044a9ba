/* weights.h - the tensors of a file as the named, shape-checked parts of a Vision Transformer.
 *
 * Nothing is copied: a weight is a view of the mapped file, which must stay open. Every tensor of the file is used or
 * on the family's list of those that do not matter; any other refuses the model by its name.
 */
#ifndef VITCL_MODEL_WEIGHTS_H
#define VITCL_MODEL_WEIGHTS_H

#include "model/config.h"

/* A matrix [rows,cols], or a vector as [1,cols]: up to three tensors below (vector: beside) each other, so that query,
 * key and value are one weight however the file stores them. */
struct weight {
    struct {
        const struct tensor_entry *tensor; /* NULL: zeros, as for a bias that the model does not have */
        size_t first;                      /* where it begins in the tensor: numbers before it */
        size_t rows, cols;
    } part[3];
    size_t parts; /* 0: the model has no such weight */
    size_t rows, cols;
    const struct tensor_entry *scale; /* LayerScale, folded in: a factor per row, or per number of a vector; NULL: 1 */
};

struct linear {
    struct weight weight; /* [out,in] */
    struct weight bias;   /* [1,out] */
};

struct norm {
    struct weight weight, bias; /* [1,width] */
};

struct block_weights {
    struct norm norm1;
    struct linear qkv;          /* [3D,D], rows query; key; value */
    struct norm q_norm, k_norm; /* [d] */
    struct weight bias_table;   /* [R,H] */
    struct norm attention_norm; /* [D] */
    struct linear proj;         /* [D,D] */
    struct norm norm2;
    struct linear fc1;    /* [M,D]; of a gated MLP [2M,D], the gate's rows first */
    struct norm mlp_norm; /* [M] */
    struct linear fc2;    /* [D,M] */
};

/* The pooling head: attention of one learned query, then an MLP with a residual. */
struct attention_pool_weights {
    struct weight probe; /* [1,D] */
    struct linear query; /* [D,D], applied to the probe */
    struct linear kv;    /* [2D,D] */
    struct linear proj;  /* [D,D] */
    struct norm norm;
    struct linear fc1, fc2;
};

struct weights {
    struct weight prefix;   /* [P,D]: class, distillation, register tokens */
    struct weight position; /* the rows that are stored, [..,D]; config->position says of which tokens */
    struct linear patch;    /* [D,3*p*p], columns in the order channel, y, x; TRAIT_NAFLEX: y, x, channel */
    struct norm pre_norm;
    struct block_weights *blocks; /* [layers] */
    struct weight shared_table;   /* [R,H] */
    struct norm norm, pool_norm;
    struct attention_pool_weights attention_pool;
    struct linear pooler;                      /* HEAD_POOLER: [E,D] */
    struct linear projection;                  /* HEAD_PROJECTION: [E,D] */
    struct linear classifier, dist_classifier; /* [C,D]; with POOL_CLS_MEAN [C,2D] */
    struct weight logit_scale, logit_bias;     /* [1,1]: of the similarity to texts, where the file has them */
    uint64_t parameters;                       /* numbers in the tensors used */
};

/* `config` is complete. */
vitcl_status weights_find(struct weights *weights, const struct config *config, const struct safetensors *file,
                          vitcl_error *err);
void weights_free(struct weights *weights);

/* Row `row` of a weight as float: values [cols]. */
void weight_read_row(const struct weight *weight, size_t row, float *values);

/* Rows [first,last) are not needed soon: gives back the memory that their pages of the file take. */
void weight_release(const struct weight *weight, size_t first, size_t last);

/* Length of the vector that the head reads. */
size_t pooled_width(const struct config *config);

#endif

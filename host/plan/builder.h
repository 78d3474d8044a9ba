/* builder.h - the vocabulary of plan/build.c: each function adds one step to a plan and returns the tensor it writes.
 *
 * Letters: B batch, N patches, T tokens, D width, p patch side.
 */
#ifndef VITCL_PLAN_BUILDER_H
#define VITCL_PLAN_BUILDER_H

#include "plan/plan.h"

/* The plan being written. Once a tensor can not be added, `failed` stays set and everything after it is NO_TENSOR. */
struct builder {
    struct plan *plan;
    float eps;       /* of every LayerNorm */
    char prefix[32]; /* before each label: "block 3 " */
    bool failed;
};

/* A tensor that no step has written yet: an input of the plan, or what the next step writes. */
int new_tensor(struct builder *b, const char *name, const size_t *shape, size_t rank);

/* pixels [B,3,Hi,Wi] -> patches [B,N,3pp] */
int step_im2patch(struct builder *b, const char *label, int pixels);

/* x [..,K] -> activation(x W^T + bias) [..,N] */
int step_matmul(struct builder *b, const char *label, int x, const struct linear *layer, enum activation activation);

/* patches [B,N,D] -> (class token; patches) + position [B,T,D] */
int step_tokens(struct builder *b, const char *label, int patches, const struct weights *weights);

/* Where there is a branch [B,T,D], *x becomes x + branch. Returns LayerNorm(*x). */
int step_residual_norm(struct builder *b, const char *label, int *x, int branch, const struct norm *norm);

/* qkv [B,T,3D] -> context [B,T,D] */
int step_attention(struct builder *b, const char *label, int qkv);

/* x [B,T,D] -> the class token's rows [B,D] */
int step_pool(struct builder *b, const char *label, int x);

/* Marks an output of the plan, and returns it. */
int keep_tensor(struct builder *b, int tensor);

#endif

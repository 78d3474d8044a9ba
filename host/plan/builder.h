/* builder.h - the vocabulary of plan/build.c: each function adds one step to a plan and returns the tensor it writes.
 *
 * Letters: B batch, N patches, T tokens, D width, p patch side, d head size, M mlp width.
 */
#ifndef VITCL_PLAN_BUILDER_H
#define VITCL_PLAN_BUILDER_H

#include "plan/plan.h"

/* The plan being written. Once a tensor can not be added, `failed` stays set and everything after it is NO_TENSOR. */
struct builder {
    struct plan *plan;
    const struct config *config;
    const struct weight *angles;           /* of rotary positions, once made */
    const struct weight *stored, *resized; /* the last bias table that was resized, and what came of it */
    float eps;                             /* of every LayerNorm */
    char prefix[32];                       /* before each label: "block 3 " */
    bool failed;
};

/* A tensor that no step has written yet: an input of the plan, or what the next step writes. */
int new_tensor(struct builder *b, const char *name, const size_t *shape, size_t rank);

/* pixels [B,3,Hi,Wi] -> patches [B,N,3pp] */
int step_im2patch(struct builder *b, const char *label, int pixels);

/* x [..,K] -> activation(x W^T + bias) [..,N] */
int step_matmul(struct builder *b, const char *label, int x, const struct linear *layer, enum activation activation);

/* x [B,2K] -> the mean of first's result for the left half and second's for the right one [B,N] */
int step_mean_matmul(struct builder *b, const char *label, int x, const struct linear *first,
                     const struct linear *second);

/* patches [B,N,D] -> (prefix tokens; patches) + position [B,T,D] */
int step_tokens(struct builder *b, const char *label, int patches, const struct weights *weights);

/* Where there is a branch, *x becomes x + branch. Returns LayerNorm(*x). All [..,D]. */
int step_residual_norm(struct builder *b, const char *label, int *x, int branch, const struct norm *norm);

/* x + branch [..,D] */
int step_residual(struct builder *b, const char *label, int x, int branch);

/* qkv [B,T,3D] -> the same, each head's query and key normalised, or turned by its patch's angle */
int step_qk_norm(struct builder *b, const char *label, int qkv, const struct norm *q_norm, const struct norm *k_norm);
int step_rope(struct builder *b, const char *label, int qkv, const struct rope *rope);

/* qkv [B,T,3D] -> context [B,T,D]; with BEiT's bias from a table [R,H] where it is not empty */
int step_attention(struct builder *b, const char *label, int qkv, const struct weight *bias_table);

/* x [..,2M] -> activation(left) * right [..,M] */
int step_gate(struct builder *b, const char *label, int x, enum activation activation);

/* x [B,T,D] -> [B,D], or [B,2D] for two of them */
int step_pool(struct builder *b, const char *label, int x, enum pool pool);

/* kv [B,T,2D] -> context [B,D] of the probe's query, over the tokens from `first` on */
int step_attention_pool(struct builder *b, const char *label, int kv, const struct attention_pool_weights *weights,
                        size_t first);

/* Marks an output of the plan, and returns it. */
int keep_tensor(struct builder *b, int tensor);

#endif

/* plan.h - a forward pass as pure data: a flat list of steps over tensors.
 *
 * A plan knows nothing of OpenCL. It is written by plan/build.c, gets its variants from ops/ and its memory from
 * plan/memory.c, and then runs on a device (run/execute.c) or in plain C (run/reference.c). Each tensor is written by
 * exactly one step.
 */
#ifndef VITCL_PLAN_PLAN_H
#define VITCL_PLAN_PLAN_H

#include "base/error.h"
#include "base/facts.h"
#include "model/weights.h"

/* Activations have their number of rows rounded up to this in memory, so that no kernel needs an edge case for rows:
 * what it writes into the rows beyond, nobody reads. */
#define ROW_PAD 32

#define NO_TENSOR (-1)

/* How a weight lies in device memory. */
enum layout {
    LAYOUT_ROWS,      /* as in the file: [rows,cols] */
    LAYOUT_TRANSPOSED /* [cols,rows]: for a linear layer [K,N], as CLBlast wants it */
};

struct tensor {
    char name[48];
    size_t rank;
    size_t shape[4];
    size_t rows, cols;           /* the same numbers as a matrix: cols is the last axis */
    const struct weight *weight; /* NULL for activations */
    enum layout layout;          /* of a weight */
    bool keep;                   /* an output: must survive to the end of the plan */
    int producer;                /* the step that writes it; -1 for inputs and weights */
    int last_use;                /* the last step that reads it; the number of steps where `keep` */
    int reuse;                   /* tensor whose place it may take, because its producer reads and writes the same
                                    element; NO_TENSOR */
    size_t bytes;                /* with padding */
    size_t offset;               /* in the arena; activations only */
};

enum op { OP_IM2PATCH, OP_MATMUL, OP_TOKENS, OP_RESIDUAL_NORM, OP_ATTENTION, OP_POOL, OP_COUNT };

/* "matmul" for OP_MATMUL, as in VITCL_VARIANT. */
const char *plan_op_name(enum op op);

#define STEP_INPUTS  2
#define STEP_WEIGHTS 2
#define STEP_OUTPUTS 2

/* One operation. Unused places of the arrays hold NO_TENSOR.
 *
 * op             inputs                weights              outputs
 * im2patch       pixels [B,3,Hi,Wi]                         patches [B,N,3pp]
 * matmul         x [..,K]              W [N,K], bias [N]    y [..,N] = activation(x W^T + bias)
 * tokens         patches [B,N,D]       cls [D], pos [T,D]   x [B,T,D]
 * residual_norm  x, y or none [B,T,D]  weight, bias [D]     normed = LayerNorm(x + y); x + y where there is a y
 * attention      qkv [B,T,3D]                               context [B,T,D]
 * pool           x [B,T,D]                                  the class token's row [B,D]
 */
struct step {
    enum op op;
    char label[48];
    int input[STEP_INPUTS], weight[STEP_WEIGHTS], output[STEP_OUTPUTS];
    enum activation activation;
    float eps;
    double flops;
    double bytes;                  /* read and written at least, each number once */
    const struct variant *variant; /* how it runs on a device (ops/ops.h) */
    const char *variant_name;      /* static strings: its name, and why it was chosen */
    const char *reason;
};

/* Sizes that all steps share; letters as in vitcl.h. */
struct geometry {
    size_t batch;
    size_t image_height, image_width, patch_height, patch_width, grid_height, grid_width;
    size_t patches, tokens, width, heads, head_size;
};

/* The outputs of vitcl_output, in its order. */
enum plan_output { OUTPUT_LOGITS, OUTPUT_EMBEDDING, OUTPUT_HIDDEN, OUTPUT_COUNT };

struct plan {
    struct geometry geometry;
    struct step *steps;
    size_t step_count, step_capacity;
    struct tensor *tensors;
    size_t tensor_count, tensor_capacity;
    int pixels;                /* the input tensor */
    int outputs[OUTPUT_COUNT]; /* tensors; NO_TENSOR where not asked for */
    size_t arena_bytes;        /* after plan_place */
    size_t weight_bytes;       /* on the device, as float */
};

/* build.c: writes the forward pass for `batch` images and the vitcl_output set `outputs`. The plan points into
 * *weights, which must outlive it. */
vitcl_status plan_build(struct plan *plan, const struct config *config, const struct weights *weights, size_t batch,
                        unsigned outputs, vitcl_error *err);

/* tensors.c: adds a tensor, or a step with its outputs; returns its number, or NO_TENSOR when memory is out. */
int plan_add_tensor(struct plan *plan, const char *name, const size_t *shape, size_t rank);
int plan_add_weight(struct plan *plan, const struct weight *weight, const char *name);
int plan_add_step(struct plan *plan, const struct step *step);

/* memory.c: finds every activation's lifetime and lays all of them into one arena, each at a multiple of `align`. */
vitcl_status plan_place(struct plan *plan, size_t align, vitcl_error *err);

/* describe.c: the whole plan as text, which the caller frees. */
vitcl_status plan_describe(const struct plan *plan, char **text, vitcl_error *err);

void plan_free(struct plan *plan);

#endif

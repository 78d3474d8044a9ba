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
#include "model/position.h"
#include "model/weights.h"

/* Activations have their number of rows rounded up to this in memory, so that no kernel needs an edge case for rows:
 * what it writes into the rows beyond, nobody reads. */
#define ROW_PAD 32

#define NO_TENSOR (-1)

/* How a number is stored on the device. */
enum number {
    NUMBER_F32,
    NUMBER_BF16, /* the upper half of a float */
    NUMBER_F16 /* IEEE 754 binary16; what it can not hold is NaN, which no sum loses: Infinity might, in softmax say */
};

/* How a weight lies in device memory. */
enum layout {
    LAYOUT_ROWS,       /* as in the file: [rows,cols] */
    LAYOUT_TRANSPOSED, /* [cols,rows]: for a linear layer [K,N], as CLBlast wants it */
    LAYOUT_PANELS,     /* [panels][cols][panel]: `panel` rows of the file at a time, transposed, zeros behind the last;
                          of bf16 [panels][cols/2][panel][2], so that neighbours in a row stay neighbours */
    LAYOUT_PAIRS       /* the same, but f16, too, in pairs */
};

struct tensor {
    char name[48];
    size_t rank;
    size_t shape[4];
    size_t rows, cols;           /* the same numbers as a matrix: cols is the last axis */
    const struct weight *weight; /* NULL for activations */
    enum layout layout;          /* of a weight */
    size_t panel;                /* of LAYOUT_PANELS and _PAIRS: rows of the file in one */
    enum number number;          /* how it is stored; what is no weight has room for floats, with which the reference
                                    runs */
    bool keep;                   /* an output: must survive to the end of the plan */
    int producer;                /* the step that writes it; -1 for inputs and weights */
    int last_use;                /* the last step that reads it; the number of steps where `keep` */
    int reuse;                   /* tensor whose place it may take, because its producer reads and writes the same
                                    element; NO_TENSOR */
    size_t bytes;                /* with padding */
    size_t offset;               /* in the arena; activations only */
    size_t segment;              /* of the arena, in which the tensor lies as a whole */
};

enum op {
    OP_IM2PATCH,
    OP_MATMUL,
    OP_TOKENS,
    OP_RESIDUAL_NORM,
    OP_QK_NORM,
    OP_ROPE,
    OP_ATTENTION,
    OP_GATE,
    OP_POOL,
    OP_ATTENTION_POOL,
    OP_COUNT
};

/* "matmul" for OP_MATMUL, as in VITCL_VARIANT. */
const char *plan_op_name(enum op op);

#define STEP_INPUTS  2
#define STEP_WEIGHTS 4
#define STEP_OUTPUTS 2

/* How a variant cuts its work into pieces; what each number means, the variant's file says. 0 is its own choice. */
struct tuning {
    size_t tile, block;
};

/* One operation. Unused places of the arrays hold NO_TENSOR.
 *
 * op              inputs                        weights                      outputs
 * im2patch        pixels [B,3,Hi,Wi]                                         patches [B,N,3pp]
 * matmul          x [..,K]                      W [N,K], bias [N]            y [..,N] = activation(x W^T + bias)
 * tokens          patches [B,N,D],              prefix [P,D] where P > 0,    x [B,T,D]
 *                 position [B,N,D] or none      position [T,D] or none
 * residual_norm   x, y or none [..,D]           weight, bias [D] or none     normed = LayerNorm(x + y) where there are
 *                                                                            weights; x + y where there is a y
 * qk_norm         qkv [B,T,3D]                  q weight, bias, k weight,    qkv, queries and keys normalised
 *                                               bias [d]
 * rope            qkv [B,T,3D]                  cos, sin [N,d]               qkv, queries and keys turned
 * attention       qkv [B,T,3D],                 bias table [R,H] or none     context [B,T,D]
 *                 lengths [B] or none
 * gate            x [..,2M]                                                  y [..,M] = activation(left) * right
 * pool            x [B,T,D], lengths or none                                 pooled [B,D or 2D]
 * attention_pool  kv [B,T,2D], lengths or none  query [D]                    context [B,D]
 */
struct step {
    enum op op;
    char label[48];
    int input[STEP_INPUTS], weight[STEP_WEIGHTS], output[STEP_OUTPUTS];
    enum activation activation;
    enum pool pool;
    size_t first; /* pool, attention_pool: the tokens before it are left out */
    enum rope_kind rope;
    float eps;
    double flops;
    double bytes;                  /* read and written at least, each number once */
    const struct variant *variant; /* how it runs on a device (ops/ops.h) */
    const char *variant_name;      /* static strings: its name, and why it was chosen */
    const char *reason;
    struct tuning tuning;
    bool tuned; /* that was measured to be the best here, also where it is the variant's own choice */
};

/* Sizes that all steps share; letters as in vitcl.h. */
struct geometry {
    size_t batch;
    size_t image_height, image_width, patch_height, patch_width, grid_height, grid_width;
    size_t patches, prefix, tokens, width, heads, head_size; /* N, P tokens before the patches, T = P + N */
};

/* The outputs of vitcl_output, in its order. */
enum plan_output { OUTPUT_LOGITS, OUTPUT_EMBEDDING, OUTPUT_HIDDEN, OUTPUT_COUNT };

/* A weight that the plan makes itself, from the file's: a resized position, say. */
struct computed {
    struct computed *next;
    struct tensor_entry tensor;
    struct weight weight;
    float values[];
};

struct plan {
    struct geometry geometry;
    size_t images; /* of a whole run: the batch, or more where it takes several passes of the plan (run/fit.c) */
    vitcl_precision precision;
    struct step *steps;
    size_t step_count, step_capacity;
    struct tensor *tensors;
    size_t tensor_count, tensor_capacity;
    struct computed *computed;
    /* The inputs. pixels [B,3,Hi,Wi]; a model of variable resolution has instead patches [B,N,3pp], the position of
     * each [B,N,D], and how many of them are the picture's [B]. */
    int pixels, position, lengths;
    int outputs[OUTPUT_COUNT]; /* tensors; NO_TENSOR where not asked for */
    size_t arena_bytes;        /* after plan_place */
    size_t segment_count;      /* buffers that the arena consists of */
    size_t weight_bytes;       /* on the device, as float */
};

/* What a plan is made for. */
struct request {
    const struct config *config;
    const struct weights *weights;
    size_t batch;
    size_t height, width; /* of the images, pixels */
    size_t max_patches;   /* of one image, where a model of variable resolution gives each its own grid; else 0 */
    unsigned outputs;     /* a set of vitcl_output */
    const char *variants; /* "operation=variant,..."; NULL or "" for none */
    vitcl_precision precision;
};

/* build.c: writes the forward pass. The plan points into the request's weights, which must outlive it. */
vitcl_status plan_build(struct plan *plan, const struct request *request, vitcl_error *err);

/* tensors.c: adds a tensor, or a step with its outputs; returns its number, or NO_TENSOR when memory is out. */
int plan_add_tensor(struct plan *plan, const char *name, const size_t *shape, size_t rank);
int plan_add_weight(struct plan *plan, const struct weight *weight, const char *name);
int plan_add_step(struct plan *plan, const struct step *step);

/* tensors.c: says how a weight will lie in device memory, and so how many bytes it needs. */
void plan_set_layout(struct plan *plan, int weight, enum number number, enum layout layout, size_t panel);

/* tensors.c: whether it lies in panels, and whether these are of pairs. */
bool plan_in_panels(const struct tensor *weight);
bool plan_in_pairs(const struct tensor *weight);

size_t number_bytes(enum number number);

/* "f16" for NUMBER_F16. */
const char *number_name(enum number number);

/* How a plan of that precision stores what is multiplied. */
enum number number_of_precision(vitcl_precision precision);

/* tensors.c: room for a weight [rows,cols] that the plan owns; NULL when memory is out. */
struct computed *plan_add_computed(struct plan *plan, size_t rows, size_t cols);

/* memory.c: finds every activation's lifetime and lays all of them into one arena, each at a multiple of `align`. The
 * arena consists of segments of at most `most` bytes, 0 for any number. A tensor that is larger than that is
 * VITCL_ERROR_MEMORY. */
vitcl_status plan_place(struct plan *plan, size_t align, size_t most, vitcl_error *err);

/* memory.c: where segment number 0 <= number < segment_count begins in the arena, and how many bytes it has. */
struct segment {
    size_t first, bytes;
};
struct segment plan_segment(const struct plan *plan, size_t number);

/* describe.c: the whole plan as text, which the caller frees. */
vitcl_status plan_describe(const struct plan *plan, char **text, vitcl_error *err);

/* tensors.c: how often the plan runs for all images of a run. */
size_t plan_passes(const struct plan *plan);

/* tensors.c: bytes of the first `count` images of an activation [B,..], without padding. */
size_t plan_image_bytes(const struct plan *plan, int tensor, size_t count);

void plan_free(struct plan *plan);

#endif

/* ops.h - the operations: what each costs, how each is computed in plain C, and in which variants it runs on a device.
 *
 * One file per operation (im2patch.c, matmul.c, ...) holds one `struct operation`; ops.c has the table of them. All of
 * it is data and arithmetic: a variant says which kernels to launch with which arguments, and host/run does it.
 */
#ifndef VITCL_OPS_OPS_H
#define VITCL_OPS_OPS_H

#include "plan/plan.h"

enum arg_kind { ARG_TENSOR, ARG_INT, ARG_FLOAT };

struct arg {
    enum arg_kind kind;
    int tensor;
    int integer;
    float real;
};

#define MAX_ARGS     16
#define MAX_LAUNCHES 4

/* One thing to enqueue: a kernel, or where `kernel` is NULL CLBlast's gemm of y[m,n] = x[m,k] w[k,n], whose tensors
 * are the first three arguments (x, w, y). */
struct launch {
    const char *program; /* the stem of its file in cl/ */
    char options[160];   /* for its compiler: " -D HEIGHT=12"; "" for none. See add_option */
    const char *kernel;
    struct arg args[MAX_ARGS];
    size_t arg_count;
    size_t global[3]; /* work-items, a multiple of local */
    size_t local[3];
    size_t m, n, k; /* gemm */
};

/* Sets of enum number; an empty one stands for NUMBER_F32 alone. */
#define NUMBERS(number) (1u << (number))
#define NUMBERS_ALL     (NUMBERS(NUMBER_F32) | NUMBERS(NUMBER_BF16) | NUMBERS(NUMBER_F16))
bool numbers_have(unsigned numbers, enum number number);

/* One way to run an operation on a device. NaN in its input must be NaN in all that depends on it: that is how a number
 * that f16 can not hold is noticed in the outputs. */
struct variant {
    const char *name;
    enum layout layout; /* of the step's first weight */
    size_t panel;       /* of LAYOUT_PANELS and _PAIRS; 0: PANEL_VECTORS vectors of the device */
    unsigned reads;     /* numbers that its first input, and with it the first weight of a matmul, may be stored as */
    unsigned writes;    /* the same for its first output */
    /* NULL where it can run there, else why not. */
    const char *(*obstacle)(const struct facts *facts);
    /* Whether it is worth taking there unasked; NULL: wherever it can run. */
    bool (*suits)(const struct facts *facts);
    /* Whether it can run this step; NULL: it can run any. */
    bool (*fits)(const struct plan *plan, const struct step *step, const struct facts *facts);
    /* Writes up to MAX_LAUNCHES launches, returns how many. */
    size_t (*launch)(const struct plan *plan, const struct step *step, const struct facts *facts,
                     struct launch *launches);
    /* Writes up to MAX_CANDIDATES tunings that are worth measuring, returns how many; the first is all 0. `launch`
     * takes these and no others. NULL: there is nothing to tune. */
    size_t (*candidates)(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *candidates);
};

#define MAX_VARIANTS   8
#define MAX_CANDIDATES 20

/* A panel of LAYOUT_PANELS is so many vectors of the device wide, unless its variant says another width. */
#define PANEL_VECTORS 2

struct operation {
    /* Sets step->flops and step->bytes. */
    void (*cost)(const struct plan *plan, struct step *step);
    /* Plain C: data[t] is tensor t, as in struct plan, weights in the layout of the file. Works on rows [first,last)
     * of the step's first output, so that threads can share a step. */
    void (*reference)(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last);
    const struct variant *variants[MAX_VARIANTS]; /* ends with NULL or at the end; the last one is `portable` */
    /* The variant that is best for this plan's steps on this device, among those without obstacle, and why. NULL where
     * it is the first that is preferred. */
    const struct variant *(*choose)(const struct plan *plan, const struct facts *facts, const char **reason);
};

extern const struct operation IM2PATCH, MATMUL, TOKENS, RESIDUAL_NORM, QK_NORM, ROPE, ATTENTION, GATE, POOL,
    ATTENTION_POOL;

/* The operation of a step. */
const struct operation *operation_of(enum op op);

/* select.c: gives every step of a fresh plan its cost and variant, and every tensor its type and layout. `overrides` is
 * a comma list of "operation=variant", NULL or "" for none; an unknown name is VITCL_ERROR_ARGUMENT and lists the
 * choices. */
vitcl_status ops_select(struct plan *plan, const struct facts *facts, const char *overrides, vitcl_error *err);

/* ---- for the operations' own files ---- */

struct arg arg_tensor(int tensor);
struct arg arg_int(size_t value); /* sizes in kernels are 32-bit; ops_select has checked that they fit */
struct arg arg_float(float value);

/* A launch of a kernel over items[3] work-items in groups of at most `group` along the first axis. The global size is
 * rounded up: the kernel checks its ids. */
struct launch make_launch(const char *program, const char *kernel, const struct facts *facts, size_t group,
                          const size_t items[3]);
void add_arg(struct launch *launch, struct arg arg);

/* Whether the work-items of a group run in step and share memory on the chip, as on most GPUs: kernels that work
 * together through it pay only there, as do those that are at their best when neighbours read neighbouring numbers. A
 * device without a compiler is none: what was compiled for it beforehand are the portable kernels. */
bool suits_groups(const struct facts *facts);

/* Why a kernel of vectors (cl/prelude.cl) can not run there, or NULL. */
const char *vector_obstacle(const struct facts *facts);

/* The same for kernels of AVX512_BF16, and of AMX. */
const char *dot_obstacle(const struct facts *facts);
const char *amx_obstacle(const struct facts *facts);

/* Rows of a tile whose sums, PANEL_VECTORS vectors for each row, fit a CPU's registers beside the factors. */
size_t vector_rows(const struct facts *facts);

/* The k-th of a few heights for tiles of at most `most` rows, from the most down; 0 behind the last. */
size_t tile_candidate(size_t most, size_t k);

/* Whether a variant can run on a device, and should where nobody asks for another. */
bool variant_suits(const struct variant *variant, const struct facts *facts);

/* Adds a tuning unless it is there already, or there is no room. */
void add_candidate(struct tuning *candidates, size_t *count, struct tuning tuning);

/* Compiles the launch's program with `name` defined as `value`. */
void add_option(struct launch *launch, const char *name, size_t value);

/* One plain element-wise activation in double. */
double activate(enum activation activation, double x);

/* One row of LayerNorm in double: normed [width], which may be x. */
void layer_norm(const float *x, const float *weight, const float *bias, float *normed, size_t width, double eps);

/* 1/sqrt(d) */
float attention_scale(size_t head_size);

/* One query of one head, and all keys and values it meets. */
struct query {
    const float *q;          /* [d] */
    size_t token, head;      /* which it is; for the bias */
    const float *bias_table; /* [R,H]; NULL for none */
};
struct keys {
    const float *k, *v; /* [count,d], rows `stride` numbers apart */
    size_t stride, count;
};

/* context [d], in double. */
void attend(const struct geometry *geometry, const struct query *query, const struct keys *keys, float *context);

/* The numbers of a tensor that a step may do without: NULL for NO_TENSOR. */
const float *optional(float *const *data, int tensor);

#endif

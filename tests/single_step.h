/* single_step.h - runs one operation alone, in every variant, on the device and in plain C, and compares.
 *
 * A job is a plan of one step. Its tensors lie apart in the arena, and everything that is no input is poison: the
 * outputs, so that an element left unwritten shows, and one multiplied by beta = 0; the rows that pad the inputs, and
 * the gaps between tensors, so that reading them shows. Only the outputs and the rows that pad them may be
 * written.
 */
#ifndef VITCL_TESTS_SINGLE_STEP_H
#define VITCL_TESTS_SINGLE_STEP_H

#include "ops/ops.h"
#include "support.h"

/* Numbers of several times the rms, rounded to bf16 here and there: their neighbours are 1/128 of them away; those of
 * f16 1/1024. */
#define TOLERANCE_BF16 0.05
#define TOLERANCE_F16  0.00625

/* Sums of some hundred products in float: a few 1e-6, in whatever order they are added. */
#define TOLERANCE 5e-6

/* Normal numbers to draw. */
struct draw {
    double mean, deviation;
};

static const struct draw NORMAL = {0, 1}, ZERO = {0, 0}, ONE = {1, 0}, SMALL = {0, 0.1};

struct job {
    /* Adds the inputs, weights and outputs, and the step. */
    void (*build)(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
    /* Where not NULL, changes the inputs once they are drawn: lengths, and what must not be read. */
    void (*spoil)(const struct job *job, float *const inputs[STEP_INPUTS]);
    struct geometry g;
    size_t rows, k, n; /* of a matmul; rows of a residual_norm or gate */
    enum activation activation;
    enum pool pool;
    enum rope_kind rope;
    size_t first;
    float eps;
    bool residual, unnormed; /* residual_norm: with a y; without weights */
    bool in_place;           /* what changes the first input takes its place */
    bool masked;             /* with lengths */
    bool biased;             /* attention: with a table */
    bool own_positions;      /* tokens: a position per image */
    bool broken;             /* here and there in the first input is NaN: what the reference finds to depend on it,
                                and nothing else, is NaN on the device, too */
    enum number input_number, output_number; /* how the first input and the first output are stored */
    struct draw input;
    struct draw weight, bias; /* the first and third weight; the second and fourth one */
    double tolerance;         /* of each output's deviation (run/verify.h) */
};

/* Many jobs of one operation. */
struct suite {
    struct device *device;
    struct random random;
    enum op op;
    const char *only;                    /* the variant that runs jobs; NULL: all */
    size_t own_width;                    /* of the device's vectors, while it claims narrower ones */
    size_t jobs[MAX_VARIANTS];           /* that each variant has run */
    double largest[MAX_VARIANTS];        /* deviation of each variant so far */
    double largest_narrow[MAX_VARIANTS]; /* the same of jobs with numbers in 16 bits */
};

/* ---- for `build` ---- */

/* A step that has nothing yet. */
struct step single_step(enum op op);

/* A weight whose numbers are drawn later. */
int add_weight(struct plan *plan, struct weight *weight, size_t rows, size_t cols);

/* Adds the only step. */
void add_single_step(struct plan *plan, const struct step *step);

/* ---- for `spoil` ---- */

/* NaN and a huge number in turns, each of its own: what a kernel reads there spoils its results, and what it writes
 * there shows, even where NaN goes in and NaN comes out. */
void poison(float *values, size_t count);

/* ---- for tests ---- */

/* Runs a job in every variant that can run it on the device, on the same numbers. */
void suite_run(struct suite *suite, const struct job *job);

/* From now on the device claims vectors of so many floats, 4 or 8, as CPUs without AVX-512 have; 0: its own again. */
void suite_narrow(struct suite *suite, size_t vector_width);

/* From now on the device claims matrix instructions of that kind, which a CPU emulates; MATRIX_NONE: its own again. */
void suite_matrix(struct suite *suite, enum matrix_unit unit);

/* Prints the largest deviations, and SKIP for the variants that can not run. */
void suite_report(const struct suite *suite);

#endif

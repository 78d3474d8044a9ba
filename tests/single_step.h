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

/* Normal numbers to draw. */
struct draw {
    double mean, deviation;
};

struct job {
    /* Adds the inputs, weights and outputs, and the step. */
    void (*build)(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
    struct geometry g;
    size_t rows, k, n; /* of a matmul; rows of a residual_norm */
    enum activation activation;
    float eps;
    bool residual, in_place; /* residual_norm: with a y; the sum takes x's place */
    struct draw input, weight, bias;
    double tolerance; /* of each output's deviation (run/verify.h) */
};

/* Many jobs of one operation. */
struct suite {
    struct device *device;
    struct random random;
    enum op op;
    size_t jobs;
    double largest[MAX_VARIANTS]; /* deviation of each variant so far */
};

/* Runs a job in every variant that can run on the device, each on numbers of its own. */
void suite_run(struct suite *suite, const struct job *job);

/* Prints the largest deviations, and SKIP for the variants that can not run. */
void suite_report(const struct suite *suite);

#endif

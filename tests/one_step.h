/* one_step.h - for tests of the plain-C references: a plan of one step, on numbers that the test writes down. Its
 * outputs are filled with a sentinel, so that what must not be written shows: numbers behind the output, and rows that
 * were not asked for.
 */
#ifndef VITCL_TESTS_ONE_STEP_H
#define VITCL_TESTS_ONE_STEP_H

#include "single_step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SENTINEL   -77777.0f
#define MAX_FLOATS 512

struct one_step {
    struct plan plan;
    struct step step;
    float *data[8]; /* of each tensor */
    float output[STEP_OUTPUTS][MAX_FLOATS];
};

static inline struct one_step new_step(enum op op)
{
    return (struct one_step){.step = single_step(op)};
}

/* Adds a tensor with these numbers [rows,cols]. */
static inline int tensor(struct one_step *one, const float *values, size_t rows, size_t cols)
{
    int t = plan_add_tensor(&one->plan, "t", (size_t[]){rows, cols}, 2);
    assert_in_range(t, 0, COUNT(one->data) - 1);
    one->data[t] = (float *)(uintptr_t)values; /* references only read their inputs */
    return t;
}

/* Adds output number i. */
static inline void add_output(struct one_step *one, size_t i, size_t rows, size_t cols)
{
    assert_true(rows * cols < MAX_FLOATS);
    for (size_t n = 0; n < MAX_FLOATS; n++)
        one->output[i][n] = SENTINEL;
    one->step.output[i] = tensor(one, one->output[i], rows, cols);
}

static inline void run(struct one_step *one, size_t first, size_t last)
{
    operation_of(one->step.op)->reference(&one->plan, &one->step, one->data, first, last);
}

static inline void assert_numbers(const float *found, const float *expected, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance))
            fail_msg("number %zu: %.9g, expected %.9g", i, (double)found[i], (double)expected[i]);
}

/* Runs the step as a whole, row by row backwards, and in its last row only. */
static inline void check(struct one_step *one, const float *expected, double tolerance)
{
    const struct tensor *out = &one->plan.tensors[one->step.output[0]];
    size_t count = out->rows * out->cols, before = count - out->cols;
    float *found = one->output[0];

    run(one, 0, out->rows);
    assert_numbers(found, expected, count, tolerance);
    for (size_t i = 0; i < MAX_FLOATS; i++)
        found[i] = SENTINEL;
    for (size_t row = out->rows; row-- > 0;) {
        run(one, row, row + 1);
        if (row > 0)
            assert_true(found[row * out->cols - 1] == SENTINEL);
        if (row == out->rows - 1 && before > 0)
            assert_true(found[0] == SENTINEL);
    }
    assert_numbers(found, expected, count, tolerance);
    for (size_t i = count; i < MAX_FLOATS; i++)
        assert_true(found[i] == SENTINEL);
    plan_free(&one->plan);
}

/* The same where the output takes the input's place; other rows stay as they are. */
static inline void check_in_place(struct one_step *one, const float *expected, double tolerance)
{
    const struct tensor *out = &one->plan.tensors[one->step.output[0]];
    const float *before = one->data[one->step.input[0]];
    size_t count = out->rows * out->cols;
    float *found = one->output[0];

    one->data[one->step.input[0]] = found;
    memcpy(found, before, count * sizeof *found);
    run(one, 0, out->rows);
    assert_numbers(found, expected, count, tolerance);
    memcpy(found, before, count * sizeof *found);
    for (size_t row = out->rows; row-- > 0;) {
        run(one, row, row + 1);
        assert_numbers(found, before, row * out->cols, 0);
        assert_numbers(found + row * out->cols, expected + row * out->cols, count - row * out->cols, tolerance);
    }
    for (size_t n = count; n < MAX_FLOATS; n++)
        assert_true(found[n] == SENTINEL);
    plan_free(&one->plan);
}

#endif

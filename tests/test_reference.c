/* test_reference.c - the plain-C reference of each operation on cases small enough to compute by hand, which the
 * comments do. A case is a plan of one step. Its outputs are filled with a sentinel, so that what must not be written
 * shows: numbers behind the output, and rows that were not asked for.
 */
#include "ops/ops.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define SENTINEL     -77777.0f
#define MAX_FLOATS   512

struct one_step {
    struct plan plan;
    struct step step;
    float *data[8]; /* of each tensor */
    float output[STEP_OUTPUTS][MAX_FLOATS];
};

static struct one_step new_step(enum op op)
{
    return (struct one_step){.step = {.op = op,
                                      .input = {NO_TENSOR, NO_TENSOR},
                                      .weight = {NO_TENSOR, NO_TENSOR},
                                      .output = {NO_TENSOR, NO_TENSOR}}};
}

/* Adds a tensor with these numbers [rows,cols]. */
static int tensor(struct one_step *one, const float *values, size_t rows, size_t cols)
{
    int t = plan_add_tensor(&one->plan, "t", (size_t[]){rows, cols}, 2);
    assert_in_range(t, 0, COUNT(one->data) - 1);
    one->data[t] = (float *)(uintptr_t)values; /* references only read their inputs */
    return t;
}

/* Adds output number i. */
static void add_output(struct one_step *one, size_t i, size_t rows, size_t cols)
{
    assert_true(rows * cols < MAX_FLOATS);
    for (size_t n = 0; n < MAX_FLOATS; n++)
        one->output[i][n] = SENTINEL;
    one->step.output[i] = tensor(one, one->output[i], rows, cols);
}

static void run(struct one_step *one, size_t first, size_t last)
{
    operation_of(one->step.op)->reference(&one->plan, &one->step, one->data, first, last);
}

static void assert_numbers(const float *found, const float *expected, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance))
            fail_msg("number %zu: %.9g, expected %.9g", i, (double)found[i], (double)expected[i]);
}

/* Runs the step as a whole, row by row backwards, and in its last row only. */
static void check(struct one_step *one, const float *expected, double tolerance)
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

/* ---- matmul ------------------------------------------------------------------------------------------------------ */

static void check_matmul(const float *x, size_t rows, size_t k, const float *w, const float *bias, size_t n,
                         enum activation activation, const float *expected, double tolerance)
{
    struct one_step one = new_step(OP_MATMUL);
    one.step.input[0] = tensor(&one, x, rows, k);
    one.step.weight[0] = tensor(&one, w, n, k);
    one.step.weight[1] = tensor(&one, bias, 1, n);
    one.step.activation = activation;
    add_output(&one, 0, rows, n);
    check(&one, expected, tolerance);
}

/* [1 2]   [5 7]   [0.5 -20]   [17 23]   [0.5 -20]   [17.5  3]
 * [3 4] x [6 8] + [0.5 -20] = [39 53] + [0.5 -20] = [39.5 33], where W is stored as [5 6; 7 8]. */
static void test_matmul(void **state)
{
    static const float x[] = {1, 2, 3, 4}, w[] = {5, 6, 7, 8}, bias[] = {0.5f, -20}, y[] = {17.5f, 3, 39.5f, 33};
    (void)state;
    check_matmul(x, 2, 2, w, bias, 2, ACTIVATION_NONE, y, 0);
}

/* Sums of any length: 1*1 + 2*2 + ... + 19*19 = 19*20*39/6 = 2470, of which the first 8, 16 or 17 are a part; and a sum
 * that float can not do, 10^8 + 1 - 10^8 = 1. */
static void test_matmul_sums(void **state)
{
    static const float large[] = {1e8f, 1, -1e8f}, ones[] = {1, 1, 1}, zero[] = {0}, one[] = {1};
    float numbers[19];
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = (float)(i + 1);
    for (size_t k = 1; k <= COUNT(numbers); k++) {
        const float sum = (float)(k * (k + 1) * (2 * k + 1) / 6);
        check_matmul(numbers, 1, k, numbers, zero, 1, ACTIVATION_NONE, &sum, 0);
    }
    check_matmul(large, 1, 3, ones, zero, 1, ACTIVATION_NONE, one, 0);
}

/* [1 0]   [-1  0]   [0 1]   [-1   1]
 * [0 1] x [0.5 2] + [0 1] = [0.5  3] before the activation. With Phi(-1) = 0.158655, Phi(1) = 0.841345, Phi(0.5) =
 * 0.691462, Phi(3) = 0.998650 (the normal distribution), gelu(x) = x Phi(x) is -0.158655, 0.841345, 0.345731, 2.995950;
 * silu(1) = 1/(1 + 1/e) = 0.731059, silu(-1) = silu(1) - 1; the others alike, to nine digits. */
static void test_activations(void **state)
{
    static const float x[] = {1, 0, 0, 1}, w[] = {-1, 0.5f, 0, 2}, bias[] = {0, 1};
    static const float y[ACTIVATION_COUNT][4] = {
        [ACTIVATION_NONE] = {-1, 1, 0.5f, 3},
        [ACTIVATION_GELU] = {-0.158655254f, 0.841344746f, 0.345731231f, 2.99595031f},
        [ACTIVATION_GELU_TANH] = {-0.158808009f, 0.841191991f, 0.345714010f, 2.99636261f},
        [ACTIVATION_QUICK_GELU] = {-0.154204234f, 0.845795766f, 0.350388436f, 2.98192869f},
        [ACTIVATION_SILU] = {-0.268941421f, 0.731058579f, 0.311229666f, 2.85772238f},
        [ACTIVATION_RELU] = {0, 1, 0.5f, 3},
        [ACTIVATION_TANH] = {-0.761594156f, 0.761594156f, 0.462117157f, 0.995054754f},
    };
    (void)state;
    for (enum activation a = ACTIVATION_NONE; a < ACTIVATION_COUNT; a++)
        check_matmul(x, 2, 2, w, bias, 2, a, y[a], (double)FLT_EPSILON);
}

/* Zero stays zero; far out they are x, 0, or 1; nothing overflows; what is no number stays none. */
static void test_activations_far_out(void **state)
{
    (void)state;
    for (enum activation a = ACTIVATION_GELU; a < ACTIVATION_COUNT; a++) {
        const bool bounded = a == ACTIVATION_TANH;
        assert_true(activate(a, 0) == 0);
        assert_true(activate(a, 1000) == (bounded ? 1 : 1000));
        assert_true(activate(a, 1e30) == (bounded ? 1 : 1e30));
        assert_true(activate(a, -1000) == (bounded ? -1 : 0));
        assert_true(activate(a, -1e30) == (bounded ? -1 : 0));
        assert_true(isnan(activate(a, NAN)));
    }
}

/* ---- residual_norm ----------------------------------------------------------------------------------------------- */

static struct one_step new_norm(const float *x, const float *y, size_t rows, const float *weight, const float *bias,
                                float eps)
{
    struct one_step one = new_step(OP_RESIDUAL_NORM);
    one.plan.geometry.width = 4;
    one.step.eps = eps;
    one.step.input[0] = tensor(&one, x, rows, 4);
    if (y)
        one.step.input[1] = tensor(&one, y, rows, 4);
    one.step.weight[0] = tensor(&one, weight, 1, 4);
    one.step.weight[1] = tensor(&one, bias, 1, 4);
    return one;
}

/* 1, 2, 3, 4: mean 2.5, variance (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25. With eps = 1 the divisor is sqrt(2.25) = 1.5,
 * so -1, -1/3, 1/3, 1; times the weight and plus the bias -1, 0, 1, 12. With eps = 0 it is sqrt(1.25). A constant row
 * is the bias, whatever the eps; one far from zero is as exact as one near it. */
static void test_layer_norm(void **state)
{
    static const float x[] = {1, 2, 3, 4, 7, 7, 7, 7, 1e6f + 1, 1e6f + 2, 1e6f + 3, 1e6f + 4};
    static const float weight[] = {1, 3, 6, 2}, bias[] = {0, 1, -1, 10}, ones[] = {1, 1, 1, 1}, zeros[4] = {0};
    static const float y[] = {-1, 0, 1, 12, 0, 1, -1, 10, -1, 0, 1, 12};
    static const float plain[] = {-1.34164079f, -0.447213595f, 0.447213595f, 1.34164079f};
    struct one_step one = new_norm(x, NULL, 3, weight, bias, 1);
    (void)state;
    add_output(&one, 0, 3, 4);
    check(&one, y, 1e-7);
    one = new_norm(x, NULL, 1, ones, zeros, 0);
    add_output(&one, 0, 1, 4);
    check(&one, plain, (double)FLT_EPSILON);
    one = new_norm(x + 4, NULL, 1, weight, bias, 1e-12f);
    add_output(&one, 0, 1, 4);
    check(&one, y + 4, 0);
}

/* (0 0 1 1) + (1 2 2 3) is the row above, (4 4 4 4) + (3 3 3 3) the constant one. The sum may take x's place. */
static void test_residual(void **state)
{
    static const float y[] = {1, 2, 2, 3, 3, 3, 3, 3};
    static const float weight[] = {1, 3, 6, 2}, bias[] = {0, 1, -1, 10};
    static const float sum[] = {1, 2, 3, 4, 7, 7, 7, 7}, normed[] = {-1, 0, 1, 12, 0, 1, -1, 10};
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        float x[] = {0, 0, 1, 1, 4, 4, 4, 4};
        struct one_step one = new_norm(x, y, 2, weight, bias, 1);
        add_output(&one, 0, 2, 4);
        add_output(&one, 1, 2, 4);
        if (in_place)
            one.data[one.step.output[1]] = x;
        run(&one, 0, 2);
        assert_numbers(one.output[0], normed, 8, 1e-7);
        assert_numbers(in_place ? x : one.output[1], sum, 8, 0);
        assert_true(one.output[0][8] == SENTINEL && one.output[1][8] == SENTINEL);
        plan_free(&one.plan);
    }
}

/* ---- attention --------------------------------------------------------------------------------------------------- */

#define LN3 1.09861229f

/* Two images of two tokens, two heads of size 4: the scale is 1/2. A row is q, k, v, each of head 0 | head 1.
 *
 * Image 0, head 0: token 0 scores (0, 2 ln 3 / 2) = (0, ln 3): shares 1/4 and 3/4; token 1 has q = 0: shares 1/2, 1/2.
 *   v = (4 0 8 -4), (8 4 0 4): token 0 gets (7 3 2 2), token 1 (6 2 4 0).
 * Image 0, head 1: q = 0, both tokens get the mean of v = (1 2 3 4), (3 4 5 6).
 * Image 1, head 0: scores 500000 and 0, in both tokens: all of token 0's v, and no overflow.
 * Image 1, head 1: scores -500000 and -500000: the mean of v, and no 0/0. */
static void test_attention(void **state)
{
    static const float qkv[] = {
        1,    0, 0, 0, 0,    0, 0, 0, 0,       0, 0, 0, 0,     0, 0, 0, 4, 0, 8, -4, 1,  2,  3,  4,
        0,    0, 0, 0, 0,    0, 0, 0, 2 * LN3, 0, 0, 0, 1,     2, 3, 4, 8, 4, 0, 4,  3,  4,  5,  6,
        1000, 0, 0, 0, 1000, 0, 0, 0, 1000,    0, 0, 0, -1000, 0, 0, 0, 1, 2, 3, 4,  10, 20, 30, 40,
        1000, 0, 0, 0, 1000, 0, 0, 0, 0,       0, 0, 0, -1000, 0, 0, 0, 5, 6, 7, 8,  30, 40, 50, 60,
    };
    static const float context[] = {
        7, 3, 2, 2, 2,  3,  4,  5,  6, 2, 4, 0, 2,  3,  4,  5, /* image 0 */
        1, 2, 3, 4, 20, 30, 40, 50, 1, 2, 3, 4, 20, 30, 40, 50,
    };
    struct one_step one = new_step(OP_ATTENTION);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 2, .tokens = 2, .width = 8, .heads = 2, .head_size = 4};
    one.step.input[0] = tensor(&one, qkv, 4, 24);
    add_output(&one, 0, 4, 8);
    check(&one, context, 1e-6);
}

/* ---- rows from rows ---------------------------------------------------------------------------------------------- */

/* Pixels of 5 rows and 10 columns, named by 1000 image + 100 channel + 10 y + x, in 2 x 3 patches of 2 rows and 3
 * columns: the last row and the last column are left over. */
static void test_im2patch(void **state)
{
    static const float first_channel[6][6] = {
        {0, 1, 2, 10, 11, 12},    {3, 4, 5, 13, 14, 15},    {6, 7, 8, 16, 17, 18},
        {20, 21, 22, 30, 31, 32}, {23, 24, 25, 33, 34, 35}, {26, 27, 28, 36, 37, 38},
    };
    float pixels[2 * 3 * 5 * 10], patches[2 * 6 * 18];
    struct one_step one = new_step(OP_IM2PATCH);
    (void)state;
    for (size_t i = 0; i < COUNT(pixels); i++)
        pixels[i] = (float)(1000 * (i / 150) + 100 * (i / 50 % 3) + i % 50);
    for (size_t i = 0; i < COUNT(patches); i++)
        patches[i] = (float)(1000 * (i / 108) + 100 * (i / 6 % 3)) + first_channel[i / 18 % 6][i % 6];
    one.plan.geometry = (struct geometry){.batch = 2,
                                          .image_height = 5,
                                          .image_width = 10,
                                          .patch_height = 2,
                                          .patch_width = 3,
                                          .grid_height = 2,
                                          .grid_width = 3,
                                          .patches = 6};
    one.step.input[0] = tensor(&one, pixels, 30, 10);
    add_output(&one, 0, 12, 18);
    check(&one, patches, 0);
}

/* Two images of two patches: the class token (100 200) before each, and a position onto every token. */
static void test_tokens(void **state)
{
    static const float patches[] = {10, 20, 30, 40, 50, 60, 70, 80}, cls[] = {100, 200},
                       position[] = {1, 2, 3, 4, 5, 6};
    static const float x[] = {101, 202, 13, 24, 35, 46, 101, 202, 53, 64, 75, 86};
    struct one_step one = new_step(OP_TOKENS);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 2, .patches = 2, .tokens = 3, .width = 2};
    one.step.input[0] = tensor(&one, patches, 4, 2);
    one.step.weight[0] = tensor(&one, cls, 1, 2);
    one.step.weight[1] = tensor(&one, position, 3, 2);
    add_output(&one, 0, 6, 2);
    check(&one, x, 0);
}

/* The first of three tokens of each image. */
static void test_pool(void **state)
{
    static const float x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, pooled[] = {1, 2, 7, 8};
    struct one_step one = new_step(OP_POOL);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 2, .tokens = 3, .width = 2};
    one.step.input[0] = tensor(&one, x, 6, 2);
    add_output(&one, 0, 2, 2);
    check(&one, pooled, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),      cmocka_unit_test(test_matmul_sums),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_activations_far_out),
        cmocka_unit_test(test_layer_norm),  cmocka_unit_test(test_residual),
        cmocka_unit_test(test_attention),   cmocka_unit_test(test_im2patch),
        cmocka_unit_test(test_tokens),      cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

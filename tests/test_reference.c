/* test_reference.c - the plain-C references of matmul and the LayerNorms on cases small enough to compute by hand,
 * which the comments do. Those of the other operations are in test_reference_*.c.
 */
#include "one_step.h"

#include <float.h>

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

/* The sum alone is the first output; no weight is needed. */
static void test_sum(void **state)
{
    static const float y[] = {1, 2, 2, 3, 3, 3}, sum[] = {1, 2, 3, 4, 7, 7.5f};
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        float x[] = {0, 0, 1, 1, 4, 4.5f};
        struct one_step one = new_step(OP_RESIDUAL_NORM);
        one.step.input[0] = tensor(&one, x, 2, 3);
        one.step.input[1] = tensor(&one, y, 2, 3);
        add_output(&one, 0, 2, 3);
        if (!in_place) {
            check(&one, sum, 0);
            continue;
        }
        one.data[one.step.output[0]] = x;
        run(&one, 0, 2);
        assert_numbers(x, sum, 6, 0);
        plan_free(&one.plan);
    }
}

/* The width is the tensor's, not the model's: the norm inside an MLP and those of pooled vectors have others. Rows (0
 * 2), (5 1): mean 1 and 3, variance 1 and 4, with eps = 0 both are +-1. */
static void test_other_width(void **state)
{
    static const float x[] = {0, 2, 5, 1}, weight[] = {10, 20}, bias[] = {1, 2}, y[] = {-9, 22, 11, -18};
    struct one_step one = new_step(OP_RESIDUAL_NORM);
    (void)state;
    one.plan.geometry.width = 4;
    one.step.input[0] = tensor(&one, x, 2, 2);
    one.step.weight[0] = tensor(&one, weight, 1, 2);
    one.step.weight[1] = tensor(&one, bias, 1, 2);
    add_output(&one, 0, 2, 2);
    check(&one, y, 0);
}

/* ---- qk_norm ----------------------------------------------------------------------------------------------------- */

/* Two tokens, two heads of size 2: q, k, v of head 0 | head 1. With eps = 0 a head's two numbers become -1 and 1, or 1
 * and -1; then come the query's or the key's weight and bias. Values stay. */
static void test_qk_norm(void **state)
{
    static const float before[] = {0, 2, 7, 3, 5, 9, -4, -8, 1, 2, 3, 4, 1, 2, 4, 3, 2, 1, 3, 4, 5, 6, 7, 8};
    static const float q_weight[] = {10, 20}, q_bias[] = {1, 2}, k_weight[] = {3, 5}, k_bias[] = {100, 200};
    static const float after[] = {-9, 22, 11, -18, 97,  205, 103, 195, 1, 2, 3, 4,
                                  -9, 22, 11, -18, 103, 195, 97,  205, 5, 6, 7, 8};
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        struct one_step one = new_step(OP_QK_NORM);
        one.plan.geometry = (struct geometry){.batch = 1, .tokens = 2, .width = 4, .heads = 2, .head_size = 2};
        one.step.input[0] = tensor(&one, before, 2, 12);
        one.step.weight[0] = tensor(&one, q_weight, 1, 2);
        one.step.weight[1] = tensor(&one, q_bias, 1, 2);
        one.step.weight[2] = tensor(&one, k_weight, 1, 2);
        one.step.weight[3] = tensor(&one, k_bias, 1, 2);
        add_output(&one, 0, 2, 12);
        if (in_place)
            check_in_place(&one, after, 1e-6);
        else
            check(&one, after, 0);
    }
}

/* A constant head becomes its bias: eps keeps the scale finite. */
static void test_qk_norm_constant(void **state)
{
    static const float before[] = {5, 5, -7, -7, 1, 2}, weight[] = {3, 4}, bias[] = {1, 2};
    static const float after[] = {1, 2, 1, 2, 1, 2};
    struct one_step one = new_step(OP_QK_NORM);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 1, .tokens = 1, .width = 2, .heads = 1, .head_size = 2};
    one.step.eps = 1e-12f;
    one.step.input[0] = tensor(&one, before, 1, 6);
    for (size_t w = 0; w < STEP_WEIGHTS; w++)
        one.step.weight[w] = tensor(&one, w % 2 ? bias : weight, 1, 2);
    add_output(&one, 0, 1, 6);
    check(&one, after, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),      cmocka_unit_test(test_matmul_sums),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_activations_far_out),
        cmocka_unit_test(test_layer_norm),  cmocka_unit_test(test_residual),
        cmocka_unit_test(test_sum),         cmocka_unit_test(test_other_width),
        cmocka_unit_test(test_qk_norm),     cmocka_unit_test(test_qk_norm_constant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

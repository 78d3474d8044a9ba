/* test_ops_norm.c - LayerNorm and the residual stream on the device against their plain-C references, as test_ops.c
 * does it for matmul. */
#include "jobs.h"

/* ---- residual_norm ---- */

/* Without y, with y, and with the sum in x's place. */
static void run_residual_norm(struct suite *suite, size_t rows, size_t width, float eps, struct draw input,
                              double tolerance)
{
    for (int form = 0; form < 3; form++)
        suite_run(suite, &(struct job){.build = build_residual_norm,
                                       .g = {.width = width},
                                       .rows = rows,
                                       .eps = eps,
                                       .residual = form > 0,
                                       .in_place = form == 2,
                                       .input = input,
                                       .weight = {1, 0.2},
                                       .bias = SMALL,
                                       .tolerance = tolerance});
}

static void test_residual_norm_sizes(void **state)
{
    static const size_t ROWS[] = {1, 5, 32, 33, 197}, WIDTHS[] = {1, 3, 7, 8, 9, 18, 24, 64, 65, 80, 130, 192};
    struct suite suite = {device_or_skip(state), .random = {5}, .op = OP_RESIDUAL_NORM};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            run_residual_norm(&suite, ROWS[r], WIDTHS[w], 1e-6f, NORMAL, TOLERANCE);
    suite_report(&suite);
}

static void test_residual_norm_large_means(void **state)
{
    static const double MEANS[] = {10, -100, 1000};
    struct suite suite = {device_or_skip(state), .random = {6}, .op = OP_RESIDUAL_NORM};
    for (size_t i = 0; i < COUNT(MEANS); i++)
        for (size_t width = 64; width <= 1024; width *= 4)
            run_residual_norm(&suite, 33, width, 1e-12f, (struct draw){MEANS[i], 1}, TOLERANCE);
    suite_report(&suite);
}

/* All numbers of a row equal: the variance is 0, only eps keeps the scale finite, and the result is the bias. */
static void test_residual_norm_constant_rows(void **state)
{
    static const double MEANS[] = {0, 1, 3.7, -1234.567, 1e-20, 1e15};
    struct suite suite = {device_or_skip(state), .random = {7}, .op = OP_RESIDUAL_NORM};
    for (size_t i = 0; i < COUNT(MEANS); i++)
        for (size_t width = 1; width <= 768; width = 2 * width + 1)
            run_residual_norm(&suite, 5, width, 1e-12f, (struct draw){MEANS[i], 0}, TOLERANCE);
    suite_report(&suite);
}

static void test_residual_norm_extremes(void **state)
{
    static const struct draw INPUTS[] = {{0, 1e15}, {0, 1e-6}, {0, 1e-15}};
    struct suite suite = {device_or_skip(state), .random = {8}, .op = OP_RESIDUAL_NORM};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t width = 64; width <= 66; width++)
            run_residual_norm(&suite, 33, width, 1e-12f, INPUTS[i], TOLERANCE);
    suite_report(&suite);
}

/* The sum alone is exact. */
static void test_residual(void **state)
{
    static const size_t ROWS[] = {1, 5, 32, 197}, WIDTHS[] = {1, 3, 18, 63, 64, 65, 130, 192};
    static const double DEVIATIONS[] = {1e-30, 1, 1e30};
    struct suite suite = {device_or_skip(state), .random = {14}, .op = OP_RESIDUAL_NORM};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            for (size_t form = 0; form < 2 * COUNT(DEVIATIONS); form++)
                suite_run(&suite, &(struct job){.build = build_residual_norm,
                                                .g = {.width = WIDTHS[w]},
                                                .rows = ROWS[r],
                                                .residual = true,
                                                .unnormed = true,
                                                .in_place = form % 2,
                                                .input = {0, DEVIATIONS[form / 2]}});
    suite_report(&suite);
}

/* normed in 16 bits; a NaN in a row is one in all of it. */
static void test_residual_norm_narrow(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {17}, .op = OP_RESIDUAL_NORM};
    for (size_t width = 64; width <= 130; width += 33)
        for (enum number number = NUMBER_F32; number <= NUMBER_F16; number++)
            for (int form = 0; form < 4; form++)
                suite_run(&suite, &(struct job){.build = build_residual_norm,
                                                .g = {.width = width},
                                                .rows = 33,
                                                .eps = 1e-6f,
                                                .residual = form % 2,
                                                .broken = form > 1,
                                                .output_number = number,
                                                .input = NORMAL,
                                                .weight = {1, 0.2},
                                                .bias = SMALL,
                                                .tolerance = number == NUMBER_F16    ? TOLERANCE_F16
                                                             : number == NUMBER_BF16 ? TOLERANCE_BF16
                                                                                     : TOLERANCE});
    suite_report(&suite);
}

/* ---- qk_norm ---- */

/* Into another place, in place, and with NaN. */
static void run_qk_norm(struct suite *suite, size_t rows, size_t heads, size_t head_size, float eps, struct draw input)
{
    for (int form = 0; form < 2 + (rows > 1); form++)
        suite_run(suite, &(struct job){.build = build_qk_norm,
                                       .g = {.width = heads * head_size, .heads = heads, .head_size = head_size},
                                       .rows = rows,
                                       .eps = eps,
                                       .in_place = form == 1,
                                       .broken = form == 2,
                                       .input = input,
                                       .weight = {1, 0.2},
                                       .bias = SMALL,
                                       .tolerance = TOLERANCE});
}

static void test_qk_norm_sizes(void **state)
{
    static const size_t ROWS[] = {1, 2, 5, 33, 197}, HEADS[] = {1, 2, 3, 16, 17}, SIZES[] = {1, 4, 7, 18, 64, 88};
    struct suite suite = {device_or_skip(state), .random = {15}, .op = OP_QK_NORM};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t h = 0; h < COUNT(HEADS); h++)
            for (size_t d = 0; d < COUNT(SIZES); d++)
                run_qk_norm(&suite, ROWS[r], HEADS[h], SIZES[d], 1e-6f, NORMAL);
    suite_report(&suite);
}

/* Large means, constant heads, and numbers that nearly vanish: as with residual_norm. Values go through as they are. */
static void test_qk_norm_extremes(void **state)
{
    static const struct draw INPUTS[] = {{1000, 1}, {-100, 1}, {3.7, 0}, {1e15, 0}, {0, 0}, {0, 1e15}, {0, 1e-15}};
    struct suite suite = {device_or_skip(state), .random = {16}, .op = OP_QK_NORM};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t d = 63; d <= 65; d++)
            run_qk_norm(&suite, 33, 3, d, 1e-12f, INPUTS[i]);
    suite_report(&suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_residual_norm_sizes),
        cmocka_unit_test(test_residual_norm_large_means),
        cmocka_unit_test(test_residual_norm_constant_rows),
        cmocka_unit_test(test_residual_norm_extremes),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_residual_norm_narrow),
        cmocka_unit_test(test_qk_norm_sizes),
        cmocka_unit_test(test_qk_norm_extremes),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

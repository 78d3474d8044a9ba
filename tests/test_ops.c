/* test_ops.c - matmul in each of its variants on the device against its plain-C reference: many odd sizes, and numbers
 * that overflow, cancel or vanish where a kernel is careless. What else a kernel must not do, see single_step.h. The
 * other operations are in test_ops_*.c.
 */
#include "jobs.h"

static void test_matmul_sizes(void **state)
{
    static const size_t ROWS[] = {1, 5, 32, 33, 197}, SIDES[] = {1, 3, 7, 8, 9, 65, 130, 192};
    struct suite suite = {device_or_skip(state), .random = {1}, .op = OP_MATMUL};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t k = 0; k < COUNT(SIDES); k++)
            for (size_t n = 0; n < COUNT(SIDES); n++)
                suite_run(&suite, &(struct job){.build = build_matmul,
                                                .rows = ROWS[r],
                                                .k = SIDES[k],
                                                .n = SIDES[n],
                                                .input = NORMAL,
                                                .weight = NORMAL,
                                                .bias = NORMAL,
                                                .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* From about 1000 x 1000 x 1000 on, CLBlast pads copies of the operands in its workspace: another path through it. */
static void test_matmul_large(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {2}, .op = OP_MATMUL};
    suite_run(&suite, &(struct job){.build = build_matmul,
                                    .rows = 1030,
                                    .k = 1021,
                                    .n = 1033,
                                    .input = NORMAL,
                                    .weight = NORMAL,
                                    .bias = NORMAL,
                                    .tolerance = 3 * TOLERANCE});
    suite_report(&suite);
}

/* Sums that reach 1e31, and sums that cancel to what is a hundredth of their parts. */
static void test_matmul_extremes(void **state)
{
    static const struct draw INPUTS[] = {{0, 1e15}, {0, 1e-15}, {100, 1}, {0, 0}};
    static const struct draw WEIGHTS[] = {{0, 1e15}, {0, 1e-15}, {0, 1}, {0, 1}};
    struct suite suite = {device_or_skip(state), .random = {3}, .op = OP_MATMUL};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t n = 7; n <= 9; n++)
            suite_run(&suite, &(struct job){.build = build_matmul,
                                            .rows = 33,
                                            .k = 130,
                                            .n = n,
                                            .input = INPUTS[i],
                                            .weight = WEIGHTS[i],
                                            .bias = i == 1 ? ZERO : NORMAL,
                                            .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* Through weights of 1, so that what is activated is the input: where it bends, where exp and tanh saturate, where x^3
 * overflows, and where it nearly vanishes. */
static void test_activations(void **state)
{
    static const struct draw INPUTS[] = {{0, 1}, {0, 4}, {0, 100}, {0, 1e15}, {0, 1e30}, {0, 1e-20}};
    struct suite suite = {device_or_skip(state), .random = {4}, .op = OP_MATMUL};
    for (enum activation activation = ACTIVATION_NONE; activation < ACTIVATION_COUNT; activation++)
        for (size_t i = 0; i < COUNT(INPUTS); i++)
            for (size_t n = 1; n <= 17; n += 8)
                suite_run(&suite, &(struct job){.build = build_matmul,
                                                .rows = 197,
                                                .k = 1,
                                                .n = n,
                                                .activation = activation,
                                                .input = INPUTS[i],
                                                .weight = ONE,
                                                .bias = ZERO,
                                                .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* bf16 in, float or bf16 out: pairs and tiles that K, N and the rows do not fill, and every activation. Few of each, as
 * K, the height of tiles and the activation make a program, which takes a while to compile. */
static void test_matmul_bf16(void **state)
{
    static const size_t ROWS[] = {1, 17, 197}, KS[] = {2, 32, 66, 131, 192}, NS[] = {1, 16, 33, 64};
    struct suite suite = {device_or_skip(state), .random = {21}, .op = OP_MATMUL};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t k = 0; k < COUNT(KS); k++)
            for (size_t n = 0; n < COUNT(NS); n++)
                for (int output = 0; output < 2; output++)
                    suite_run(&suite, &(struct job){.build = build_matmul,
                                                    .rows = ROWS[r],
                                                    .k = KS[k],
                                                    .n = NS[n],
                                                    .activation = (enum activation)((r + k) % ACTIVATION_COUNT),
                                                    .input_number = NUMBER_BF16,
                                                    .output_number = output ? NUMBER_BF16 : NUMBER_F32,
                                                    .input = NORMAL,
                                                    .weight = SMALL,
                                                    .bias = NORMAL,
                                                    .tolerance = output ? TOLERANCE_BF16 : TOLERANCE});
    suite_report(&suite);
}

/* The same in f16; K also so large that a tile's x comes in parts. */
static void test_matmul_f16(void **state)
{
    static const size_t ROWS[] = {1, 197}, KS[] = {33, 260}, NS[] = {1, 33, 64};
    struct suite suite = {device_or_skip(state), .random = {25}, .op = OP_MATMUL};
    for (size_t i = 0; i < 2 * COUNT(ROWS) * COUNT(KS) * COUNT(NS); i++) {
        const bool output = i % 2;
        suite_run(&suite, &(struct job){.build = build_matmul,
                                        .rows = ROWS[i / 2 % COUNT(ROWS)],
                                        .k = KS[i / 2 / COUNT(ROWS) % COUNT(KS)],
                                        .n = NS[i / 2 / COUNT(ROWS) / COUNT(KS)],
                                        .input_number = NUMBER_F16,
                                        .output_number = output ? NUMBER_F16 : NUMBER_F32,
                                        .input = NORMAL,
                                        .weight = SMALL,
                                        .bias = NORMAL,
                                        .tolerance = output ? TOLERANCE_F16 : TOLERANCE});
    }
    suite_run(&suite, &(struct job){.build = build_matmul, /* so many that tiles have several panels */
                                    .rows = 450,
                                    .k = 260,
                                    .n = 230,
                                    .input_number = NUMBER_F16,
                                    .input = NORMAL,
                                    .weight = SMALL,
                                    .bias = NORMAL,
                                    .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* Through weights of 2, so that what is stored is exact: a third of it is too large for f16 and must become NaN. Then
 * numbers around the smallest that f16 has. */
static void test_matmul_f16_limits(void **state)
{
    static const struct draw INPUTS[] = {{0, 3e4}, {0, 1e-6}};
    struct suite suite = {device_or_skip(state), .random = {26}, .op = OP_MATMUL};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        suite_run(&suite, &(struct job){.build = build_matmul,
                                        .rows = 197,
                                        .k = 1,
                                        .n = 33,
                                        .broken = i == 0,
                                        .input_number = NUMBER_F16,
                                        .output_number = NUMBER_F16,
                                        .input = INPUTS[i],
                                        .weight = {2, 0},
                                        .bias = ZERO});
    suite_report(&suite);
}

/* No variant loses a NaN, in no activation and however it is stored. */
static void test_matmul_nan(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {27}, .op = OP_MATMUL};
    for (enum activation activation = ACTIVATION_NONE; activation < ACTIVATION_COUNT; activation++)
        suite_run(&suite, &(struct job){.build = build_matmul,
                                        .rows = 197,
                                        .k = 64,
                                        .n = 33,
                                        .activation = activation,
                                        .broken = true,
                                        .input_number = (enum number)(activation % 3),
                                        .input = NORMAL,
                                        .weight = SMALL,
                                        .bias = NORMAL,
                                        .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* As on CPUs with narrower vectors, which also compile for this one. */
static void test_matmul_narrow(void **state)
{
    static const size_t ROWS[] = {3, 6, 13, 197}, SIDES[] = {7, 8, 33, 64};
    struct suite suite = {device_or_skip(state), .random = {23}, .op = OP_MATMUL};
    for (size_t width = 4; width <= 8; width += 4) {
        suite_narrow(&suite, width);
        for (size_t i = 0; i < COUNT(ROWS) * COUNT(SIDES) * 2; i++)
            suite_run(&suite, &(struct job){.build = build_matmul,
                                            .rows = ROWS[i % COUNT(ROWS)],
                                            .k = 66,
                                            .n = SIDES[i / COUNT(ROWS) % COUNT(SIDES)],
                                            .activation = (enum activation)(i % ACTIVATION_COUNT),
                                            .input_number = (enum number)(i % 3),
                                            .input = NORMAL,
                                            .weight = SMALL,
                                            .bias = NORMAL,
                                            .tolerance = TOLERANCE});
    }
    suite_narrow(&suite, 0);
    suite_report(&suite);
}

/* Every kind of matrix instruction, emulated by a CPU: waves and tiles that rows, N and K do not fill. */
static void test_matmul_mma(void **state)
{
    static const size_t ROWS[] = {1, 33, 200}, KS[] = {8, 40, 96}, NS[] = {3, 64, 130};
    static const enum matrix_unit UNITS[] = {MATRIX_MMA, MATRIX_MFMA, MATRIX_WMMA};
    struct suite suite = {device_or_skip(state), .random = {29}, .op = OP_MATMUL, .only = "mma"};
    for (size_t u = 0; u < COUNT(UNITS); u++) {
        suite_matrix(&suite, UNITS[u]);
        for (size_t i = 0; i < COUNT(ROWS) * COUNT(KS) * COUNT(NS); i++)
            suite_run(&suite, &(struct job){.build = build_matmul,
                                            .rows = ROWS[i % 3],
                                            .k = KS[i / 3 % 3],
                                            .n = NS[i / 9],
                                            .activation = (enum activation)(i % ACTIVATION_COUNT),
                                            .input_number = i % 2 ? NUMBER_F16 : NUMBER_BF16,
                                            .input = NORMAL,
                                            .weight = SMALL,
                                            .bias = NORMAL,
                                            .tolerance = TOLERANCE});
    }
    suite_matrix(&suite, MATRIX_NONE);
    suite_report(&suite);
}

/* What decides whether a device has them, on what emulates them. */
static void test_probe_matrix(void **state)
{
    struct device *device = device_or_skip(state);
    for (enum matrix_unit unit = MATRIX_MMA; unit <= MATRIX_WMMA; unit++) {
        vitcl_error err;
        if (!device_try_matrix(device, unit, true, &err))
            fail_msg("%d: %s", (int)unit, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul_sizes),      cmocka_unit_test(test_matmul_large),
        cmocka_unit_test(test_matmul_extremes),   cmocka_unit_test(test_activations),
        cmocka_unit_test(test_matmul_bf16),       cmocka_unit_test(test_matmul_f16),
        cmocka_unit_test(test_matmul_f16_limits), cmocka_unit_test(test_matmul_nan),
        cmocka_unit_test(test_matmul_narrow),     cmocka_unit_test(test_matmul_mma),
        cmocka_unit_test(test_probe_matrix),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

/* test_ops.c - each operation in each of its variants on the device against its plain-C reference: many odd sizes, and
 * numbers that overflow, cancel or vanish where a kernel is careless. What else a kernel must not do, see
 * single_step.h.
 */
#include "single_step.h"

#include <string.h>

/* Sums of some hundred products in float: a few 1e-6, in whatever order they are added. */
#define TOLERANCE 5e-6

static const struct draw NORMAL = {0, 1}, ZERO = {0, 0}, ONE = {1, 0}, SMALL = {0, 0.1};

#define NONE                                                                                                           \
    {                                                                                                                  \
        NO_TENSOR, NO_TENSOR                                                                                           \
    }

static int add_weight(struct plan *plan, struct weight *weight, size_t rows, size_t cols, const char *name)
{
    *weight = (struct weight){.part = {{NULL, rows, cols}}, .parts = 1, .rows = rows, .cols = cols};
    return plan_add_weight(plan, weight, name);
}

static void add_step(struct plan *plan, struct step step)
{
    strcpy(step.label, "single step");
    assert_int_equal(plan_add_step(plan, &step), 0);
}

/* ---- matmul ---- */

static void build_matmul(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    int x = plan_add_tensor(plan, "x", (size_t[]){job->rows, job->k}, 2);
    int w = add_weight(plan, &weights[0], job->n, job->k, "w");
    int bias = add_weight(plan, &weights[1], 1, job->n, "bias");
    int y = plan_add_tensor(plan, "y", (size_t[]){job->rows, job->n}, 2);
    add_step(plan, (struct step){OP_MATMUL, .input = {x, NO_TENSOR}, .weight = {w, bias}, .output = {y, NO_TENSOR},
                                 .activation = job->activation});
}

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

/* ---- residual_norm ---- */

static void build_residual_norm(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const size_t shape[] = {job->rows, job->g.width};
    int x = plan_add_tensor(plan, "x", shape, 2);
    int y = job->residual ? plan_add_tensor(plan, "y", shape, 2) : NO_TENSOR;
    int weight = add_weight(plan, &weights[0], 1, job->g.width, "weight");
    int bias = add_weight(plan, &weights[1], 1, job->g.width, "bias");
    int normed = plan_add_tensor(plan, "normed", shape, 2);
    int sum = job->residual ? plan_add_tensor(plan, "sum", shape, 2) : NO_TENSOR;
    if (job->in_place)
        plan->tensors[sum].reuse = x;
    add_step(plan, (struct step){OP_RESIDUAL_NORM, .input = {x, y}, .weight = {weight, bias}, .output = {normed, sum},
                                 .eps = job->eps});
}

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

/* ---- attention ---- */

static void build_attention(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    int qkv = plan_add_tensor(plan, "qkv", (size_t[]){g->batch, g->tokens, 3 * g->width}, 3);
    int context = plan_add_tensor(plan, "context", (size_t[]){g->batch, g->tokens, g->width}, 3);
    (void)weights;
    add_step(plan,
             (struct step){OP_ATTENTION, .input = {qkv, NO_TENSOR}, .weight = NONE, .output = {context, NO_TENSOR}});
}

static void run_attention(struct suite *suite, size_t batch, size_t tokens, size_t heads, size_t head_size,
                          struct draw input, double tolerance)
{
    suite_run(
        suite,
        &(struct job){
            .build = build_attention,
            .g = {.batch = batch, .tokens = tokens, .width = heads * head_size, .heads = heads, .head_size = head_size},
            .input = input,
            .tolerance = tolerance});
}

static void test_attention_sizes(void **state)
{
    static const size_t COUNTS[] = {2, 3, 5, 8, 17, 31, 32, 33, 64, 70}, HEAD_SIZES[] = {1, 18, 24, 64, 80};
    struct suite suite = {device_or_skip(state), .random = {9}, .op = OP_ATTENTION};
    for (size_t t = 0; t < COUNT(COUNTS); t++)
        for (size_t d = 0; d < COUNT(HEAD_SIZES); d++)
            for (size_t heads = 1; heads <= 5; heads++)
                run_attention(&suite, 1 + heads % 3, COUNTS[t], heads, HEAD_SIZES[d], NORMAL, TOLERANCE);
    suite_report(&suite);
}

/* Scores in the millions, where exp overflows without the maximum taken off: one weight is 1, the others are 0. Equal
 * scores: all weights are 1 / T. */
static void test_attention_extremes(void **state)
{
    static const struct draw INPUTS[] = {{0, 1e4}, {50, 0}, {0, 1e-10}, {0, 0}};
    struct suite suite = {device_or_skip(state), .random = {10}, .op = OP_ATTENTION};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t tokens = 63; tokens <= 65; tokens++)
            run_attention(&suite, 2, tokens, 3, 24, INPUTS[i], TOLERANCE);
    suite_report(&suite);
}

/* ---- the operations that only move numbers ---- */

static void build_im2patch(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    int pixels = plan_add_tensor(plan, "pixels", (size_t[]){g->batch, 3, g->image_height, g->image_width}, 4);
    int patches =
        plan_add_tensor(plan, "patches", (size_t[]){g->batch, g->patches, 3 * g->patch_height * g->patch_width}, 3);
    (void)weights;
    add_step(plan,
             (struct step){OP_IM2PATCH, .input = {pixels, NO_TENSOR}, .weight = NONE, .output = {patches, NO_TENSOR}});
}

static void test_im2patch(void **state)
{
    static const size_t SIZES[][4] = {/* image height, width; patch height, width */
                                      {1, 1, 1, 1},   {8, 8, 4, 4},   {30, 30, 7, 7},  {12, 20, 4, 4},
                                      {20, 12, 4, 4}, {9, 23, 3, 5},  {33, 65, 32, 8}, {16, 15, 16, 15},
                                      {13, 5, 2, 5},  {64, 48, 1, 16}};
    struct suite suite = {device_or_skip(state), .random = {11}, .op = OP_IM2PATCH};
    for (size_t i = 0; i < COUNT(SIZES); i++)
        for (size_t batch = 1; batch <= 3; batch++) {
            const size_t *s = SIZES[i], grid_height = s[0] / s[2], grid_width = s[1] / s[3];
            suite_run(&suite, &(struct job){.build = build_im2patch,
                                            .g = {.batch = batch,
                                                  .image_height = s[0],
                                                  .image_width = s[1],
                                                  .patch_height = s[2],
                                                  .patch_width = s[3],
                                                  .grid_height = grid_height,
                                                  .grid_width = grid_width,
                                                  .patches = grid_height * grid_width},
                                            .input = NORMAL});
        }
    suite_report(&suite);
}

static void build_tokens(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    int patches = plan_add_tensor(plan, "patches", (size_t[]){g->batch, g->patches, g->width}, 3);
    int cls = add_weight(plan, &weights[0], 1, g->width, "cls");
    int position = add_weight(plan, &weights[1], g->tokens, g->width, "position");
    int x = plan_add_tensor(plan, "x", (size_t[]){g->batch, g->tokens, g->width}, 3);
    add_step(plan, (struct step){OP_TOKENS, .input = {patches, NO_TENSOR}, .weight = {cls, position},
                                 .output = {x, NO_TENSOR}});
}

static void build_pool(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job)
{
    const struct geometry *g = &job->g;
    int x = plan_add_tensor(plan, "x", (size_t[]){g->batch, g->tokens, g->width}, 3);
    int pooled = plan_add_tensor(plan, "pooled", (size_t[]){g->batch, g->width}, 2);
    (void)weights;
    add_step(plan, (struct step){OP_POOL, .input = {x, NO_TENSOR}, .weight = NONE, .output = {pooled, NO_TENSOR}});
}

static void run_token_op(struct suite *suite, void (*build)(struct plan *, struct weight *, const struct job *))
{
    static const size_t WIDTHS[] = {1, 3, 18, 63, 64, 65, 130, 192}, BATCHES[] = {1, 2, 32};
    for (size_t b = 0; b < COUNT(BATCHES); b++)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            for (size_t tokens = 2; tokens <= 70; tokens += 17)
                suite_run(suite,
                          &(struct job){
                              .build = build,
                              .g = {.batch = BATCHES[b], .patches = tokens - 1, .tokens = tokens, .width = WIDTHS[w]},
                              .input = NORMAL,
                              .weight = NORMAL,
                              .bias = NORMAL});
    suite_report(suite);
}

static void test_tokens(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {12}, .op = OP_TOKENS};
    run_token_op(&suite, build_tokens);
}

static void test_pool(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {13}, .op = OP_POOL};
    run_token_op(&suite, build_pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul_sizes),
        cmocka_unit_test(test_matmul_large),
        cmocka_unit_test(test_matmul_extremes),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_residual_norm_sizes),
        cmocka_unit_test(test_residual_norm_large_means),
        cmocka_unit_test(test_residual_norm_constant_rows),
        cmocka_unit_test(test_residual_norm_extremes),
        cmocka_unit_test(test_attention_sizes),
        cmocka_unit_test(test_attention_extremes),
        cmocka_unit_test(test_im2patch),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_pool),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

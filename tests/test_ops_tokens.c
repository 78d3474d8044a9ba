/* test_ops_tokens.c - on the device against their plain-C references, as test_ops.c does it for matmul: the operations
 * that cut images, put tokens together, turn, gate and pool them. */
#include "jobs.h"

/* ---- im2patch ---- */

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
                                            .output_number = batch == 2 ? NUMBER_F16 : NUMBER_F32,
                                            .input = NORMAL});
        }
    suite_report(&suite);
}

/* ---- tokens ---- */

/* One sum per number: exact. */
static void test_tokens(void **state)
{
    static const size_t PREFIXES[] = {0, 1, 2, 5}, WIDTHS[] = {1, 3, 18, 63, 64, 65}, BATCHES[] = {1, 2, 32};
    struct suite suite = {device_or_skip(state), .random = {12}, .op = OP_TOKENS};
    for (size_t b = 0; b < COUNT(BATCHES); b++)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            for (size_t patches = 1; patches <= 69; patches += 17)
                for (size_t form = 0; form < 2 * COUNT(PREFIXES); form++)
                    suite_run(&suite, &(struct job){.build = build_tokens,
                                                    .g = {.batch = BATCHES[b],
                                                          .patches = patches,
                                                          .prefix = PREFIXES[form / 2],
                                                          .tokens = PREFIXES[form / 2] + patches,
                                                          .width = WIDTHS[w]},
                                                    .own_positions = form % 2,
                                                    .input = NORMAL,
                                                    .weight = NORMAL,
                                                    .bias = NORMAL});
    suite_report(&suite);
}

/* ---- rope ---- */

/* Both pairings, into another place and in place. Two products are rounded, the largest of them ten times the rms. */
static void run_rope(struct suite *suite, size_t batch, size_t prefix, size_t patches, size_t heads, size_t head_size,
                     struct draw input)
{
    for (int form = 0; form < 4; form++)
        suite_run(suite, &(struct job){.build = build_rope,
                                       .g = {.batch = batch,
                                             .patches = patches,
                                             .prefix = prefix,
                                             .tokens = prefix + patches,
                                             .width = heads * head_size,
                                             .heads = heads,
                                             .head_size = head_size},
                                       .rope = form / 2 ? ROPE_EVA : ROPE_DINOV3,
                                       .in_place = form % 2,
                                       .input = input,
                                       .weight = {0, 0.7},
                                       .tolerance = TOLERANCE});
}

static void test_rope(void **state)
{
    static const size_t PREFIXES[] = {0, 1, 5}, PATCHES[] = {1, 2, 36, 63}, SIZES[] = {4, 8, 12, 64, 88};
    struct suite suite = {device_or_skip(state), .random = {22}, .op = OP_ROPE};
    for (size_t p = 0; p < COUNT(PREFIXES); p++)
        for (size_t n = 0; n < COUNT(PATCHES); n++)
            for (size_t d = 0; d < COUNT(SIZES); d++)
                for (size_t heads = 1; heads <= 3; heads++)
                    run_rope(&suite, 1 + (n + heads) % 3, PREFIXES[p], PATCHES[n], heads, SIZES[d], NORMAL);
    run_rope(&suite, 2, 1, 5, 3, 12, (struct draw){0, 1e30});
    run_rope(&suite, 2, 1, 5, 3, 12, (struct draw){0, 1e-20});
    suite_report(&suite);
}

/* ---- gate ---- */

static void test_gate(void **state)
{
    static const size_t ROWS[] = {1, 2, 33, 197}, WIDTHS[] = {1, 3, 7, 8, 63, 64, 65, 67, 129, 341};
    static const struct draw INPUTS[] = {{0, 1}, {0, 4}, {0, 100}, {0, 1e15}, {0, 1e-12}};
    struct suite suite = {device_or_skip(state), .random = {23}, .op = OP_GATE};
    for (size_t r = 0; r < COUNT(ROWS); r++)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            for (enum activation activation = ACTIVATION_NONE; activation < ACTIVATION_COUNT; activation++)
                suite_run(&suite, &(struct job){.build = build_gate,
                                                .rows = ROWS[r],
                                                .n = WIDTHS[w],
                                                .activation = activation,
                                                .input = INPUTS[(r + w) % COUNT(INPUTS)],
                                                .tolerance = TOLERANCE});
    suite_report(&suite);
}

/* ---- pool ---- */

/* Every kind, from token 0, 1 and 5 on, without and with lengths. */
static void run_pool(struct suite *suite, size_t batch, size_t tokens, size_t width, struct draw input)
{
    static const size_t FIRST[] = {0, 1, 5};
    for (enum pool pool = POOL_CLS; pool < POOL_ATTENTION; pool++)
        for (size_t form = 0; form < 2 * COUNT(FIRST); form++)
            if (FIRST[form / 2] < tokens && (pool != POOL_CLS_DIST || tokens > 1))
                suite_run(suite, &(struct job){.build = build_pool,
                                               .spoil = spoil_pool,
                                               .g = {.batch = batch, .tokens = tokens, .width = width},
                                               .pool = pool,
                                               .first = FIRST[form / 2],
                                               .masked = form % 2,
                                               .input = input,
                                               .tolerance = pool_copies(pool) ? 0 : TOLERANCE});
}

static void test_pool(void **state)
{
    static const size_t WIDTHS[] = {1, 18, 63, 64, 65}, TOKENS_COUNTS[] = {1, 2, 6, 7, 33, 70};
    struct suite suite = {device_or_skip(state), .random = {13}, .op = OP_POOL};
    for (size_t batch = 1; batch <= 4; batch += 3)
        for (size_t w = 0; w < COUNT(WIDTHS); w++)
            for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++)
                run_pool(&suite, batch, TOKENS_COUNTS[t], WIDTHS[w], NORMAL);
    suite_report(&suite);
}

/* The 1370 tokens of DINOv2 at 518 x 518 and more; means far from zero, equal numbers, whose rounding errors all point
 * the same way; numbers that all are negative, and large ones. */
static void test_pool_extremes(void **state)
{
    static const size_t TOKENS_COUNTS[] = {1370, 4101};
    static const struct draw INPUTS[] = {{0, 1}, {100, 1}, {-1e4, 1}, {0.1, 0}, {-1 / 3.0, 0}, {0, 1e30}, {0, 1e-30}};
    struct suite suite = {device_or_skip(state), .random = {24}, .op = OP_POOL};
    for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++)
        for (size_t i = 0; i < COUNT(INPUTS); i++)
            run_pool(&suite, 2, TOKENS_COUNTS[t], 19, INPUTS[i]);
    suite_report(&suite);
}

/* ---- NaN ---- */

/* No operation loses one; gate not in 16 bits either. */
static void test_nan(void **state)
{
    const struct geometry g = {
        .batch = 2, .patches = 33, .prefix = 1, .tokens = 34, .width = 36, .heads = 3, .head_size = 12};
    struct device *device = device_or_skip(state);
    struct job job = {
        .g = g, .broken = true, .input = NORMAL, .weight = NORMAL, .bias = NORMAL, .tolerance = TOLERANCE};
    struct suite suite = {device, .random = {28}, .op = OP_TOKENS};
    job.build = build_tokens;
    suite_run(&suite, &job);
    suite = (struct suite){device, .random = {29}, .op = OP_ROPE};
    job.build = build_rope;
    job.rope = ROPE_EVA;
    suite_run(&suite, &job);
    for (enum pool pool = POOL_CLS_MEAN; pool < POOL_ATTENTION; pool++) {
        suite = (struct suite){device, .random = {30}, .op = OP_POOL};
        job.build = build_pool;
        job.pool = pool;
        suite_run(&suite, &job);
    }
    for (enum activation activation = ACTIVATION_NONE; activation < ACTIVATION_COUNT; activation++) {
        suite = (struct suite){device, .random = {31}, .op = OP_GATE};
        job.build = build_gate;
        job.rows = 33;
        job.n = 67;
        job.activation = activation;
        job.output_number = activation % 2 ? NUMBER_F16 : NUMBER_F32;
        job.tolerance = activation % 2 ? TOLERANCE_F16 : TOLERANCE;
        suite_run(&suite, &job);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_im2patch), cmocka_unit_test(test_tokens), cmocka_unit_test(test_rope),
        cmocka_unit_test(test_gate),     cmocka_unit_test(test_pool),   cmocka_unit_test(test_pool_extremes),
        cmocka_unit_test(test_nan),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

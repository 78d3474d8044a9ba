/* test_ops_attention.c - attention and the pooling head's attention on the device against their plain-C references, as
 * test_ops.c does it for matmul. What a query must not look at is poison: keys and values behind an image's length, and
 * before the first token. */
#include "jobs.h"

/* ---- attention ---- */

/* A job over plain tokens. A context is an average, several times smaller than what is averaged: rounding errors, which
 * go with the latter, are so much larger beside it. */
static struct job attention_job(size_t batch, size_t tokens, size_t heads, size_t head_size, struct draw input)
{
    return (struct job){
        .build = build_attention,
        .spoil = spoil_attention,
        .g = {.batch = batch, .tokens = tokens, .width = heads * head_size, .heads = heads, .head_size = head_size},
        .input = input,
        .tolerance = 2 * TOLERANCE};
}

static const size_t TOKENS_COUNTS[] = {1, 2, 3, 4, 5, 8, 17, 31, 32, 33, 64, 70};
static const size_t HEAD_SIZES[] = {1, 4, 6, 18, 24, 64, 80, 88};

/* Without lengths, and with them. */
static void run_sizes(struct suite *suite, bool masked)
{
    for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++)
        for (size_t d = 0; d < COUNT(HEAD_SIZES); d++)
            for (size_t heads = 1; heads <= 5; heads++) {
                struct job job = attention_job(1 + (heads + d) % 4, TOKENS_COUNTS[t], heads, HEAD_SIZES[d], NORMAL);
                job.masked = masked;
                suite_run(suite, &job);
            }
    suite_report(suite);
}

static void test_sizes(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {9}, .op = OP_ATTENTION};
    run_sizes(&suite, false);
}

static void test_lengths(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {17}, .op = OP_ATTENTION};
    run_sizes(&suite, true);
}

/* More keys than are looked at at a time. */
static void test_many_tokens(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {20}, .op = OP_ATTENTION};
    const struct job large = attention_job(1, 1370, 1, 64, NORMAL); /* 37 x 37 patches: DINOv2 at 518 pixels */
    for (size_t tokens = 224; tokens <= 450; tokens += 113)
        for (int masked = 0; masked < 2; masked++) {
            struct job job = attention_job(2, tokens, 2, 64, NORMAL);
            job.masked = masked;
            suite_run(&suite, &job);
        }
    suite_run(&suite, &large);
    suite_report(&suite);
}

/* qkv and context in 16 bits, with lengths and without. Each size is a program to compile: every second one must do,
 * here and with a bias. */
static void run_narrow_numbers(struct suite *suite, enum number number, size_t head_step, double tolerance)
{
    for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++)
        for (size_t d = 1; d < COUNT(HEAD_SIZES); d += head_step)
            for (int masked = 0; masked < 2; masked++) {
                struct job job = attention_job(2, TOKENS_COUNTS[t], 1 + d % 3, HEAD_SIZES[d], NORMAL);
                job.masked = masked;
                job.input_number = job.output_number = number;
                job.tolerance = tolerance;
                suite_run(suite, &job);
            }
    suite_report(suite);
}

static void test_bf16(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {22}, .op = OP_ATTENTION};
    run_narrow_numbers(&suite, NUMBER_BF16, 2, TOLERANCE_BF16);
}

static void test_f16(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {25}, .op = OP_ATTENTION};
    run_narrow_numbers(&suite, NUMBER_F16, 3, TOLERANCE_F16);
}

/* A NaN in a query, a key or a value is not lost. */
static void test_nan(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {26}, .op = OP_ATTENTION};
    for (int i = 0; i < 4; i++) {
        struct job job = attention_job(3, 33, 3, 18, NORMAL);
        job.masked = i % 2;
        job.broken = true;
        job.input_number = job.output_number = i < 2 ? NUMBER_F32 : NUMBER_F16;
        job.tolerance = i < 2 ? job.tolerance : TOLERANCE_F16;
        suite_run(&suite, &job);
    }
    suite_report(&suite);
}

/* As on CPUs with narrower vectors. */
static void test_narrow(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {24}, .op = OP_ATTENTION};
    for (size_t width = 4; width <= 8; width += 4) {
        suite_narrow(&suite, width);
        for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++) {
            struct job job = attention_job(2, TOKENS_COUNTS[t], 3, HEAD_SIZES[3 + t % 3], NORMAL);
            job.masked = t % 2;
            suite_run(&suite, &job);
        }
    }
    suite_narrow(&suite, 0);
    suite_report(&suite);
}

/* Scores in the millions, where exp overflows without the maximum taken off: one weight is 1, the others are 0. Equal
 * scores: all weights are 1 / T. */
static void test_extremes(void **state)
{
    static const struct draw INPUTS[] = {{0, 1e4}, {50, 0}, {0, 1e-10}, {0, 0}};
    struct suite suite = {device_or_skip(state), .random = {10}, .op = OP_ATTENTION};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t tokens = 63; tokens <= 65; tokens++)
            for (int masked = 0; masked < 2; masked++) {
                struct job job = attention_job(2, tokens, 3, 24, INPUTS[i]);
                job.masked = masked;
                suite_run(&suite, &job);
            }
    suite_report(&suite);
}

/* ---- with BEiT's bias ---- */

static void bias_job(struct job *job, size_t height, size_t width)
{
    job->biased = true;
    job->g.prefix = 1;
    job->g.patches = height * width;
    job->g.grid_height = height;
    job->g.grid_width = width;
    job->weight = NORMAL;
}

/* A score's rounding error is the relative one of its weight: with a bias it is twice as large. */
static void run_biased(struct suite *suite, size_t height, size_t width, size_t heads, size_t head_size,
                       struct draw input, struct draw table, double tolerance)
{
    struct job job = attention_job(1 + (height + heads) % 3, 1 + height * width, heads, head_size, input);
    bias_job(&job, height, width);
    job.weight = table;
    job.tolerance = tolerance;
    suite_run(suite, &job);
}

static void test_biased(void **state)
{
    static const size_t GRIDS[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 7}, {7, 1}, {2, 2}, {3, 5}, {5, 3}, {8, 8}, {6, 11}};
    struct suite suite = {device_or_skip(state), .random = {18}, .op = OP_ATTENTION};
    for (size_t i = 0; i < COUNT(GRIDS); i++)
        for (size_t d = 0; d < COUNT(HEAD_SIZES); d += 2)
            for (size_t heads = 1; heads <= 4; heads++)
                run_biased(&suite, GRIDS[i][0], GRIDS[i][1], heads, HEAD_SIZES[d], NORMAL, NORMAL, 2 * TOLERANCE);
    suite_report(&suite);
}

/* Of scores and bias now the one, now the other decides alone. A score of 10000 is rounded to 1/2048: no more can be
 * asked of its weight. */
static void test_biased_extremes(void **state)
{
    static const struct {
        struct draw input, table;
        double tolerance;
    } rows[] = {{{0, 1e4}, {0, 1}, TOLERANCE},
                {{0, 1e-10}, {0, 1e6}, TOLERANCE},
                {{50, 0}, {1e-20, 1e-20}, TOLERANCE},
                {{0, 1}, {-1e4, 100}, 1e-3}};
    struct suite suite = {device_or_skip(state), .random = {19}, .op = OP_ATTENTION};
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t width = 7; width <= 9; width++)
            run_biased(&suite, 7, width, 3, 24, rows[i].input, rows[i].table, rows[i].tolerance);
    suite_report(&suite);
}

/* ---- by matrix instructions ---- */

/* Every kind of them, emulated by a CPU: waves, keys at a time and factors that the queries, keys and heads do not
 * fill.
 */
static void test_mma(void **state)
{
    static const struct {
        size_t head_size, tokens[4];
        enum number input, output;
        bool masked, biased;
    } rows[] = {{64, {1, 17, 64, 70}, NUMBER_BF16, NUMBER_BF16, false, false},
                {24, {2, 31, 33, 197}, NUMBER_F16, NUMBER_F16, true, false},
                {128, {5, 32, 63, 96}, NUMBER_BF16, NUMBER_F32, true, false},
                {80, {3 * 5 + 1, 2, 9 * 9 + 1, 8}, NUMBER_F16, NUMBER_F16, false, true}};
    static const size_t GRIDS[][2] = {{3, 5}, {1, 1}, {9, 9}, {7, 1}}; /* of the last row's tokens */
    struct suite suite = {device_or_skip(state), .random = {30}, .op = OP_ATTENTION, .only = "mma"};
    for (enum matrix_unit unit = MATRIX_MMA; unit <= MATRIX_WMMA; unit++) {
        suite_matrix(&suite, unit);
        for (size_t i = 0; i < COUNT(rows); i++)
            for (size_t t = 0; t < COUNT(rows[i].tokens); t++) {
                struct job job =
                    attention_job(1 + t % 3, rows[i].tokens[t], 1 + (i + t) % 3, rows[i].head_size, NORMAL);
                job.masked = rows[i].masked;
                job.input_number = rows[i].input;
                job.output_number = rows[i].output;
                job.tolerance = rows[i].input == NUMBER_BF16 ? TOLERANCE_BF16 : TOLERANCE_F16;
                if (rows[i].biased)
                    bias_job(&job, GRIDS[t][0], GRIDS[t][1]);
                suite_run(&suite, &job);
                job.broken = true;
                if (rows[i].masked)
                    suite_run(&suite, &job);
            }
    }
    suite_matrix(&suite, MATRIX_NONE);
    suite_report(&suite);
}

/* ---- the pooling head's ---- */

/* From token 0, 1 and 5 on, without and with lengths. */
static void run_attention_pool(struct suite *suite, size_t batch, size_t tokens, size_t heads, size_t head_size,
                               struct draw input)
{
    static const size_t FIRST[] = {0, 1, 5};
    for (size_t form = 0; form < 2 * COUNT(FIRST); form++) {
        struct job job = attention_job(batch, tokens, heads, head_size, input);
        job.build = build_attention_pool;
        job.spoil = spoil_attention_pool;
        job.first = FIRST[form / 2];
        job.masked = form % 2;
        job.weight = input;
        if (job.first < tokens)
            suite_run(suite, &job);
    }
}

static void test_attention_pool(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {20}, .op = OP_ATTENTION_POOL};
    for (size_t t = 0; t < COUNT(TOKENS_COUNTS); t++)
        for (size_t d = 0; d < COUNT(HEAD_SIZES); d++)
            for (size_t heads = 1; heads <= 17; heads += 8)
                run_attention_pool(&suite, 1 + (heads + d) % 4, TOKENS_COUNTS[t], heads, HEAD_SIZES[d], NORMAL);
    suite_report(&suite);
}

static void test_attention_pool_nan(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {27}, .op = OP_ATTENTION_POOL};
    struct job job = attention_job(3, 33, 3, 18, NORMAL);
    job.build = build_attention_pool;
    job.spoil = spoil_attention_pool;
    job.broken = true;
    job.weight = NORMAL;
    suite_run(&suite, &job);
    suite_report(&suite);
}

static void test_attention_pool_extremes(void **state)
{
    static const struct draw INPUTS[] = {{0, 1e4}, {50, 0}, {0, 1e-10}, {0, 0}};
    struct suite suite = {device_or_skip(state), .random = {21}, .op = OP_ATTENTION_POOL};
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        for (size_t tokens = 63; tokens <= 65; tokens++)
            run_attention_pool(&suite, 3, tokens, 3, 24, INPUTS[i]);
    suite_report(&suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_many_tokens),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_biased),
        cmocka_unit_test(test_biased_extremes),
        cmocka_unit_test(test_mma),
        cmocka_unit_test(test_attention_pool),
        cmocka_unit_test(test_attention_pool_extremes),
        cmocka_unit_test(test_attention_pool_nan),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

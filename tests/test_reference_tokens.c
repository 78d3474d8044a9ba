/* test_reference_tokens.c - the plain-C references of the operations that cut images, put tokens together, turn, gate
 * and pool them, by hand as in test_reference.c. */
#include "one_step.h"

#include <float.h>

/* ---- im2patch ---------------------------------------------------------------------------------------------------- */

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

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* Two images of two patches (10 20) (30 40), (50 60) (70 80), with P tokens before those of each. */
static struct one_step new_tokens(size_t prefix)
{
    static const float patches[] = {10, 20, 30, 40, 50, 60, 70, 80}, tokens[] = {100, 200, 300, 400, 500, 600};
    struct one_step one = new_step(OP_TOKENS);
    one.plan.geometry = (struct geometry){.batch = 2, .patches = 2, .prefix = prefix, .tokens = prefix + 2, .width = 2};
    one.step.input[0] = tensor(&one, patches, 4, 2);
    if (prefix)
        one.step.weight[0] = tensor(&one, tokens, prefix, 2);
    return one;
}

/* One position (1 2) (3 4) ... onto every image's tokens. */
static void test_tokens(void **state)
{
    static const float position[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const float none[] = {11, 22, 33, 44, 51, 62, 73, 84};
    static const float one_before[] = {101, 202, 13, 24, 35, 46, 101, 202, 53, 64, 75, 86};
    static const float three_before[] = {101, 202, 303, 404, 505, 606, 17, 28, 39, 50,
                                         101, 202, 303, 404, 505, 606, 57, 68, 79, 90};
    static const struct {
        size_t prefix;
        const float *x;
    } rows[] = {{0, none}, {1, one_before}, {3, three_before}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct one_step one = new_tokens(rows[i].prefix);
        one.step.weight[1] = tensor(&one, position, rows[i].prefix + 2, 2);
        add_output(&one, 0, 2 * (rows[i].prefix + 2), 2);
        check(&one, rows[i].x, 0);
    }
}

/* A position of its own for every image: (1 2) (3 4) ... goes on in the second one. */
static void test_own_positions(void **state)
{
    static const float position[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const float none[] = {11, 22, 33, 44, 55, 66, 77, 88};
    static const float one_before[] = {101, 202, 13, 24, 35, 46, 107, 208, 59, 70, 81, 92};
    (void)state;
    for (size_t prefix = 0; prefix < 2; prefix++) {
        struct one_step one = new_tokens(prefix);
        one.step.input[1] = tensor(&one, position, 2 * (prefix + 2), 2);
        add_output(&one, 0, 2 * (prefix + 2), 2);
        check(&one, prefix ? one_before : none, 0);
    }
}

/* ---- rope -------------------------------------------------------------------------------------------------------- */

enum { IMAGES = 2, PATCHES = 2, PREFIX = 2, IMAGE_TOKENS = PREFIX + PATCHES, SLOTS = 6, SIZE = 4 };

/* Of two images with two tokens before their two patches, every head of queries, keys and values (2 of each: six slots)
 * is (1 2 3 4) times a number of its own. The patches' angles are a quarter turn for the first pair and none for the
 * second; then half a turn, and one with cosine 0.6 and sine 0.8. */
static void check_rope(enum rope_kind kind, const float turned[PATCHES][SIZE])
{
    static const float angles[] = {0, 1, 1, 0, -1, 0.6f, 0, 0.8f}; /* cosines, sines of patch 0; of patch 1 */
    float before[IMAGES * IMAGE_TOKENS][SLOTS][SIZE], after[IMAGES * IMAGE_TOKENS][SLOTS][SIZE];
    for (size_t row = 0; row < IMAGES * IMAGE_TOKENS; row++)
        for (size_t slot = 0; slot < SLOTS; slot++)
            for (size_t i = 0; i < SIZE; i++) {
                const float times = (float)(10 * row + slot + 1);
                const bool stays = row % IMAGE_TOKENS < PREFIX || slot >= 4; /* tokens before the patches, and values */
                before[row][slot][i] = times * (float)(i + 1);
                after[row][slot][i] = stays ? before[row][slot][i] : times * turned[row % IMAGE_TOKENS - PREFIX][i];
            }
    for (int in_place = 0; in_place < 2; in_place++) {
        struct one_step one = new_step(OP_ROPE);
        one.step.rope = kind;
        one.plan.geometry = (struct geometry){.batch = IMAGES,
                                              .patches = PATCHES,
                                              .prefix = PREFIX,
                                              .tokens = IMAGE_TOKENS,
                                              .width = 2 * SIZE,
                                              .heads = 2,
                                              .head_size = SIZE};
        one.step.input[0] = tensor(&one, &before[0][0][0], IMAGES * IMAGE_TOKENS, SLOTS * SIZE);
        one.step.weight[0] = tensor(&one, angles, PATCHES, SIZE);
        add_output(&one, 0, IMAGES * IMAGE_TOKENS, SLOTS * SIZE);
        if (in_place)
            check_in_place(&one, &after[0][0][0], 4e-5); /* of numbers up to 300, cosine and sine are float */
        else
            check(&one, &after[0][0][0], 4e-5);
    }
}

/* Pairs are (1,3) and (2,4), or (1,2) and (3,4). A quarter turn makes (a,b) (-b,a), half a turn (-a,-b); the last makes
 * (2,4) (0.6*2 - 0.8*4, 0.6*4 + 0.8*2) = (-2,4) and (3,4) (0.6*3 - 0.8*4, 0.6*4 + 0.8*3) = (-1.4,4.8). */
static void test_rope(void **state)
{
    static const float halves[PATCHES][SIZE] = {{-3, 2, 1, 4}, {-1, -2, -3, 4}};
    static const float neighbours[PATCHES][SIZE] = {{-2, 1, 3, 4}, {-1, -2, -1.4f, 4.8f}};
    (void)state;
    check_rope(ROPE_DINOV3, halves);
    check_rope(ROPE_EVA, neighbours);
}

/* ---- gate -------------------------------------------------------------------------------------------------------- */

/* Rows (-1 1 2 | 5 6 7), (3 0 -4 | -1 9 0.5): activation(left) times right. silu(1) = 0.731058579, silu(-1) = silu(1) -
 * 1, silu(2) = 1.76159416, silu(3) = 2.85772238, silu(-4) = -0.0719448398. */
static void test_gate(void **state)
{
    static const float x[] = {-1, 1, 2, 5, 6, 7, 3, 0, -4, -1, 9, 0.5f};
    static const float plain[] = {-5, 6, 14, -3, 0, -2}, relu[] = {0, 6, 14, -3, 0, 0};
    static const float silu[] = {5 * -0.268941421f,    6 * 0.731058579f, 7 * 1.76159416f, -2.85772238f, 0,
                                 0.5f * -0.0719448398f};
    static const struct {
        enum activation activation;
        const float *y;
        double tolerance;
    } rows[] = {{ACTIVATION_NONE, plain, 0}, {ACTIVATION_RELU, relu, 0}, {ACTIVATION_SILU, silu, 2e-6}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct one_step one = new_step(OP_GATE);
        one.step.activation = rows[i].activation;
        one.step.input[0] = tensor(&one, x, 2, 6);
        add_output(&one, 0, 2, 3);
        check(&one, rows[i].y, rows[i].tolerance);
    }
}

/* ---- pool -------------------------------------------------------------------------------------------------------- */

/* Two images of four tokens of two numbers. Tokens that a pool must leave out are none. */
static void check_pool(enum pool pool, size_t first, const float *lengths, const float *pooled, size_t columns)
{
    static const float tokens[2][4][2] = {{{1, 10}, {2, -20}, {4, 30}, {9, -60}},
                                          {{-1, 0}, {-3, 5}, {-8, -5}, {100, 40}}};
    const size_t copied = pool == POOL_CLS_DIST ? 2 : pool == POOL_CLS || pool == POOL_CLS_MEAN ? 1 : 0;
    float x[2][4][2];
    struct one_step one = new_step(OP_POOL);
    for (size_t image = 0; image < 2; image++)
        for (size_t t = 0; t < 4; t++)
            for (size_t i = 0; i < 2; i++) {
                const bool counts = t >= first && t < (lengths ? (size_t)lengths[image] : 4);
                x[image][t][i] = t < copied || counts ? tokens[image][t][i] : NAN;
            }
    one.plan.geometry = (struct geometry){.batch = 2, .tokens = 4, .width = 2};
    one.step.pool = pool;
    one.step.first = first;
    one.step.input[0] = tensor(&one, &x[0][0][0], 8, 2);
    if (lengths)
        one.step.input[1] = tensor(&one, lengths, 1, 2);
    add_output(&one, 0, 2, columns);
    check(&one, pooled, 4 * (double)FLT_EPSILON);
}

/* From the tokens (1 10) (2 -20) (4 30) (9 -60), (-1 0) (-3 5) (-8 -5) (100 40). */
static void test_pool(void **state)
{
    static const struct {
        enum pool pool;
        size_t first, columns;
        float pooled[8];
    } rows[] = {
        {POOL_CLS, 0, 2, {1, 10, -1, 0}},
        {POOL_CLS, 1, 2, {1, 10, -1, 0}},
        {POOL_CLS_DIST, 2, 4, {1, 10, 2, -20, -1, 0, -3, 5}},
        {POOL_MEAN, 0, 2, {4, -10, 22, 10}},
        {POOL_MEAN, 2, 2, {6.5f, -15, 46, 17.5f}},
        {POOL_MEAN, 3, 2, {9, -60, 100, 40}},
        {POOL_MAX, 0, 2, {9, 30, 100, 40}},
        {POOL_MAX, 3, 2, {9, -60, 100, 40}},
        {POOL_MEAN_MAX, 0, 2, {6.5f, 10, 61, 25}}, /* (4 + 9) / 2, (-10 + 30) / 2, (22 + 100) / 2, (10 + 40) / 2 */
        {POOL_MEAN_MAX,
         2,
         2,
         {7.75f, 7.5f, 73, 28.75f}}, /* (6.5 + 9) / 2, (-15 + 30) / 2, (46 + 100) / 2, (17.5 + 40) / 2 */
        {POOL_CLS_MEAN, 2, 4, {1, 10, 6.5f, -15, -1, 0, 46, 17.5f}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_pool(rows[i].pool, rows[i].first, NULL, rows[i].pooled, rows[i].columns);
}

/* Two tokens of the first image and three of the second: the largest number may be negative. */
static void test_pool_lengths(void **state)
{
    static const float lengths[] = {2, 3};
    static const struct {
        enum pool pool;
        size_t first, columns;
        float pooled[8];
    } rows[] = {
        {POOL_CLS, 0, 2, {1, 10, -1, 0}},
        {POOL_MEAN, 0, 2, {1.5f, -5, -4, 0}},
        {POOL_MEAN, 1, 2, {2, -20, -5.5f, 0}},
        {POOL_MAX, 0, 2, {2, 10, -1, 5}},
        {POOL_MAX, 1, 2, {2, -20, -3, 5}},
        {POOL_MEAN_MAX, 1, 2, {2, -20, -4.25f, 2.5f}},
        {POOL_CLS_MEAN, 1, 4, {1, 10, 2, -20, -1, 0, -5.5f, 0}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_pool(rows[i].pool, rows[i].first, lengths, rows[i].pooled, rows[i].columns);
}

/* What is no number shows, whichever token it is in. */
static void test_pool_nan(void **state)
{
    (void)state;
    for (size_t t = 0; t < 3; t++)
        for (enum pool pool = POOL_MEAN; pool <= POOL_MEAN_MAX; pool++) {
            float x[] = {1, 2, 3};
            struct one_step one = new_step(OP_POOL);
            x[t] = NAN;
            one.plan.geometry = (struct geometry){.batch = 1, .tokens = 3, .width = 1};
            one.step.pool = pool;
            one.step.input[0] = tensor(&one, x, 3, 1);
            add_output(&one, 0, 1, 1);
            run(&one, 0, 1);
            assert_true(isnan(one.output[0][0]));
            plan_free(&one.plan);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_im2patch),     cmocka_unit_test(test_tokens),   cmocka_unit_test(test_own_positions),
        cmocka_unit_test(test_rope),         cmocka_unit_test(test_gate),     cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_lengths), cmocka_unit_test(test_pool_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

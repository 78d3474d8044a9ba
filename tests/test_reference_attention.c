/* test_reference_attention.c - the plain-C references of attention and of the pooling head's attention, by hand as in
 * test_reference.c. */
#include "one_step.h"

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

/* The same with lengths 1 and 2: image 0 has one token, whose value all get; what the other one holds is not read. */
static void test_lengths(void **state)
{
    static const float qkv[] = {
        1,    0, 0, 0, 0,    0, 0, 0, 0,    0,   0,   0,   0,     0,   0,   0,   4,   0,   8,   -4,  1,   2,   3,   4,
        0,    0, 0, 0, 0,    0, 0, 0, NAN,  NAN, NAN, NAN, NAN,   NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
        1000, 0, 0, 0, 1000, 0, 0, 0, 1000, 0,   0,   0,   -1000, 0,   0,   0,   1,   2,   3,   4,   10,  20,  30,  40,
        1000, 0, 0, 0, 1000, 0, 0, 0, 0,    0,   0,   0,   -1000, 0,   0,   0,   5,   6,   7,   8,   30,  40,  50,  60,
    };
    static const float lengths[] = {1, 2};
    static const float context[] = {
        4, 0, 8, -4, 1,  2,  3,  4,  4, 0, 8, -4, 1,  2,  3,  4, /* image 0 */
        1, 2, 3, 4,  20, 30, 40, 50, 1, 2, 3, 4,  20, 30, 40, 50,
    };
    struct one_step one = new_step(OP_ATTENTION);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 2, .tokens = 2, .width = 8, .heads = 2, .head_size = 4};
    one.step.input[0] = tensor(&one, qkv, 4, 24);
    one.step.input[1] = tensor(&one, lengths, 1, 2);
    add_output(&one, 0, 4, 8);
    check(&one, context, 1e-6);
}

/* ---- BEiT's bias ------------------------------------------------------------------------------------------------- */

/* The row of the table for query i (down) and key j (across), in a grid of 2 x 3 patches behind a class token. There
 * are 3 x 5 distances: from a patch to itself row 7, to its right neighbour 1 less, to its lower one 5 less. Behind
 * them 15 is for the class token's look at a patch, 16 for a patch's at it, 17 for its own at itself. */
static const int BIAS_ROWS[7][7] = {
    {17, 15, 15, 15, 15, 15, 15}, /* class token */
    {16, 7, 6, 5, 2, 1, 0},       /* patch (0,0) */
    {16, 8, 7, 6, 3, 2, 1},       /* patch (0,1) */
    {16, 9, 8, 7, 4, 3, 2},       /* patch (0,2) */
    {16, 12, 11, 10, 7, 6, 5},    /* patch (1,0) */
    {16, 13, 12, 11, 8, 7, 6},    /* patch (1,1) */
    {16, 14, 13, 12, 9, 8, 7},    /* patch (1,2) */
};

/* Queries are 0 and the value of token j is 1 at j and 0 elsewhere, so the context is the weights themselves. With a
 * bias of ln(r + 1) in head 0 and ln(40 - r) in head 1 they are as r + 1 to r + 1, as 40 - r to 40 - r. */
static void test_bias(void **state)
{
    enum { T = 7, H = 2 };
    float qkv[T][3][H][T] = {{{{0}}}}, table[18][H], context[T][H][T];
    struct one_step one = new_step(OP_ATTENTION);
    (void)state;
    for (size_t r = 0; r < 18; r++) {
        table[r][0] = (float)log((double)r + 1);
        table[r][1] = (float)log(40 - (double)r);
    }
    for (size_t i = 0; i < T; i++) {
        float sums[H] = {0};
        for (size_t j = 0; j < T; j++) {
            sums[0] += context[i][0][j] = (float)(BIAS_ROWS[i][j] + 1);
            sums[1] += context[i][1][j] = (float)(40 - BIAS_ROWS[i][j]);
        }
        for (size_t j = 0; j < T; j++) {
            context[i][0][j] /= sums[0];
            context[i][1][j] /= sums[1];
        }
        qkv[i][2][0][i] = qkv[i][2][1][i] = 1;
        qkv[i][1][0][0] = 1000; /* keys do not matter */
    }
    one.plan.geometry = (struct geometry){.batch = 1,
                                          .grid_height = 2,
                                          .grid_width = 3,
                                          .patches = 6,
                                          .prefix = 1,
                                          .tokens = T,
                                          .width = H * T,
                                          .heads = H,
                                          .head_size = T};
    one.step.input[0] = tensor(&one, &qkv[0][0][0][0], T, 3 * H * T);
    one.step.weight[0] = tensor(&one, &table[0][0], 18, H);
    add_output(&one, 0, T, H * T);
    check(&one, &context[0][0][0], 1e-6);
}

/* Bias and score add up, the score scaled and the bias not: one patch, d = 4, so the scale is 1/2. The class token's
 * scores are (2 + 1, 0 + 3): equal shares. The patch's are (0 + ln 3, 0 + 0): 3/4 and 1/4. */
static void test_bias_and_score(void **state)
{
    static const float qkv[] = {2, 0, 0, 0, 2, 0, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 4, 0};
    static const float table[] = {0, 3, LN3, 1}; /* itself; class with patch; patch with class; class with itself */
    static const float context[] = {6, 4, 2, 0, 5, 6, 1, 0};
    struct one_step one = new_step(OP_ATTENTION);
    (void)state;
    one.plan.geometry = (struct geometry){.batch = 1,
                                          .grid_height = 1,
                                          .grid_width = 1,
                                          .patches = 1,
                                          .prefix = 1,
                                          .tokens = 2,
                                          .width = 4,
                                          .heads = 1,
                                          .head_size = 4};
    one.step.input[0] = tensor(&one, qkv, 2, 12);
    one.step.weight[0] = tensor(&one, table, 4, 1);
    add_output(&one, 0, 2, 4);
    check(&one, context, 1e-6);
}

/* ---- the pooling head's ------------------------------------------------------------------------------------------ */

#define SQRT2 1.41421356f
#define LN4   1.38629436f

/* Three tokens, two heads of size 2: the scale is 1 / sqrt 2, the query (sqrt 2, 0) in head 0: its scores are the keys'
 * first numbers. In head 1 the query is 0: the mean of the values.
 *
 * Image 0, head 0: scores ln 4, ln 3, 0: shares 4/8, 3/8, 1/8; of the last two alone 3/4, 1/4.
 *   v = (8 0), (0 8), (16 -8): (4 + 2, 3 - 1); of the last two (4, 6 - 2).
 * Image 0, head 1: v = (3 30), (6 60), (9 0): (6 30); of the last two (7.5 30).
 * Image 1: scores 0, ln 3, the values of the first two tokens the same, and a third token that is none: shares 1/4,
 * 3/4: (2 6) and (4.5 45); from the second token on (0 8) and (6 60). */
static void check_attention_pool(size_t images, size_t first, const float *lengths, const float *context)
{
    static const float kv[] = {
        LN4, 0, 9, 9, 8, 0, 3, 30, LN3, 1, -9, 9, 0, 8, 6, 60, 0,   2,   0,   0,   16,  -8,  9,   0, /* image 1 */
        0,   7, 5, 5, 8, 0, 3, 30, LN3, 7, 5,  5, 0, 8, 6, 60, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
    };
    static const float query[] = {SQRT2, 0, 0, 0};
    struct one_step one = new_step(OP_ATTENTION_POOL);
    one.plan.geometry = (struct geometry){.batch = images, .tokens = 3, .width = 4, .heads = 2, .head_size = 2};
    one.step.first = first;
    one.step.input[0] = tensor(&one, kv, 3 * images, 8);
    if (lengths)
        one.step.input[1] = tensor(&one, lengths, 1, images);
    one.step.weight[0] = tensor(&one, query, 1, 4);
    add_output(&one, 0, images, 4);
    check(&one, context, 2e-6);
}

static void test_attention_pool(void **state)
{
    static const float all[] = {6, 2, 6, 30}, last_two[] = {4, 4, 7.5f, 30};
    static const float lengths[] = {3, 2}, masked[] = {6, 2, 6, 30, 2, 6, 4.5f, 45};
    static const float masked_last[] = {4, 4, 7.5f, 30, 0, 8, 6, 60};
    (void)state;
    check_attention_pool(1, 0, NULL, all);
    check_attention_pool(1, 1, NULL, last_two);
    check_attention_pool(2, 0, lengths, masked);
    check_attention_pool(2, 1, lengths, masked_last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),      cmocka_unit_test(test_lengths),        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_bias_and_score), cmocka_unit_test(test_attention_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_computed.c - the weights that a plan makes itself, on numbers small enough to follow by hand: positions and bias
 * tables on another grid, tokens that have no position, the pooling head's query, two classifiers as one. How a filter
 * weighs its neighbours is test_position.c's to say.
 */
#include "plan/computed.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* A weight with numbers in memory. */
struct made {
    struct tensor_entry entry;
    struct weight weight;
};

static void make_weight(struct made *made, const float *values, size_t rows, size_t cols)
{
    made->entry = (struct tensor_entry){
        .dtype = DTYPE_F32, .data = (const unsigned char *)values, .bytes = rows * cols * sizeof *values};
    made->weight = (struct weight){
        .part = {{.tensor = &made->entry, .rows = rows, .cols = cols}}, .parts = 1, .rows = rows, .cols = cols};
}

/* A plan being built for a grid, of a model that was trained on another one. */
struct scene {
    struct plan plan;
    struct config config;
    struct builder builder;
};

static void set_scene(struct scene *s, struct grid native, struct grid grid, size_t prefix, size_t width)
{
    const size_t patches = grid.height * grid.width;
    memset(s, 0, sizeof *s);
    s->config.grid_height = native.height;
    s->config.grid_width = native.width;
    s->config.prefix = prefix;
    s->config.width = width;
    s->plan.geometry = (struct geometry){.batch = 1,
                                         .grid_height = grid.height,
                                         .grid_width = grid.width,
                                         .patches = patches,
                                         .prefix = prefix,
                                         .tokens = prefix + patches,
                                         .width = width};
    s->builder = (struct builder){.plan = &s->plan, .config = &s->config};
}

static void assert_numbers(const struct weight *weight, size_t rows, size_t cols, const float *expected)
{
    assert_non_null(weight);
    assert_int_equal(weight->rows, rows);
    assert_int_equal(weight->cols, cols);
    for (size_t row = 0; row < rows; row++) {
        float values[64];
        assert_true(cols <= COUNT(values));
        weight_read_row(weight, row, values);
        for (size_t i = 0; i < cols; i++)
            if (!(values[i] >= expected[row * cols + i] - 1e-5f && values[i] <= expected[row * cols + i] + 1e-5f))
                fail_msg("[%zu,%zu]: %.9g, expected %.9g", row, i, (double)values[i], (double)expected[row * cols + i]);
    }
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

/* A token and 1 x 2 patches of two numbers. */
static const float STORED[] = {7, 8, 0, 10, 4, 50};

/* What is stored for just these tokens is taken as it lies in the file. */
static void test_position_as_stored(void **state)
{
    static const struct {
        enum position position;
        size_t prefix;
    } rows[] = {{POSITION_ALL, 1}, {POSITION_CLS, 1}, {POSITION_PATCHES, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene s;
        struct weights weights = {.blocks = NULL};
        struct made made;
        set_scene(&s, (struct grid){1, 2}, (struct grid){1, 2}, rows[i].prefix, 2);
        s.config.position = rows[i].position;
        make_weight(&made, STORED + (rows[i].prefix ? 0 : 2), rows[i].prefix + 2, 2);
        weights.position = made.weight;
        assert_ptr_equal(position_of(&s.builder, &weights), &weights.position);
        assert_null(s.plan.computed);
        plan_free(&s.plan);
    }
}

/* On a grid that is not the model's: 0, 4 at 1 x 2 are 0, 1, 3, 4 at 1 x 4, and 10, 50 are 10, 20, 40, 50; at 2 x 2
 * each row is the stored one. */
static void check_position(enum position position, size_t prefix, struct grid grid, const float *stored,
                           size_t stored_rows, const float *expected)
{
    struct scene s;
    struct weights weights = {.blocks = NULL};
    struct made made;
    const size_t tokens = prefix + grid.height * grid.width;
    set_scene(&s, (struct grid){1, 2}, grid, prefix, 2);
    s.config.position = position;
    s.config.filter = POSITION_BILINEAR;
    make_weight(&made, stored, stored_rows, 2);
    if (stored)
        weights.position = made.weight;
    assert_numbers(position_of(&s.builder, &weights), tokens, 2, expected);
    assert_false(s.builder.failed);
    plan_free(&s.plan);
}

static void test_position(void **state)
{
    static const float none[4][2] = {{0}};
    static const float all[] = {7, 8, 0, 10, 1, 20, 3, 40, 4, 50};
    static const float two_before[] = {5, 6, 7, 8, 0, 10, 1, 20, 3, 40, 4, 50};
    static const float stored_two[] = {5, 6, 7, 8, 0, 10, 4, 50};
    static const float registers[] = {7, 8, 0, 0, 0, 0, 0, 10, 4, 50};
    static const float registers_wide[] = {7, 8, 0, 0, 0, 0, 0, 10, 1, 20, 3, 40, 4, 50};
    static const float patches_only[] = {0, 0, 0, 0, 0, 10, 4, 50};
    static const float patches_wide[] = {0, 0, 0, 10, 1, 20, 3, 40, 4, 50};
    static const float taller[] = {0, 10, 4, 50, 0, 10, 4, 50};
    const struct grid native = {1, 2}, wide = {1, 4}, tall = {2, 2};
    (void)state;
    check_position(POSITION_NONE, 2, native, NULL, 0, none[0]);
    check_position(POSITION_ALL, 1, wide, STORED, 3, all);
    check_position(POSITION_ALL, 2, wide, stored_two, 4, two_before);
    check_position(POSITION_CLS, 3, native, STORED, 3, registers);
    check_position(POSITION_CLS, 3, wide, STORED, 3, registers_wide);
    check_position(POSITION_PATCHES, 2, native, STORED + 2, 2, patches_only);
    check_position(POSITION_PATCHES, 1, wide, STORED + 2, 2, patches_wide);
    check_position(POSITION_PATCHES, 0, tall, STORED + 2, 2, taller);
}

/* The filter is the model's: rows 0, 1, 2, 3 of a 4 x 1 grid on 2 x 1 are 0.5 and 2.5 by bilinear, which only looks at
 * two neighbours; the antialiased one is twice as wide: weights 3, 3, 1 of 7, so (0 + 3 + 2)/7 = 5/7 and 3 - 5/7. */
static void test_position_filter(void **state)
{
    static const float stored[] = {0, 1, 2, 3};
    static const float bilinear[] = {0.5f, 2.5f}, wider[] = {5 / 7.0f, 16 / 7.0f};
    (void)state;
    for (int antialias = 0; antialias < 2; antialias++) {
        struct scene s;
        struct weights weights = {.blocks = NULL};
        struct made made;
        set_scene(&s, (struct grid){4, 1}, (struct grid){2, 1}, 0, 1);
        s.config.position = POSITION_PATCHES;
        s.config.filter = antialias ? POSITION_BILINEAR_AA : POSITION_BILINEAR;
        make_weight(&made, stored, 4, 1);
        weights.position = made.weight;
        assert_numbers(position_of(&s.builder, &weights), 2, 1, antialias ? wider : bilinear);
        plan_free(&s.plan);
    }
}

/* ---- bias tables ------------------------------------------------------------------------------------------------- */

/* Of 1 x 2 patches and two heads: distances -1, 0, 1; class token with patch, patch with class token, class token with
 * itself. */
static const float TABLE[] = {0, 100, 10, 200, 30, 300, -1, -2, -3, -4, -5, -6};

static void test_table_as_stored(void **state)
{
    struct scene s;
    struct made made;
    (void)state;
    set_scene(&s, (struct grid){1, 2}, (struct grid){1, 2}, 1, 2);
    make_weight(&made, TABLE, 6, 2);
    assert_ptr_equal(bias_table_of(&s.builder, &made.weight), &made.weight);
    assert_null(s.plan.computed);
    plan_free(&s.plan);
}

/* On 1 x 3 patches there are five distances: three numbers become five, 0.6 of a step apart around the middle: 0, 4,
 * 10, 22, 30 of 0, 10, 30. On 2 x 2 patches there are 3 x 3: each row is the stored one. The last three rows stay. */
static void test_table(void **state)
{
    static const float wide[] = {0, 100, 4, 140, 10, 200, 22, 260, 30, 300, -1, -2, -3, -4, -5, -6};
    static const float tall[] = {0, 100, 10, 200, 30, 300, 0,  100, 10, 200, 30, 300,
                                 0, 100, 10, 200, 30, 300, -1, -2,  -3, -4,  -5, -6};
    struct scene s;
    struct made made;
    const struct weight *table;
    (void)state;
    make_weight(&made, TABLE, 6, 2);
    set_scene(&s, (struct grid){1, 2}, (struct grid){1, 3}, 1, 2);
    table = bias_table_of(&s.builder, &made.weight);
    assert_numbers(table, 8, 2, wide);
    assert_ptr_equal(bias_table_of(&s.builder, &made.weight), table); /* of all blocks that share it */
    plan_free(&s.plan);
    set_scene(&s, (struct grid){1, 2}, (struct grid){2, 2}, 1, 2);
    assert_numbers(bias_table_of(&s.builder, &made.weight), 12, 2, tall);
    plan_free(&s.plan);
}

/* Blocks with tables of their own get theirs, in any order. */
static void test_tables_of_blocks(void **state)
{
    static const float other[] = {5, 5, 5, 5, 5, 5, 1, 2, 3, 4, 5, 6};
    static const float wide[] = {0, 100, 4, 140, 10, 200, 22, 260, 30, 300, -1, -2, -3, -4, -5, -6};
    static const float wide_other[] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 1, 2, 3, 4, 5, 6};
    struct scene s;
    struct made first, second;
    (void)state;
    make_weight(&first, TABLE, 6, 2);
    make_weight(&second, other, 6, 2);
    set_scene(&s, (struct grid){1, 2}, (struct grid){1, 3}, 1, 2);
    for (int i = 0; i < 2; i++) {
        assert_numbers(bias_table_of(&s.builder, &first.weight), 8, 2, wide);
        assert_numbers(bias_table_of(&s.builder, &second.weight), 8, 2, wide_other);
    }
    plan_free(&s.plan);
}

/* ---- angles ------------------------------------------------------------------------------------------------------ */

/* EVA on 1 x 2 patches, d = 4, one band: the row's angle is 0, the column's 0 and 1. Made once. */
static void test_angles(void **state)
{
    static const float expected[] = {1, 1, 0, 0, 1, 0.540302306f, 0, 0.841470985f};
    const struct rope rope = {.kind = ROPE_EVA, .theta = 10000};
    const struct weight *angles;
    struct scene s;
    (void)state;
    set_scene(&s, (struct grid){1, 1}, (struct grid){1, 2}, 5, 4);
    s.plan.geometry.head_size = 4;
    angles = angles_of(&s.builder, &rope);
    assert_numbers(angles, 2, 4, expected);
    assert_ptr_equal(angles_of(&s.builder, &rope), angles);
    assert_ptr_equal(&s.plan.computed->weight, angles);
    assert_null(s.plan.computed->next);
    plan_free(&s.plan);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

/* [1 2 3; 4 5 6] (1 10 100) + (7 -8) = (321 + 7, 654 - 8); and a sum that float can not do, 1e8 + 1 - 1e8 = 1. */
static void test_apply_layer(void **state)
{
    static const float x[] = {1, 10, 100}, w[] = {1, 2, 3, 4, 5, 6}, bias[] = {7, -8}, y[] = {328, 646};
    static const float large[] = {1e8f, 1, -1e8f}, ones[] = {1, 1, 1}, zero[] = {0}, one[] = {1};
    struct scene s;
    struct made input, weight, offset;
    struct linear layer;
    (void)state;
    set_scene(&s, (struct grid){1, 1}, (struct grid){1, 1}, 0, 3);
    make_weight(&input, x, 1, 3);
    make_weight(&weight, w, 2, 3);
    make_weight(&offset, bias, 1, 2);
    layer = (struct linear){weight.weight, offset.weight};
    assert_numbers(apply_layer(&s.builder, &input.weight, &layer), 1, 2, y);
    make_weight(&input, large, 1, 3);
    make_weight(&weight, ones, 1, 3);
    make_weight(&offset, zero, 1, 1);
    layer = (struct linear){weight.weight, offset.weight};
    assert_numbers(apply_layer(&s.builder, &input.weight, &layer), 1, 1, one);
    plan_free(&s.plan);
}

/* Half of each layer beside the other, half the sum of the biases. */
static void test_mean_of_layers(void **state)
{
    static const float w1[] = {2, 4, 6, 8, 10, 12}, b1[] = {1, 2, 3}, w2[] = {1, -1, 3, -3, 5, -5}, b2[] = {10, 20, -3};
    static const float w[] = {1, 2, 0.5f, -0.5f, 3, 4, 1.5f, -1.5f, 5, 6, 2.5f, -2.5f}, b[] = {5.5f, 11, 0};
    struct scene s;
    struct made parts[4];
    const struct weight *weight, *bias;
    struct linear first, second;
    (void)state;
    set_scene(&s, (struct grid){1, 1}, (struct grid){1, 1}, 2, 2);
    make_weight(&parts[0], w1, 3, 2);
    make_weight(&parts[1], b1, 1, 3);
    make_weight(&parts[2], w2, 3, 2);
    make_weight(&parts[3], b2, 1, 3);
    first = (struct linear){parts[0].weight, parts[1].weight};
    second = (struct linear){parts[2].weight, parts[3].weight};
    mean_of_layers(&s.builder, &first, &second, &weight, &bias);
    assert_numbers(weight, 3, 4, w);
    assert_numbers(bias, 1, 3, b);
    plan_free(&s.plan);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* A weight too large to count is refused; once a builder has failed, nothing more is made. */
static void test_out_of_memory(void **state)
{
    struct scene s;
    struct made made;
    struct weights weights = {.blocks = NULL};
    const struct rope rope = {.kind = ROPE_EVA, .theta = 10000};
    const struct weight *weight, *bias;
    struct linear layer;
    (void)state;
    set_scene(&s, (struct grid){1, 2}, (struct grid){1, 3}, 1, 2);
    make_weight(&made, TABLE, 1, 2);
    layer = (struct linear){made.weight, made.weight};
    weights.position = made.weight;
    s.config.position = POSITION_PATCHES;
    assert_null(plan_add_computed(&s.plan, SIZE_MAX, 2));
    assert_null(plan_add_computed(&s.plan, SIZE_MAX / 4, 1 + SIZE_MAX / 8));
    s.builder.failed = true;
    assert_null(position_of(&s.builder, &weights));
    assert_null(bias_table_of(&s.builder, &made.weight));
    assert_null(angles_of(&s.builder, &rope));
    assert_null(apply_layer(&s.builder, &made.weight, &layer));
    mean_of_layers(&s.builder, &layer, &layer, &weight, &bias);
    assert_null(weight);
    assert_null(bias);
    assert_null(s.plan.computed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_position_as_stored),
        cmocka_unit_test(test_position),
        cmocka_unit_test(test_position_filter),
        cmocka_unit_test(test_table_as_stored),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_tables_of_blocks),
        cmocka_unit_test(test_angles),
        cmocka_unit_test(test_apply_layer),
        cmocka_unit_test(test_mean_of_layers),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

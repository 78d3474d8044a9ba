/* test_position.c - position_resize and rope_fill against what torch, transformers and timm give in float64
 * (make_position.py), and properties that no vector shows. The names of the tensors say what each of them is.
 */
#include "fixture.h"
#include "model/position.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-6
#define SENTINEL  -77777.0f
#define FENCE     16 /* numbers behind every output, which must stay as they are */

static const struct {
    const char *name;
    enum position_filter filter;
} filters[] = {
    {"bicubic", POSITION_BICUBIC},
    {"bicubic_aa", POSITION_BICUBIC_AA},
    {"bilinear", POSITION_BILINEAR},
    {"bilinear_aa", POSITION_BILINEAR_AA},
};

/* The file as a fixture without a model. */
static int set_up(void **state)
{
    struct fixture *fixture = allocate(1, sizeof *fixture);
    vitcl_error err;
    assert_ok(safetensors_open(&fixture->expected, FIXTURES "/position.safetensors", &err), &err);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    safetensors_close(&fixture->expected);
    free(fixture);
    return 0;
}

static float *fenced(size_t count)
{
    float *values = allocate(count + FENCE, sizeof *values);
    for (size_t i = 0; i < count + FENCE; i++)
        values[i] = SENTINEL;
    return values;
}

static void assert_fence(const char *what, const float *values, size_t count)
{
    for (size_t i = 0; i < FENCE; i++)
        if (values[count + i] != SENTINEL)
            fail_msg("%s: wrote number %zu behind the output", what, i);
}

/* The caller frees. */
static float *resized(const char *what, const float *from, struct grid from_grid, enum position_filter filter,
                      size_t width, struct grid grid)
{
    const size_t count = grid.height * grid.width * width;
    float *to = fenced(count);
    vitcl_error err;
    assert_ok(position_resize(from, from_grid, filter, width, to, grid, &err), &err);
    assert_fence(what, to, count);
    return to;
}

/* The caller frees. */
static float *filled(const char *what, const struct rope *rope, struct grid grid, size_t head_size)
{
    const size_t count = grid.height * grid.width * head_size;
    float *table = fenced(count);
    rope_fill(rope, grid, head_size, table);
    assert_fence(what, table, count);
    return table;
}

static enum position_filter filter_named(const char *name)
{
    for (size_t i = 0; i < COUNT(filters); i++)
        if (strcmp(filters[i].name, name) == 0)
            return filters[i].filter;
    fail_msg("no filter %s", name);
    return 0;
}

static void check_resize(const struct fixture *fixture, const struct tensor_entry *entry)
{
    char filter[32], from_name[64];
    struct grid from, to;
    float *found;
    assert_int_equal(
        sscanf(entry->name, "to.%31[^.].%zux%zu.%zux%zu", filter, &from.height, &from.width, &to.height, &to.width), 5);
    assert_int_equal(entry->bytes, to.height * to.width * 3 * sizeof *found);
    snprintf(from_name, sizeof from_name, "from.%zux%zu", from.height, from.width);
    found = resized(entry->name, fixture_get(fixture, from_name, NULL), from, filter_named(filter), 3, to);
    assert_close(entry->name, found, fixture_get(fixture, entry->name, NULL), to.height * to.width * 3, TOLERANCE);
    free(found);
}

static void resizes_as_torch(void **state)
{
    const struct fixture *fixture = *state;
    size_t checked = 0;
    for (size_t i = 0; i < fixture->expected.count; i++)
        if (strncmp(fixture->expected.entries[i].name, "to.", 3) == 0) {
            check_resize(fixture, &fixture->expected.entries[i]);
            checked++;
        }
    assert_int_equal(checked, 40);
}

/* Rows longer than what is summed at a time: each number of a vector is resized for itself. */
static void long_vectors(void **state)
{
    enum { WIDTH = 3 * 217 };
    const struct grid from_grid = {5, 5}, grid = {7, 9};
    const float *short_rows = fixture_get(*state, "from.5x5", NULL), *expected;
    float *rows = allocate(5 * 5 * WIDTH, sizeof *rows), *found;
    expected = fixture_get(*state, "to.bicubic.5x5.7x9", NULL);
    for (size_t i = 0; i < 5 * 5 * WIDTH; i++)
        rows[i] = short_rows[i / WIDTH * 3 + i % WIDTH % 3];
    found = resized("long", rows, from_grid, POSITION_BICUBIC, WIDTH, grid);
    for (size_t i = 0; i < 7 * 9 * WIDTH; i++)
        assert_float_equal(found[i], expected[i / WIDTH * 3 + i % WIDTH % 3], 4e-6);
    free(found);
    free(rows);
}

/* Also of what no sum with weights 0 and 1 would keep. */
static void equal_grids_are_a_copy(void **state)
{
    static const float from[] = {1.5f, -0.0f, INFINITY, -7.0f, 1e-45f, 3.0f};
    const struct grid grid = {3, 2};
    (void)state;
    for (size_t i = 0; i < COUNT(filters); i++) {
        float *to = resized(filters[i].name, from, grid, filters[i].filter, 1, grid);
        assert_memory_equal(to, from, sizeof from);
        free(to);
    }
}

/* Weights sum to one wherever they are cut off. */
static void one_value_stays(void **state)
{
    static const struct grid grids[][2] = {{{1, 1}, {40, 30}}, {{90, 2}, {1, 7}}, {{3, 70}, {11, 2}}, {{9, 8}, {8, 9}}};
    (void)state;
    for (size_t f = 0; f < COUNT(filters); f++)
        for (size_t g = 0; g < COUNT(grids); g++) {
            const struct grid from_grid = grids[g][0], grid = grids[g][1];
            const size_t count = from_grid.height * from_grid.width;
            float *from = allocate(count, sizeof *from), *to;
            for (size_t i = 0; i < count; i++)
                from[i] = 3.0f;
            to = resized(filters[f].name, from, from_grid, filters[f].filter, 1, grid);
            for (size_t i = 0; i < grid.height * grid.width; i++)
                assert_float_equal(to[i], 3.0, 1e-6);
            free(to);
            free(from);
        }
}

/* The bytes of its weights, counted modulo the address space, are few. */
static void impossible_grid_is_an_error(void **state)
{
    const float from = 1.0f;
    float to = SENTINEL;
    (void)state;
    for (size_t f = 0; f < COUNT(filters); f++) {
        vitcl_error err = {0};
        assert_int_equal(position_resize(&from, (struct grid){1, 1}, filters[f].filter, 1, &to,
                                         (struct grid){1, SIZE_MAX / 4 + 2}, &err),
                         VITCL_ERROR_MEMORY);
        assert_int_equal(err.status, VITCL_ERROR_MEMORY);
        assert_true(to == SENTINEL);
    }
}

/* Row of the table for the bias between tokens a and b of `grid`, token 0 being the cls token. */
static size_t beit_row(struct grid grid, size_t a, size_t b)
{
    const size_t across = 2 * grid.width - 1, patches = across * (2 * grid.height - 1);
    if (a == 0 && b == 0)
        return patches + 2;
    if (a == 0 || b == 0)
        return a == 0 ? patches : patches + 1;
    a--;
    b--;
    return (a / grid.width + grid.height - 1 - b / grid.width) * across + a % grid.width + grid.width - 1 -
           b % grid.width;
}

static void beit_table(void **state)
{
    enum { HEADS = 2, TOKENS = 25 };
    const struct grid grid = {4, 6}, table_grid = {7, 11};
    const float *table = fixture_get(*state, "beit.table", NULL);
    float found[TOKENS][TOKENS][HEADS];
    float *patches = resized("beit", table, (struct grid){9, 9}, POSITION_BILINEAR, HEADS, table_grid);
    for (size_t a = 0; a < TOKENS; a++)
        for (size_t b = 0; b < TOKENS; b++) {
            const size_t row = beit_row(grid, a, b);
            memcpy(found[a][b], row < 7 * 11 ? patches + row * HEADS : table + (9 * 9 + row - 7 * 11) * HEADS,
                   sizeof found[a][b]);
        }
    assert_close("beit.4x6", &found[0][0][0], fixture_get(*state, "beit.4x6", NULL), TOKENS * TOKENS * HEADS,
                 TOLERANCE);
    free(patches);
}

/* rope.<library>.<h>x<w>.<head size>[.<reference h>x<w>] */
static void check_rope(const struct fixture *fixture, const struct tensor_entry *entry)
{
    struct rope rope = {.kind = ROPE_DINOV3, .theta = 100};
    struct grid grid;
    size_t head_size, count;
    char library[32];
    float *found;
    const int read = sscanf(entry->name, "rope.%31[^.].%zux%zu.%zu.%zux%zu", library, &grid.height, &grid.width,
                            &head_size, &rope.reference.height, &rope.reference.width);
    if (strcmp(library, "eva") == 0) {
        rope.kind = ROPE_EVA;
        rope.theta = 10000;
    }
    assert_int_equal(read, rope.kind == ROPE_EVA ? 6 : 4);
    count = grid.height * grid.width * head_size;
    assert_int_equal(entry->bytes, count * sizeof *found);
    found = filled(entry->name, &rope, grid, head_size);
    assert_close(entry->name, found, fixture_get(fixture, entry->name, NULL), count, TOLERANCE);
    free(found);
}

static void rope_as_the_libraries(void **state)
{
    const struct fixture *fixture = *state;
    size_t checked = 0;
    for (size_t i = 0; i < fixture->expected.count; i++)
        if (strncmp(fixture->expected.entries[i].name, "rope.", 5) == 0) {
            check_rope(fixture, &fixture->expected.entries[i]);
            checked++;
        }
    assert_int_equal(checked, 15);
}

/* One row of three patches, two bands, by hand: the row's coordinate is 0, the columns' -2/3, 0 and 2/3. */
static void rope_by_hand(void **state)
{
    const struct rope rope = {.kind = ROPE_DINOV3, .theta = 100};
    const double turn = 2 * acos(-1.0) * 2 / 3;
    const double angles[3][4] = {{0, 0, -turn, -turn / 10}, {0}, {0, 0, turn, turn / 10}};
    float *table = filled("by hand", &rope, (struct grid){1, 3}, 8);
    (void)state;
    for (size_t x = 0; x < 3; x++)
        for (size_t j = 0; j < 4; j++) {
            assert_float_equal(table[x * 8 + j], cos(angles[x][j]), 1e-6);
            assert_float_equal(table[x * 8 + 4 + j], sin(angles[x][j]), 1e-6);
        }
    free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resizes_as_torch),
        cmocka_unit_test(long_vectors),
        cmocka_unit_test(equal_grids_are_a_copy),
        cmocka_unit_test(one_value_stays),
        cmocka_unit_test(beit_table),
        cmocka_unit_test(impossible_grid_is_an_error),
        cmocka_unit_test(rope_as_the_libraries),
        cmocka_unit_test(rope_by_hand),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* test_memory.c - plan_place never lets a step destroy what a later step reads.
 *
 * The oracle plays the plan on a map of the arena: each step stamps its number of tensor over the places of its
 * outputs, after it has checked that what it reads still bears its stamp. It knows nothing of lifetimes. Played
 * are the plans of all fixtures, hundreds of random ones, and one that is laid out by hand. Besides: every offset is
 * aligned, the arena ends where its last tensor ends, holds what any one step writes, and is no larger than all tensors
 * apart. Where a buffer has a largest size, all of this holds for several of them in a row, and no tensor lies in two.
 */
#include "base/size.h"
#include "fixture.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

/* ---- the oracle -------------------------------------------------------------------------------------------------- */

/* The arena in units of the alignment. */
struct arena {
    const struct plan *plan;
    size_t align;
    int *stamp; /* [units]: the tensor that lies there */
    size_t units;
};

static void first_and_end(const struct arena *arena, int tensor, size_t *first, size_t *end)
{
    const struct tensor *t = &arena->plan->tensors[tensor];
    *first = t->offset / arena->align;
    *end = size_ceil_div(t->offset + t->bytes, arena->align);
    assert_int_equal(t->offset % arena->align, 0);
    assert_true(*end <= arena->units);
}

static void write_tensor(const struct arena *arena, int tensor)
{
    size_t first, end;
    first_and_end(arena, tensor, &first, &end);
    for (size_t unit = first; unit < end; unit++)
        arena->stamp[unit] = tensor;
}

static void read_tensor(const struct arena *arena, int tensor, size_t step)
{
    size_t first, end;
    if (arena->plan->tensors[tensor].weight)
        return;
    first_and_end(arena, tensor, &first, &end);
    for (size_t unit = first; unit < end; unit++)
        if (arena->stamp[unit] != tensor)
            fail_msg("step %zu finds tensor %d where %d should be", step, arena->stamp[unit], tensor);
}

/* The outputs of a step; returns how many there are. */
static size_t list_writes(const struct step *step, int writes[STEP_OUTPUTS])
{
    size_t count = 0;
    for (size_t i = 0; i < STEP_OUTPUTS; i++)
        if (step->output[i] != NO_TENSOR)
            writes[count++] = step->output[i];
    return count;
}

/* While a step runs it writes its outputs in any order, and reads its inputs until the end; an output may lie on an
 * input only as `reuse` says. */
static void play_step(const struct arena *arena, size_t s)
{
    const struct plan *plan = arena->plan;
    const int *reads = plan->steps[s].input;
    int writes[STEP_OUTPUTS];
    size_t count = list_writes(&plan->steps[s], writes);

    for (size_t i = 0; i < STEP_INPUTS; i++)
        if (reads[i] != NO_TENSOR)
            read_tensor(arena, reads[i], s);
    for (size_t w = 0; w < count; w++)
        write_tensor(arena, writes[w]);
    for (size_t w = 0; w < count; w++)
        read_tensor(arena, writes[w], s);
    for (size_t i = 0; i < STEP_INPUTS; i++) {
        bool replaced = reads[i] == NO_TENSOR;
        for (size_t w = 0; w < count && !replaced; w++)
            replaced = plan->tensors[writes[w]].reuse == reads[i] &&
                       plan->tensors[writes[w]].offset == plan->tensors[reads[i]].offset;
        if (!replaced)
            read_tensor(arena, reads[i], s);
    }
}

/* The bytes that one step writes; the most of any step. */
static size_t most_written(const struct plan *plan)
{
    size_t most = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        size_t bytes = 0;
        int writes[STEP_OUTPUTS];
        size_t count = list_writes(&plan->steps[s], writes);
        for (size_t w = 0; w < count; w++)
            bytes += plan->tensors[writes[w]].bytes;
        most = size_max(most, bytes);
    }
    return most;
}

static void check_size(const struct plan *plan, size_t align)
{
    size_t end = 0, apart = 0;
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (tensor->weight)
            continue;
        end = size_max(end, tensor->offset + size_round_up(tensor->bytes, align));
        apart += size_round_up(tensor->bytes, align);
    }
    assert_int_equal(plan->arena_bytes, end);
    assert_true(plan->arena_bytes <= apart);
    assert_true(plan->arena_bytes >= most_written(plan));
}

/* The segments follow one another, none is larger than `most`, and each tensor lies in its own. */
static void check_segments(const struct plan *plan, size_t align, size_t most)
{
    size_t end = 0;
    for (size_t i = 0; i < plan->segment_count; i++) {
        const struct segment segment = plan_segment(plan, i);
        assert_int_equal(segment.first, end);
        assert_true(segment.bytes > 0 && (!most || segment.bytes <= most));
        end = size_round_up(segment.first + segment.bytes, align);
    }
    assert_int_equal(plan->arena_bytes, end);
    for (size_t t = 0; t < plan->tensor_count; t++)
        assert_true(plan->tensors[t].weight || plan->tensors[t].segment < plan->segment_count);
}

static size_t largest_tensor(const struct plan *plan)
{
    size_t most = 0;
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (!plan->tensors[t].weight)
            most = size_max(most, plan->tensors[t].bytes);
    return most;
}

/* Places the plan and plays it, in buffers of at most `most` bytes; 0: of any size. */
static void place_and_play_in(struct plan *plan, size_t align, size_t most)
{
    vitcl_error err;
    struct arena arena = {.plan = plan, .align = align};
    assert_ok(plan_place(plan, align, most, &err), &err);
    check_size(plan, align);
    check_segments(plan, align, most);
    arena.units = plan->arena_bytes / align;
    arena.stamp = calloc(arena.units + 1, sizeof *arena.stamp);
    assert_non_null(arena.stamp);
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (!plan->tensors[t].weight && plan->tensors[t].producer < 0)
            write_tensor(&arena, (int)t);
    for (size_t s = 0; s < plan->step_count; s++)
        play_step(&arena, s);
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (plan->tensors[t].keep)
            read_tensor(&arena, (int)t, plan->step_count);
    free(arena.stamp);
}

/* In buffers that just hold the largest tensor, in larger ones, and last in a single one. */
static void place_and_play(struct plan *plan, size_t align)
{
    const size_t most = size_round_up(largest_tensor(plan), align);
    place_and_play_in(plan, align, most);
    place_and_play_in(plan, align, most + most / 3);
    place_and_play_in(plan, align, 3 * most);
    place_and_play_in(plan, align, 0);
    assert_true(plan->segment_count <= 1);
}

/* ---- plans made by hand ------------------------------------------------------------------------------------------ */

/* A tensor of 128 * cols bytes: its one row is padded to 32. */
static int add_tensor(struct plan *plan, size_t cols)
{
    int tensor = plan_add_tensor(plan, "t", (size_t[]){1, cols}, 2);
    assert_true(tensor != NO_TENSOR);
    assert_int_equal(plan->tensors[tensor].bytes, ROW_PAD * cols * sizeof(float));
    return tensor;
}

static int add_step(struct plan *plan, int input, int second_input, int output, int second_output)
{
    struct step step = {.op = OP_MATMUL,
                        .input = {input, second_input},
                        .weight = {NO_TENSOR, NO_TENSOR, NO_TENSOR, NO_TENSOR},
                        .output = {output, second_output}};
    return plan_add_step(plan, &step);
}

/* A chain: input a (1 unit of 128 bytes) -> b (4) -> c (2) -> d (3) -> e (1), kept; b is read again in the last step.
 *
 *   alive     before  0  1  2  3  end      largest first: b at 0-4; d meets b: 4-7; c meets b and d: 7-9;
 *   a (1)       x     x                    a meets b only: 4-5, under d, which comes later;
 *   b (4)             x  x  x  x           e meets b and d: 7-8, where c was. The arena has 9 units.
 *   c (2)                x  x
 *   d (3)                   x  x
 *   e (1)                      x  x
 */
static void test_by_hand(void **state)
{
    static const size_t sizes[] = {1, 4, 2, 3, 1}, offsets[] = {4, 0, 7, 4, 7}, split[] = {4, 0, 8, 4, 7};
    vitcl_error err;
    struct plan plan = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        add_tensor(&plan, sizes[i]);
    add_step(&plan, 0, NO_TENSOR, 1, NO_TENSOR);
    add_step(&plan, 1, NO_TENSOR, 2, NO_TENSOR);
    add_step(&plan, 2, NO_TENSOR, 3, NO_TENSOR);
    add_step(&plan, 3, 1, 4, NO_TENSOR);
    plan.tensors[4].keep = true;
    place_and_play(&plan, 128);
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_int_equal(plan.tensors[i].offset, 128 * offsets[i]);
    assert_int_equal(plan.arena_bytes, 128 * 9);
    assert_int_equal(plan.tensors[0].last_use, 0);
    assert_int_equal(plan.tensors[1].last_use, 3);
    assert_int_equal(plan.tensors[4].last_use, 4);

    /* In segments of 4 units: b; d and e, with a under d; c, which does not fit behind d any more. */
    place_and_play_in(&plan, 128, 128 * 4 + 127);
    for (size_t i = 0; i < COUNT(sizes); i++)
        assert_int_equal(plan.tensors[i].offset, 128 * split[i]);
    assert_int_equal(plan.segment_count, 3);
    assert_int_equal(plan.arena_bytes, 128 * 10);
    assert_int_equal(plan_place(&plan, 128, 128 * 4 - 1, &err), VITCL_ERROR_MEMORY);
    assert_contains(err.message, "t has 512 bytes");
    assert_contains(err.message, "at most 511");
    plan_free(&plan);
}

/* x -> step -> y, which would like x's place; a later step reads y, and x too where `read_later`. */
static bool shares_place(size_t x_cols, size_t y_cols, bool read_later, bool keep_x)
{
    struct plan plan = {0};
    bool shared;
    int x = add_tensor(&plan, x_cols), y = add_tensor(&plan, y_cols), z = add_tensor(&plan, 1);
    add_step(&plan, x, NO_TENSOR, y, NO_TENSOR);
    add_step(&plan, y, read_later ? x : NO_TENSOR, z, NO_TENSOR);
    plan.tensors[y].reuse = x;
    plan.tensors[x].keep = keep_x;
    plan.tensors[z].keep = true;
    place_and_play(&plan, 64);
    shared = plan.tensors[x].offset == plan.tensors[y].offset;
    plan_free(&plan);
    return shared;
}

static void test_reuse(void **state)
{
    (void)state;
    assert_true(shares_place(5, 5, false, false));
    assert_false(shares_place(5, 5, true, false));
    assert_false(shares_place(5, 5, false, true));
    assert_false(shares_place(5, 4, false, false));
    assert_false(shares_place(4, 5, false, false));
}

/* A residual stream: one place through all steps, whatever its length. */
static void test_reuse_chain(void **state)
{
    struct plan plan = {0};
    int x = add_tensor(&plan, 3), first = x;
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        int branch = add_tensor(&plan, 3), sum = add_tensor(&plan, 3);
        add_step(&plan, x, NO_TENSOR, branch, NO_TENSOR);
        add_step(&plan, x, branch, sum, NO_TENSOR);
        plan.tensors[sum].reuse = x;
        x = sum;
    }
    plan.tensors[x].keep = true;
    place_and_play(&plan, 128);
    assert_int_equal(plan.tensors[x].offset, plan.tensors[first].offset);
    assert_int_equal(plan.arena_bytes, 2 * 3 * 128);
    plan_free(&plan);
}

static void test_nothing_to_place(void **state)
{
    struct plan plan = {0};
    (void)state;
    place_and_play(&plan, 64);
    assert_int_equal(plan.arena_bytes, 0);
    plan_free(&plan);
}

/* No tensor is larger than an object can be, and no arena than an address space. */
static void test_too_large(void **state)
{
    const size_t most = PTRDIFF_MAX / (ROW_PAD * sizeof(float));
    struct plan plan = {0};
    vitcl_error err;
    (void)state;
    assert_int_equal(plan_add_tensor(&plan, "t", (size_t[]){1, most + 1}, 2), NO_TENSOR);
    assert_int_equal(plan_add_tensor(&plan, "t", (size_t[]){SIZE_MAX, 1}, 2), NO_TENSOR);
    assert_int_equal(plan_add_tensor(&plan, "t", (size_t[]){1, SIZE_MAX}, 2), NO_TENSOR);
    assert_int_equal(plan_add_tensor(&plan, "t", (size_t[]){SIZE_MAX / 2, 3, 1}, 3), NO_TENSOR);
    assert_int_equal(plan.tensor_count, 0);

    for (size_t i = 0; i < 3; i++)
        add_tensor(&plan, most);
    add_step(&plan, 0, 1, 2, NO_TENSOR);
    assert_int_equal(plan_place(&plan, 4096, 0, &err), VITCL_ERROR_MEMORY);
    assert_non_null(strstr(err.message, "address space"));
    plan_free(&plan);
}

/* ---- random plans ------------------------------------------------------------------------------------------------ */

static size_t draw(uint32_t *random, size_t below)
{
    *random = *random * 1664525u + 1013904223u;
    return (size_t)(*random >> 8) % below;
}

/* A step with up to two inputs among the tensors so far, up to two outputs, and at times an output that would like
 * an input's place. */
static void add_random_step(struct plan *plan, uint32_t *random)
{
    size_t so_far = plan->tensor_count;
    int input = (int)draw(random, so_far), second = draw(random, 2) ? (int)draw(random, so_far) : NO_TENSOR;
    int output = add_tensor(plan, 1 + draw(random, 12));
    int second_output = draw(random, 3) ? NO_TENSOR : add_tensor(plan, plan->tensors[input].cols);
    add_step(plan, input, second, output, second_output);
    if (second_output != NO_TENSOR && draw(random, 4))
        plan->tensors[second_output].reuse = input;
    plan->tensors[output].keep = draw(random, 10) == 0;
}

static void make_random_plan(struct plan *plan, uint32_t seed)
{
    uint32_t random = seed;
    size_t inputs = 1 + draw(&random, 3), steps = 1 + draw(&random, 40);
    memset(plan, 0, sizeof *plan);
    for (size_t i = 0; i < inputs; i++)
        add_tensor(plan, 1 + draw(&random, 12));
    for (size_t s = 0; s < steps; s++)
        add_random_step(plan, &random);
}

static void test_random_plans(void **state)
{
    static const size_t aligns[] = {4, 64, 128, 384, 4096};
    size_t reused = 0;
    (void)state;
    for (uint32_t seed = 1; seed <= 1000; seed++) {
        struct plan plan, again;
        make_random_plan(&plan, seed);
        make_random_plan(&again, seed);
        place_and_play(&plan, aligns[seed % COUNT(aligns)]);
        place_and_play(&again, aligns[seed % COUNT(aligns)]);
        for (size_t t = 0; t < plan.tensor_count; t++) {
            int from = plan.tensors[t].reuse;
            assert_int_equal(plan.tensors[t].offset, again.tensors[t].offset);
            reused += from != NO_TENSOR && plan.tensors[from].offset == plan.tensors[t].offset;
        }
        plan_free(&plan);
        plan_free(&again);
    }
    assert_true(reused > 500); /* the rule was at work */
}

/* ---- real plans -------------------------------------------------------------------------------------------------- */

static void play_fixture(const char *folder, void *context)
{
    static const size_t batches[] = {1, 2, 7, 64};
    static const size_t aligns[] = {64, 128, 4096};
    static const struct facts facts = {.max_work_group = 256};
    struct fixture f;
    vitcl_error err;
    size_t *plans = context;

    fixture_open(&f, folder);
    for (size_t i = 0; i < COUNT(batches) * COUNT(aligns); i++) {
        struct request request = fixture_request(&f, batches[i % COUNT(batches)]);
        struct plan plan;
        if (i % 2 && request.outputs & VITCL_OUTPUT_LOGITS)
            request.outputs &= ~(unsigned)(VITCL_OUTPUT_HIDDEN | VITCL_OUTPUT_EMBEDDING);
        assert_ok(plan_build(&plan, &request, &err), &err);
        assert_ok(ops_select(&plan, &facts, NULL, &err), &err);
        place_and_play(&plan, aligns[i / COUNT(batches)]);
        plan_free(&plan);
        ++*plans;
    }
    fixture_close(&f);
}

static void test_real_plans(void **state)
{
    size_t plans = 0;
    (void)state;
    each_vit_fixture(play_fixture, &plans);
    each_family_fixture(play_fixture, &plans);
    assert_true(plans >= 80 * 12);
}

/* What changes queries and keys needs no place of its own. */
static void test_changed_in_place(void **state)
{
    static const struct {
        const char *folder;
        enum op op;
    } rows[] = {{"models/dinov3", OP_ROPE}, {"models/timm_qk_norm", OP_QK_NORM}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        struct request request;
        struct plan plan;
        vitcl_error err;
        size_t changed = 0;
        fixture_open(&f, rows[i].folder);
        request = fixture_request(&f, 3);
        assert_ok(plan_build(&plan, &request, &err), &err);
        place_and_play(&plan, 128);
        for (size_t s = 0; s < plan.step_count; s++) {
            if (plan.steps[s].op != rows[i].op)
                continue;
            assert_int_equal(plan.tensors[plan.steps[s].output[0]].offset, plan.tensors[plan.steps[s].input[0]].offset);
            changed++;
        }
        assert_int_equal(changed, f.config.layers);
        plan_free(&plan);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),     cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_reuse_chain), cmocka_unit_test(test_nothing_to_place),
        cmocka_unit_test(test_too_large),   cmocka_unit_test(test_random_plans),
        cmocka_unit_test(test_real_plans),  cmocka_unit_test(test_changed_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

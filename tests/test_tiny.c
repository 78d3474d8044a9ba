/* test_tiny.c - every variant of every operation on one or two tiny jobs: for OpenCL implementations that check each
 * access to memory and take their time over it (Oclgrind), and as the first test on a new one.
 *
 * Each job runs on the device as it is, and again on one that claims to be something else: a CPU with vectors of
 * another width, whose kernels are plain OpenCL C (where it has vectors itself, or VITCL_TEST_VECTORS is set), and a
 * GPU. So all kernels run here that the compiler takes. Variants are those of the operations' tables. What else is
 * checked, see single_step.h; more sizes and numbers are in test_ops*.c.
 */
#include "jobs.h"

#include <stdlib.h>

/* ---- what the device claims to be ---- */

static void claim_nothing(struct facts *facts)
{
    (void)facts;
}

static void claim_cpu(struct facts *facts, size_t vector_width)
{
    facts->is_cpu = true;
    facts->local_memory = 0;
    facts->vector_width = vector_width;
}

static void claim_vectors_of_4(struct facts *facts)
{
    claim_cpu(facts, 4);
}

static void claim_vectors_of_16(struct facts *facts)
{
    claim_cpu(facts, 16);
}

/* With the least local memory that there may be in OpenCL 1.2. */
static void claim_gpu(struct facts *facts)
{
    facts->is_cpu = false;
    facts->local_memory = 32 << 10;
    facts->vector_width = 1;
}

static const struct claim {
    void (*make)(struct facts *facts);
    bool vectors;
} CLAIMS[] = {{claim_nothing, false}, {claim_vectors_of_4, true}, {claim_vectors_of_16, true}, {claim_gpu, false}};

/* Not on every device: on llvmpipe, Mesa 22.3 compiles the tiles of matmul_panel.cl for minutes, into gigabytes. */
static bool takes_vectors(const struct facts *facts)
{
    return facts->vector_width >= 4 || getenv("VITCL_TEST_VECTORS");
}

/* Runs a job under every claim: of floats, and where it is one of bf16, as it is and of f16. */
static void run_claims(struct suite *suite, const struct job *narrow)
{
    struct facts *facts = (struct facts *)(uintptr_t)device_facts(suite->device);
    struct job plain = *narrow, half = *narrow;
    plain.input_number = plain.output_number = NUMBER_F32;
    plain.tolerance = 2 * TOLERANCE;
    half.input_number = half.input_number ? NUMBER_F16 : NUMBER_F32;
    half.output_number = NUMBER_F16;
    device_probe_bf16(suite->device); /* of the device as it is */
    for (size_t c = 0; c < COUNT(CLAIMS); c++) {
        const struct facts own = *facts;
        if (CLAIMS[c].vectors && !takes_vectors(facts))
            continue;
        CLAIMS[c].make(facts);
        suite_run(suite, &plain);
        if (narrow->output_number) {
            suite_run(suite, narrow);
            suite_run(suite, &half);
        }
        *facts = own;
    }
}

/* ---- matmul ---- */

static void test_matmul(void **state)
{
    static const size_t SIZES[][3] = {{5, 9, 7}, {33, 32, 40}}; /* rows, K, N */
    struct suite suite = {device_or_skip(state), .random = {1}, .op = OP_MATMUL};
    for (size_t i = 0; i < COUNT(SIZES); i++)
        run_claims(&suite, &(struct job){.build = build_matmul,
                                         .rows = SIZES[i][0],
                                         .k = SIZES[i][1],
                                         .n = SIZES[i][2],
                                         .activation = ACTIVATION_GELU,
                                         .input = NORMAL,
                                         .weight = SMALL,
                                         .bias = NORMAL,
                                         .input_number = NUMBER_BF16,
                                         .output_number = NUMBER_BF16,
                                         .tolerance = TOLERANCE_BF16});
    suite_report(&suite);
}

/* ---- attention ---- */

/* A grid of width x 2 patches and a class token. */
static struct geometry small_grid(size_t width, size_t heads, size_t head_size)
{
    return (struct geometry){.batch = 2,
                             .grid_height = 2,
                             .grid_width = width,
                             .patches = 2 * width,
                             .prefix = 1,
                             .tokens = 2 * width + 1,
                             .width = heads * head_size,
                             .heads = heads,
                             .head_size = head_size};
}

/* Plain, with lengths, and with BEiT's bias. */
static void test_attention(void **state)
{
    const struct geometry grids[] = {small_grid(1, 1, 6), small_grid(9, 2, 16)};
    struct suite suite = {device_or_skip(state), .random = {2}, .op = OP_ATTENTION};
    for (size_t i = 0; i < COUNT(grids); i++)
        for (int form = 0; form < 3; form++)
            run_claims(&suite, &(struct job){.build = build_attention,
                                             .spoil = spoil_attention,
                                             .g = grids[i],
                                             .masked = form == 1,
                                             .biased = form == 2,
                                             .input = NORMAL,
                                             .weight = NORMAL,
                                             .input_number = NUMBER_BF16,
                                             .output_number = NUMBER_BF16,
                                             .tolerance = TOLERANCE_BF16});
    suite_report(&suite);
}

static void test_attention_pool(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {3}, .op = OP_ATTENTION_POOL};
    for (int masked = 0; masked < 2; masked++)
        run_claims(&suite, &(struct job){.build = build_attention_pool,
                                         .spoil = spoil_attention_pool,
                                         .g = small_grid(3, 2, 6),
                                         .first = 1,
                                         .masked = masked,
                                         .input = NORMAL,
                                         .weight = NORMAL});
    suite_report(&suite);
}

/* ---- norms ---- */

/* Without y, with y, with the sum in x's place, and the sum alone; a width that leaves a rest behind vectors. */
static void test_residual_norm(void **state)
{
    static const size_t WIDTHS[] = {7, 70};
    struct suite suite = {device_or_skip(state), .random = {4}, .op = OP_RESIDUAL_NORM};
    for (size_t w = 0; w < COUNT(WIDTHS); w++)
        for (int form = 0; form < 4; form++)
            run_claims(&suite, &(struct job){.build = build_residual_norm,
                                             .g = {.width = WIDTHS[w]},
                                             .rows = 3,
                                             .eps = 1e-6f,
                                             .residual = form > 0,
                                             .in_place = form == 2,
                                             .unnormed = form == 3,
                                             .input = NORMAL,
                                             .weight = {1, 0.2},
                                             .bias = SMALL,
                                             .output_number = form < 3 ? NUMBER_BF16 : NUMBER_F32,
                                             .tolerance = TOLERANCE_BF16});
    suite_report(&suite);
}

static void test_qk_norm(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {5}, .op = OP_QK_NORM};
    for (int in_place = 0; in_place < 2; in_place++)
        run_claims(&suite, &(struct job){.build = build_qk_norm,
                                         .g = {.width = 2 * 18, .heads = 2, .head_size = 18},
                                         .rows = 3,
                                         .eps = 1e-6f,
                                         .in_place = in_place,
                                         .input = NORMAL,
                                         .weight = {1, 0.2},
                                         .bias = SMALL});
    suite_report(&suite);
}

/* ---- tokens ---- */

static void test_im2patch(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {6}, .op = OP_IM2PATCH};
    run_claims(&suite, &(struct job){.build = build_im2patch,
                                     .g = {.batch = 2,
                                           .image_height = 6,
                                           .image_width = 11,
                                           .patch_height = 3,
                                           .patch_width = 5,
                                           .grid_height = 2,
                                           .grid_width = 2,
                                           .patches = 4},
                                     .input = NORMAL,
                                     .output_number = NUMBER_BF16,
                                     .tolerance = TOLERANCE_BF16});
    suite_report(&suite);
}

static void test_tokens(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {7}, .op = OP_TOKENS};
    for (int own_positions = 0; own_positions < 2; own_positions++)
        run_claims(&suite, &(struct job){.build = build_tokens,
                                         .g = small_grid(2, 1, 9),
                                         .own_positions = own_positions,
                                         .input = NORMAL,
                                         .weight = NORMAL,
                                         .bias = NORMAL});
    suite_report(&suite);
}

/* Both pairings, into another place and in place. */
static void test_rope(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {8}, .op = OP_ROPE};
    for (int form = 0; form < 4; form++)
        run_claims(&suite, &(struct job){.build = build_rope,
                                         .g = small_grid(2, 2, 8),
                                         .rope = form / 2 ? ROPE_EVA : ROPE_DINOV3,
                                         .in_place = form % 2,
                                         .input = NORMAL,
                                         .weight = {0, 0.7}});
    suite_report(&suite);
}

static void test_gate(void **state)
{
    static const size_t WIDTHS[] = {3, 67};
    struct suite suite = {device_or_skip(state), .random = {9}, .op = OP_GATE};
    for (size_t w = 0; w < COUNT(WIDTHS); w++)
        run_claims(&suite, &(struct job){.build = build_gate,
                                         .rows = 3,
                                         .n = WIDTHS[w],
                                         .activation = ACTIVATION_SILU,
                                         .input = NORMAL,
                                         .output_number = NUMBER_BF16,
                                         .tolerance = TOLERANCE_BF16});
    suite_report(&suite);
}

/* Every kind, without and with lengths. */
static void test_pool(void **state)
{
    struct suite suite = {device_or_skip(state), .random = {10}, .op = OP_POOL};
    for (enum pool pool = POOL_CLS; pool < POOL_ATTENTION; pool++)
        for (int masked = 0; masked < 2; masked++)
            run_claims(&suite, &(struct job){.build = build_pool,
                                             .spoil = spoil_pool,
                                             .g = small_grid(3, 1, 9),
                                             .pool = pool,
                                             .first = 1,
                                             .masked = masked,
                                             .input = NORMAL});
    suite_report(&suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),        cmocka_unit_test(test_attention), cmocka_unit_test(test_attention_pool),
        cmocka_unit_test(test_residual_norm), cmocka_unit_test(test_qk_norm),   cmocka_unit_test(test_im2patch),
        cmocka_unit_test(test_tokens),        cmocka_unit_test(test_rope),      cmocka_unit_test(test_gate),
        cmocka_unit_test(test_pool),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

/* test_variants.c - how each operation gets its variant: what is taken unasked follows from the facts of the device and
 * the size of the plan; VITCL_VARIANT is taken literally, or refused with all choices.
 */
#include "made_up_model.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* GPUs whose local memory lies in global memory, as Arm's; and whose groups are small. */
static const struct facts PLAIN_GPU = {.has_compiler = true, .max_work_group = 256, .buffer_align = 128};
static const struct facts SMALL_GROUPS = {
    .has_compiler = true, .max_work_group = 64, .local_memory = 32768, .buffer_align = 128};

/* The variant that runs the first step of an operation, or NULL where the text is refused. */
static const char *variant_of(enum op op, const char *overrides, const struct facts *facts, vitcl_error *err)
{
    struct model model;
    struct plan plan;
    const char *name = NULL;
    make_digits(&model);
    build(&plan, &model, 1, VITCL_OUTPUT_LOGITS);
    if (ops_select(&plan, facts, overrides, err) == VITCL_OK)
        for (size_t s = plan.step_count; s-- > 0;)
            if (plan.steps[s].op == op)
                name = plan.steps[s].variant_name;
    plan_free(&plan);
    free_model(&model);
    return name;
}

/* CLBlast where a GPU has enough to do that its compilation pays; panels where a CPU has vectors; groups where a GPU
 * has local memory on its chip. */
static void test_unasked(void **state)
{
    const struct {
        const struct facts *facts;
        size_t batch; /* the digits model does 2 GFLOP of matmul in about 80 images */
        const char *matmul, *attention, *residual_norm, *im2patch;
    } rows[] = {
        {&CPU, 1, "portable", "portable", "portable", "portable"},
        {&CPU, 1000, "portable", "portable", "portable", "portable"},
        {&NO_COMPILER, 1000, "portable", "portable", "portable", "portable"},
        {&PLAIN_GPU, 1, "portable", "portable", "portable", "portable"},
        {&PLAIN_GPU, 60, "portable", "portable", "portable", "portable"},
        {&PLAIN_GPU, 100, "clblast", "portable", "portable", "portable"},
        {&SMALL_GROUPS, 1, "tile", "portable", "group", "numbers"},
        {&GPU, 1, "tile", "group", "group", "numbers"},
        {&GPU, 100, "tile", "group", "group", "numbers"},
        {&VECTOR_CPU, 1, "panel", "fused", "wide", "portable"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model model;
        struct plan plan;
        make_digits(&model);
        build(&plan, &model, rows[i].batch, VITCL_OUTPUT_LOGITS);
        assert_int_equal(ops_select(&plan, rows[i].facts, NULL, NULL), VITCL_OK);
        for (size_t s = 0; s < plan.step_count; s++) {
            const struct step *step = &plan.steps[s];
            const char *expected = step->op == OP_MATMUL          ? rows[i].matmul
                                   : step->op == OP_ATTENTION     ? rows[i].attention
                                   : step->op == OP_RESIDUAL_NORM ? rows[i].residual_norm
                                   : step->op == OP_IM2PATCH      ? rows[i].im2patch
                                                                  : "portable";
            assert_string_equal(step->variant_name, step->variant->name);
            assert_string_equal(step->variant_name, expected);
            assert_non_null(step->reason);
            if (step->weight[0] != NO_TENSOR)
                assert_int_equal(plan.tensors[step->weight[0]].layout, step->variant->layout);
        }
        plan_free(&plan);
        free_model(&model);
    }
}

/* The launch of the last attention step, in a model with 4 heads, and its variant's name. */
static struct launch attention_launch(size_t head_size, size_t batch, vitcl_precision precision,
                                      const struct facts *facts, const char **variant)
{
    struct model model;
    struct plan plan;
    struct launch launches[MAX_LAUNCHES] = {0};
    make_model(&model, 224, 16, 4 * head_size, 1, 4, 64, 10);
    build(&plan, &model, batch, VITCL_OUTPUT_LOGITS);
    plan.precision = precision;
    assert_int_equal(ops_select(&plan, facts, NULL, NULL), VITCL_OK);
    for (size_t s = 0; s < plan.step_count; s++)
        if (plan.steps[s].op == OP_ATTENTION) {
            *variant = plan.steps[s].variant_name;
            assert_int_equal(plan.steps[s].variant->launch(&plan, &plan.steps[s], facts, launches), 1);
        }
    plan_free(&plan);
    free_model(&model);
    return launches[0];
}

/* Few queries for a group where there is little local memory, or where units would have none. */
static void test_group_sizes(void **state)
{
    static const struct {
        size_t head_size, batch, units, local_memory;
        const char *options;
        size_t groups;
    } rows[] = {
        {64, 1, 16, 49152, " -D HEAD_SIZE=64 -D ROWS=2 -D KEY_VECTORS=1 -D ONLY=0", 7},
        {64, 1, 16, 32768, " -D HEAD_SIZE=64 -D ROWS=1 -D KEY_VECTORS=1 -D ONLY=0", 13},
        {64, 1, 30, 49152, " -D HEAD_SIZE=64 -D ROWS=1 -D KEY_VECTORS=1 -D ONLY=0", 13},
        {64, 8, 200, 131072, " -D HEAD_SIZE=64 -D ROWS=2 -D KEY_VECTORS=1 -D ONLY=0", 7},
        {80, 64, 132, 49152, " -D HEAD_SIZE=80 -D ROWS=1 -D KEY_VECTORS=1 -D ONLY=0", 13},
        {80, 64, 132, 65536, " -D HEAD_SIZE=80 -D ROWS=2 -D KEY_VECTORS=1 -D ONLY=0", 7},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct facts facts = GPU;
        struct launch launch;
        const char *variant;
        facts.units = rows[i].units;
        facts.local_memory = rows[i].local_memory;
        launch = attention_launch(rows[i].head_size, rows[i].batch, VITCL_PRECISION_F32, &facts, &variant);
        assert_string_equal(launch.options, rows[i].options);
        assert_int_equal(launch.local[0], 128);
        assert_int_equal(launch.global[0], 128 * rows[i].groups);
        assert_int_equal(launch.global[1], 4);
        assert_int_equal(launch.global[2], rows[i].batch);
    }
}

/* Matrix instructions for numbers of 16 bits, where heads come in vectors of eight. More keys at a time where two
 * groups have room and registers suffice; fewer waves where units would have none. */
static void test_matrix_attention(void **state)
{
    static const struct {
        enum matrix_unit unit;
        vitcl_precision precision;
        size_t head_size, batch, local_memory;
        const char *variant, *options;
        size_t items, groups;
    } rows[] = {
        {MATRIX_MMA, VITCL_PRECISION_BF16, 64, 32, 49152, "mma",
         " -D MATRIX=1 -D HEAD_SIZE=64 -D KEYS=64 -D WAVES=4 -D ONLY=0", 128, 4},
        {MATRIX_MMA, VITCL_PRECISION_F16, 64, 1, 49152, "mma",
         " -D MATRIX=1 -D HEAD_SIZE=64 -D KEYS=64 -D WAVES=1 -D ONLY=0", 32, 13},
        {MATRIX_MMA, VITCL_PRECISION_BF16, 128, 32, 49152, "mma",
         " -D MATRIX=1 -D HEAD_SIZE=128 -D KEYS=32 -D WAVES=4 -D ONLY=0", 128, 4},
        {MATRIX_MFMA, VITCL_PRECISION_BF16, 64, 32, 65536, "mma",
         " -D MATRIX=2 -D HEAD_SIZE=64 -D KEYS=64 -D WAVES=4 -D ONLY=0", 256, 4},
        {MATRIX_WMMA, VITCL_PRECISION_BF16, 64, 32, 65536, "mma",
         " -D MATRIX=3 -D HEAD_SIZE=64 -D KEYS=32 -D WAVES=4 -D ONLY=0", 128, 4},
        {MATRIX_MMA, VITCL_PRECISION_F32, 64, 32, 49152, "group", NULL, 0, 0},
        {MATRIX_MMA, VITCL_PRECISION_BF16, 60, 32, 49152, "group", NULL, 0, 0},
        {MATRIX_MMA, VITCL_PRECISION_BF16, 136, 32, 49152, "group", NULL, 0, 0},
        {MATRIX_NONE, VITCL_PRECISION_BF16, 64, 32, 49152, "group", NULL, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct facts facts = GPU;
        struct launch launch;
        const char *variant;
        facts.units = 100;
        facts.local_memory = rows[i].local_memory;
        facts.matrix = rows[i].unit;
        launch = attention_launch(rows[i].head_size, rows[i].batch, rows[i].precision, &facts, &variant);
        assert_string_equal(variant, rows[i].variant);
        if (!rows[i].options)
            continue;
        assert_string_equal(launch.options, rows[i].options);
        assert_int_equal(launch.local[0], rows[i].items);
        assert_int_equal(launch.global[0], rows[i].items * rows[i].groups);
    }
}

/* Heads that local memory has no room for are portable's, which reads and writes floats only. */
static void test_large_heads(void **state)
{
    static const vitcl_precision PRECISIONS[] = {VITCL_PRECISION_F32, VITCL_PRECISION_BF16};
    (void)state;
    for (size_t i = 0; i < COUNT(PRECISIONS); i++)
        for (size_t head_size = 128; head_size <= 256; head_size *= 2) {
            const bool room = head_size == 128, bf16 = room && PRECISIONS[i] == VITCL_PRECISION_BF16;
            struct model model;
            struct plan plan;
            make_model(&model, 32, 16, 4 * head_size, 1, 4, 64, 10);
            build(&plan, &model, 1, VITCL_OUTPUT_LOGITS);
            plan.precision = PRECISIONS[i];
            assert_int_equal(ops_select(&plan, &GPU, NULL, NULL), VITCL_OK);
            for (size_t s = 0; s < plan.step_count; s++) {
                const struct step *step = &plan.steps[s];
                if (step->op != OP_ATTENTION)
                    continue;
                assert_string_equal(step->variant_name, room ? "group" : "portable");
                assert_int_equal(plan.tensors[step->input[0]].number, bf16 ? NUMBER_BF16 : NUMBER_F32);
                assert_int_equal(plan.tensors[step->output[0]].number, bf16 ? NUMBER_BF16 : NUMBER_F32);
            }
            plan_free(&plan);
            free_model(&model);
        }
}

/* Why a step of matmul has its variant: it was asked for only where it is what runs. */
static void test_reasons(void **state)
{
    static const struct {
        const char *overrides;
        vitcl_precision precision;
        size_t width; /* of one head; mma takes multiples of 8 */
        const char *variant, *reason;
    } rows[] = {
        {NULL, VITCL_PRECISION_F32, 64, "panel", "a CPU with vectors: "},
        {"matmul=tile", VITCL_PRECISION_F32, 64, "tile", "asked for"},
        {"matmul=mma", VITCL_PRECISION_BF16, 64, "mma", "asked for"},
        {"matmul=mma", VITCL_PRECISION_BF16, 66, "panel", "the first that multiplies bf16 here"},
        {"matmul=mma", VITCL_PRECISION_F16, 66, "panel", "the first that reads f16 here"},
        {"matmul=mma", VITCL_PRECISION_F32, 64, "panel", "a CPU with vectors: "},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct model model;
        struct plan plan;
        size_t s = 0;
        make_model(&model, 32, 4, rows[i].width, 1, 1, 64, 10);
        build(&plan, &model, 1, VITCL_OUTPUT_LOGITS);
        plan.precision = rows[i].precision;
        assert_int_equal(ops_select(&plan, &VECTOR_CPU, rows[i].overrides, NULL), VITCL_OK);
        while (strcmp(plan.steps[s].label, "block 0 qkv") != 0)
            s++;
        assert_string_equal(plan.steps[s].variant_name, rows[i].variant);
        assert_ptr_equal(strstr(plan.steps[s].reason, rows[i].reason), plan.steps[s].reason);
        plan_free(&plan);
        free_model(&model);
    }
}

/* The first matmul's launch in ViT-B/16. */
static struct launch matmul_launch(const struct facts *facts, size_t batch, vitcl_precision precision,
                                   const char *overrides, const char *variant)
{
    struct model model;
    struct plan plan;
    struct launch launches[MAX_LAUNCHES] = {0};
    vitcl_error err;
    size_t s = 0;
    make_model(&model, 224, 16, 768, 1, 12, 3072, 1000);
    build(&plan, &model, batch, VITCL_OUTPUT_LOGITS);
    plan.precision = precision;
    if (ops_select(&plan, facts, overrides, &err) != VITCL_OK)
        fail_msg("%s", err.message);
    while (plan.steps[s].op != OP_MATMUL)
        s++;
    assert_string_equal(plan.steps[s].variant_name, variant);
    assert_int_equal(plan.steps[s].variant->launch(&plan, &plan.steps[s], facts, launches), 1);
    plan_free(&plan);
    free_model(&model);
    return launches[0];
}

/* Large tiles where there are enough of them for all units, smaller ones otherwise; none that the device can not hold.
 */
static void test_tiles(void **state)
{
    const vitcl_precision f32 = VITCL_PRECISION_F32, bf16 = VITCL_PRECISION_BF16;
    struct facts facts = GPU;
    struct launch launch;
    (void)state;
    facts.units = 100;
    launch = matmul_launch(&facts, 64, f32, NULL, "tile");
    assert_non_null(strstr(launch.options, "-D TILE_ROWS=128 -D TILE_COLUMNS=128 "));
    assert_int_equal(launch.local[0], 256);
    assert_int_equal(launch.global[0], 256 * 98 * 6); /* 64 * 196 rows, 768 columns */
    launch = matmul_launch(&facts, 1, f32, NULL, "tile");
    assert_non_null(strstr(launch.options, "-D TILE_ROWS=32 "));
    assert_true(launch.global[0] / launch.local[0] > 75);
    facts.max_work_group = 128;
    assert_int_equal(matmul_launch(&facts, 64, f32, NULL, "tile").local[0], 128);
    facts.local_memory = 8 << 10;
    assert_int_equal(matmul_launch(&facts, 64, bf16, NULL, "tile").local[0], 128);
    facts.max_work_group = 63;
    assert_string_equal(variant_of(OP_MATMUL, NULL, &facts, NULL), "portable");
    facts = GPU;
    facts.local_memory = 1 << 10;
    assert_string_equal(variant_of(OP_MATMUL, NULL, &facts, NULL), "portable");
    assert_string_equal(variant_of(OP_MATMUL, "matmul=tile", &CPU, NULL), "tile");
}

/* Matrix instructions where they were found; a CPU emulates them where it is asked to. */
static void test_matrix_units(void **state)
{
    const vitcl_precision f32 = VITCL_PRECISION_F32, bf16 = VITCL_PRECISION_BF16;
    struct facts facts = GPU;
    struct launch launch;
    vitcl_error err;
    (void)state;
    matmul_launch(&facts, 64, bf16, NULL, "tile");
    assert_null(variant_of(OP_MATMUL, "matmul=mma", &facts, &err));
    assert_non_null(strstr(err.message, "matmul=mma can not run here: "));
    facts.matrix = MATRIX_MFMA;
    matmul_launch(&facts, 64, f32, NULL, "tile");
    launch = matmul_launch(&facts, 64, bf16, NULL, "mma");
    assert_non_null(strstr(launch.options, " -D MATRIX=2"));
    assert_null(strstr(launch.options, "EMULATED"));
    facts.matrix = MATRIX_MMA;
    assert_non_null(strstr(matmul_launch(&facts, 64, bf16, NULL, "mma").options, " -D MATRIX=1"));
    facts = CPU;
    matmul_launch(&facts, 64, bf16, NULL, "portable");
    launch = matmul_launch(&facts, 64, bf16, "matmul=mma", "mma");
    assert_non_null(strstr(launch.options, " -D MATRIX=1 -D EMULATED=1"));
}

static void test_asked_for(void **state)
{
    static const char *const same[] = {NULL,
                                       "",
                                       "matmul=portable",
                                       "attention=portable",
                                       "im2patch=portable,matmul=portable,tokens=portable,residual_norm=portable,"
                                       "qk_norm=portable,rope=portable,attention=portable,gate=portable,"
                                       "pool=portable,attention_pool=portable",
                                       "matmul=clblast,matmul=portable"};
    static const char *const clblast[] = {"matmul=clblast", "attention=portable,matmul=clblast",
                                          "matmul=portable,matmul=clblast"};
    vitcl_error err;
    (void)state;
    for (size_t i = 0; i < COUNT(same); i++)
        assert_string_equal(variant_of(OP_MATMUL, same[i], &CPU, &err), "portable");
    for (size_t i = 0; i < COUNT(clblast); i++) {
        assert_string_equal(variant_of(OP_MATMUL, clblast[i], &CPU, &err), "clblast");
        assert_string_equal(variant_of(OP_POOL, clblast[i], &CPU, &err), "portable");
        assert_null(variant_of(OP_MATMUL, "matmul=panel", &GPU, &err));
        assert_non_null(strstr(err.message, "matmul=panel can not run here: "));
        assert_null(variant_of(OP_MATMUL, clblast[i], &NO_COMPILER, &err));
        assert_int_equal(err.status, VITCL_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, "matmul=clblast can not run here: "));
    }
}

static void assert_refused(const char *overrides)
{
    vitcl_error err = {0};
    if (variant_of(OP_MATMUL, overrides, &GPU, &err))
        fail_msg("\"%.80s\" was accepted", overrides);
    assert_int_equal(err.status, VITCL_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "unknown variant \""));
    for (size_t op = 0; op < OP_COUNT; op++) {
        const struct operation *operation = operation_of((enum op)op);
        for (size_t v = 0; v < MAX_VARIANTS && operation->variants[v]; v++) {
            char choice[64];
            snprintf(choice, sizeof choice, " %s=%s", plan_op_name((enum op)op), operation->variants[v]->name);
            assert_non_null(strstr(err.message, choice));
        }
    }
}

static void test_unknown(void **state)
{
    static const char *const texts[] = {
        "matmul",
        "matmul=",
        "=portable",
        "=",
        "portable",
        "matmul=fast",
        "gemm=portable",
        "attention=clblast",
        "rope=clblast",
        "attention_=portable",
        "attention_pool=clblast",
        "matmul==portable",
        "matmul=portable=",
        "matmul=portabl",
        "matmul=portablee",
        "matmu=portable",
        "MATMUL=portable",
        "matmul=Portable",
        "matmul = portable",
        " matmul=portable",
        "matmul=portable ",
        "matmul=portable;pool=portable",
        ",",
        ",matmul=portable",
        "matmul=portable,,pool=portable",
        "matmul=portable,pool",
        "matmul=portable, pool=portable",
        "matm\xc3\xbcl=portable",
        "matmul=\xe7\x8a\xac",
        "\xff",
        "%s%n",
    };
    enum { LONG = 100000 };
    char *text = malloc(LONG + 1);
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_refused(texts[i]);
    assert_non_null(text);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    assert_refused(text);
    memcpy(text, "matmul=", 7);
    assert_refused(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unasked),          cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_group_sizes),      cmocka_unit_test(test_large_heads),
        cmocka_unit_test(test_matrix_attention), cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_matrix_units),     cmocka_unit_test(test_asked_for),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

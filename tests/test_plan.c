/* test_plan.c - the plan of a model: its steps are those of the paper, in that order, on those tensors and weights; its
 * FLOPs are the published numbers; its description for made-up devices is the text that lies in tests/fixtures/plans.
 */
#include "made_up_model.h"
#include "plan_text.h"
#include "support.h"

#include <string.h>

/* ---- the paper --------------------------------------------------------------------------------------------------- */

static void assert_steps(const struct plan *plan, size_t first, const char *const *expected, size_t count)
{
    assert_true(first + count <= plan->step_count);
    for (size_t i = 0; i < count; i++) {
        struct text text = {0};
        add_step_text(&text, plan, &plan->steps[first + i]);
        assert_string_equal(text.chars, expected[i]);
        text_free(&text);
    }
}

/* z0 = [cls; patches E] + E_pos; z' = MSA(LN(z)) + z; z = MLP(LN(z')) + z'; y = LN(z)[0]: equations 1 to 4. The sum and
 * the LayerNorm after it are one step. */
static const char *const PAPER[] = {
    "im2patch(pixel values) -> im2patch [3,4,12]",
    "matmul(im2patch, patch embedding.weight, patch embedding.bias) -> patch embedding [3,4,8]",
    "tokens(patch embedding, tokens.prefix, tokens.position) -> tokens [3,5,8]",
    "residual_norm(tokens, block 0 norm1.weight, block 0 norm1.bias) -> block 0 norm1 [3,5,8]",
    "matmul(block 0 norm1, block 0 qkv.weight, block 0 qkv.bias) -> block 0 qkv [3,5,24]",
    "attention(block 0 qkv) -> block 0 attention [3,5,8]",
    "matmul(block 0 attention, block 0 proj.weight, block 0 proj.bias) -> block 0 proj [3,5,8]",
    "residual_norm(tokens, block 0 proj, block 0 norm2.weight, block 0 norm2.bias) -> block 0 norm2, block 0 norm2 "
    "sum [3,5,8]",
    "matmul(block 0 norm2, block 0 fc1.weight, block 0 fc1.bias) -> block 0 fc1 [3,5,16] gelu",
    "matmul(block 0 fc1, block 0 fc2.weight, block 0 fc2.bias) -> block 0 fc2 [3,5,8]",
    "residual_norm(block 0 norm2 sum, block 0 fc2, block 1 norm1.weight, block 1 norm1.bias) -> block 1 norm1, block "
    "1 norm1 sum [3,5,8]",
    "matmul(block 1 norm1, block 1 qkv.weight, block 1 qkv.bias) -> block 1 qkv [3,5,24]",
    "attention(block 1 qkv) -> block 1 attention [3,5,8]",
    "matmul(block 1 attention, block 1 proj.weight, block 1 proj.bias) -> block 1 proj [3,5,8]",
    "residual_norm(block 1 norm1 sum, block 1 proj, block 1 norm2.weight, block 1 norm2.bias) -> block 1 norm2, block "
    "1 norm2 sum [3,5,8]",
    "matmul(block 1 norm2, block 1 fc1.weight, block 1 fc1.bias) -> block 1 fc1 [3,5,16] gelu",
    "matmul(block 1 fc1, block 1 fc2.weight, block 1 fc2.bias) -> block 1 fc2 [3,5,8]",
    "residual_norm(block 1 norm2 sum, block 1 fc2, norm.weight, norm.bias) -> norm, norm sum [3,5,8]",
};
static const char *const CLASSIFIER_HEAD[] = {
    "pool(norm) -> pool [3,8] class token from 1 on",
    "matmul(pool, head.weight, head.bias) -> head [3,7]",
};
static const char *const POOLER_HEAD[] = {
    "pool(norm) -> pool [3,8] class token from 1 on",
    "matmul(pool, pooler.weight, pooler.bias) -> pooler [3,8] tanh",
};

static void test_steps(void **state)
{
    struct model classifier, pooler;
    struct plan plan;
    (void)state;
    make_model(&classifier, 5, 2, 8, 2, 2, 16, 7);
    make_model(&pooler, 5, 2, 8, 2, 2, 16, 0);

    build(&plan, &classifier, 3, VITCL_OUTPUT_LOGITS);
    assert_steps(&plan, 0, PAPER, COUNT(PAPER));
    assert_steps(&plan, COUNT(PAPER), CLASSIFIER_HEAD, 2);
    assert_int_equal(plan.step_count, COUNT(PAPER) + 2);
    for (size_t s = 0; s < plan.step_count; s++)
        if (plan.steps[s].op == OP_RESIDUAL_NORM)
            assert_true(plan.steps[s].eps == 1e-12f);
    plan_free(&plan);

    build(&plan, &pooler, 3, VITCL_OUTPUT_EMBEDDING);
    assert_steps(&plan, 0, PAPER, COUNT(PAPER));
    assert_steps(&plan, COUNT(PAPER), POOLER_HEAD, 2);
    assert_int_equal(plan.step_count, COUNT(PAPER) + 2);
    plan_free(&plan);
    free_model(&classifier);
    free_model(&pooler);
}

/* Block 1, steps 10 to 16, uses the weights of block 1, each where it belongs. */
static void test_weights(void **state)
{
    struct model model;
    struct plan plan;
    size_t next = 0;

    (void)state;
    make_model(&model, 5, 2, 8, 3, 2, 16, 7);
    build(&plan, &model, 1, VITCL_OUTPUT_LOGITS);
    const struct block_weights *b = &model.weights.blocks[1];
    const struct weight *const expected[] = {
        &b->norm1.weight, &b->norm1.bias, &b->qkv.weight, &b->qkv.bias, &b->proj.weight, &b->proj.bias,
        &b->norm2.weight, &b->norm2.bias, &b->fc1.weight, &b->fc1.bias, &b->fc2.weight,  &b->fc2.bias,
    };
    for (size_t s = 10; s < 17; s++)
        for (size_t w = 0; w < STEP_WEIGHTS; w++)
            if (plan.steps[s].weight[w] != NO_TENSOR)
                assert_ptr_equal(plan.tensors[plan.steps[s].weight[w]].weight, expected[next++]);
    assert_int_equal(next, COUNT(expected));
    plan_free(&plan);
    free_model(&model);
}

static void assert_kept(const struct plan *plan, int tensor, const char *name)
{
    if (!name) {
        assert_int_equal(tensor, NO_TENSOR);
        return;
    }
    assert_in_range(tensor, 0, plan->tensor_count - 1);
    assert_string_equal(plan->tensors[tensor].name, name);
    assert_true(plan->tensors[tensor].keep);
}

static void test_outputs(void **state)
{
    struct model model;
    (void)state;
    make_digits(&model);
    for (unsigned outputs = 1; outputs < 8; outputs++) {
        struct plan plan;
        const bool logits = outputs & VITCL_OUTPUT_LOGITS, embedding = outputs & VITCL_OUTPUT_EMBEDDING;
        size_t kept = 0;
        build(&plan, &model, 1, outputs);
        assert_kept(&plan, plan.outputs[OUTPUT_LOGITS], logits ? "head" : NULL);
        assert_kept(&plan, plan.outputs[OUTPUT_EMBEDDING], embedding ? "pool" : NULL);
        assert_kept(&plan, plan.outputs[OUTPUT_HIDDEN], outputs & VITCL_OUTPUT_HIDDEN ? "norm" : NULL);
        for (size_t t = 0; t < plan.tensor_count; t++)
            kept += plan.tensors[t].keep;
        assert_int_equal(kept, (outputs & 1) + (outputs >> 1 & 1) + (outputs >> 2));       /* nothing else is */
        assert_int_equal(plan.step_count, 3 + 4 * 7 + 1 + (logits || embedding) + logits); /* no step for nobody */
        assert_string_equal(plan.tensors[plan.pixels].name, "pixel values");
        assert_int_equal(plan.tensors[plan.pixels].producer, -1);
        plan_free(&plan);
    }
    free_model(&model);
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

/* Multiply-adds of one image: N 3p^2 D + L (4TD^2 + 2T^2D + 2TDM) + DC. Published are the rounded ones, and the number
 * of parameters. */
static void test_published_models(void **state)
{
    static const struct {
        size_t image, patch, width, layers, heads, mlp_width;
        double giga_macs;
        size_t parameters;
    } rows[] = {
        {224, 16, 192, 12, 3, 768, 1.254, 5717416},        {224, 16, 384, 12, 6, 1536, 4.599, 22050664},
        {224, 32, 768, 12, 12, 3072, 4.409, 88224232},     {224, 16, 768, 12, 12, 3072, 17.564, 86567656},
        {384, 16, 768, 12, 12, 3072, 55.484, 86859496},    {224, 16, 1024, 24, 16, 4096, 61.555, 304326632},
        {224, 14, 1280, 32, 16, 5120, 167.295, 632045800},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const size_t n = rows[i].image / rows[i].patch * (rows[i].image / rows[i].patch), t = n + 1, d = rows[i].width;
        const size_t block = 4 * t * d * d + 2 * t * t * d + 2 * t * d * rows[i].mlp_width;
        const size_t macs = n * 3 * rows[i].patch * rows[i].patch * d + rows[i].layers * block + d * 1000;
        struct model model;
        struct plan plan;
        double flops = 0;
        make_model(&model, rows[i].image, rows[i].patch, d, rows[i].layers, rows[i].heads, rows[i].mlp_width, 1000);
        build(&plan, &model, 2, VITCL_OUTPUT_LOGITS);
        select_and_place(&plan, &CPU, NULL);
        for (size_t s = 0; s < plan.step_count; s++)
            if (plan.steps[s].op == OP_MATMUL || plan.steps[s].op == OP_ATTENTION)
                flops += plan.steps[s].flops;
        assert_true(flops == 2 * 2 * (double)macs);
        assert_true(flops / 4e9 > rows[i].giga_macs - 0.0005 && flops / 4e9 < rows[i].giga_macs + 0.0005);
        assert_int_equal(plan.weight_bytes, 4 * rows[i].parameters);
        plan_free(&plan);
        free_model(&model);
    }
}

/* Two images of 4 patches, 5 tokens, D = 8, M = 16, 2 heads; numbers are floats of 4 bytes, read and written once. */
static void test_costs(void **state)
{
    static const struct {
        const char *label;
        double flops, numbers;
    } rows[] = {
        {"im2patch", 0, 2 * (2 * 4 * 12)}, /* only whole patches are read */
        {"patch embedding", 2 * 8 * 8 * 12, 8 * 12 + 8 * 12 + 8 + 8 * 8},
        {"block 0 norm1", 8 * 10 * 8, 2 * 10 * 8 + 2 * 8}, /* reads x */
        {"block 0 qkv", 2 * 10 * 24 * 8, 10 * 8 + 24 * 8 + 24 + 10 * 24},
        {"block 0 attention", 4 * 2 * 25 * 8, 10 * 24 + 10 * 8},
        {"block 0 norm2", 9 * 10 * 8, 4 * 10 * 8 + 2 * 8}, /* reads x and y, writes their sum, too */
        {"block 0 fc1", 2 * 10 * 16 * 8, 10 * 8 + 16 * 8 + 16 + 10 * 16},
        {"pool", 0, 2 * 2 * 8},
        {"head", 2 * 2 * 7 * 8, 2 * 8 + 7 * 8 + 7 + 2 * 7},
    };
    struct model model;
    struct plan plan;
    size_t next = 0;
    (void)state;
    make_model(&model, 5, 2, 8, 2, 2, 16, 7);
    build(&plan, &model, 2, VITCL_OUTPUT_LOGITS);
    select_and_place(&plan, &CPU, NULL);
    for (size_t s = 0; s < plan.step_count && next < COUNT(rows); s++) {
        if (strcmp(plan.steps[s].label, rows[next].label) != 0)
            continue;
        assert_true(plan.steps[s].flops == rows[next].flops);
        assert_true(plan.steps[s].bytes == 4 * rows[next].numbers);
        next++;
    }
    assert_int_equal(next, COUNT(rows));
    plan_free(&plan);
    free_model(&model);
}

static void test_too_large(void **state)
{
    struct model model;
    struct plan plan;
    vitcl_error err;
    (void)state;
    make_model(&model, 224, 16, 1024, 24, 16, 4096, 1000);
    for (size_t batch = SIZE_MAX; batch > SIZE_MAX / 1024; batch /= 2) {
        const struct request request = request_of(&model, batch, VITCL_OUTPUT_LOGITS);
        assert_int_equal(plan_build(&plan, &request, &err), VITCL_ERROR_MEMORY);
        assert_null(plan.steps);
        assert_null(plan.tensors);
    }
    build(&plan, &model, 65536, VITCL_OUTPUT_LOGITS); /* more numbers than a kernel's int can count */
    assert_int_equal(ops_select(&plan, &CPU, NULL, &err), VITCL_ERROR_MEMORY);
    assert_non_null(strstr(err.message, "in a batch of 65536, more than a kernel can address"));
    plan_free(&plan);
    free_model(&model);
}

/* ---- descriptions ------------------------------------------------------------------------------------------------ */

static char *describe(const struct model *model, size_t batch, unsigned outputs, const struct facts *facts)
{
    struct plan plan;
    build(&plan, model, batch, outputs);
    return describe_plan(&plan, facts);
}

static void check_golden(const struct model *model, size_t batch, unsigned outputs, const struct facts *facts,
                         const char *name)
{
    char *text = describe(model, batch, outputs, facts);
    assert_golden(text, name);
    free(text);
}

static void test_descriptions(void **state)
{
    const unsigned all = VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN;
    struct model digits, large;
    char *text;
    (void)state;
    make_digits(&digits);
    check_golden(&digits, 1, VITCL_OUTPUT_LOGITS, &CPU, "cpu.txt");
    check_golden(&digits, 96, all, &GPU, "gpu.txt");
    check_golden(&digits, 3, VITCL_OUTPUT_HIDDEN, &NO_COMPILER, "no_compiler.txt");

    make_model(&large, 224, 16, 1024, 24, 16, 4096, 1000);
    text = describe(&large, 32, VITCL_OUTPUT_LOGITS, &GPU);
    assert_non_null(strstr(text, "block 23 norm2     residual_norm  group      [32,197,1024]"));
    /* 2 x 61.555 GMACs, and 8 or 9 per number of the LayerNorms and sums */
    assert_non_null(strstr(text, "totals: 174 steps, 3942.348 GFLOP (123.198 per image)"));
    free(text);
    free_model(&digits);
    free_model(&large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_outputs),      cmocka_unit_test(test_published_models),
        cmocka_unit_test(test_costs),        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

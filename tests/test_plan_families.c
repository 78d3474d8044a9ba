/* test_plan_families.c - the plans of every family of tests/fixtures/models: what lies in tests/fixtures/plans, with
 * what each step reads, writes and is told; each weight at its one place; the costs of the operations that the plain
 * ViT does not have. Devices are made up. That the plans compute the right thing is test_families.c's to say.
 */
#include "fixture.h"
#include "made_up_model.h"
#include "plan_text.h"

#include <stdlib.h>
#include <string.h>

/* A plan of a fixture; 0 x 0 is the size of its own. */
static void build_fixture(struct plan *plan, const struct fixture *f, size_t batch, size_t height, size_t width)
{
    struct request request = fixture_request(f, batch);
    vitcl_error err;
    if (height) {
        request.height = height;
        request.width = width;
    }
    assert_ok(plan_build(plan, &request, &err), &err);
}

/* ---- descriptions ------------------------------------------------------------------------------------------------ */

static void test_descriptions(void **state)
{
    static const struct {
        const char *folder, *golden;
        size_t batch, height, width;
        const struct facts *facts;
    } rows[] = {
        {"models/beit", "beit_28x28.txt", 1, 28, 28, &CPU},
        {"models/beit_shared", "beit_shared.txt", 3, 0, 0, &CPU},
        {"models/clip_projection", "clip.txt", 2, 0, 0, &NO_COMPILER},
        {"models/deit_teacher", "deit_teacher.txt", 5, 0, 0, &CPU},
        {"models/dinov2_registers_classifier", "dinov2_registers_18x39.txt", 2, 18, 39, &CPU},
        {"models/dinov2_swiglu", "dinov2_swiglu_16x16.txt", 1, 16, 16, &CPU},
        {"models/dinov3", "dinov3.txt", 1, 0, 0, &GPU},
        {"models/ijepa_classifier", "ijepa.txt", 40, 0, 0, &CPU},
        {"models/siglip2_naflex", "siglip2_naflex.txt", 3, 0, 0, &CPU},
        {"models/siglip_vision", "siglip.txt", 1, 0, 0, &GPU},
        {"models/timm_eva02_base", "eva02_base.txt", 2, 0, 0, &CPU},
        {"models/timm_map_prefix", "timm_map_prefix.txt", 1, 0, 0, &CPU},
        {"models/timm_qk_norm", "timm_qk_norm.txt", 1, 0, 0, &CPU},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        struct plan plan;
        struct text text = {0};
        char *description;
        fixture_open(&f, rows[i].folder);
        build_fixture(&plan, &f, rows[i].batch, rows[i].height, rows[i].width);
        description = describe_plan(&plan, rows[i].facts); /* frees the plan */
        build_fixture(&plan, &f, rows[i].batch, rows[i].height, rows[i].width);
        text_add(&text, "%s\n", description);
        for (size_t s = 0; s < plan.step_count; s++) {
            add_step_text(&text, &plan, &plan.steps[s]);
            text_add(&text, "\n");
        }
        assert_golden(text.chars, rows[i].golden);
        text_free(&text);
        free(description);
        plan_free(&plan);
        fixture_close(&f);
    }
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* How many steps read a weight of the file. */
static size_t uses_of(const struct plan *plan, const struct weight *weight)
{
    size_t uses = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        for (size_t i = 0; i < STEP_WEIGHTS; i++) {
            int tensor = plan->steps[s].weight[i];
            uses += tensor != NO_TENSOR && plan->tensors[tensor].weight == weight;
        }
    return uses;
}

static void assert_once(const struct plan *plan, const struct weight *weight, const char *folder, const char *name)
{
    if (weight->parts && uses_of(plan, weight) != 1)
        fail_msg("%s: %s is used by %zu steps", folder, name, uses_of(plan, weight));
}

#define ONCE(part) assert_once(plan, &w->part, folder, #part)
#define ONCE_EACH(layer)                                                                                               \
    do {                                                                                                               \
        ONCE(layer.weight);                                                                                            \
        ONCE(layer.bias);                                                                                              \
    } while (0)

static void check_block(const struct plan *plan, const struct block_weights *w, const char *folder)
{
    ONCE_EACH(norm1);
    ONCE_EACH(qkv);
    ONCE_EACH(q_norm);
    ONCE_EACH(k_norm);
    ONCE(bias_table);
    ONCE_EACH(attention_norm);
    ONCE_EACH(proj);
    ONCE_EACH(norm2);
    ONCE_EACH(fc1);
    ONCE_EACH(mlp_norm);
    ONCE_EACH(fc2);
}

/* The probe and its layer become one query, two classifiers become one layer. */
static void check_head(const struct plan *plan, const struct weights *w, const char *folder)
{
    ONCE_EACH(norm);
    ONCE_EACH(pool_norm);
    ONCE_EACH(attention_pool.kv);
    ONCE_EACH(attention_pool.proj);
    ONCE_EACH(attention_pool.norm);
    ONCE_EACH(attention_pool.fc1);
    ONCE_EACH(attention_pool.fc2);
    ONCE_EACH(pooler);
    ONCE_EACH(projection);
    if (!w->dist_classifier.weight.parts)
        ONCE_EACH(classifier);
}

/* At the size that its positions are made for, a plan uses each weight of the file in one step; a table that blocks
 * share in each block, as one tensor. */
static void check_uses(const char *folder, void *context)
{
    struct fixture f;
    struct plan built, *plan = &built;
    const struct weights *w = &f.weights;
    size_t bytes = 0;
    (void)context;
    fixture_open(&f, folder);
    build_fixture(plan, &f, 2, f.config.image_height, f.config.image_width);
    ONCE(prefix);
    ONCE_EACH(patch);
    ONCE_EACH(pre_norm);
    for (size_t i = 0; i < f.config.layers; i++)
        check_block(plan, &w->blocks[i], folder);
    check_head(plan, w, folder);
    if (w->shared_table.parts)
        assert_int_equal(uses_of(plan, &w->shared_table), f.config.layers);
    for (size_t t = 0; t < plan->tensor_count; t++) {
        bytes += plan->tensors[t].weight ? plan->tensors[t].bytes : 0;
        for (size_t other = 0; other < t; other++)
            assert_true(!plan->tensors[t].weight || plan->tensors[other].weight != plan->tensors[t].weight);
    }
    assert_int_equal(plan->weight_bytes, bytes);
    plan_free(plan);
    fixture_close(&f);
}

static void test_each_weight_once(void **state)
{
    (void)state;
    each_family_fixture(check_uses, NULL);
}

/* The tensors that are the steps' weight number `place`: all of them the same one. Returns how many steps there are. */
static size_t count_sharing(const struct plan *plan, enum op op, size_t place)
{
    int shared = NO_TENSOR;
    size_t steps = 0;
    for (size_t s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].op != op)
            continue;
        if (steps++ == 0)
            shared = plan->steps[s].weight[place];
        assert_int_equal(plan->steps[s].weight[place], shared);
        assert_true(shared != NO_TENSOR);
    }
    return steps;
}

/* What all blocks share is made and brought to the device once, at any size. */
static void test_shared_weights(void **state)
{
    static const struct {
        const char *folder;
        enum op op;
    } rows[] = {{"models/dinov3", OP_ROPE}, {"models/timm_eva02_base", OP_ROPE}, {"models/beit_shared", OP_ATTENTION}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        fixture_open(&f, rows[i].folder);
        for (size_t size = 0; size < 2; size++) {
            struct plan plan;
            build_fixture(&plan, &f, 1, f.height + 5 * size, f.width + 9 * size);
            assert_int_equal(count_sharing(&plan, rows[i].op, 0), f.config.layers);
            plan_free(&plan);
        }
        fixture_close(&f);
    }
}

/* A LayerNorm has the model's eps wherever it is; a sum alone needs none. */
static void check_eps(const char *folder, void *context)
{
    struct fixture f;
    struct plan plan;
    (void)context;
    fixture_open(&f, folder);
    build_fixture(&plan, &f, 1, 0, 0);
    for (size_t s = 0; s < plan.step_count; s++) {
        const struct step *step = &plan.steps[s];
        if ((step->op == OP_RESIDUAL_NORM && step->weight[0] != NO_TENSOR) || step->op == OP_QK_NORM)
            assert_true(step->eps == (float)f.config.eps);
    }
    plan_free(&plan);
    fixture_close(&f);
}

static void test_eps(void **state)
{
    (void)state;
    each_family_fixture(check_eps, NULL);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

/* DINOv2 with 3 registers, patches of 4 x 4 pixels, at 18 x 39: 4 x 9 patches, 2 and 3 pixels are left over. */
static void test_another_size(void **state)
{
    struct fixture f;
    struct plan plan;
    (void)state;
    fixture_open(&f, "models/dinov2_registers_classifier");
    build_fixture(&plan, &f, 2, 18, 39);
    assert_int_equal(plan.geometry.grid_height, 4);
    assert_int_equal(plan.geometry.grid_width, 9);
    assert_int_equal(plan.geometry.patches, 36);
    assert_int_equal(plan.geometry.prefix, 4);
    assert_int_equal(plan.geometry.tokens, 40);
    assert_int_equal(plan.tensors[plan.pixels].shape[2], 18);
    assert_int_equal(plan.tensors[plan.pixels].shape[3], 39);
    assert_int_equal(plan.position, NO_TENSOR);
    assert_int_equal(plan.lengths, NO_TENSOR);
    plan_free(&plan);
    fixture_close(&f);
}

/* A model of variable resolution is fed patches, their positions and their number; how many of them, the caller says.
 */
static void test_variable_resolution(void **state)
{
    static const size_t MOST[] = {1, 12, 100};
    struct fixture f;
    (void)state;
    fixture_open(&f, "models/siglip2_naflex");
    for (size_t i = 0; i < COUNT(MOST); i++) {
        struct plan plan;
        f.max_patches = MOST[i];
        build_fixture(&plan, &f, 3, 0, 0);
        assert_int_equal(plan.geometry.tokens, MOST[i]);
        assert_int_equal(plan.tensors[plan.pixels].shape[1], MOST[i]);
        assert_int_equal(plan.tensors[plan.pixels].cols, 48);
        assert_int_equal(plan.tensors[plan.position].rows, 3 * MOST[i]);
        assert_int_equal(plan.tensors[plan.position].cols, 24);
        assert_int_equal(plan.tensors[plan.lengths].rows * plan.tensors[plan.lengths].cols, 3);
        for (size_t s = 0; s < plan.step_count; s++)
            if (plan.steps[s].op == OP_ATTENTION || plan.steps[s].op == OP_ATTENTION_POOL)
                assert_int_equal(plan.steps[s].input[1], plan.lengths);
        plan_free(&plan);
    }
    fixture_close(&f);
}

/* Whether the tokens before the patches are pooled, too, is the model's to say. */
static void test_pooled_tokens(void **state)
{
    static const char *const FOLDERS[] = {"models/timm_map_prefix", "models/timm_reg4_gap", "models/beit"};
    (void)state;
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        struct fixture f;
        fixture_open(&f, FOLDERS[i]);
        for (int pooled = 0; pooled < 2; pooled++) {
            struct plan plan;
            size_t pools = 0;
            f.config.pool_prefix = pooled;
            build_fixture(&plan, &f, 1, 0, 0);
            for (size_t s = 0; s < plan.step_count; s++) {
                if (plan.steps[s].op != OP_POOL && plan.steps[s].op != OP_ATTENTION_POOL)
                    continue;
                assert_int_equal(plan.steps[s].first, pooled ? 0 : f.config.prefix);
                pools++;
            }
            assert_int_equal(pools, 1);
            plan_free(&plan);
        }
        fixture_close(&f);
    }
}

static void refuse(const struct request *request, const char *folder)
{
    struct plan plan;
    vitcl_error err;
    if (plan_build(&plan, request, &err) != VITCL_ERROR_MEMORY)
        fail_msg("%s: %zu images of %zux%zu were planned", folder, request->batch, request->height, request->width);
    assert_contains(err.message, "does not fit into this machine's memory");
    assert_null(plan.steps);
    assert_null(plan.tensors);
    assert_null(plan.computed);
}

/* Batches and images whose sizes overflow, also where their product wraps to a small number: nothing is left over. */
static void check_too_large(const char *folder, void *context)
{
    struct fixture f;
    struct request request;
    (void)context;
    fixture_open(&f, folder);
    for (request = fixture_request(&f, SIZE_MAX); request.batch > SIZE_MAX / 1024; request.batch /= 2)
        refuse(&request, folder);
    for (unsigned shift = 30; shift < 64 && !f.max_patches; shift++) {
        request = fixture_request(&f, 1);
        request.height = request.width = (size_t)1 << shift;
        refuse(&request, folder);
    }
    for (unsigned shift = 58; shift < 64 && f.max_patches; shift++) {
        request = fixture_request(&f, 1);
        request.max_patches = (size_t)1 << shift;
        refuse(&request, folder);
    }
    fixture_close(&f);
}

static void test_too_large(void **state)
{
    (void)state;
    each_family_fixture(check_too_large, NULL);
}

/* ---- costs ------------------------------------------------------------------------------------------------------- */

/* Numbers are floats of 4 bytes, read and written once.
 *
 * timm_eva02_base: batch 2, 16 patches and 1 token before them, D = 24 in 2 heads of 12, M = 67.
 * siglip2_naflex: batch 2, 12 patches, D = 24. beit: batch 2, 26 tokens, D = 24. timm_qk_norm: 17 tokens. */
static void test_costs(void **state)
{
    static const struct {
        const char *folder, *label;
        double flops, numbers;
    } rows[] = {
        {"models/timm_eva02_base", "tokens", 2 * 17 * 24, 2 * 16 * 24 + 24 + 17 * 24 + 2 * 17 * 24},
        /* of each patch's 2 x 12 pairs: 4 products, 2 sums; the numbers are read and written, and 12 angles read */
        {"models/timm_eva02_base", "block 1 rope", 6 * 2 * 16 * 24, 2 * 2 * 16 * 48 + 16 * 12},
        {"models/timm_eva02_base", "block 1 gate", 2 * 17 * 67, 3 * 2 * 17 * 67},
        {"models/timm_eva02_base", "block 1 mlp norm", 8 * 2 * 17 * 67, 2 * 2 * 17 * 67 + 2 * 67},
        {"models/timm_eva02_base", "pool", 2 * 17 * 24, 2 * 17 * 24 + 2 * 24},
        {"models/siglip2_naflex", "tokens", 2 * 12 * 24, 3 * 2 * 12 * 24},
        {"models/siglip2_naflex", "pool", 2 * 24, 3 * 2 * 24}, /* the sum behind the pooling head's MLP */
        {"models/beit", "residual", 2 * 26 * 24, 3 * 2 * 26 * 24},
        {"models/timm_qk_norm", "block 0 qk norm", 8 * 2 * 17 * 48, 2 * 2 * 17 * 48},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct fixture f;
        struct plan plan;
        size_t found = 0;
        fixture_open(&f, rows[i].folder);
        build_fixture(&plan, &f, 2, 0, 0);
        select_and_place(&plan, &CPU, NULL);
        for (size_t s = 0; s < plan.step_count; s++) {
            if (strcmp(plan.steps[s].label, rows[i].label) != 0)
                continue;
            if (plan.steps[s].flops != rows[i].flops || plan.steps[s].bytes != 4 * rows[i].numbers)
                fail_msg("%s, %s: %g FLOPs, %g bytes", rows[i].folder, rows[i].label, plan.steps[s].flops,
                         plan.steps[s].bytes);
            found++;
        }
        assert_int_equal(found, 1);
        plan_free(&plan);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptions),   cmocka_unit_test(test_each_weight_once),
        cmocka_unit_test(test_shared_weights), cmocka_unit_test(test_eps),
        cmocka_unit_test(test_another_size),   cmocka_unit_test(test_variable_resolution),
        cmocka_unit_test(test_pooled_tokens),  cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

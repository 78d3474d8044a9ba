/* test_timm.c - the rules of host/model/timm.c against every architecture that timm registers
 * (tests/fixtures/timm_architectures.txt): with nothing but its name in config.json, and its tensors at their real
 * width, each is read as what timm builds by that name, or refused for the right reason.
 */
#include "timm_bench.h"

#define TABLE FIXTURES "/timm_architectures.txt"

/* Calls check for every architecture that is (not) supported; returns how many. */
static size_t each_row(struct timm_bench *bench, bool supported, void (*check)(struct timm_bench *, const struct row *))
{
    FILE *file = fopen(TABLE, "r");
    char line[400];
    size_t count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct row row;
        if (*line == '#')
            continue;
        row_parse(&row, line);
        if (row_is(&row, SUPPORTED, "yes") != supported)
            continue;
        check(bench, &row);
        count++;
    }
    fclose(file);
    return count;
}

/* A config.json that tells no more than the name, the labels and the size of the images. */
static void write_name(const struct timm_bench *bench, const char *name, struct grid image, size_t classes)
{
    char text[400];
    snprintf(text, sizeof text,
             "{'architecture': '%s', 'num_classes': %zu, 'pretrained_cfg': {'input_size': [3, %zu, %zu]}}", name,
             classes, image.height, image.width);
    timm_write_config(bench, text);
}

/* ---- what is read ------------------------------------------------------------------------------------------------ */

#define ASSERT_SAME(row, what, found, expected)                                                                        \
    do {                                                                                                               \
        if ((size_t)(found) != (size_t)(expected))                                                                     \
            fail_msg("%s: %s: %zu, expected %zu", (row)->column[NAME], what, (size_t)(found), (size_t)(expected));     \
    } while (0)

static void check_numbers(const struct config *c, const struct row *row)
{
    const struct grid image = row_pair(row, IMAGE), patch = row_pair(row, PATCH);
    enum activation activation;
    const struct family *family = row_is(row, CLASS, "eva") ? &TIMM_EVA : &TIMM_VIT;

    assert_true(activation_find(row->column[ACT], &activation));
    if (c->family != family)
        fail_msg("%s: %s", row->column[NAME], c->family->model_type);
    ASSERT_SAME(row, "width", c->width, row_number(row, WIDTH));
    ASSERT_SAME(row, "layers", c->layers, LAYERS);
    ASSERT_SAME(row, "heads", c->heads, row_number(row, HEADS));
    ASSERT_SAME(row, "mlp width", c->mlp_width, row_number(row, MLP));
    ASSERT_SAME(row, "activation", c->activation, activation);
    if (c->eps != strtod(row->column[EPS], NULL))
        fail_msg("%s: eps %g, expected %s", row->column[NAME], c->eps, row->column[EPS]);
    ASSERT_SAME(row, "image height", c->image_height, image.height);
    ASSERT_SAME(row, "image width", c->image_width, image.width);
    ASSERT_SAME(row, "patch height", c->patch_height, patch.height);
    ASSERT_SAME(row, "patch width", c->patch_width, patch.width);
    ASSERT_SAME(row, "registers", c->registers, row_number(row, REG));
    ASSERT_SAME(row, "prefix", c->prefix, row_number(row, CLS) + row_number(row, DIST) + row_number(row, REG));
    if (!row_is(row, FINAL_EPS, "-")) /* vitcl has one eps for all */
        assert_string_equal(row->column[FINAL_EPS], row->column[EPS]);
}

static void check_pool(const struct config *c, const struct row *row)
{
    const bool two = row_is(row, CLASS, "deit_distilled"), map = row_is(row, POOL, "map");
    enum pool pool = two ? POOL_CLS_DIST : row_is(row, POOL, "token") ? POOL_CLS : map ? POOL_ATTENTION : POOL_MEAN;
    assert_true(pool != POOL_MEAN || row_is(row, POOL, "avg"));
    ASSERT_SAME(row, "pool", c->pool, pool);
    ASSERT_SAME(row, "pooled prefix", c->pool_prefix, row_number(row, PREFIX));
    ASSERT_SAME(row, "head", c->head, two ? HEAD_TWO_CLASSIFIERS : HEAD_CLASSIFIER);
    if (map) { /* vitcl has no other heads for the pool */
        ASSERT_SAME(row, "heads of the pool", c->heads, row_number(row, MAP_HEADS));
        ASSERT_SAME(row, "activation of the pool", c->pool_activation, c->activation);
    }
}

static void check_position(const struct config *c, const struct row *row)
{
    const bool prefix = row_number(row, CLS) + row_number(row, DIST) + row_number(row, REG) > 0;
    const enum position position = row_is(row, POS, "none")            ? POSITION_NONE
                                   : row_is(row, POS, "all") && prefix ? POSITION_ALL
                                                                       : POSITION_PATCHES;
    const enum rope_kind rope = row_is(row, ROPE, "none")  ? ROPE_NONE
                                : row_is(row, ROPE, "eva") ? ROPE_EVA
                                                           : ROPE_DINOV3;
    const bool any_size = row_number(row, DYNAMIC);
    const bool bilinear = row_is(row, RESAMPLE, "bilinear");

    ASSERT_SAME(row, "position", c->position, position);
    ASSERT_SAME(row, "rope", c->rope.kind, rope);
    if (rope != ROPE_NONE) {
        assert_true(rope == ROPE_EVA || row_is(row, ROPE, "dinov3"));
        assert_true(row_is(row, OFFSET, "0") && row_is(row, ORDER, "yx"));
        ASSERT_SAME(row, "half", c->rope.kind == ROPE_DINOV3, row_number(row, HALF));
        if (c->rope.theta != strtod(row->column[THETA], NULL))
            fail_msg("%s: theta %g, expected %s", row->column[NAME], c->rope.theta, row->column[THETA]);
    }
    if (rope == ROPE_EVA) {
        ASSERT_SAME(row, "reference height", c->rope.reference.height, row_pair(row, REF).height);
        ASSERT_SAME(row, "reference width", c->rope.reference.width, row_pair(row, REF).width);
    }
    ASSERT_SAME(row, "any size", c->any_size, any_size);
    ASSERT_SAME(row, "one size", c->one_size, row_is(row, RESAMPLE, "bilinear_corners"));
    if (!c->one_size && position != POSITION_NONE) /* what runs a model of any size is always the same */
        ASSERT_SAME(row, "filter", c->filter, bilinear && !any_size ? POSITION_BILINEAR : POSITION_BICUBIC_AA);
}

static void check_traits(const struct config *c, const struct row *row)
{
    const bool qkv = strchr(row->column[QKV], '+'), apart = strstr(row->column[QKV], "_qv");
    const bool split = strncmp(row->column[QKV], "split", 5) == 0;
    const struct {
        const char *name;
        unsigned trait;
        bool on;
    } traits[] = {
        {"class token", TRAIT_CLS, row_number(row, CLS)},
        {"distillation token", TRAIT_DIST, row_number(row, DIST)},
        {"bias of the patches", TRAIT_PATCH_BIAS, !row_number(row, PRE_NORM)},
        {"query bias", TRAIT_QUERY_BIAS, qkv && (split || !apart)}, /* those apart are found where they are */
        {"key bias", TRAIT_KEY_BIAS, qkv && !apart},
        {"value bias", TRAIT_VALUE_BIAS, qkv && (split || !apart)},
        {"output bias", TRAIT_PROJ_BIAS, row_number(row, PROJ_BIAS)},
        {"mlp bias", TRAIT_MLP_BIAS, true},
        {"norm before the blocks", TRAIT_PRE_NORM, row_number(row, PRE_NORM)},
        {"norm of query and key", TRAIT_QK_NORM, row_number(row, QK_NORM)},
        {"norm of the attention", TRAIT_ATTENTION_NORM, row_number(row, ATTN_NORM)},
        {"norm in the mlp", TRAIT_MLP_NORM, row_number(row, MLP_NORM)},
        {"gate", TRAIT_GATED, !row_is(row, GATED, "no")},
        {"LayerScale", TRAIT_SCALE, !row_is(row, SCALE, "none")},
        {"norm of all", TRAIT_NORM, row_is(row, NORM, "all")},
        {"norm of the pooled", TRAIT_POOL_NORM, row_is(row, NORM, "pool")},
        {"position", TRAIT_POSITION, !row_is(row, POS, "none")},
    };
    unsigned all = 0;
    for (size_t i = 0; i < COUNT(traits); i++) {
        bool on = (c->traits & traits[i].trait) == traits[i].trait;
        ASSERT_SAME(row, traits[i].name, on, traits[i].on);
        all |= traits[i].trait;
    }
    ASSERT_SAME(row, "other traits", c->traits & ~all, 0);
}

static void check_supported(struct timm_bench *bench, const struct row *row)
{
    timm_write_weights(bench, row, CLASSES);
    write_name(bench, row->column[NAME], row_pair(row, IMAGE), CLASSES);
    if (timm_open(bench) != VITCL_OK)
        fail_msg("%s: %s", row->column[NAME], bench->err.message);
    assert_string_equal(bench->config.architecture, row->column[NAME]);
    check_numbers(&bench->config, row);
    check_pool(&bench->config, row);
    check_position(&bench->config, row);
    check_traits(&bench->config, row);
}

static void test_supported(void **state)
{
    assert_int_equal(each_row(*state, true, check_supported), 191);
}

/* Without classes the pooled vector is the answer; a distilled model has two. */
static void check_headless(struct timm_bench *bench, const struct row *row)
{
    vitcl_status status;
    timm_write_weights(bench, row, 0);
    write_name(bench, row->column[NAME], row_pair(row, IMAGE), 0);
    status = timm_open(bench);
    if (row_number(row, DIST)) {
        assert_int_equal(status, VITCL_ERROR_UNSUPPORTED);
        assert_contains(bench->err.message, "distilled");
        return;
    }
    if (status != VITCL_OK)
        fail_msg("%s: %s", row->column[NAME], bench->err.message);
    ASSERT_SAME(row, "head", bench->config.head, HEAD_POOLED);
}

static void test_without_classes(void **state)
{
    assert_int_equal(each_row(*state, true, check_headless), 191);
}

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void refuse_name(struct timm_bench *bench, const char *name, const char *reason)
{
    char start[200];
    write_name(bench, name, (struct grid){224, 224}, CLASSES);
    if (timm_open(bench) != VITCL_ERROR_UNSUPPORTED)
        fail_msg("%s was not refused", name);
    snprintf(start, sizeof start, "config.json: architecture: vitcl does not run timm's \"%s\": ", name);
    assert_contains(bench->err.message, start);
    assert_contains(bench->err.message, reason);
}

static void check_refused_row(struct timm_bench *bench, const struct row *row)
{
    static const struct {
        const char *column, *reason;
    } reasons[] = {
        {"no:embed", "begins with convolutions"},
        {"no:parallel", "run in parallel"},
        {"no:postnorm", "LayerNorms stand behind the blocks' branches"},
        {"no:diff", "differential attention"},
        {"no:rmsnorm", "RMSNorm"},
        {"no:rope_mixed", "rotary position is of another kind"},
        {"no:rope_axial", "rotary position is of another kind"},
        {"no:rope_pe", "rotary position is of another kind"},
    };
    const char *name = row->column[NAME];
    if (strncmp(name, "aimv2_", 6) == 0 || strncmp(name, "vitamin_", 8) == 0) { /* other models by name */
        refuse_name(bench, name, "none of timm's VisionTransformer and Eva models");
        return;
    }
    for (size_t i = 0; i < COUNT(reasons); i++) {
        if (row_is(row, SUPPORTED, reasons[i].column)) {
            refuse_name(bench, name, reasons[i].reason);
            return;
        }
    }
    fail_msg("%s: %s has no reason here", name, row->column[SUPPORTED]);
}

static void test_refused(void **state)
{
    assert_int_equal(each_row(*state, false, check_refused_row), 80);
}

/* Architectures of other classes of timm, and what is none at all. */
static void test_other_models(void **state)
{
    static const char *const others[] = {"resnet50",
                                         "swin_base_patch4_window7_224",
                                         "xcit_tiny_12_p8_224",
                                         "cait_m36_384",
                                         "beitv2_base_patch16_224",
                                         "naflexvit_base_patch16_gap",
                                         "",
                                         "vit",
                                         "VIT_base_patch16_224",
                                         "ViT-B/16",
                                         "deit",
                                         "samvit_base_patch16",
                                         "hf_hub:vit_base_patch16_224"};
    static const char *const relative[] = {"vit_relpos_base_patch16_224", "vit_relpos_small_patch16_rpn_224",
                                           "vit_srelpos_medium_patch16_224", "vit_relpos_base_patch16_clsgap_224"};
    for (size_t i = 0; i < COUNT(others); i++)
        refuse_name(*state, others[i], "none of timm's VisionTransformer and Eva models");
    for (size_t i = 0; i < COUNT(relative); i++)
        refuse_name(*state, relative[i], strstr(relative[i], "_rpn_") ? "LayerNorms" : "relative position");
}

static void test_wrong_names(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{'pretrained_cfg': {}}", "architecture: expected the name of a timm model, found nothing"},
        {"{'pretrained_cfg': null}", "architecture: expected the name of a timm model, found nothing"},
        {"{'architecture': null}", "architecture: expected the name of a timm model, found null"},
        {"{'architecture': 7}", "architecture: expected a string, found 7"},
        {"{'architecture': ['vit_base_patch16_224']}", "architecture: expected a string, found ["},
        {"{'architecture': {}}", "architecture: expected a string, found {}"},
    };
    struct timm_bench *bench = *state;
    char text[400], name[101];
    for (size_t i = 0; i < COUNT(rows); i++) {
        timm_write_config(bench, rows[i].text);
        assert_int_equal(timm_open(bench), VITCL_ERROR_FORMAT);
        assert_contains(bench->err.message, rows[i].message);
    }
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "vit_", 4);
    snprintf(text, sizeof text, "{'architecture': '%s'}", name);
    timm_write_config(bench, text);
    assert_int_equal(timm_open(bench), VITCL_ERROR_FORMAT);
    assert_contains(bench->err.message, "architecture: a name of 100 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_supported),    cmocka_unit_test(test_without_classes), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_other_models), cmocka_unit_test(test_wrong_names),
    };
    return cmocka_run_group_tests(tests, timm_set_up, timm_tear_down);
}

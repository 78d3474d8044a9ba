/* test_models.c - whole models through the plan and the plain-C reference, step by step, against what transformers
 * gives for the same files in float64 (tests/fixtures/make_vit.py).
 *
 * Every tensor that a case stores is compared after the step that writes it, also in a batch of more images than the
 * case has. However the tensors are named, whatever else is in the batch, the results are the same to the bit. A batch
 * too large for a device is refused. (What the libraries give for the other families: test_families.c.)
 */
#include "fixture.h"
#include "run/fit.h"
#include "run/inputs.h"
#include "run/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each step rounds to float once, so deviations are a few times 6e-8. */
#define TOLERANCE 1e-6

/* A model with its plan and what runs it. */
struct run {
    struct fixture fixture;
    struct plan plan;
    struct reference reference;
};

/* Image i of the batch is image i of the expected ones, over and over. */
static void fill(struct run *run, const struct request *request)
{
    const struct fixture *f = &run->fixture;
    struct inputs inputs;
    vitcl_error err;
    assert_ok(inputs_create(&inputs, &run->plan, &err), &err);
    fixture_fill(f, inputs.pixels, request->batch);
    for (size_t i = 0; i < request->batch && f->grids; i++)
        assert_ok(inputs_set_grid(&inputs, request, i, fixture_grid(f, i), &err), &err);
    inputs_copy(&inputs, &run->reference, 0, request->batch);
    inputs_destroy(&inputs);
}

static void run_open(struct run *run, const char *folder, size_t batch)
{
    vitcl_error err;
    struct fixture *f = &run->fixture;
    struct request request;
    fixture_open(f, folder);
    request = fixture_request(f, batch);
    assert_ok(plan_build(&run->plan, &request, &err), &err);
    assert_ok(plan_place(&run->plan, 64, 0, &err), &err);
    assert_ok(reference_create(&run->reference, &run->plan, &err), &err);
    fill(run, &request);
}

static void run_close(struct run *run)
{
    reference_destroy(&run->reference);
    plan_free(&run->plan);
    fixture_close(&run->fixture);
}

/* ---- which step writes what a case stores ---- */

struct place {
    char label[48];
    int output; /* 0 or 1 */
};

static struct place place_of(const char *stored, size_t layers)
{
    static const struct {
        const char *stored;
        struct place place;
    } PLACES[] = {{"patch_embed", {"patch embedding", 0}}, {"tokens", {"tokens", 0}}, {"hidden.0", {"tokens", 0}},
                  {"last_hidden_state", {"norm", 0}},      {"logits", {"head", 0}},   {"pooler_output", {"pooler", 0}}};
    struct place place = {"", 0};
    size_t block;
    char part[32];

    for (size_t i = 0; i < COUNT(PLACES); i++)
        if (strcmp(PLACES[i].stored, stored) == 0)
            return PLACES[i].place;
    if (sscanf(stored, "hidden.%zu", &block) == 1) { /* what block - 1 leaves is the sum before the next LayerNorm */
        place.output = 1;
        snprintf(place.label, sizeof place.label, block < layers ? "block %zu norm1" : "norm", block);
    } else if (sscanf(stored, "block%zu.%31s", &block, part) == 2) {
        snprintf(place.label, sizeof place.label, "block %zu %s", block, part);
    }
    return place;
}

/* Compares a tensor with a stored one, image by image; returns the largest deviation. */
static double compare(const struct run *run, int tensor, const char *stored)
{
    const struct fixture *f = &run->fixture;
    const struct tensor *t = &run->plan.tensors[tensor];
    size_t batch = run->plan.geometry.batch, size = t->rows * t->cols / batch, count;
    const float *expected = fixture_get(f, stored, &count), *found = run->reference.data[tensor];
    double largest = 0;
    assert_int_equal(count, f->images * size);
    for (size_t i = 0; i < batch; i++) {
        double deviation = assert_close(stored, found + i * size, expected + i % f->images * size, size, TOLERANCE);
        largest = deviation > largest ? deviation : largest;
    }
    return largest;
}

/* Runs one step and compares all that is stored of its outputs. Returns how many tensors that was. */
static size_t run_and_compare(struct run *run, size_t s, double *largest)
{
    const struct step *step = &run->plan.steps[s];
    size_t compared = 0;
    reference_run_step(&run->reference, s);
    for (size_t i = 0; i < run->fixture.expected.count; i++) {
        const char *stored = run->fixture.expected.entries[i].name;
        struct place place = place_of(stored, run->fixture.config.layers);
        double deviation;
        if (strcmp(place.label, step->label) != 0)
            continue;
        deviation = compare(run, step->output[place.output], stored);
        *largest = deviation > *largest ? deviation : *largest;
        compared++;
    }
    return compared;
}

/* ---- tests ---- */

/* context: how many images to run beyond those stored. */
static void check_steps(const char *folder, void *context)
{
    struct run run;
    struct fixture stored;
    size_t compared = 0;
    double largest = 0;

    fixture_open(&stored, folder);
    run_open(&run, folder, stored.images + *(const size_t *)context);
    for (size_t s = 0; s < run.plan.step_count; s++)
        compared += run_and_compare(&run, s, &largest);
    print_message("%-20s batch %zu, %2zu tensors, largest deviation %.2g\n", folder, run.plan.geometry.batch, compared,
                  largest);
    assert_int_equal(compared, stored.expected.count - 1); /* all but pixel_values */
    run_close(&run);
    fixture_close(&stored);
}

static void test_stored_batch(void **state)
{
    size_t more = 0;
    (void)state;
    each_vit_fixture(check_steps, &more);
}

static void test_larger_batch(void **state)
{
    size_t more = 4;
    (void)state;
    each_vit_fixture(check_steps, &more);
}

/* An output of a run that is done, and its numbers per image; NULL where the model has none. */
static const float *result(const struct run *run, size_t k, size_t *numbers)
{
    int output = run->plan.outputs[k];
    *numbers = output == NO_TENSOR
                   ? 0
                   : run->plan.tensors[output].rows * run->plan.tensors[output].cols / run->plan.geometry.batch;
    return output == NO_TENSOR ? NULL : run->reference.data[output];
}

/* Fails unless `count` images of a, from number `first` on, have the results of b's first ones, to the bit. */
static void assert_same_results(const struct run *a, size_t first, const struct run *b, size_t count)
{
    for (size_t k = 0; k < OUTPUT_COUNT; k++) {
        size_t numbers, of_b;
        const float *found = result(a, k, &numbers), *expected = result(b, k, &of_b);
        assert_int_equal(numbers, of_b);
        if (numbers)
            assert_memory_equal(found + first * numbers, expected, count * numbers * sizeof *found);
    }
}

/* An image's results do not depend on its place in the batch, nor on the others. */
static void check_batches(const char *folder, void *context)
{
    struct run small, large;
    size_t images;
    (void)context;
    run_open(&small, folder, 1);
    images = small.fixture.images;
    run_open(&large, folder, 2 * images);
    reference_run(&small.reference);
    reference_run(&large.reference);
    assert_same_results(&large, 0, &small, 1);
    assert_same_results(&large, images, &large, images);
    run_close(&small);
    run_close(&large);
}

static void test_batches_of_families(void **state)
{
    (void)state;
    each_family_fixture(check_batches, NULL);
}

/* However tensors are named, split into files or typed in config.json. */
static void test_names_do_not_matter(void **state)
{
    static const char *const PAIRS[][2] = {
        {"vit/cls", "vit/cls_v5"},
        {"vit/cls", "vit/cls_timm_names"},
        {"models/beit", "models/beit_v5names"},
        {"models/beit_shared", "models/beit_shared_v5names"},
        {"models/clip_full", "models/clip_config_dict"},
        {"models/clip_vision", "models/clip_vision_v4names"},
        {"models/deit_teacher", "models/deit_v5names"},
        {"models/dinov2_swiglu", "models/dinov2_v5names"},
        {"models/dinov3_gated", "models/dinov3_v5names"},
        {"models/dinov2_classifier", "models/sharded"},
        {"models/vit_interpolate", "models/vit_v5names"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(PAIRS); i++) {
        struct run hub, other;
        run_open(&hub, PAIRS[i][0], 2);
        run_open(&other, PAIRS[i][1], 2);
        memcpy(other.reference.data[other.plan.pixels], hub.reference.data[hub.plan.pixels],
               2 * hub.fixture.image_size * sizeof(float));
        reference_run(&hub.reference);
        reference_run(&other.reference);
        assert_same_results(&hub, 0, &other, 2);
        run_close(&hub);
        run_close(&other);
    }
}

/* ---- images of variable resolution ---- */

/* Each image's grid makes its length and positions, as the library has them. */
static void test_grids(void **state)
{
    static const char *const FOLDERS[] = {"models/siglip2_naflex", "models/siglip2_full",
                                          "models/siglip2_naflex_classifier"};
    (void)state;
    for (size_t i = 0; i < COUNT(FOLDERS); i++) {
        struct run run;
        struct fixture stored;
        fixture_open(&stored, FOLDERS[i]);
        run_open(&run, FOLDERS[i], stored.images);
        assert_memory_equal(run.reference.data[run.plan.lengths], fixture_get(&stored, "lengths", NULL),
                            stored.images * sizeof(float));
        compare(&run, run.plan.position, "position");
        run_close(&run);
        fixture_close(&stored);
    }
}

/* Weights rounded to 16 bits make another model. Were the difference below the tolerance, the tests above would not see
 * a conversion that goes wrong in its last bits. */
static void test_rounded_weights_show(void **state)
{
    struct fixture full, half, bfloat;
    const float *logits, *of_half, *of_bfloat;
    (void)state;
    fixture_open(&full, "vit/cls");
    fixture_open(&half, "vit/f16");
    fixture_open(&bfloat, "vit/bf16");
    logits = fixture_get(&full, "logits", NULL);
    of_half = fixture_get(&half, "logits", NULL);
    of_bfloat = fixture_get(&bfloat, "logits", NULL);
    assert_true(deviation_of(of_half, logits, 10) > 10 * TOLERANCE);
    assert_true(deviation_of(of_bfloat, of_half, 10) > 10 * TOLERANCE);
    fixture_close(&full);
    fixture_close(&half);
    fixture_close(&bfloat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stored_batch),        cmocka_unit_test(test_larger_batch),
        cmocka_unit_test(test_names_do_not_matter), cmocka_unit_test(test_rounded_weights_show),
        cmocka_unit_test(test_batches_of_families), cmocka_unit_test(test_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

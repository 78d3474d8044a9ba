/* test_families.c - every family, through the public API, against what its library gives for the same files in float64
 * (tests/fixtures/make_models.py, make_timm.py): hidden states, embeddings and logits, at the native size and at others
 * whose positions are interpolated; on the reference and on the device, in float and in f16.
 */
#include "fixture.h"
#include "run/verify.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of an output's rms. The libraries' own float32 runs are within a few 1e-6 of their float64 ones. */
#define TOLERANCE_REFERENCE 1e-5
#define TOLERANCE_DEVICE    2e-4
#define TOLERANCE_F16       0.01 /* the reference is within 0.0043 */

struct run {
    const char *folder, *file; /* "models/beit", "expected_14x27.safetensors" */
    vitcl_context *context;    /* NULL: the reference */
    vitcl_precision precision;
    double tolerance;
    struct safetensors expected;
    vitcl_model *model;
    vitcl_session *session;
    vitcl_model_info info;
    size_t images;
    double largest;  /* deviation so far */
    size_t compared; /* outputs */
};

/* ---- one file of expected values ---- */

static const float *stored(const struct run *run, const char *name, size_t *count)
{
    const struct tensor_entry *entry = safetensors_find(&run->expected, name);
    if (!entry)
        return NULL;
    assert_int_equal(entry->dtype, DTYPE_F32);
    *count = entry->bytes / sizeof(float);
    return (const float *)(uintptr_t)entry->data;
}

/* "spatial_shapes" [B,2] of a model of variable resolution. */
static vitcl_grid *grids_of(const struct run *run)
{
    const struct tensor_entry *entry = safetensors_find(&run->expected, "spatial_shapes");
    vitcl_grid *grids = allocate(run->images, sizeof *grids);
    for (size_t i = 0; entry && i < run->images; i++) {
        int64_t sides[2];
        memcpy(sides, entry->data + i * sizeof sides, sizeof sides);
        grids[i] = (vitcl_grid){(size_t)sides[0], (size_t)sides[1]};
    }
    return grids;
}

/* The model at the size of the stored pixel values. */
static void open_run(struct run *run)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    vitcl_error err;
    vitcl_model_params params = {0};
    const struct tensor_entry *pixels;
    vitcl_session_params session = {0};

    path_join(folder, FIXTURES, run->folder);
    path_join(path, folder, run->file);
    assert_ok(safetensors_open(&run->expected, path, &err), &err);
    pixels = safetensors_find(&run->expected, "pixel_values");
    assert_non_null(pixels);
    run->images = pixels->shape[0];
    if (pixels->rank == 4) {
        params.image_height = pixels->shape[2];
        params.image_width = pixels->shape[3];
    }
    assert_ok(vitcl_model_create(&run->model, folder, &params, &err), &err);
    vitcl_model_get_info(run->model, &run->info);
    assert_int_equal(run->info.input * run->images * sizeof(float), pixels->bytes);
    session.batch_size = run->images;
    session.precision = run->precision;
    session.outputs = VITCL_OUTPUT_HIDDEN | (run->info.embedding ? VITCL_OUTPUT_EMBEDDING : 0u) |
                      (run->info.classes ? VITCL_OUTPUT_LOGITS : 0u);
    assert_ok(vitcl_session_create(&run->session, run->context, run->model, &session, &err), &err);
}

static void close_run(struct run *run)
{
    vitcl_session_destroy(&run->session);
    vitcl_model_destroy(&run->model);
    safetensors_close(&run->expected);
}

/* An output that is stored must be there, and close. */
static void compare(struct run *run, const char *name, const float *found, size_t numbers)
{
    size_t count;
    const float *expected = stored(run, name, &count);
    char what[PATH_SIZE];
    double deviation;
    if (!expected)
        return;
    snprintf(what, sizeof what, "%s/%s: %s", run->folder, run->file, name);
    if (count != numbers)
        fail_msg("%s: %zu numbers, stored are %zu", what, numbers, count);
    deviation = assert_close(what, found, expected, count, run->tolerance);
    run->largest = deviation > run->largest ? deviation : run->largest;
    run->compared++;
}

/* What the embeddings say of texts, where some are stored. */
static void compare_texts(struct run *run, const float *embedding)
{
    size_t count;
    const float *texts = stored(run, "text_embeds", &count);
    float *scores;
    vitcl_error err;
    if (!texts)
        return;
    count /= run->info.embedding;
    scores = allocate(run->images * count, sizeof *scores);
    for (size_t i = 0; i < run->images; i++)
        assert_ok(vitcl_model_similarity(run->model, embedding + i * run->info.embedding, texts, count,
                                         scores + i * count, &err),
                  &err);
    compare(run, "probabilities", scores, run->images * count);
    free(scores);
}

static void check_file(struct run *run)
{
    size_t pixel_count;
    float *hidden, *embedding, *logits;
    vitcl_grid *grids;
    vitcl_error err;

    open_run(run);
    hidden = allocate(run->images * run->info.tokens * run->info.width, sizeof *hidden);
    embedding = allocate(run->images * run->info.embedding + 1, sizeof *embedding);
    logits = allocate(run->images * run->info.classes + 1, sizeof *logits);
    grids = grids_of(run);
    assert_ok(vitcl_session_run_pixels(
                  run->session, stored(run, "pixel_values", &pixel_count), grids, run->images,
                  &(vitcl_results){run->info.classes ? logits : NULL, run->info.embedding ? embedding : NULL, hidden},
                  &err),
              &err);
    compare(run, "last_hidden_state", hidden, run->images * run->info.tokens * run->info.width);
    compare(run, "embedding", embedding, run->images * run->info.embedding);
    compare(run, "logits", logits, run->images * run->info.classes);
    compare_texts(run, embedding);
    /* What the library does not give, vitcl does not either. */
    assert_true(!safetensors_find(&run->expected, "last_hidden_state") ||
                !safetensors_find(&run->expected, "embedding") == !run->info.embedding);
    close_run(run);
    free(hidden);
    free(embedding);
    free(logits);
    free(grids);
}

/* ---- all of them ---- */

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int is_expected(const struct dirent *entry)
{
    return strncmp(entry->d_name, "expected", 8) == 0;
}

static size_t check_folder(const char *folder, vitcl_context *context, vitcl_precision precision, double tolerance)
{
    struct dirent **files;
    char path[PATH_SIZE];
    int count;
    size_t compared = 0;

    path_join(path, FIXTURES, folder);
    count = scandir(path, &files, is_expected, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        struct run run = {.folder = folder,
                          .file = files[i]->d_name,
                          .context = context,
                          .precision = precision,
                          .tolerance = tolerance};
        check_file(&run);
        print_message("%-36s %-28s %zu outputs, largest deviation %.2g\n", folder, run.file, run.compared, run.largest);
        assert_true(run.compared > 0);
        compared += run.compared;
        free(files[i]);
    }
    free(files);
    return compared;
}

static void check_all(vitcl_context *context, vitcl_precision precision, double tolerance)
{
    struct dirent **folders;
    int count = scandir(FIXTURES "/models", &folders, is_visible, alphasort);
    assert_true(count >= 70);
    for (int i = 0; i < count; i++) {
        char folder[PATH_SIZE];
        path_join(folder, "models", folders[i]->d_name);
        check_folder(folder, context, precision, tolerance);
        free(folders[i]);
    }
    free(folders);
}

static void test_reference(void **state)
{
    (void)state;
    check_all(NULL, VITCL_PRECISION_F32, TOLERANCE_REFERENCE);
}

static void test_reference_f16(void **state)
{
    (void)state;
    check_all(NULL, VITCL_PRECISION_F16, TOLERANCE_F16);
}

static void test_device(void **state)
{
    vitcl_error err;
    vitcl_context *context;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    check_all(context, VITCL_PRECISION_F32, TOLERANCE_DEVICE);
    vitcl_context_destroy(&context);
}

/* A few, as each takes a while to compile: with a bias, lengths, gates and angles, a pooling head. */
static void test_device_f16(void **state)
{
    static const char *const FOLDERS[] = {"models/beit", "models/siglip2_naflex", "models/timm_eva02_base",
                                          "models/timm_vit_map"};
    vitcl_error err;
    vitcl_context *context;
    device_or_skip(state);
    assert_ok(vitcl_context_create(&context, NULL, &err), &err);
    for (size_t i = 0; i < COUNT(FOLDERS); i++)
        check_folder(FOLDERS[i], context, VITCL_PRECISION_F16, TOLERANCE_F16);
    vitcl_context_destroy(&context);
}

int main(void)
{
    const struct CMUnitTest reference[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_reference_f16)};
    const struct CMUnitTest device[] = {cmocka_unit_test(test_device), cmocka_unit_test(test_device_f16)};
    return cmocka_run_group_tests(reference, NULL, NULL) +
           cmocka_run_group_tests(device, device_set_up, device_tear_down);
}

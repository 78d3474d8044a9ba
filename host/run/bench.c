/* bench.c - times whole forward passes over made-up pixel values: upload, all steps, results.
 *
 * Plain C is too slow to check a large batch with. So one image is checked with it, step by step, in a session of its
 * own; this session then answers each image of the batch alone; and the session that is timed has to give these
 * answers.
 */
#include "run/bench.h"
#include "run/timing.h"
#include "run/verify.h"

#include <stdlib.h>
#include <string.h>

static const char *const OUTPUT_NAMES[OUTPUT_COUNT] = {"logits", "embedding", "hidden states"};

struct bench {
    struct session *session;                             /* the one that runs now */
    size_t images;                                       /* in a batch of the one that is timed */
    size_t image;                                        /* numbers in one image's pixel values */
    float *pixels;                                       /* [images,3,H,W] */
    float *expected[OUTPUT_COUNT], *found[OUTPUT_COUNT]; /* [images,...]; NULL for what the plan does not keep */
};

static size_t output_size(const struct bench *b, size_t k)
{
    int output = b->session->plan.outputs[k];
    return output == NO_TENSOR ? 0 : plan_image_bytes(&b->session->plan, output, 1) / sizeof(float);
}

static vitcl_status allocate(struct bench *b, vitcl_error *err)
{
    b->image = session_image_size(b->session);
    b->pixels = malloc(b->images * b->image * sizeof(float));
    if (!b->pixels)
        return fail_memory(err, b->images * b->image * sizeof(float));
    for (size_t i = 0; i < b->images * b->image; i++)
        b->pixels[i] = (float)(i * 2654435761u % 1009) / 504.5f - 1;
    for (size_t k = 0; k < OUTPUT_COUNT; k++) {
        size_t size = b->images * output_size(b, k);
        b->expected[k] = size ? malloc(size * sizeof(float)) : NULL;
        b->found[k] = size ? malloc(size * sizeof(float)) : NULL;
        if (size && (!b->expected[k] || !b->found[k]))
            return fail_memory(err, size * sizeof(float));
    }
    return VITCL_OK;
}

/* Brings images to where the session's next run reads them. In a model of variable resolution they are as square, and
 * nearly as large, as it takes them. */
static vitcl_status feed(struct bench *b, size_t first, size_t count, vitcl_error *err)
{
    const size_t most = b->session->request.max_patches;
    size_t side = 1;
    while (most && (side + 1) * (side + 1) <= most)
        side++;
    for (size_t i = 0; most && i < count; i++) {
        vitcl_status status = session_set_grid(b->session, i, (vitcl_grid){side, most / side}, err);
        if (status != VITCL_OK)
            return status;
    }
    memcpy(session_next_pixels(b->session), b->pixels + first * b->image, count * b->image * sizeof(float));
    return VITCL_OK;
}

/* Answers images from `first` on, as many as the session's batch has, into `outputs`. */
static vitcl_status answer(struct bench *b, size_t first, float *const *outputs, vitcl_error *err)
{
    const size_t count = b->session->plan.images;
    float *to[OUTPUT_COUNT];
    vitcl_status status;
    for (size_t k = 0; k < OUTPUT_COUNT; k++)
        to[k] = outputs[k] ? outputs[k] + first * output_size(b, k) : NULL;
    TRY(feed(b, first, count, err));
    TRY(session_submit(b->session, count, err));
    TRY(session_wait(b->session, &(vitcl_results){to[OUTPUT_LOGITS], to[OUTPUT_EMBEDDING], to[OUTPUT_HIDDEN]}, err));
done:
    return status;
}

vitcl_status bench_compare(const char *name, const float *found, const float *expected, size_t images, size_t size,
                           double tolerance, vitcl_error *err)
{
    for (size_t i = 0; i < images; i++) {
        double deviation = deviation_of(found + i * size, expected + i * size, size);
        if (!(deviation <= tolerance))
            return fail(err, VITCL_ERROR_MISMATCH,
                        "no time for a wrong result: in a batch of %zu the %s of image %zu deviate from those of the "
                        "same image alone by %.3g of their rms; at most %.3g passes",
                        images, name, i, deviation, tolerance);
    }
    return VITCL_OK;
}

/* A session of one image: right by plain C, then asked for the answers that are expected. */
static vitcl_status find_expected(struct bench *b, struct device *device, const struct request *request,
                                  vitcl_error *err)
{
    struct request alone = *request;
    vitcl_status status;
    alone.batch = 1;
    TRY(session_create(&b->session, device, &alone, err));
    TRY(allocate(b, err));
    log_line(device_log(device), VITCL_LOG_PROGRESS, "comparing every step of one image with the plain-C reference");
    TRY(feed(b, 0, 1, err));
    status = session_verify(b->session, NULL, NULL, err);
    if (status == VITCL_ERROR_MISMATCH)
        fail_context(err, status, "no time for a wrong result");
    for (size_t i = 0; i < b->images && status == VITCL_OK; i++)
        status = answer(b, i, b->expected, err);
done:
    return status;
}

static vitcl_status run_batch(void *bench, vitcl_error *err)
{
    struct bench *b = bench;
    return answer(b, 0, b->found, err);
}

/* Before minutes are spent on its images one by one. */
static vitcl_status check_batch(struct device *device, const struct request *request, vitcl_error *err)
{
    const struct facts *facts = session_facts(device, request);
    struct plan plan;
    vitcl_status status = plan_for(&plan, request, facts, err);
    if (status != VITCL_OK)
        return status;
    status = check_fit(&plan, request, facts, err);
    plan_free(&plan);
    return status;
}

vitcl_status bench_request(struct device *device, const struct request *request, double seconds, vitcl_timing *timing,
                           vitcl_error *err)
{
    vitcl_status status;
    struct bench b = {.images = request->batch};

    TRY(check_batch(device, request, err));
    TRY(find_expected(&b, device, request, err));
    if (b.images > 1) {
        session_destroy(&b.session); /* its weights need not be there twice */
        TRY(session_create(&b.session, device, request, err));
    }
    TRY(run_batch(&b, err));
    for (size_t k = 0; k < OUTPUT_COUNT; k++)
        if (b.found[k])
            TRY(bench_compare(OUTPUT_NAMES[k], b.found[k], b.expected[k], b.images, output_size(&b, k),
                              verify_tolerance(&b.session->plan), err));
    log_line(device_log(device), VITCL_LOG_PROGRESS, "timing batches of %zu", b.images);
    TRY(time_runs(run_batch, &b, seconds, timing, err));
done:
    session_destroy(&b.session);
    free(b.pixels);
    for (size_t k = 0; k < OUTPUT_COUNT; k++) {
        free(b.expected[k]);
        free(b.found[k]);
    }
    return status;
}

/* vitcl.c - the public API: checks arguments, owns lifetimes, delegates. */
#include "vitcl.h"

#include "base/file.h"
#include "image/decode.h"
#include "run/bench.h"
#include "run/model.h"
#include "run/peak.h"
#include "run/tune.h"
#include "run/tuned.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IMAGE_SIDE 65536 /* pixels */

struct vitcl_context {
    struct device *device;
};

struct vitcl_model {
    struct model model;
};

struct vitcl_session {
    struct session *session;
    const struct vitcl_model *model;
};

const char *vitcl_version(void)
{
    return VITCL_VERSION_STRING;
}

static vitcl_status fail_null(vitcl_error *err, const char *what)
{
    return fail(err, VITCL_ERROR_ARGUMENT, "%s must not be NULL", what);
}

/* ---- devices ---- */

vitcl_status vitcl_device_list_create(vitcl_device_info **list, size_t *count, vitcl_error *error)
{
    if (list)
        *list = NULL;
    if (!list || !count)
        return fail_null(error, "list and count");
    return device_list(list, count, error);
}

void vitcl_device_list_destroy(vitcl_device_info **list)
{
    if (!list)
        return;
    free(*list);
    *list = NULL;
}

vitcl_status vitcl_context_create(vitcl_context **context, const vitcl_context_params *params, vitcl_error *error)
{
    vitcl_status status;
    const vitcl_context_params defaults = {0};
    const char *selector;

    if (!context)
        return fail_null(error, "context");
    if (!params)
        params = &defaults;
    selector = params->device ? params->device : getenv("VITCL_DEVICE");
    *context = calloc(1, sizeof **context);
    if (!*context)
        return fail_memory(error, sizeof **context);
    status = device_open(&(*context)->device, selector ? selector : "", &(struct logger){params->log, params->log_user},
                         error);
    if (status != VITCL_OK)
        vitcl_context_destroy(context);
    return status;
}

void vitcl_context_destroy(vitcl_context **context)
{
    if (!context || !*context)
        return;
    device_close(&(*context)->device);
    free(*context);
    *context = NULL;
}

const char *vitcl_context_device(const vitcl_context *context)
{
    return context ? device_description(context->device) : "";
}

/* ---- models ---- */

vitcl_status vitcl_model_create(vitcl_model **model, const char *folder, const vitcl_model_params *params,
                                vitcl_error *error)
{
    vitcl_status status;
    const vitcl_model_params defaults = {0};
    if (model)
        *model = NULL;
    if (!model || !folder)
        return fail_null(error, "model and folder");
    if (!params)
        params = &defaults;
    if (!params->image_height != !params->image_width || params->image_height > MAX_IMAGE_SIDE ||
        params->image_width > MAX_IMAGE_SIDE)
        return fail(error, VITCL_ERROR_ARGUMENT, "image size: %zux%zu; each side is 1 to %d pixels, or both are 0",
                    params->image_height, params->image_width, MAX_IMAGE_SIDE);
    if ((unsigned)params->resize > VITCL_RESIZE_TORCHVISION)
        return fail(error, VITCL_ERROR_ARGUMENT, "resize: %d is no vitcl_resize", (int)params->resize);
    *model = calloc(1, sizeof **model);
    if (!*model)
        return fail_memory(error, sizeof **model);
    status = model_open(&(*model)->model, folder, params, error);
    if (status != VITCL_OK) {
        free(*model); /* model_open has left nothing behind */
        *model = NULL;
    }
    return status;
}

void vitcl_model_destroy(vitcl_model **model)
{
    if (!model || !*model)
        return;
    model_close(&(*model)->model);
    free(*model);
    *model = NULL;
}

void vitcl_model_get_info(const vitcl_model *model, vitcl_model_info *info)
{
    const struct config *c = model ? &model->model.config : NULL;
    if (info)
        memset(info, 0, sizeof *info);
    if (!info || !model)
        return;
    *info = (vitcl_model_info){.family = c->family->model_type,
                               .architecture = c->architecture,
                               .timm = c->timm,
                               .image_height = model->model.height,
                               .image_width = model->model.width,
                               .any_size = c->any_size,
                               .max_patches = model->model.max_patches,
                               .patch_height = c->patch_height,
                               .patch_width = c->patch_width,
                               .tokens = model_tokens(&model->model),
                               .prefix_tokens = c->prefix,
                               .input = model_input_size(&model->model),
                               .width = c->width,
                               .layers = c->layers,
                               .heads = c->heads,
                               .mlp_width = c->mlp_width,
                               .activation = activation_name(c->activation),
                               .gated = c->traits & TRAIT_GATED,
                               .eps = c->eps,
                               .pooling = pool_name(c->pool),
                               .classes = model_classes(&model->model),
                               .embedding = model_embedding(&model->model),
                               .regression = c->labels.scores == SCORES_LOGITS,
                               .similarity = model_compares_texts(&model->model),
                               .parameters = model->model.weights.parameters,
                               .flops = model->model.flops,
                               .assumed = c->assumed,
                               .preprocessing = model->model.recipe_error.status == VITCL_OK
                                                    ? model->model.recipe_text.chars
                                                    : model->model.recipe_error.message};
}

const char *vitcl_model_label(const vitcl_model *model, size_t index)
{
    return model && index < model_classes(&model->model) ? model->model.config.labels.names[index] : NULL;
}

void vitcl_model_scores(const vitcl_model *model, const float *logits, float *scores)
{
    if (model && logits && scores)
        model_scores(&model->model, logits, scores);
}

vitcl_status vitcl_model_similarity(const vitcl_model *model, const float *embedding, const float *texts, size_t count,
                                    float *scores, vitcl_error *error)
{
    if (!model || !embedding || !texts || !scores)
        return fail_null(error, "model, embedding, texts and scores");
    if (!model_compares_texts(&model->model))
        return fail(error, VITCL_ERROR_UNSUPPORTED,
                    "this folder has no logit_scale, so embeddings can not be scored against texts; the folder of the "
                    "full model (with its text tower) has one");
    model_similarity(&model->model, embedding, texts, count, scores);
    return VITCL_OK;
}

/* ---- images ---- */

vitcl_status vitcl_image_read(vitcl_image *image, const char *path, bool upright, vitcl_error *error)
{
    struct mapped_file file;
    vitcl_status status;
    if (!image || !path)
        return fail_null(error, "image and path");
    memset(image, 0, sizeof *image);
    status = file_map(&file, path, error);
    if (status != VITCL_OK)
        return status;

    status = image_decode(image, file.data, file.size, upright, path, error);
    file_unmap(&file);
    return status;
}

void vitcl_image_destroy(vitcl_image *image)
{
    if (image)
        image_free(image);
}

vitcl_status vitcl_model_preprocess(const vitcl_model *model, const vitcl_image *image, float *pixel_values,
                                    vitcl_grid *grid, vitcl_error *error)
{
    vitcl_grid ignored;
    if (!model || !image || !image->pixels || !pixel_values)
        return fail_null(error, "model, image, its pixels and pixel_values");
    if (image->width == 0 || image->height == 0)
        return fail(error, VITCL_ERROR_ARGUMENT, "an image of %zux%zu pixels has nothing to see", image->width,
                    image->height);
    if (!grid && model->model.max_patches)
        return fail_null(error, "grid of a model of variable resolution");
    return model_preprocess(&model->model, image, pixel_values, grid ? grid : &ignored, error);
}

/* ---- sessions ---- */

/* The outputs asked for, or the default; those the model does not have are refused. */
static vitcl_status choose_outputs(const struct vitcl_model *model, unsigned *outputs, vitcl_error *error)
{
    if (*outputs == 0)
        *outputs = model_classes(&model->model)     ? VITCL_OUTPUT_LOGITS
                   : model_embedding(&model->model) ? VITCL_OUTPUT_EMBEDDING
                                                    : VITCL_OUTPUT_HIDDEN;
    if (*outputs & ~(unsigned)(VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN))
        return fail(error, VITCL_ERROR_ARGUMENT, "outputs: %#x is not a set of vitcl_output", *outputs);
    if ((*outputs & VITCL_OUTPUT_LOGITS) && !model_classes(&model->model))
        return fail(error, VITCL_ERROR_UNSUPPORTED, "this model has no classifier, so it gives no logits");
    if ((*outputs & VITCL_OUTPUT_EMBEDDING) && !model_embedding(&model->model))
        return fail(error, VITCL_ERROR_UNSUPPORTED,
                    "this model does not pool its tokens into one vector, so it gives no embedding; its hidden states "
                    "are there");
    return VITCL_OK;
}

static vitcl_status make_request(struct request *request, const vitcl_context *context, const vitcl_model *model,
                                 const vitcl_session_params *params, vitcl_error *error)
{
    const vitcl_session_params defaults = {0};
    const vitcl_session_params *p = params ? params : &defaults;

    *request = (struct request){.config = &model->model.config,
                                .weights = &model->model.weights,
                                .batch = p->batch_size ? p->batch_size : 1,
                                .height = model->model.height,
                                .width = model->model.width,
                                .max_patches = model->model.max_patches,
                                .outputs = p->outputs,
                                .precision = p->precision};
    if (context) /* the reference has no variants */
        request->variants = p->variants ? p->variants : getenv("VITCL_VARIANT");
    if (request->batch > VITCL_MAX_BATCH)
        return fail(error, VITCL_ERROR_ARGUMENT, "batch_size: %zu; at most %d is taken", request->batch,
                    VITCL_MAX_BATCH);
    if ((unsigned)p->precision > VITCL_PRECISION_BF16)
        return fail(error, VITCL_ERROR_ARGUMENT, "precision: %d is no vitcl_precision", (int)p->precision);
    return choose_outputs(model, &request->outputs, error);
}

vitcl_status vitcl_plan_describe(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                                 char **text, vitcl_error *error)
{
    struct request request;
    struct plan plan;
    vitcl_status status;
    if (text)
        *text = NULL;
    if (!model || !text)
        return fail_null(error, "model and text");
    status = make_request(&request, context, model, params, error);
    if (status == VITCL_OK)
        status = plan_for(&plan, &request, session_facts(context ? context->device : NULL, &request), error);
    if (status != VITCL_OK)
        return status;
    tuned_recall(&plan, context ? context->device : NULL);
    status = plan_describe(&plan, text, error);
    plan_free(&plan);
    return status;
}

vitcl_status vitcl_tune(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                        double seconds, vitcl_tune_fn report, void *user, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!context || !model)
        return fail_null(error, "context and model");
    if (!(seconds > 0))
        return fail(error, VITCL_ERROR_ARGUMENT, "seconds: %g; more than 0 are needed", seconds);
    status = make_request(&request, context, model, params, error);
    return status == VITCL_OK ? tune_model(context->device, &request, seconds, report, user, error) : status;
}

vitcl_status vitcl_session_create(vitcl_session **session, vitcl_context *context, const vitcl_model *model,
                                  const vitcl_session_params *params, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (session)
        *session = NULL;
    if (!session || !model)
        return fail_null(error, "session and model");
    *session = calloc(1, sizeof **session);
    if (!*session)
        return fail_memory(error, sizeof **session);
    (*session)->model = model;
    TRY(make_request(&request, context, model, params, error));
    TRY(session_create(&(*session)->session, context ? context->device : NULL, &request, error));
done:
    if (status != VITCL_OK)
        vitcl_session_destroy(session);
    return status;
}

void vitcl_session_destroy(vitcl_session **session)
{
    if (!session || !*session)
        return;
    session_destroy(&(*session)->session);
    free(*session);
    *session = NULL;
}

static vitcl_status check_count(const vitcl_session *session, size_t count, vitcl_error *error)
{
    size_t batch = session->session->plan.geometry.batch;
    if (count == 0 || count > batch)
        return fail(error, VITCL_ERROR_ARGUMENT, "count: %zu images; this session takes 1 to %zu", count, batch);
    if (!session_next_pixels(session->session))
        return fail(error, VITCL_ERROR_ARGUMENT, "%d runs are in flight already; vitcl_session_wait ends one",
                    VITCL_QUEUE_DEPTH);
    return VITCL_OK;
}

static vitcl_status check_results(const vitcl_session *session, const vitcl_results *results, vitcl_error *error)
{
    const struct plan *plan = &session->session->plan;
    if ((results->logits && plan->outputs[OUTPUT_LOGITS] == NO_TENSOR) ||
        (results->embedding && plan->outputs[OUTPUT_EMBEDDING] == NO_TENSOR) ||
        (results->hidden && plan->outputs[OUTPUT_HIDDEN] == NO_TENSOR))
        return fail(error, VITCL_ERROR_ARGUMENT,
                    "results: an output that this session does not keep; ask for it in "
                    "vitcl_session_params.outputs");
    return VITCL_OK;
}

/* In a model of variable resolution each image has its own grid. */
static bool has_grids(const vitcl_session *session)
{
    return session->model->model.max_patches > 0;
}

static vitcl_status check_grids(const vitcl_session *session, const vitcl_grid *grids, size_t count, vitcl_error *error)
{
    const size_t most = session->model->model.max_patches;
    if (!has_grids(session))
        return VITCL_OK;
    if (!grids)
        return fail_null(error, "grids of a model of variable resolution");
    for (size_t i = 0; i < count; i++)
        if (grids[i].height == 0 || grids[i].width == 0 || grids[i].height > most / grids[i].width)
            return fail(error, VITCL_ERROR_ARGUMENT, "grids: image %zu has %zux%zu patches; 1 to %zu are taken", i,
                        grids[i].height, grids[i].width, most);
    return VITCL_OK;
}

vitcl_status vitcl_session_submit(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                  size_t count, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    TRY(check_count(session, count, error));
    TRY(check_grids(session, grids, count, error));
    for (size_t i = 0; i < count && has_grids(session); i++)
        TRY(session_set_grid(session->session, i, grids[i], error));
    memcpy(session_next_pixels(session->session), pixel_values,
           count * session_image_size(session->session) * sizeof *pixel_values);
    TRY(session_submit(session->session, count, error));
done:
    return status;
}

vitcl_status vitcl_session_wait(vitcl_session *session, const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !results)
        return fail_null(error, "session and results");
    if (session->session->in_flight == 0)
        return fail(error, VITCL_ERROR_ARGUMENT, "no run is in flight");
    status = check_results(session, results, error);
    return status == VITCL_OK ? session_wait(session->session, results, error) : status;
}

/* A run must not overtake those in flight: its results would be theirs. */
static vitcl_status check_run(const vitcl_session *session, size_t count, const vitcl_results *results,
                              vitcl_error *error)
{
    vitcl_status status;
    if (session->session->in_flight > 0)
        return fail(error, VITCL_ERROR_ARGUMENT,
                    "submitted runs are in flight; fetch them by vitcl_session_wait first");
    status = check_count(session, count, error);
    return status == VITCL_OK ? check_results(session, results, error) : status;
}

vitcl_status vitcl_session_run_pixels(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                      size_t count, const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values || !results)
        return fail_null(error, "session, pixel_values and results");
    TRY(check_run(session, count, results, error));
    TRY(vitcl_session_submit(session, pixel_values, grids, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

vitcl_status vitcl_session_run(vitcl_session *session, const vitcl_image *images, size_t count,
                               const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    float *pixels;
    if (!session || !images || !results)
        return fail_null(error, "session, images and results");
    TRY(check_run(session, count, results, error));
    pixels = session_next_pixels(session->session);
    for (size_t i = 0; i < count; i++) {
        float *values = pixels + i * session_image_size(session->session);
        vitcl_grid grid;
        status = vitcl_model_preprocess(session->model, &images[i], values, &grid, error);
        if (status == VITCL_OK && grid.height)
            status = session_set_grid(session->session, i, grid, error);
        if (status != VITCL_OK)
            TRY(fail_context(error, status, "image %zu", i));
    }
    TRY(session_submit(session->session, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

/* Fills the next slot of a session that looks into its device, --verify or --profile. A batch that is not full repeats
 * its images. */
static vitcl_status fill_batch(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids, size_t count,
                               vitcl_error *error)
{
    vitcl_status status;
    const vitcl_results nothing = {0};
    size_t image, batch;
    float *pixels;
    TRY(check_run(session, count, &nothing, error));
    if (!session->session->device)
        TRY(fail(error, VITCL_ERROR_ARGUMENT, "a session without a device is the reference itself"));
    image = session_image_size(session->session);
    pixels = session_next_pixels(session->session);
    batch = session->session->plan.geometry.batch;
    TRY(check_grids(session, grids, count, error));
    for (size_t i = 0; i < batch; i++) {
        memcpy(pixels + i * image, pixel_values + i % count * image, image * sizeof *pixels);
        if (has_grids(session))
            TRY(session_set_grid(session->session, i, grids[i % count], error));
    }
done:
    return status;
}

vitcl_status vitcl_session_verify(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                  size_t count, vitcl_verify_fn report, void *user, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    TRY(fill_batch(session, pixel_values, grids, count, error));
    TRY(session_verify(session->session, report, user, error));
done:
    return status;
}

/* ---- speed ---- */

vitcl_status vitcl_context_measure_peak(vitcl_context *context, vitcl_peak *peak, vitcl_error *error)
{
    if (!context || !peak)
        return fail_null(error, "context and peak");
    return peak_measure(context->device, peak, error);
}

vitcl_status vitcl_model_bench(const vitcl_model *model, vitcl_context *context, const vitcl_session_params *params,
                               double seconds, vitcl_timing *timing, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!model || !context || !timing)
        return fail_null(error, "model, context and timing");
    TRY(make_request(&request, context, model, params, error));
    TRY(bench_request(context->device, &request, seconds, timing, error));
done:
    return status;
}

vitcl_status vitcl_session_profile(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                   size_t count, vitcl_profile_fn report, void *user, vitcl_profile *total,
                                   vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values || !total)
        return fail_null(error, "session, pixel_values and total");
    TRY(fill_batch(session, pixel_values, grids, count, error));
    TRY(session_profile(session->session, report, user, total, error));
done:
    return status;
}

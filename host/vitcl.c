/* vitcl.c - the public API: checks arguments, owns lifetimes, delegates. */
#include "vitcl.h"

#include "base/file.h"
#include "base/size.h"
#include "image/decode.h"
#include "image/preprocess.h"
#include "run/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BATCH 65536
#define RECIPE_TEXT 160

struct vitcl_context {
    struct device *device;
};

struct vitcl_model {
    struct config config;
    struct safetensors file;
    struct weights weights;
    struct recipe recipe;
    char recipe_text[RECIPE_TEXT];
    vitcl_error recipe_error; /* why images can not be preprocessed; ready pixel values can still be run */
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
    status = device_open(&(*context)->device, selector ? selector : "",
                         &(struct logger){params->log, params->log_user}, error);
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

/* The recipe must end at the size the model takes. */
static vitcl_status read_recipe(struct vitcl_model *model, const char *folder, vitcl_error *error)
{
    const struct recipe *recipe = &model->recipe;
    const struct config *config = &model->config;
    vitcl_status status = recipe_read(&model->recipe, folder, error);
    if (status != VITCL_OK)
        return status;
    if (recipe->resize && (recipe->width != config->image_width || recipe->height != config->image_height))
        return fail(error, VITCL_ERROR_FORMAT,
                    "%s: the preprocessor makes images of %zux%zu, the model in config.json takes %zux%zu", folder,
                    recipe->width, recipe->height, config->image_width, config->image_height);
    return VITCL_OK;
}

/* "resize to 224x224 bilinear, levels 0..255 become -1..1" */
static void describe_recipe(const struct recipe *recipe, char text[RECIPE_TEXT])
{
    const float *value = recipe->value[0];
    int length = 0;
    if (recipe->resize)
        length = snprintf(text, RECIPE_TEXT, "resize to %zux%zu %s, ", recipe->width, recipe->height,
                          recipe->filter == RESAMPLE_BICUBIC ? "bicubic" : "bilinear");
    snprintf(text + length, RECIPE_TEXT - (size_t)length, "levels 0..255 of the first channel become %.4g..%.4g",
             (double)value[0], (double)value[255]);
}

vitcl_status vitcl_model_create(vitcl_model **model, const char *folder, vitcl_error *error)
{
    vitcl_status status;
    char *path = NULL;

    if (!model || !folder)
        return fail_null(error, "model and folder");
    *model = calloc(1, sizeof **model);
    if (!*model)
        return fail_memory(error, sizeof **model);
    TRY(config_read(&(*model)->config, folder, error));
    path = file_join(folder, "model.safetensors");
    if (!path)
        TRY(fail_memory(error, strlen(folder)));
    TRY(safetensors_open(&(*model)->file, path, error));
    status = weights_find(&(*model)->weights, &(*model)->config, &(*model)->file, error);
    if (status != VITCL_OK)
        TRY(fail_context(error, status, "%s", path));
    if (read_recipe(*model, folder, &(*model)->recipe_error) == VITCL_OK)
        describe_recipe(&(*model)->recipe, (*model)->recipe_text);
done:
    free(path);
    if (status != VITCL_OK)
        vitcl_model_destroy(model);
    return status;
}

void vitcl_model_destroy(vitcl_model **model)
{
    if (!model || !*model)
        return;
    weights_free(&(*model)->weights);
    safetensors_close(&(*model)->file);
    config_free(&(*model)->config);
    free(*model);
    *model = NULL;
}

static size_t class_count(const struct vitcl_model *model)
{
    return model->weights.head == HEAD_CLASSIFIER ? model->config.labels.count : 0;
}

static size_t embedding_size(const struct vitcl_model *model)
{
    switch (model->weights.head) {
    case HEAD_CLASSIFIER:
        return model->config.width;
    case HEAD_POOLER:
        return model->config.pooler_width;
    default:
        return 0;
    }
}

void vitcl_model_get_info(const vitcl_model *model, vitcl_model_info *info)
{
    const struct config *c = &model->config;
    *info = (vitcl_model_info){.family = c->family->model_type,
                               .architecture = c->architecture,
                               .image_height = c->image_height,
                               .image_width = c->image_width,
                               .patch_height = c->patch_height,
                               .patch_width = c->patch_width,
                               .tokens = c->tokens,
                               .width = c->width,
                               .layers = c->layers,
                               .heads = c->heads,
                               .mlp_width = c->mlp_width,
                               .activation = activation_name(c->activation),
                               .eps = c->eps,
                               .classes = class_count(model),
                               .embedding = embedding_size(model),
                               .parameters = model->weights.parameters,
                               .preprocessing = model->recipe_error.status == VITCL_OK
                                                    ? model->recipe_text
                                                    : model->recipe_error.message};
}

const char *vitcl_model_label(const vitcl_model *model, size_t index)
{
    return model && index < class_count(model) ? model->config.labels.names[index] : NULL;
}

void vitcl_model_scores(const vitcl_model *model, const float *logits, float *scores)
{
    size_t count = class_count(model);
    double sum = 0, largest = -INFINITY;
    if (model->config.labels.multi_label) {
        for (size_t i = 0; i < count; i++)
            scores[i] = (float)(1 / (1 + exp(-(double)logits[i])));
        return;
    }
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, (double)logits[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - largest);
    for (size_t i = 0; i < count; i++)
        scores[i] = (float)(exp((double)logits[i] - largest) / sum);
}

/* ---- images ---- */

vitcl_status vitcl_image_read(vitcl_image *image, const char *path, vitcl_error *error)
{
    struct mapped_file file;
    vitcl_status status;
    if (!image || !path)
        return fail_null(error, "image and path");
    memset(image, 0, sizeof *image);
    status = file_map(&file, path, error);
    if (status != VITCL_OK)
        return status;
    status = image_decode(image, file.data, file.size, path, error);
    file_unmap(&file);
    return status;
}

void vitcl_image_destroy(vitcl_image *image)
{
    if (image)
        image_free(image);
}

vitcl_status vitcl_model_preprocess(const vitcl_model *model, const vitcl_image *image, float *pixel_values,
                                    vitcl_error *error)
{
    if (!model || !image || !image->pixels || !pixel_values)
        return fail_null(error, "model, image, its pixels and pixel_values");
    if (image->width == 0 || image->height == 0)
        return fail(error, VITCL_ERROR_ARGUMENT, "an image of %zux%zu pixels has nothing to see", image->width,
                    image->height);
    if (model->recipe_error.status != VITCL_OK)
        return fail(error, model->recipe_error.status, "%s", model->recipe_error.message);
    if (!model->recipe.resize &&
        (image->width != model->config.image_width || image->height != model->config.image_height))
        return fail(error, VITCL_ERROR_FORMAT,
                    "the preprocessor does not resize, the model takes %zux%zu, the image has %zux%zu pixels",
                    model->config.image_width, model->config.image_height, image->width, image->height);
    return recipe_apply(&model->recipe, image, pixel_values, error);
}

/* ---- sessions ---- */

/* The outputs asked for, or the default; those the model does not have are refused. */
static vitcl_status choose_outputs(const struct vitcl_model *model, unsigned *outputs, vitcl_error *error)
{
    if (*outputs == 0)
        *outputs = class_count(model)      ? VITCL_OUTPUT_LOGITS
                   : embedding_size(model) ? VITCL_OUTPUT_EMBEDDING
                                           : VITCL_OUTPUT_HIDDEN;
    if (*outputs & ~(unsigned)(VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN))
        return fail(error, VITCL_ERROR_ARGUMENT, "outputs: %#x is not a set of vitcl_output", *outputs);
    if ((*outputs & VITCL_OUTPUT_LOGITS) && !class_count(model))
        return fail(error, VITCL_ERROR_UNSUPPORTED, "this model has no classifier, so it gives no logits");
    if ((*outputs & VITCL_OUTPUT_EMBEDDING) && !embedding_size(model))
        return fail(error, VITCL_ERROR_UNSUPPORTED, "this model has no pooler, so it gives no embedding; its hidden "
                                                    "states are there");
    return VITCL_OK;
}

static vitcl_status make_plan(struct plan *plan, const vitcl_context *context, const vitcl_model *model,
                              const vitcl_session_params *params, vitcl_error *error)
{
    const vitcl_session_params defaults = {0};
    const vitcl_session_params *p = params ? params : &defaults;
    size_t batch = p->batch_size ? p->batch_size : 1;
    unsigned outputs = p->outputs;
    const char *variants = p->variants ? p->variants : getenv("VITCL_VARIANT");
    vitcl_status status = choose_outputs(model, &outputs, error);

    if (status != VITCL_OK)
        return status;
    if (batch > MAX_BATCH)
        return fail(error, VITCL_ERROR_ARGUMENT, "batch_size: %zu; at most %d is taken", batch, MAX_BATCH);
    return session_plan(plan, context ? context->device : NULL, &model->config, &model->weights, batch, outputs,
                        variants, error);
}

vitcl_status vitcl_plan_describe(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                                 char **text, vitcl_error *error)
{
    struct plan plan;
    vitcl_status status;
    if (!model || !text)
        return fail_null(error, "model and text");
    status = make_plan(&plan, context, model, params, error);
    if (status != VITCL_OK)
        return status;
    status = plan_describe(&plan, text, error);
    plan_free(&plan);
    return status;
}

vitcl_status vitcl_session_create(vitcl_session **session, vitcl_context *context, const vitcl_model *model,
                                  const vitcl_session_params *params, vitcl_error *error)
{
    struct plan plan;
    vitcl_status status;
    if (!session || !model)
        return fail_null(error, "session and model");
    *session = calloc(1, sizeof **session);
    if (!*session)
        return fail_memory(error, sizeof **session);
    (*session)->model = model;
    TRY(make_plan(&plan, context, model, params, error));
    TRY(session_create(&(*session)->session, context ? context->device : NULL, &plan, error));
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
    if ((results->logits && plan->logits == NO_TENSOR) || (results->embedding && plan->embedding == NO_TENSOR) ||
        (results->hidden && plan->hidden == NO_TENSOR))
        return fail(error, VITCL_ERROR_ARGUMENT, "results: an output that this session does not keep; ask for it in "
                                                 "vitcl_session_params.outputs");
    return VITCL_OK;
}

vitcl_status vitcl_session_submit(vitcl_session *session, const float *pixel_values, size_t count, vitcl_error *error)
{
    vitcl_status status;
    const struct config *c;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    status = check_count(session, count, error);
    if (status != VITCL_OK)
        return status;
    c = &session->model->config;
    memcpy(session_next_pixels(session->session), pixel_values,
           count * 3 * c->image_height * c->image_width * sizeof *pixel_values);
    return session_submit(session->session, count, error);
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
        return fail(error, VITCL_ERROR_ARGUMENT, "submitted runs are in flight; fetch them by vitcl_session_wait first");
    status = check_count(session, count, error);
    return status == VITCL_OK ? check_results(session, results, error) : status;
}

vitcl_status vitcl_session_run_pixels(vitcl_session *session, const float *pixel_values, size_t count,
                                      const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values || !results)
        return fail_null(error, "session, pixel_values and results");
    TRY(check_run(session, count, results, error));
    TRY(vitcl_session_submit(session, pixel_values, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

vitcl_status vitcl_session_run(vitcl_session *session, const vitcl_image *images, size_t count,
                               const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    const struct config *c;
    float *pixels;
    if (!session || !images || !results)
        return fail_null(error, "session, images and results");
    TRY(check_run(session, count, results, error));
    c = &session->model->config;
    pixels = session_next_pixels(session->session);
    for (size_t i = 0; i < count; i++)
        TRY(vitcl_model_preprocess(session->model, &images[i], pixels + i * 3 * c->image_height * c->image_width,
                                   error));
    TRY(session_submit(session->session, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

vitcl_status vitcl_session_verify(vitcl_session *session, const float *pixel_values, size_t count,
                                  vitcl_verify_fn report, void *user, vitcl_error *error)
{
    vitcl_status status;
    const struct config *c;
    const vitcl_results nothing = {0};
    size_t image;
    float *pixels;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    TRY(check_run(session, count, &nothing, error));
    if (!session->session->device)
        TRY(fail(error, VITCL_ERROR_ARGUMENT, "a session without a device is the reference itself"));
    c = &session->model->config;
    image = 3 * c->image_height * c->image_width;
    pixels = session_next_pixels(session->session);
    for (size_t i = 0; i < session->session->plan.geometry.batch; i++) /* a batch that is not full repeats its images */
        memcpy(pixels + i * image, pixel_values + i % count * image, image * sizeof *pixels);
    TRY(session_verify(session->session, report, user, error));
done:
    return status;
}

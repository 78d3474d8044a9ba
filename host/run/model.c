/* model.c - puts together what a model folder holds. */
#include "run/model.h"
#include "model/keys.h"
#include "ops/ops.h"
#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sizes ---- */

static bool is_naflex(const struct model *model)
{
    return model->config.traits & TRAIT_NAFLEX;
}

/* The size that the user wants, else what the preprocessor makes where the library resizes positions unasked, else the
 * model's own. */
static vitcl_status choose_size(struct model *model, const vitcl_model_params *params, vitcl_error *err)
{
    const struct config *c = &model->config;
    const struct recipe *recipe = &model->recipe;
    bool by_recipe = c->any_size && model->recipe_error.status == VITCL_OK && recipe->height && recipe->width;

    model->max_patches = recipe->rule == SIZE_PATCHES && is_naflex(model) && model->recipe_error.status == VITCL_OK
                             ? recipe->max_patches
                             : c->max_patches;
    model->height = by_recipe ? recipe->height : c->image_height;
    model->width = by_recipe ? recipe->width : c->image_width;
    if (params->image_height && is_naflex(model))
        return fail(err, VITCL_ERROR_ARGUMENT, "image size: this model runs each image in its own shape");
    if (params->image_height) {
        model->height = params->image_height;
        model->width = params->image_width;
    }
    if (c->one_size && (model->height != c->image_height || model->width != c->image_width))
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "image size: vitcl runs this model at %zux%zu only: it does not have its way of interpolating "
                    "positions",
                    c->image_height, c->image_width);
    if (model->height < c->patch_height || model->width < c->patch_width)
        return fail(err, VITCL_ERROR_ARGUMENT, "image size: %zux%zu pixels are less than one patch of %zux%zu",
                    model->height, model->width, c->patch_height, c->patch_width);
    if (model_tokens(model) > MAX_TOKENS)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "image size: %zux%zu pixels give %zu tokens; vitcl's limit is %d",
                    model->height, model->width, model_tokens(model), MAX_TOKENS);
    return VITCL_OK;
}

size_t model_tokens(const struct model *model)
{
    const struct grid grid = config_grid(&model->config, model->height, model->width);
    return model->config.prefix + (is_naflex(model) ? model->max_patches : grid.height * grid.width);
}

size_t model_input_size(const struct model *model)
{
    const struct config *c = &model->config;
    return is_naflex(model) ? model->max_patches * 3 * c->patch_height * c->patch_width
                            : 3 * model->height * model->width;
}

/* ---- preprocessing ---- */

static vitcl_status read_recipe(struct model *model, const char *folder, const vitcl_model_params *params,
                                vitcl_error *err)
{
    const struct recipe_wishes wishes = {
        .resizer = (enum resizer_choice)params->resize, .height = params->image_height, .width = params->image_width};
    return recipe_read(&model->recipe, folder, model->config.timm ? NULL : model->config.family->model_type, &wishes,
                       err);
}

/* The recipe must end at what the model takes. */
static vitcl_status check_recipe(struct model *model, const char *folder, vitcl_error *err)
{
    struct recipe *recipe = &model->recipe;
    const struct config *c = &model->config;
    if (is_naflex(model) != (recipe->rule == SIZE_PATCHES))
        return fail(err, VITCL_ERROR_FORMAT, "%s: the preprocessor does not fit a model of the family \"%s\"", folder,
                    c->family->model_type);
    if (is_naflex(model)) {
        if (recipe->patch == c->patch_height && recipe->patch == c->patch_width)
            return VITCL_OK;
        return fail(err, VITCL_ERROR_FORMAT,
                    "%s: the preprocessor makes patches of %zux%zu, the model in config.json takes %zux%zu", folder,
                    recipe->patch, recipe->patch, c->patch_height, c->patch_width);
    }
    if (recipe->rule == SIZE_KEEP && !recipe->height) { /* then pictures must come in the model's size */
        recipe->height = model->height;
        recipe->width = model->width;
    }
    if (!recipe->height || !recipe->width)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: the preprocessor keeps each picture's shape, the model takes %zux%zu pixels: say which "
                    "(--image-size)",
                    folder, model->height, model->width);
    if (recipe->height != model->height || recipe->width != model->width)
        return fail(err, VITCL_ERROR_FORMAT,
                    "%s: the preprocessor makes images of %zux%zu (height x width), the model in config.json takes "
                    "%zux%zu; --image-size %zux%zu runs it at the preprocessor's size",
                    folder, recipe->height, recipe->width, model->height, model->width, recipe->height, recipe->width);
    return VITCL_OK;
}

vitcl_status model_preprocess(const struct model *model, const vitcl_image *image, float *pixel_values,
                              vitcl_grid *grid, vitcl_error *err)
{
    if (model->recipe_error.status != VITCL_OK)
        return fail(err, model->recipe_error.status, "%s", model->recipe_error.message);
    *grid = (vitcl_grid){0, 0};
    return recipe_apply(&model->recipe, image, pixel_values, &grid->height, &grid->width, err);
}

/* ---- opening ---- */

static vitcl_status open_weights(struct model *model, const char *folder, vitcl_error *err)
{
    vitcl_status status = safetensors_open_folder(&model->file, folder, err);
    if (status != VITCL_OK)
        return status;
    status = config_complete(&model->config, &model->file, err);
    if (status == VITCL_OK)
        status = weights_find(&model->weights, &model->config, &model->file, err);
    return status == VITCL_OK ? status : fail_context(err, status, "%s", model->file.path);
}

/* The FLOPs of one image, from its plan. */
static vitcl_status count_flops(struct model *model, vitcl_error *err)
{
    const unsigned outputs[] = {VITCL_OUTPUT_HIDDEN, VITCL_OUTPUT_EMBEDDING, VITCL_OUTPUT_LOGITS};
    const struct request request = {.config = &model->config,
                                    .weights = &model->weights,
                                    .batch = 1,
                                    .height = model->height,
                                    .width = model->width,
                                    .max_patches = model->max_patches,
                                    .outputs = outputs[(model_embedding(model) > 0) + (model_classes(model) > 0)]};
    struct plan plan;
    vitcl_status status = plan_build(&plan, &request, err);
    if (status != VITCL_OK)
        return status;
    for (size_t s = 0; s < plan.step_count; s++) {
        operation_of(plan.steps[s].op)->cost(&plan, &plan.steps[s]);
        model->flops += plan.steps[s].flops;
    }
    plan_free(&plan);
    return VITCL_OK;
}

vitcl_status model_open(struct model *model, const char *folder, const vitcl_model_params *params, vitcl_error *err)
{
    const vitcl_model_params defaults = {0};
    vitcl_status status;
    if (!params)
        params = &defaults;
    memset(model, 0, sizeof *model);
    TRY(config_read(&model->config, folder, err));
    TRY(open_weights(model, folder, err));
    read_recipe(model, folder, params, &model->recipe_error);
    TRY(choose_size(model, params, err));
    if (model->recipe_error.status == VITCL_OK && check_recipe(model, folder, &model->recipe_error) == VITCL_OK)
        recipe_describe(&model->recipe, &model->recipe_text);
    if (model->recipe_text.failed)
        TRY(fail_memory(err, model->recipe_text.capacity));
    TRY(count_flops(model, err));
done:
    if (status != VITCL_OK)
        model_close(model);
    return status;
}

void model_close(struct model *model)
{
    text_free(&model->recipe_text);
    weights_free(&model->weights);
    safetensors_close(&model->file);
    config_free(&model->config);
}

/* ---- results ---- */

size_t model_classes(const struct model *model)
{
    enum head head = model->config.head;
    return head == HEAD_CLASSIFIER || head == HEAD_TWO_CLASSIFIERS ? model->config.labels.count : 0;
}

size_t model_embedding(const struct model *model)
{
    switch (model->config.head) {
    case HEAD_CLASSIFIER:
    case HEAD_POOLED:
        return pooled_width(&model->config);
    case HEAD_POOLER:
        return model->config.pooler_width;
    case HEAD_PROJECTION:
        return model->config.projection_width;
    case HEAD_INFER:
    case HEAD_NONE:
    case HEAD_TWO_CLASSIFIERS: /* each reads a vector of its own */
        break;
    }
    return 0;
}

/* In place. */
static void softmax(float *scores, size_t count)
{
    double sum = 0, largest = -INFINITY;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, (double)scores[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)scores[i] - largest);
    for (size_t i = 0; i < count; i++)
        scores[i] = (float)(exp((double)scores[i] - largest) / sum);
}

static void sigmoid(float *scores, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scores[i] = (float)(1 / (1 + exp(-(double)scores[i])));
}

void model_scores(const struct model *model, const float *logits, float *scores)
{
    size_t count = model_classes(model);
    memmove(scores, logits, count * sizeof *scores);
    if (model->config.labels.scores == SCORES_SIGMOID)
        sigmoid(scores, count);
    else if (model->config.labels.scores == SCORES_SOFTMAX)
        softmax(scores, count);
}

bool model_compares_texts(const struct model *model)
{
    const struct config *c = &model->config;
    return model->weights.logit_scale.parts > 0 &&
           (c->head == HEAD_PROJECTION || (c->head == HEAD_POOLED && c->pool == POOL_ATTENTION));
}

static double norm_of(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

void model_similarity(const struct model *model, const float *embedding, const float *texts, size_t count,
                      float *scores)
{
    const size_t width = model_embedding(model);
    const bool sigmoids = model->weights.logit_bias.parts > 0;
    float scale = 0, bias = 0;
    double length = norm_of(embedding, width);

    weight_read_row(&model->weights.logit_scale, 0, &scale);
    if (sigmoids)
        weight_read_row(&model->weights.logit_bias, 0, &bias);
    for (size_t i = 0; i < count; i++) {
        const float *text = texts + i * width;
        double dot = 0;
        for (size_t k = 0; k < width; k++)
            dot += (double)embedding[k] * (double)text[k];
        scores[i] = (float)(dot / (length * norm_of(text, width)) * exp((double)scale) + (double)bias);
    }
    if (sigmoids)
        sigmoid(scores, count);
    else
        softmax(scores, count);
}

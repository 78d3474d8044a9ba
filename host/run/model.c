/* model.c - puts together what a model folder holds. */
#include "run/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The recipe must end at the size the model takes. */
static vitcl_status read_recipe(struct model *model, const char *folder, vitcl_error *err)
{
    const struct recipe_wishes wishes = {.resizer = RESIZER_WANT_PIL};
    struct recipe *recipe = &model->recipe;
    const struct config *config = &model->config;
    vitcl_status status = recipe_read(recipe, folder, "vit", &wishes, err);
    if (status != VITCL_OK)
        return status;
    if (!recipe->height) { /* then images must come out in the model's size */
        recipe->width = config->image_width;
        recipe->height = config->image_height;
    }
    if (recipe->rule == SIZE_PATCHES || recipe->width != config->image_width || recipe->height != config->image_height)
        return fail(err, VITCL_ERROR_FORMAT,
                    "%s: the preprocessor makes images of %zux%zu, the model in config.json takes %zux%zu", folder,
                    recipe->width, recipe->height, config->image_width, config->image_height);
    return VITCL_OK;
}

static void describe_recipe(struct model *model)
{
    struct text text = {0};
    recipe_describe(&model->recipe, &text);
    snprintf(model->recipe_text, sizeof model->recipe_text, "%s", text.chars ? text.chars : "");
    text_free(&text);
}

static vitcl_status open_weights(struct model *model, const char *folder, vitcl_error *err)
{
    vitcl_status status = safetensors_open_folder(&model->file, folder, err);
    if (status != VITCL_OK)
        return status;
    status = weights_find(&model->weights, &model->config, &model->file, err);
    return status == VITCL_OK ? status : fail_context(err, status, "%s", model->file.path);
}

vitcl_status model_open(struct model *model, const char *folder, vitcl_error *err)
{
    vitcl_status status;
    memset(model, 0, sizeof *model);
    TRY(config_read(&model->config, folder, err));
    TRY(open_weights(model, folder, err));
    if (read_recipe(model, folder, &model->recipe_error) == VITCL_OK)
        describe_recipe(model);
done:
    if (status != VITCL_OK)
        model_close(model);
    return status;
}

void model_close(struct model *model)
{
    weights_free(&model->weights);
    safetensors_close(&model->file);
    config_free(&model->config);
}

size_t model_classes(const struct model *model)
{
    return model->weights.head == HEAD_CLASSIFIER ? model->config.labels.count : 0;
}

size_t model_embedding(const struct model *model)
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

void model_scores(const struct model *model, const float *logits, float *scores)
{
    size_t count = model_classes(model);
    double sum = 0, largest = -INFINITY;
    if (model->config.labels.scores == SCORES_LOGITS) {
        memmove(scores, logits, count * sizeof *scores);
        return;
    }
    if (model->config.labels.scores == SCORES_SIGMOID) {
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

vitcl_status model_preprocess(const struct model *model, const vitcl_image *image, float *pixel_values,
                              vitcl_error *err)
{
    if (model->recipe_error.status != VITCL_OK)
        return fail(err, model->recipe_error.status, "%s", model->recipe_error.message);
    return recipe_apply(&model->recipe, image, pixel_values, NULL, NULL, err);
}

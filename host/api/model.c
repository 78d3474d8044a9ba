/* model.c - vitcl.h: model folders, and images made ready for them. */
#include "api/handles.h"
#include "base/file.h"
#include "image/decode.h"

#include <stdlib.h>
#include <string.h>

#define MAX_IMAGE_SIDE 65536 /* pixels */

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

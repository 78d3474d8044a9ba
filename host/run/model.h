/* model.h - a model folder, read and checked: configuration, weights, preprocessing. The engine behind vitcl_model. */
#ifndef VITCL_RUN_MODEL_H
#define VITCL_RUN_MODEL_H

#include "image/preprocess.h"
#include "model/weights.h"

struct model {
    struct config config;
    struct safetensors file;
    struct weights weights; /* views of the file */
    size_t height, width;   /* of the images that sessions run, pixels */
    size_t max_patches;     /* of one image, in a model of variable resolution; else 0 */
    double flops;           /* of one image */
    struct recipe recipe;
    struct text recipe_text;  /* the recipe in one line */
    vitcl_error recipe_error; /* why images can not be preprocessed; ready pixel values can be run all the same */
};

/* Reads config.json, the weights and the preprocessor's file. params NULL: all zero. On failure nothing is owned. */
vitcl_status model_open(struct model *model, const char *folder, const vitcl_model_params *params, vitcl_error *err);
void model_close(struct model *model);

/* T, at the model's image size. */
size_t model_tokens(const struct model *model);

/* Numbers in what the model is fed of one image: [3,H,W], or patches [N,3pp]. */
size_t model_input_size(const struct model *model);

/* C; 0 without a classifier. */
size_t model_classes(const struct model *model);

/* E: length of the embedding; 0 where the model has none. */
size_t model_embedding(const struct model *model);

/* Whether the embedding lies in a space that texts share: what a full model projects or pools for it. */
bool model_compares_texts(const struct model *model);

/* See vitcl_model_scores, vitcl_model_similarity. */
void model_scores(const struct model *model, const float *logits, float *scores);
void model_similarity(const struct model *model, const float *embedding, const float *texts, size_t count,
                      float *scores);

/* Fills pixel values, and the grid of a model of variable resolution. */
vitcl_status model_preprocess(const struct model *model, const vitcl_image *image, float *pixel_values,
                              vitcl_grid *grid, vitcl_error *err);

#endif

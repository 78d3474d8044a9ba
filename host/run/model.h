/* model.h - a model folder, read and checked: configuration, weights, preprocessing. The engine behind vitcl_model. */
#ifndef VITCL_RUN_MODEL_H
#define VITCL_RUN_MODEL_H

#include "image/preprocess.h"
#include "model/weights.h"

struct model {
    struct config config;
    struct safetensors file;
    struct weights weights; /* views of the file */
    struct recipe recipe;
    char recipe_text[512];    /* the recipe in one line */
    vitcl_error recipe_error; /* why images can not be preprocessed; ready pixel values can be run all the same */
};

/* Reads config.json, the weights and the preprocessor's file. On failure nothing is owned. */
vitcl_status model_open(struct model *model, const char *folder, vitcl_error *err);
void model_close(struct model *model);

/* C; 0 without a classifier. */
size_t model_classes(const struct model *model);

/* E: length of the vector the classifier reads, or of pooler_output; 0 where the model has neither. */
size_t model_embedding(const struct model *model);

/* scores [C] of logits [C], by the rule of the Hugging Face pipeline: softmax; sigmoid for one label or several at
 * once; the logits themselves for a regression. In place is allowed. */
void model_scores(const struct model *model, const float *logits, float *scores);

/* pixel_values [3,H,W], caller's memory. */
vitcl_status model_preprocess(const struct model *model, const vitcl_image *image, float *pixel_values,
                              vitcl_error *err);

#endif

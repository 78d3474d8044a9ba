/* made_up_model.h - for tests of plans: models whose weights are described, but not there, and devices that are facts
 * only. A plan never reads a weight, so ViT-L/16 costs nothing here.
 */
#ifndef VITCL_TESTS_MADE_UP_MODEL_H
#define VITCL_TESTS_MADE_UP_MODEL_H

#include "ops/ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct facts CPU = {.is_cpu = true, .has_compiler = true, .max_work_group = 4096, .buffer_align = 128};
static const struct facts VECTOR_CPU = {
    .is_cpu = true, .has_compiler = true, .max_work_group = 4096, .vector_width = 8, .buffer_align = 128};
static const struct facts GPU = {
    .has_compiler = true, .units = 60, .max_work_group = 1024, .local_memory = 49152, .buffer_align = 512};
static const struct facts NO_COMPILER = {.max_work_group = 64, .local_memory = 16384, .buffer_align = 4096};

struct model {
    struct config config;
    struct weights weights;
};

static inline struct weight described(size_t rows, size_t cols)
{
    return (struct weight){.parts = 1, .part = {{.rows = rows, .cols = cols}}, .rows = rows, .cols = cols};
}

static inline struct linear linear(size_t out, size_t in)
{
    return (struct linear){described(out, in), described(1, out)};
}

/* A classifier of square images, or a model with a pooler where classes is 0. */
static inline void make_model(struct model *model, size_t image, size_t patch, size_t width, size_t layers,
                              size_t heads, size_t mlp_width, size_t classes)
{
    struct config *c = &model->config;
    struct weights *w = &model->weights;
    struct norm norm = {described(1, width), described(1, width)};
    size_t grid = image / patch;

    *c = (struct config){.image_height = image,
                         .image_width = image,
                         .patch_height = patch,
                         .patch_width = patch,
                         .grid_height = grid,
                         .grid_width = grid,
                         .prefix = 1,
                         .tokens = grid * grid + 1,
                         .position = POSITION_ALL,
                         .traits = TRAIT_CLS | TRAIT_NORM,
                         .head = classes ? HEAD_CLASSIFIER : HEAD_POOLER,
                         .pool = POOL_CLS,
                         .width = width,
                         .heads = heads,
                         .layers = layers,
                         .mlp_width = mlp_width,
                         .activation = ACTIVATION_GELU,
                         .pooler_activation = ACTIVATION_TANH,
                         .eps = 1e-12};
    *w = (struct weights){.prefix = described(1, width),
                          .position = described(c->tokens, width),
                          .patch = linear(width, 3 * patch * patch),
                          .norm = norm};
    *(classes ? &w->classifier : &w->pooler) = linear(classes ? classes : width, width);
    w->blocks = calloc(layers, sizeof *w->blocks);
    assert_non_null(w->blocks);
    for (size_t i = 0; i < layers; i++)
        w->blocks[i] = (struct block_weights){.norm1 = norm,
                                              .qkv = linear(3 * width, width),
                                              .norm2 = norm,
                                              .proj = linear(width, width),
                                              .fc1 = linear(mlp_width, width),
                                              .fc2 = linear(width, mlp_width)};
}

/* That of tests/fixtures/digits. */
static inline void make_digits(struct model *model)
{
    make_model(model, 32, 4, 64, 4, 4, 256, 10);
}

static inline struct request request_of(const struct model *model, size_t batch, unsigned outputs)
{
    return (struct request){.config = &model->config,
                            .weights = &model->weights,
                            .batch = batch,
                            .height = model->config.image_height,
                            .width = model->config.image_width,
                            .outputs = outputs};
}

static inline void build(struct plan *plan, const struct model *model, size_t batch, unsigned outputs)
{
    vitcl_error err;
    const struct request request = request_of(model, batch, outputs);
    if (plan_build(plan, &request, &err) != VITCL_OK)
        fail_msg("%s", err.message);
}

static inline void free_model(struct model *model)
{
    free(model->weights.blocks);
}

#endif

/* config_families.h - for tests: the families of Hugging Face with the defaults of their configuration classes, and
 * config.json files of each. Included by one test at a time.
 */
#ifndef VITCL_TESTS_CONFIG_FAMILIES_H
#define VITCL_TESTS_CONFIG_FAMILIES_H

#include "config_bench.h"

#define VIT (TRAIT_CLS | TRAIT_POSITION | TRAIT_PATCH_BIAS | TRAIT_BIASES | TRAIT_NORM)
#define BEIT                                                                                                           \
    (TRAIT_CLS | TRAIT_PATCH_BIAS | (TRAIT_BIASES & ~TRAIT_KEY_BIAS) | TRAIT_SCALE | TRAIT_MEAN_POOL | TRAIT_POOL_NORM)
#define DINOV3 (TRAIT_CLS | TRAIT_PATCH_BIAS | (TRAIT_BIASES & ~TRAIT_KEY_BIAS) | TRAIT_NORM | TRAIT_SCALE)
#define CLIP   (TRAIT_CLS | TRAIT_POSITION | TRAIT_BIASES | TRAIT_PRE_NORM)
#define SIGLIP (TRAIT_POSITION | TRAIT_PATCH_BIAS | TRAIT_BIASES | TRAIT_NORM | TRAIT_HEAD)

/* The configuration classes of transformers 5.23. All have 12 blocks and 64 numbers in a head. */
static const struct defaults {
    const char *type;
    bool nested;
    size_t patch, width, registers, tokens;
    double eps;
    enum activation activation;
    unsigned traits;
    enum position position;
    bool any_size;
    enum position_filter filter;
} DEFAULTS[] = {
    {"vit", 0, 16, 768, 0, 197, 1e-12, ACTIVATION_GELU, VIT, POSITION_ALL, 0, POSITION_BICUBIC},
    {"vit_msn", 0, 16, 768, 0, 197, 1e-6, ACTIVATION_GELU, VIT, POSITION_ALL, 0, POSITION_BICUBIC},
    {"vit_mae", 0, 16, 768, 0, 197, 1e-12, ACTIVATION_GELU, VIT, POSITION_ALL, 0, POSITION_BICUBIC},
    {"deit", 0, 16, 768, 0, 198, 1e-12, ACTIVATION_GELU, VIT | TRAIT_DIST, POSITION_ALL, 0, POSITION_BICUBIC},
    {"ijepa", 0, 16, 768, 0, 196, 1e-12, ACTIVATION_GELU, VIT & ~TRAIT_CLS, POSITION_ALL, 0, POSITION_BICUBIC},
    {"beit", 0, 16, 768, 0, 197, 1e-12, ACTIVATION_GELU, BEIT, POSITION_NONE, 1, POSITION_BICUBIC},
    {"data2vec-vision", 0, 16, 768, 0, 197, 1e-12, ACTIVATION_GELU, BEIT, POSITION_NONE, 1, POSITION_BICUBIC},
    {"dinov2", 0, 14, 768, 0, 257, 1e-6, ACTIVATION_GELU, VIT | TRAIT_SCALE, POSITION_ALL, 1, POSITION_BICUBIC},
    {"dinov2_with_registers", 0, 16, 768, 4, 201, 1e-6, ACTIVATION_GELU, VIT | TRAIT_SCALE, POSITION_CLS, 1,
     POSITION_BICUBIC_AA},
    {"dinov3_vit", 0, 16, 384, 0, 197, 1e-5, ACTIVATION_GELU, DINOV3, POSITION_NONE, 1, POSITION_BICUBIC},
    {"clip", 1, 32, 768, 0, 50, 1e-5, ACTIVATION_QUICK_GELU, CLIP, POSITION_ALL, 0, POSITION_BICUBIC},
    {"clip_vision_model", 0, 32, 768, 0, 50, 1e-5, ACTIVATION_QUICK_GELU, CLIP, POSITION_ALL, 0, POSITION_BICUBIC},
    {"metaclip_2", 1, 32, 768, 0, 50, 1e-5, ACTIVATION_QUICK_GELU, CLIP, POSITION_ALL, 0, POSITION_BICUBIC},
    {"metaclip_2_vision_model", 0, 32, 768, 0, 50, 1e-5, ACTIVATION_QUICK_GELU, CLIP, POSITION_ALL, 0,
     POSITION_BICUBIC},
    {"siglip", 1, 16, 768, 0, 196, 1e-6, ACTIVATION_GELU_TANH, SIGLIP, POSITION_PATCHES, 0, POSITION_BICUBIC},
    {"siglip_vision_model", 0, 16, 768, 0, 196, 1e-6, ACTIVATION_GELU_TANH, SIGLIP, POSITION_PATCHES, 0,
     POSITION_BICUBIC},
    {"siglip2", 1, 16, 768, 0, 256, 1e-6, ACTIVATION_GELU_TANH, SIGLIP | TRAIT_NAFLEX, POSITION_PATCHES, 0,
     POSITION_BILINEAR_AA},
    {"siglip2_vision_model", 0, 16, 768, 0, 256, 1e-6, ACTIVATION_GELU_TANH, SIGLIP | TRAIT_NAFLEX, POSITION_PATCHES, 0,
     POSITION_BILINEAR_AA},
};

/* A config.json of that family with these members, in the vision tower's own object where it has one. */
static inline void make_text(char text[1024], const struct defaults *d, const char *root, const char *tower)
{
    const char *comma = *root ? ", " : "";
    if (d->nested)
        snprintf(text, 1024, "{'model_type': '%s'%s%s, 'vision_config': {%s}}", d->type, comma, root, tower);
    else
        snprintf(text, 1024, "{'model_type': '%s'%s%s%s%s}", d->type, comma, root, *tower ? ", " : "", tower);
}

static inline const struct config *accept_tower(struct bench *bench, const struct defaults *d, const char *tower)
{
    char text[1024];
    make_text(text, d, "", tower);
    return accept_text(bench, text);
}

static inline const struct defaults *of_type(const char *type)
{
    for (size_t i = 0; i < COUNT(DEFAULTS); i++)
        if (strcmp(DEFAULTS[i].type, type) == 0)
            return &DEFAULTS[i];
    fail_msg("no %s", type);
    return NULL;
}

static inline void refuse_tower(struct bench *bench, const char *type, const char *tower, vitcl_status status,
                                const char *message)
{
    char text[1024];
    make_text(text, of_type(type), "", tower);
    refuse_text(bench, text, status, message);
}

#endif

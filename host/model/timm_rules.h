/* timm_rules.h - what the name of a timm architecture says about it that neither config.json nor the tensors do. */
#ifndef VITCL_MODEL_TIMM_RULES_H
#define VITCL_MODEL_TIMM_RULES_H

#include <stdbool.h>
#include <stddef.h>

struct timm_rules {
    const char *refused;    /* why it is not run; NULL for those that are */
    bool is_eva;            /* of the class Eva; else VisionTransformer */
    size_t heads;           /* 0: as many as 64 goes into the width */
    const char *activation; /* of a plain MLP */
    double eps;
    const char *rope; /* "none", "cat", "dinov3" */
    const char *pool; /* "token", "avg", "map" */
    bool pool_prefix;
    bool has_position;  /* a learned position is added */
    bool final_norm;    /* a LayerNorm behind the last block */
    const char *filter; /* how positions come to another size: "bicubic", "bilinear"; "unknown": a way vitcl lacks */
    bool any_size;      /* the library takes images of any size unasked */
};

struct timm_rules timm_look_up(const char *architecture);

#endif

/* timm_rules.c - tables of patterns; in each the first that matches decides. tests/test_timm.c holds them against every
 * architecture that timm 1.0.31 registers. */
#include "model/timm_rules.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct rule {
    const char *pattern, *value;
};

/* Why an architecture is not run; NULL for those that are. */
static const struct rule REFUSED[] = {
    {"*_rpn_*", "its LayerNorms stand behind the blocks' branches"},
    {"eva02_enormous_*", "its LayerNorms stand behind the blocks' branches"},
    {"vit_*_rope_reg*", NULL},
    {"vit_*_rope_*", "its rotary position is of another kind"},
    {"vit_pe_*", "its rotary position is of another kind"},
    {"vit_*relpos_*", "its relative position is of another kind"},
    {"test_vit_relpos", "its relative position is of another kind"},
    {"vit_*_sapiens2", "it has RMSNorm"},
    {"test_vit4", "it has RMSNorm"},
    {"vit_*_xp_*", "its attention and MLP run in parallel"},
    {"vit_*_18x2_*", "its attention and MLP run in parallel"},
    {"vit_*pwee_*", "its attention and MLP run in parallel"},
    {"vit_dwee_*", "it has differential attention"},
    {"vit_dlittle_*", "it has differential attention"},
    {"vit_*_mci_*", "it begins with convolutions"},
    {"vit_*_r26_*", "it begins with convolutions"},
    {"vit_*_r50_*", "it begins with convolutions"},
    {"vit_tiny_r_*", "it begins with convolutions"},
    {"vit_*_resnet*", "it begins with convolutions"},
    {"vit_*", NULL},
    {"deit_*", NULL},
    {"deit3_*", NULL},
    {"eva_*", NULL},
    {"eva02_*", NULL},
    {"beit3_*", NULL},
    {"flexivit_*", NULL},
    {"test_vit*", NULL},
    {"*", "it is none of timm's VisionTransformer and Eva models"},
};

static const struct rule CLASSES[] = {{"eva_giant_*", "eva"}, {"eva02_*", "eva"},   {"*_rope_reg*", "eva"},
                                      {"*_dinov3*", "eva"},   {"*_lingbot", "eva"}, {"*", "vit"}};

/* "64": as many heads as 64 goes into the width. */
static const struct rule HEADS[] = {{"vit_giant_*_dinov2", "64"},
                                    {"vit_giant_*_tipsv2", "64"},
                                    {"vit_giant_*_lingbot", "64"},
                                    {"vit_giant_*_radio_*", "64"},
                                    {"*giant*", "16"},
                                    {"*_huge_plus_*", "64"},
                                    {"*_huge_*", "16"},
                                    {"vit_gigantic_*", "16"},
                                    {"vit_so400m_*", "16"},
                                    {"vit_base_patch16_gap_*", "16"},
                                    {"vit_7b_*", "32"},
                                    {"test_vit3", "3"},
                                    {"test_vit*", "2"},
                                    {"*", "64"}};

/* Of a plain MLP; a gated one has silu. */
static const struct rule ACTIVATIONS[] = {{"*_quickgelu_*", "quick_gelu"},
                                          {"vit_base_patch32_siglip_*", "gelu_tanh"},
                                          {"vit_large_patch16_siglip_*512", "gelu_tanh"},
                                          {"vit_so400m_patch16_siglip_*", "gelu_tanh"},
                                          {"vit_giantopt_*", "gelu_tanh"},
                                          {"*", "gelu"}};

static const struct rule EPS[] = {
    {"vit_*_clip_*", "1e-5"}, {"*_dinov3*", "1e-5"}, {"*_lingbot", "1e-5"}, {"beit3_*", "1e-5"}, {"*", "1e-6"}};

static const struct rule ROPES[] = {
    {"eva02_*", "cat"}, {"*_rope_reg*", "cat"}, {"*_dinov3*", "dinov3"}, {"*_lingbot", "dinov3"}, {"*", "none"}};

static const struct rule POOLS[] = {{"test_vit2", "avg"},      {"test_vit3", "map"},  {"*_map_*", "map"},
                                    {"*_gap_*", "avg"},        {"*_siglip_*", "map"}, {"eva02_*_clip_*", "token"},
                                    {"eva_*_clip_*", "token"}, {"eva*", "avg"},       {"beit3_*", "avg"},
                                    {"*_dinov3*", "avg"},      {"*", "token"}};

/* Whether tokens before the patches are pooled, too. */
static const struct rule POOL_PREFIX[] = {{"test_vit3", "yes"}, {"*", "no"}};

/* Whether a learned position is added. */
static const struct rule POSITIONS[] = {{"*_rope_reg*", "no"}, {"*_dinov3*", "no"}, {"*_lingbot", "no"}, {"*", "yes"}};

/* Whether there is a LayerNorm behind the last block, of the tokens or of what is pooled. */
static const struct rule FINAL_NORMS[] = {{"*_radio_*", "no"}, {"vit_intern300m_*", "no"}, {"*", "yes"}};

/* How positions come to another size. */
static const struct rule FILTERS[] = {{"flexivit_*", "bilinear"},
                                      {"vit_base_*_radio_v3", "unknown"},
                                      {"vit_huge_*_radio_v3", "unknown"},
                                      {"*_radio_*", "bilinear"},
                                      {"*", "bicubic"}};

/* Whether the library takes images of any size unasked. */
static const struct rule ANY_SIZE[] = {{"*_dinov3*", "yes"}, {"*_lingbot", "yes"},        {"test_vit", "yes"},
                                       {"test_vit2", "yes"}, {"vit_intern300m_*", "yes"}, {"*", "no"}};

/* The rules end with one that matches anything. */
static const char *look_up(const struct rule *rules, const char *architecture)
{
    while (fnmatch(rules->pattern, architecture, 0) != 0)
        rules++;
    return rules->value;
}

static bool is(const struct rule *rules, const char *architecture, const char *value)
{
    return strcmp(look_up(rules, architecture), value) == 0;
}

struct timm_rules timm_look_up(const char *architecture)
{
    const unsigned long heads = strtoul(look_up(HEADS, architecture), NULL, 10);
    return (struct timm_rules){.refused = look_up(REFUSED, architecture),
                               .is_eva = is(CLASSES, architecture, "eva"),
                               .heads = heads == 64 ? 0 : heads,
                               .activation = look_up(ACTIVATIONS, architecture),
                               .eps = strtod(look_up(EPS, architecture), NULL),
                               .rope = look_up(ROPES, architecture),
                               .pool = look_up(POOLS, architecture),
                               .pool_prefix = is(POOL_PREFIX, architecture, "yes"),
                               .has_position = is(POSITIONS, architecture, "yes"),
                               .final_norm = is(FINAL_NORMS, architecture, "yes"),
                               .filter = look_up(FILTERS, architecture),
                               .any_size = is(ANY_SIZE, architecture, "yes")};
}

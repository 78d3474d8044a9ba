/* test_config_classes.c - config_read on every family of Hugging Face: the vision tower's nested object, the classes
 * that `architectures` names, and what is no family of vitcl's.
 */
#include "config_families.h"

/* ---- the vision tower's own object ------------------------------------------------------------------------------- */

static void test_nested(void **state)
{
    static const char *const towers[] = {"clip", "metaclip_2", "siglip", "siglip2"};
    static const char *const wrong[] = {"null", "[]", "3", "'x'", "true"};
    char text[1024];
    for (size_t i = 0; i < COUNT(towers); i++) {
        const struct config *c;
        snprintf(text, sizeof text,
                 "{'model_type': '%s', 'hidden_size': 100, 'patch_size': 'x', 'id2label': {'0': 'a'}, "
                 "'vision_config': {'hidden_size': 96, 'patch_size': 8, 'id2label': {'0': 'b', '1': 'c'}}}",
                 towers[i]);
        c = accept_text(*state, text);
        assert_true(c->width == 96 && c->patch_height == 8); /* the outer ones are of other parts */
        assert_int_equal(c->labels.count, 1);                /* the classifier is not the tower's */
        assert_string_equal(c->labels.names[0], "a");
        for (size_t k = 0; k < COUNT(wrong); k++) {
            snprintf(text, sizeof text, "{'model_type': '%s', 'vision_config': %s}", towers[i], wrong[k]);
            refuse_text(*state, text, VITCL_ERROR_FORMAT, "vision_config: expected an object, found ");
        }
        snprintf(text, sizeof text, "{'model_type': '%s'}", towers[i]);
        refuse_text(*state, text, VITCL_ERROR_FORMAT, "vision_config: expected an object, found nothing");
        refuse_tower(*state, towers[i], "'hidden_size': 0", VITCL_ERROR_FORMAT,
                     "config.json: vision_config: hidden_size: expected an integer from 1 to 65536, found 0");
        refuse_tower(*state, towers[i], "'hidden_size': 100", VITCL_ERROR_FORMAT,
                     "config.json: vision_config: num_attention_heads: 12 does not divide hidden_size 100");
        refuse_tower(*state, towers[i], "'num_channels': 1", VITCL_ERROR_UNSUPPORTED,
                     "config.json: vision_config: num_channels: vitcl runs models of 3 channels, not 1");
    }
    /* Of a tower alone the object would be another model's. */
    assert_int_equal(
        accept_text(*state, "{'model_type': 'clip_vision_model', 'vision_config': {'hidden_size': 96}}")->width, 768);
}

/* CLIP's first files: vision_config_dict counts alone, filled up by the class's defaults. */
static void test_nested_dict(void **state)
{
    const struct config *c =
        accept_text(*state, "{'model_type': 'clip', 'vision_config_dict': {'hidden_size': 96, 'patch_size': 8}, "
                            "'vision_config': {'hidden_size': 72, 'num_hidden_layers': 3, 'hidden_act': 'relu'}}");
    assert_true(c->width == 96 && c->patch_height == 8 && c->layers == 12);
    assert_int_equal(c->activation, ACTIVATION_QUICK_GELU);
    c = accept_text(*state, "{'model_type': 'clip', 'vision_config_dict': {}}"); /* vision_config is not even needed */
    assert_int_equal(c->width, 768);
    c = accept_text(*state, "{'model_type': 'clip', 'vision_config_dict': null, 'vision_config': {'hidden_size': 72}}");
    assert_int_equal(c->width, 72);
    refuse_text(*state, "{'model_type': 'clip', 'vision_config_dict': {'hidden_size': '96'}, 'vision_config': {}}",
                VITCL_ERROR_FORMAT, "config.json: vision_config_dict: hidden_size: expected an integer");
}

/* ---- classes ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *type, *architecture;
    enum head head;
    enum pool pool;
} CLASSES[] = {
    {"vit", "ViTForImageClassification", HEAD_CLASSIFIER, POOL_CLS},
    {"vit", "ViTModel", HEAD_POOLER, POOL_CLS},
    {"vit", "ViTForMaskedImageModeling", HEAD_NONE, POOL_NONE},
    {"vit_msn", "ViTMSNForImageClassification", HEAD_CLASSIFIER, POOL_CLS},
    {"vit_msn", "ViTMSNModel", HEAD_NONE, POOL_NONE},
    {"vit_mae", "ViTMAEForPreTraining", HEAD_NONE, POOL_NONE},
    {"vit_mae", "ViTMAEModel", HEAD_NONE, POOL_NONE},
    {"deit", "DeiTForImageClassificationWithTeacher", HEAD_TWO_CLASSIFIERS, POOL_CLS_DIST},
    {"deit", "DeiTForImageClassification", HEAD_CLASSIFIER, POOL_CLS},
    {"deit", "DeiTModel", HEAD_POOLER, POOL_CLS},
    {"deit", "DeiTForMaskedImageModeling", HEAD_NONE, POOL_NONE},
    {"ijepa", "IJepaForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"ijepa", "IJepaModel", HEAD_NONE, POOL_NONE},
    {"beit", "BeitForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"beit", "BeitModel", HEAD_POOLED, POOL_MEAN},
    {"data2vec-vision", "Data2VecVisionForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"data2vec-vision", "Data2VecVisionModel", HEAD_POOLED, POOL_MEAN},
    {"dinov2", "Dinov2ForImageClassification", HEAD_CLASSIFIER, POOL_CLS_MEAN},
    {"dinov2", "Dinov2Model", HEAD_POOLED, POOL_CLS},
    {"dinov2_with_registers", "Dinov2WithRegistersForImageClassification", HEAD_CLASSIFIER, POOL_CLS_MEAN},
    {"dinov2_with_registers", "Dinov2WithRegistersModel", HEAD_POOLED, POOL_CLS},
    {"dinov3_vit", "DINOv3ViTModel", HEAD_POOLED, POOL_CLS},
    {"clip", "CLIPModel", HEAD_PROJECTION, POOL_CLS},
    {"clip", "CLIPVisionModel", HEAD_POOLED, POOL_CLS},
    {"clip", "CLIPVisionModelWithProjection", HEAD_PROJECTION, POOL_CLS},
    {"clip", "CLIPForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"clip_vision_model", "CLIPVisionModel", HEAD_POOLED, POOL_CLS},
    {"clip_vision_model", "CLIPVisionModelWithProjection", HEAD_PROJECTION, POOL_CLS},
    {"metaclip_2", "MetaClip2Model", HEAD_PROJECTION, POOL_CLS},
    {"metaclip_2", "MetaClip2ForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"metaclip_2_vision_model", "MetaClip2VisionModel", HEAD_POOLED, POOL_CLS},
    {"metaclip_2_vision_model", "MetaClip2VisionModelWithProjection", HEAD_PROJECTION, POOL_CLS},
    {"siglip", "SiglipModel", HEAD_POOLED, POOL_ATTENTION},
    {"siglip", "SiglipForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"siglip_vision_model", "SiglipVisionModel", HEAD_POOLED, POOL_ATTENTION},
    {"siglip2", "Siglip2Model", HEAD_POOLED, POOL_ATTENTION},
    {"siglip2", "Siglip2ForImageClassification", HEAD_CLASSIFIER, POOL_MEAN},
    {"siglip2_vision_model", "Siglip2VisionModel", HEAD_POOLED, POOL_ATTENTION},
};

static void test_classes(void **state)
{
    for (size_t i = 0; i < COUNT(CLASSES); i++) {
        const struct defaults *d = of_type(CLASSES[i].type);
        const bool pools_norm = CLASSES[i].head != HEAD_CLASSIFIER && strstr(d->type, "clip");
        const struct config *c;
        char text[1024], root[128];
        snprintf(root, sizeof root, "'architectures': ['%s']", CLASSES[i].architecture);
        make_text(text, d, root, "");
        c = accept_text(*state, text);
        assert_string_equal(c->architecture, CLASSES[i].architecture);
        assert_int_equal(c->head, CLASSES[i].head);
        assert_int_equal(c->pool, CLASSES[i].pool);
        assert_int_equal(c->traits, d->traits | (pools_norm ? TRAIT_POOL_NORM : 0u));
    }
}

/* The classes of one family are none of another. */
static void test_foreign_classes(void **state)
{
    size_t refused = 0;
    for (size_t i = 0; i < COUNT(CLASSES); i++)
        for (size_t k = 0; k < COUNT(DEFAULTS); k++) {
            const size_t letters = strcspn(DEFAULTS[k].type, "_");
            char text[1024], root[128], message[128];
            if (strncmp(DEFAULTS[k].type, CLASSES[i].type, letters) == 0) /* towers share the classes of the whole */
                continue;
            snprintf(root, sizeof root, "'architectures': ['%s']", CLASSES[i].architecture);
            snprintf(message, sizeof message, "architectures: vitcl does not run \"%s\"", CLASSES[i].architecture);
            make_text(text, &DEFAULTS[k], root, "");
            refuse_text(*state, text, VITCL_ERROR_UNSUPPORTED, message);
            refused++;
        }
    assert_true(refused > 400);
}

/* Without its head SigLIP gives hidden states only; BEiT pools what it is told. */
static void test_switched_pools(void **state)
{
    const struct config *c = accept_text(*state, "{'model_type': 'siglip_vision_model', 'vision_use_head': false, "
                                                 "'architectures': ['SiglipVisionModel']}");
    assert_true(c->head == HEAD_NONE && c->pool == POOL_NONE);
    c = accept_text(*state, "{'model_type': 'siglip', 'vision_config': {'vision_use_head': false}, "
                            "'architectures': ['SiglipForImageClassification']}");
    assert_true(c->head == HEAD_CLASSIFIER && c->pool == POOL_MEAN);
    c = accept_text(*state, "{'model_type': 'beit', 'use_mean_pooling': false, 'architectures': ['BeitModel']}");
    assert_true(c->head == HEAD_POOLED && c->pool == POOL_CLS);
}

/* Names that look like a family's, and models that vitcl knows of but does not run: all with the list of those it does.
 */
static void test_unknown_types(void **state)
{
    static const char *const types[] = {
        "swin",  "bert", "clip_text_model", "siglip_text_model", "vit_hybrid", "dinov3",       "dinov3_convnext",
        "dinov", "CLIP", "clip ",           "data2vec_vision",   "align",      "chinese_clip", "owlvit",
        "%s%n"};
    for (size_t i = 0; i < COUNT(types); i++) {
        char text[128], message[128];
        snprintf(text, sizeof text, "{'model_type': '%s', 'vision_config': {}}", types[i]);
        snprintf(message, sizeof message, "config.json: model_type: vitcl does not run \"%s\"; it has vit, ", types[i]);
        refuse_text(*state, text, VITCL_ERROR_UNSUPPORTED, message);
        for (size_t k = 0; k < COUNT(DEFAULTS); k++)
            assert_non_null(strstr(((struct bench *)*state)->err.message, DEFAULTS[k].type));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),         cmocka_unit_test(test_nested_dict),
        cmocka_unit_test(test_classes),        cmocka_unit_test(test_foreign_classes),
        cmocka_unit_test(test_switched_pools), cmocka_unit_test(test_unknown_types),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

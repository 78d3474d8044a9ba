/* recipe_hf.c - reads a recipe out of the JSON of a transformers image processor.
 *
 * As in transformers 5, a key that is null is not a key that is missing: a missing key gets the class's default, null
 * switches a step off, and is no value for a step that is on. Keys that a class does not know are ignored, as there.
 */
#include "image/recipe.h"

#include <string.h>

/* ---- classes ----------------------------------------------------------------------------------------------------- */

#define HALF                                                                                                           \
    {                                                                                                                  \
        0.5, 0.5, 0.5                                                                                                  \
    }
#define IMAGENET                                                                                                       \
    {0.485, 0.456, 0.406},                                                                                             \
    {                                                                                                                  \
        0.229, 0.224, 0.225                                                                                            \
    }
#define CLIP                                                                                                           \
    {0.48145466, 0.4578275, 0.40821073},                                                                               \
    {                                                                                                                  \
        0.26862954, 0.26130258, 0.27577711                                                                             \
    }

struct processor {
    const char *name;
    enum size_rule rule;
    size_t size;
    bool square;   /* a number as size is a square, not the shortest side */
    bool crop;     /* do_center_crop */
    size_t window; /* crop_size; 0: there is no default */
    enum resample filter;
    bool float_resize;
    double mean[3], std[3];
};

static const struct processor processors[] = {
    {"ViTImageProcessor", SIZE_EXACT, 224, true, false, 0, RESAMPLE_BILINEAR, false, HALF, HALF},
    {"DeiTImageProcessor", SIZE_EXACT, 256, true, true, 224, RESAMPLE_BICUBIC, false, HALF, HALF},
    {"BeitImageProcessor", SIZE_EXACT, 224, true, false, 224, RESAMPLE_BICUBIC, false, HALF, HALF},
    {"BitImageProcessor", SIZE_SHORTEST, 224, false, true, 224, RESAMPLE_BICUBIC, false, CLIP},
    {"CLIPImageProcessor", SIZE_SHORTEST, 224, false, true, 224, RESAMPLE_BICUBIC, false, CLIP},
    {"SiglipImageProcessor", SIZE_EXACT, 224, false, false, 0, RESAMPLE_BICUBIC, false, HALF, HALF},
    {"Siglip2ImageProcessor", SIZE_PATCHES, 0, true, false, 0, RESAMPLE_BILINEAR, false, HALF, HALF},
    {"DINOv3ViTImageProcessor", SIZE_EXACT, 224, true, false, 0, RESAMPLE_BILINEAR, true, IMAGENET},
};
#define PROCESSORS (sizeof processors / sizeof *processors)

/* What AutoImageProcessor takes for a file that names no class. It knows none for dinov2_with_registers and for the
 * vision halves of CLIP and SigLIP: their files name one. */
static const struct {
    const char *model_type, *processor;
} of_model[] = {
    {"vit", "ViTImageProcessor"},
    {"vit_mae", "ViTImageProcessor"},
    {"vit_msn", "ViTImageProcessor"},
    {"ijepa", "ViTImageProcessor"},
    {"deit", "DeiTImageProcessor"},
    {"beit", "BeitImageProcessor"},
    {"data2vec-vision", "BeitImageProcessor"},
    {"dinov2", "BitImageProcessor"},
    {"dinov3_vit", "DINOv3ViTImageProcessor"},
    {"clip", "CLIPImageProcessor"},
    {"metaclip_2", "CLIPImageProcessor"},
    {"siglip", "SiglipImageProcessor"},
    {"siglip2", "Siglip2ImageProcessor"},
};

/* "ViTImageProcessor" as it is, with "Fast" (transformers 4) or with "Pil" behind it. The suffix decides nothing. */
static bool is_called(const struct processor *processor, const char *name, const char *ending)
{
    const size_t stem = strlen(processor->name) - strlen("ImageProcessor");
    if (strncmp(name, processor->name, stem) != 0)
        return false;
    name += stem;
    if (strncmp(name, ending, strlen(ending)) != 0)
        return false;
    name += strlen(ending);
    return !*name || strcmp(name, "Fast") == 0 || (strcmp(name, "Pil") == 0 && !processor->float_resize);
}

static const struct processor *find_processor(const char *name, const char *ending)
{
    for (size_t i = 0; i < PROCESSORS; i++)
        if (is_called(&processors[i], name, ending))
            return &processors[i];
    return NULL;
}

static vitcl_status refuse_class(struct json_at at, const char *name, vitcl_error *err)
{
    struct text known = {0};
    vitcl_status status;
    for (size_t i = 0; i < PROCESSORS; i++)
        text_add(&known, "%s%s", i ? ", " : "", processors[i].name);
    status = fail(err, VITCL_ERROR_UNSUPPORTED, "%s: image processor \"%s\" is not supported; vitcl has %s", at.file,
                  name, known.chars ? known.chars : "");
    text_free(&known);
    return status;
}

static vitcl_status class_of_model(struct json_at at, const char *model_type, const struct processor **processor,
                                   vitcl_error *err)
{
    for (size_t i = 0; i < sizeof of_model / sizeof *of_model; i++)
        if (strcmp(of_model[i].model_type, model_type) == 0)
            *processor = find_processor(of_model[i].processor, "ImageProcessor");
    if (!*processor)
        return fail(err, VITCL_ERROR_FORMAT,
                    "%s: image_processor_type is missing, and transformers has no default for model_type \"%s\": take "
                    "this file from the model's page",
                    at.file, model_type);
    return VITCL_OK;
}

static vitcl_status get_class(struct recipe *recipe, struct json_at at, const char *model_type,
                              const struct processor **processor, vitcl_error *err)
{
    const char *name = NULL, *old_name = NULL;
    vitcl_status status;
    *processor = NULL;
    TRY(json_get_string(at, "image_processor_type", &name, err)); /* the newer key wins */
    TRY(json_get_string(at, "feature_extractor_type", &old_name, err));
    if (name)
        *processor = find_processor(name, "ImageProcessor");
    else if (old_name)
        *processor = find_processor(old_name, "FeatureExtractor");
    if (!name && old_name && !*processor)
        *processor = find_processor(old_name, "ImageProcessor");
    if (!*processor && (name || old_name))
        TRY(refuse_class(at, name ? name : old_name, err));
    if (!*processor) {
        recipe->assumed |= 1u << KEY_CLASS;
        TRY(class_of_model(at, model_type, processor, err));
    }
    recipe->class_name = (*processor)->name;
done:
    return status;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* *value holds the default. A step that is off by default is not worth a word when the file does not name it. */
static vitcl_status get_flag(struct recipe *recipe, struct json_at at, enum recipe_key key, bool *value,
                             vitcl_error *err)
{
    const json_t *found = *value ? recipe_find(recipe, at, key) : json_object_get(at.object, recipe_keys[key]);
    if (json_is_null(found))
        *value = false;
    return json_get_bool(at, recipe_keys[key], value, err);
}

/* Keys that would ask these classes for more, or that other classes have. */
static vitcl_status refuse_steps(struct json_at at, vitcl_error *err)
{
    static const char *const steps[] = {"do_pad", "use_square_size"};
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        bool wanted = false;
        TRY(json_get_bool(at, steps[i], &wanted, err));
        if (wanted)
            TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: %s: true is not supported; vitcl resizes and crops", at.file,
                     steps[i]));
    }
    if (json_object_get(at.object, "crop_pct") && !json_is_null(json_object_get(at.object, "crop_pct")))
        TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: crop_pct is not supported: no class that vitcl has knows it",
                 at.file));
done:
    return status;
}

/* ---- size -------------------------------------------------------------------------------------------------------- */

/* The dictionaries that transformers resizes by. {"longest_edge"} and {"min_pixels","max_pixels"} it reads, too, but
 * these classes can not resize by them. */
static bool get_size_object(const json_t *size, struct recipe *recipe)
{
    static const struct {
        const char *first, *second;
        enum size_rule rule;
    } forms[] = {
        {"height", "width", SIZE_EXACT},
        {"max_height", "max_width", SIZE_WITHIN},
        {"shortest_edge", "longest_edge", SIZE_SHORTEST},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const json_t *first = json_object_get(size, forms[i].first), *second = json_object_get(size, forms[i].second);
        const bool short_only = forms[i].rule == SIZE_SHORTEST && (!second || json_is_null(second));
        const size_t keys = second ? 2 : 1;
        size_t a, b = 0;
        if (!first)
            continue;
        recipe->rule = forms[i].rule;
        if (json_object_size(size) != keys || !recipe_get_side(first, &a) ||
            !(short_only || recipe_get_side(second, &b)))
            return false;
        *(recipe->rule == SIZE_SHORTEST ? &recipe->shortest : &recipe->resize_height) = a;
        *(recipe->rule == SIZE_SHORTEST ? &recipe->longest : &recipe->resize_width) = b;
        return true;
    }
    return false;
}

/* size: 224, [height,width] or an object. Of a longer list transformers takes the first two. */
static bool get_size_value(const json_t *size, bool square, struct recipe *recipe)
{
    if (json_is_object(size))
        return get_size_object(size, recipe);
    if (json_is_array(size) && json_array_size(size) >= 2) {
        recipe->rule = SIZE_EXACT;
        return recipe_get_side(json_array_get(size, 0), &recipe->resize_height) &&
               recipe_get_side(json_array_get(size, 1), &recipe->resize_width);
    }
    recipe->rule = square ? SIZE_EXACT : SIZE_SHORTEST;
    if (!recipe_get_side(size, square ? &recipe->resize_height : &recipe->shortest))
        return false;
    recipe->resize_width = recipe->resize_height;
    return true;
}

static vitcl_status get_count(struct recipe *recipe, struct json_at at, enum recipe_key key, size_t most, size_t *value,
                              vitcl_error *err)
{
    if (json_is_null(recipe_find(recipe, at, key)))
        return json_unexpected(at, recipe_keys[key], "an integer", err);
    return json_get_size(at, recipe_keys[key], 1, most, value, err);
}

static vitcl_status get_patches(struct recipe *recipe, struct json_at at, vitcl_error *err)
{
    vitcl_status status;
    recipe->rule = SIZE_PATCHES;
    recipe->patch = 16;
    recipe->max_patches = 256;
    TRY(get_count(recipe, at, KEY_PATCH_SIZE, 256, &recipe->patch, err));
    TRY(get_count(recipe, at, KEY_MAX_NUM_PATCHES, 65536, &recipe->max_patches, err));
done:
    return status;
}

static vitcl_status get_size(struct recipe *recipe, struct json_at at, const struct processor *processor,
                             vitcl_error *err)
{
    const json_t *size = recipe_find(recipe, at, KEY_SIZE);
    const json_t *to_square = json_object_get(at.object, "default_to_square");
    bool square = !json_is_null(to_square) && processor->square;
    vitcl_status status;
    TRY(json_get_bool(at, "default_to_square", &square, err));
    if (size && !get_size_value(size, square, recipe))
        TRY(json_unexpected(at, "size",
                            "pixels as a number, [height, width], {\"height\", \"width\"}, {\"shortest_edge\"}, "
                            "{\"shortest_edge\", \"longest_edge\"} or {\"max_height\", \"max_width\"}",
                            err));
    if (!size) {
        recipe->rule = processor->rule;
        recipe->shortest = processor->rule == SIZE_SHORTEST ? processor->size : 0;
        recipe->resize_height = recipe->resize_width = processor->rule == SIZE_EXACT ? processor->size : 0;
    }
done:
    return status;
}

static vitcl_status get_filter(struct recipe *recipe, struct json_at at, vitcl_error *err)
{
    const json_t *resample = recipe_find(recipe, at, KEY_RESAMPLE);
    const json_int_t code = json_integer_value(resample);
    if (json_is_null(resample) && recipe->rule == SIZE_PATCHES) /* the one class where null means bilinear */
        return VITCL_OK;
    if (resample && (code == 6 || code == 7))
        return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: resample: %d (%s) is not supported; vitcl has 0 to 5", at.file,
                    (int)code, code == 6 ? "MKS2013" : "MKS2021");
    if (resample && (!json_is_integer(resample) || code < 0 || code >= FILTER_COUNT))
        return json_unexpected(at, "resample", "0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box or 5 hamming", err);
    if (resample)
        recipe->filter = (enum resample)code;
    if (recipe->resizer == RESIZER_TORCHVISION &&
        (recipe->filter == RESAMPLE_BOX || recipe->filter == RESAMPLE_HAMMING))
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: resample: torchvision has no %s filter, Pillow has: say --resize pil", at.file,
                    recipe_filters[recipe->filter]);
    return VITCL_OK;
}

static vitcl_status get_resize(struct recipe *recipe, struct json_at at, const struct processor *processor,
                               vitcl_error *err)
{
    bool resize = true;
    vitcl_status status;
    recipe->filter = processor->filter;
    TRY(get_flag(recipe, at, KEY_DO_RESIZE, &resize, err));
    if (processor->rule == SIZE_PATCHES) {
        if (!resize)
            TRY(fail(err, VITCL_ERROR_UNSUPPORTED, "%s: do_resize: false is not supported with %s", at.file,
                     processor->name));
        TRY(get_patches(recipe, at, err));
    } else if (resize) {
        TRY(get_size(recipe, at, processor, err));
    } else {
        recipe->rule = SIZE_KEEP;
    }
    if (resize)
        TRY(get_filter(recipe, at, err));
done:
    return status;
}

/* crop_size: as size, but only what gives height and width; a number is a square. */
static vitcl_status get_crop(struct recipe *recipe, struct json_at at, const struct processor *processor,
                             vitcl_error *err)
{
    struct recipe window = {.resize_height = processor->window, .resize_width = processor->window};
    const json_t *size;
    vitcl_status status;
    recipe->crop = processor->crop;
    TRY(get_flag(recipe, at, KEY_DO_CENTER_CROP, &recipe->crop, err));
    if (!recipe->crop)
        return VITCL_OK;
    size = processor->window ? recipe_find(recipe, at, KEY_CROP_SIZE) : json_object_get(at.object, "crop_size");
    if (size ? !get_size_value(size, true, &window) || window.rule != SIZE_EXACT : !processor->window)
        TRY(json_unexpected(at, "crop_size", "pixels as a number, [height, width] or {\"height\", \"width\"}", err));
    if (recipe->rule == SIZE_PATCHES) { /* as in transformers, where the class has no such step but checks its size */
        recipe->crop = false;
        return VITCL_OK;
    }
    recipe->height = window.resize_height;
    recipe->width = window.resize_width;
done:
    return status;
}

/* ---- arithmetic -------------------------------------------------------------------------------------------------- */

static vitcl_status get_factor(struct recipe *recipe, struct json_at at, double *factor, vitcl_error *err)
{
    *factor = 1.0 / 255.0;
    if (json_is_null(recipe_find(recipe, at, KEY_RESCALE_FACTOR)))
        return json_unexpected(at, "rescale_factor", "a number, since do_rescale is on", err);
    return json_get_number(at, "rescale_factor", 1e-9, 1e6, factor, err);
}

static vitcl_status get_arithmetic(struct recipe *recipe, struct json_at at, const struct processor *processor,
                                   vitcl_error *err)
{
    struct arithmetic *numbers = &recipe->numbers;
    vitcl_status status;
    numbers->rescale = numbers->normalize = true;
    TRY(get_flag(recipe, at, KEY_DO_RESCALE, &numbers->rescale, err));
    if (numbers->rescale)
        TRY(get_factor(recipe, at, &numbers->factor, err));
    TRY(get_flag(recipe, at, KEY_DO_NORMALIZE, &numbers->normalize, err));
    if (numbers->normalize) {
        memcpy(numbers->mean, processor->mean, sizeof numbers->mean);
        memcpy(numbers->std, processor->std, sizeof numbers->std);
        TRY(recipe_get_mean(recipe, at, KEY_IMAGE_MEAN, numbers->mean, err));
        TRY(recipe_get_std(recipe, at, KEY_IMAGE_STD, numbers->std, err));
    }
    recipe->float_resize = processor->float_resize && numbers->rescale;
    if (processor->float_resize && !numbers->rescale && numbers->normalize)
        TRY(fail(err, VITCL_ERROR_FORMAT, "%s: do_normalize needs do_rescale with %s, as in transformers", at.file,
                 processor->name));
done:
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static vitcl_status choose_back_end(struct recipe *recipe, struct json_at at, const struct processor *processor,
                                    enum resizer_choice choice, vitcl_error *err)
{
    if (choice == RESIZER_WANT_PIL && processor->float_resize)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: %s has no Pillow back end, only torchvision: leave --resize pil away", at.file,
                    processor->name);
    recipe->resizer = choice == RESIZER_WANT_PIL ? RESIZER_PIL : RESIZER_TORCHVISION;
    recipe->library = choice == RESIZER_WANT_PIL ? LIBRARY_PIL : LIBRARY_TORCHVISION;
    return VITCL_OK;
}

vitcl_status recipe_read_hf(struct recipe *recipe, struct json_at at, const char *model_type,
                            const struct recipe_wishes *wishes, vitcl_error *err)
{
    const struct processor *processor;
    vitcl_status status;
    TRY(get_class(recipe, at, model_type, &processor, err));
    TRY(refuse_steps(at, err));
    TRY(choose_back_end(recipe, at, processor, wishes->resizer, err));
    TRY(get_resize(recipe, at, processor, err));
    TRY(get_crop(recipe, at, processor, err));
    if (recipe->rule == SIZE_EXACT && !recipe->crop) {
        recipe->height = recipe->resize_height;
        recipe->width = recipe->resize_width;
    }
    TRY(get_arithmetic(recipe, at, processor, err));
    if (wishes->height && wishes->width)
        TRY(recipe_resize_result(recipe, wishes, err));
done:
    return status;
}

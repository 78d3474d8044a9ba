/* recipe_describe.c - a recipe in one line. */
#include "image/recipe.h"

#include <math.h>

static void describe_size(const struct recipe *recipe, struct text *text)
{
    switch (recipe->rule) {
    case SIZE_KEEP:
        text_add(text, "no resize");
        return;
    case SIZE_EXACT:
        text_add(text, "resize to %zux%zu", recipe->resize_width, recipe->resize_height);
        break;
    case SIZE_SHORTEST:
        text_add(text, "resize shortest side to %zu", recipe->shortest);
        if (recipe->longest)
            text_add(text, ", longest to at most %zu,", recipe->longest);
        break;
    case SIZE_WITHIN:
    case SIZE_WITHIN_ROUND:
        text_add(text, "resize to fit into %zux%zu", recipe->resize_width, recipe->resize_height);
        break;
    case SIZE_COVER_ROUND:
        text_add(text, "resize to cover %zux%zu", recipe->resize_width, recipe->resize_height);
        break;
    case SIZE_PATCHES:
        text_add(text, "resize to at most %zu patches of %zux%zu", recipe->max_patches, recipe->patch, recipe->patch);
        break;
    }
    text_add(text, " %s (%s)", recipe_filters[recipe->filter],
             recipe->resizer == RESIZER_PIL ? "Pillow" : "torchvision");
}

/* "1/255" rather than 0.00392157. */
static void describe_factor(const struct recipe *recipe, struct text *text)
{
    const double inverse = nearbyint(1.0 / recipe->numbers.factor);
    if (!recipe->numbers.rescale)
        text_add(text, "no rescale");
    else if (inverse > 1 && 1.0 / inverse == recipe->numbers.factor)
        text_add(text, "rescale 1/%.0f", inverse);
    else
        text_add(text, "rescale %.9g", recipe->numbers.factor);
}

static void describe_channels(const char *name, const double value[3], struct text *text)
{
    text_add(text, ", %s %.9g", name, value[0]);
    if (value[1] != value[0] || value[2] != value[0])
        text_add(text, " %.9g %.9g", value[1], value[2]);
}

static void describe_assumed(const struct recipe *recipe, struct text *text)
{
    const char *before = "; assumed: ";
    for (size_t key = 0; key < KEY_COUNT; key++)
        if (recipe->assumed >> key & 1) {
            text_add(text, "%s%s", before, recipe_keys[key]);
            before = ", ";
        }
}

void recipe_describe(const struct recipe *recipe, struct text *text)
{
    if (recipe->float_resize) {
        describe_factor(recipe, text);
        text_add(text, ", ");
    }
    describe_size(recipe, text);
    if (recipe->crop)
        text_add(text, ", crop %zux%zu", recipe->width, recipe->height);
    if (!recipe->float_resize) {
        text_add(text, ", ");
        describe_factor(recipe, text);
    }
    if (recipe->numbers.normalize) {
        describe_channels("mean", recipe->numbers.mean, text);
        describe_channels("std", recipe->numbers.std, text);
    }
    text_add(text, " (from %s", recipe->file);
    describe_assumed(recipe, text);
    text_add(text, ")");
}

/* recipe_size.c - the size that a recipe resizes a picture to. Every rule rounds as its library does. */
#include "base/size.h"
#include "image/recipe.h"

#include <math.h>

/* Before the crop. A long thin picture, whose shorter side becomes a few hundred pixels, must not take all memory; the
 * number is the one that image/decode has for pictures. */
#define MOST_PIXELS 178956970

struct grid {
    size_t height, width;
};

/* The shorter side becomes `shortest`; the longer one is cut to whole pixels. */
static struct grid by_shorter_side(struct grid from, size_t shortest)
{
    if (from.width <= from.height)
        return (struct grid){shortest * from.height / from.width, shortest};
    return (struct grid){shortest, shortest * from.width / from.height};
}

/* The same up to a longest side. The rounded side and the exact one serve different purposes, as in transformers. */
static struct grid by_both_sides(struct grid from, size_t shortest, size_t longest)
{
    const double low = (double)size_min(from.height, from.width), high = (double)size_max(from.height, from.width);
    double exact = (double)shortest;
    if (high / low * exact > (double)longest)
        exact = (double)longest * low / high;
    shortest = (size_t)nearbyint(exact);
    if (size_min(from.height, from.width) == shortest)
        return from;
    if (from.width < from.height)
        return (struct grid){(size_t)(exact * (double)from.height / (double)from.width), shortest};
    return (struct grid){shortest, (size_t)(exact * (double)from.width / (double)from.height)};
}

static struct grid within(struct grid from, const struct recipe *recipe)
{
    const double high = (double)recipe->resize_height / (double)from.height;
    const double wide = (double)recipe->resize_width / (double)from.width;
    const double scale = fmin(high, wide);
    return (struct grid){(size_t)((double)from.height * scale), (size_t)((double)from.width * scale)};
}

/* timm's ResizeKeepRatio. */
static struct grid rounded(struct grid from, const struct recipe *recipe)
{
    const double high = (double)from.height / (double)recipe->resize_height;
    const double wide = (double)from.width / (double)recipe->resize_width;
    const double ratio = recipe->rule == SIZE_WITHIN_ROUND ? fmax(high, wide) : fmin(high, wide);
    return (struct grid){(size_t)nearbyint((double)from.height / ratio), (size_t)nearbyint((double)from.width / ratio)};
}

static size_t whole_patches(double scale, size_t side, size_t patch)
{
    return size_max(1, (size_t)ceil((double)side * scale / (double)patch));
}

/* SigLIP 2 searches the scale by halving, and not to the end: the result depends on the bounds and the tolerance. */
static struct grid by_patches(struct grid from, size_t patch, size_t most)
{
    double low = 1e-5 / 10, high = 100;
    while (high - low >= 1e-5) {
        const double scale = (low + high) / 2;
        if (whole_patches(scale, from.height, patch) * whole_patches(scale, from.width, patch) <= most)
            low = scale;
        else
            high = scale;
    }
    return (struct grid){whole_patches(low, from.height, patch) * patch, whole_patches(low, from.width, patch) * patch};
}

static struct grid target_of(const struct recipe *recipe, struct grid from)
{
    switch (recipe->rule) {
    case SIZE_EXACT:
        return (struct grid){recipe->resize_height, recipe->resize_width};
    case SIZE_SHORTEST:
        return recipe->longest ? by_both_sides(from, recipe->shortest, recipe->longest)
                               : by_shorter_side(from, recipe->shortest);
    case SIZE_WITHIN:
        return within(from, recipe);
    case SIZE_WITHIN_ROUND:
    case SIZE_COVER_ROUND:
        return rounded(from, recipe);
    case SIZE_PATCHES:
        return by_patches(from, recipe->patch, recipe->max_patches);
    case SIZE_KEEP:
        break;
    }
    return from;
}

vitcl_status recipe_target(const struct recipe *recipe, const vitcl_image *image, size_t *height, size_t *width,
                           vitcl_error *err)
{
    const struct grid target = target_of(recipe, (struct grid){image->height, image->width});
    size_t pixels;
    if (target.height < 1 || target.width < 1)
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "the picture is %zu x %zu and would be resized to %zu x %zu: it is too long and thin for this "
                    "model, crop it first",
                    image->width, image->height, target.width, target.height);
    if (!size_mul(target.height, target.width, &pixels) || pixels > MOST_PIXELS)
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "the picture is %zu x %zu and would be resized to %zu x %zu; vitcl goes up to %d pixels: it is too "
                    "long and thin for this model, crop it first",
                    image->width, image->height, target.width, target.height, MOST_PIXELS);
    *height = target.height;
    *width = target.width;
    return VITCL_OK;
}

/* preprocess.c - finds the file that holds a model's recipe, and applies a recipe to a picture. */
#include "image/preprocess.h"
#include "base/file.h"
#include "base/size.h"
#include "image/recipe.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The JSON object that holds the recipe, and what it and its name live in. */
struct recipe_file {
    struct json_at at;
    const char *name; /* without the folder */
    json_t *root;
    struct text path;
};

static void recipe_file_close(struct recipe_file *file)
{
    json_decref(file->root);
    text_free(&file->path);
    memset(file, 0, sizeof *file);
}

/* The object in folder/name, or the one under `key` in it. Where there is none, at.object stays NULL. */
static vitcl_status look_in(struct recipe_file *file, const char *folder, const char *name, const char *key,
                            vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const json_t *object = NULL;

    file->name = name;
    text_add(&file->path, "%s/%s", folder, name);
    if (!file->path.failed && file_exists(file->path.chars)) {
        TRY(json_read(&file->root, file->path.chars, err));
        object = key ? json_object_get(file->root, key) : file->root;
    }
    if (key)
        text_add(&file->path, ": %s", key);
    if (file->path.failed)
        TRY(fail_memory(err, strlen(folder)));
    if (json_is_object(object))
        file->at = (struct json_at){object, file->path.chars};
done:
    if (!file->at.object)
        recipe_file_close(file);
    return status;
}

static vitcl_status recipe_file_open(struct recipe_file *file, const char *folder, bool timm, vitcl_error *err)
{
    vitcl_status status;
    if (timm) {
        TRY(look_in(file, folder, "config.json", NULL, err));
    } else {
        TRY(look_in(file, folder, "processor_config.json", "image_processor", err));
        if (!file->at.object)
            TRY(look_in(file, folder, "preprocessor_config.json", NULL, err));
    }
    if (!file->at.object)
        TRY(fail(err, VITCL_ERROR_IO,
                 "%s: %s is missing. How the model wants its pictures scaled can not be guessed: download that file "
                 "from the model's page into the folder",
                 folder, timm ? "config.json" : "preprocessor_config.json"));
done:
    return status;
}

static vitcl_status check_wishes(const struct recipe_wishes *wishes, vitcl_error *err)
{
    if (wishes->height > LONGEST_SIDE || wishes->width > LONGEST_SIDE || !wishes->height != !wishes->width)
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "an image size of %zu x %zu pixels: expected both sides, from 1 to %d, or neither", wishes->width,
                    wishes->height, LONGEST_SIDE);
    return VITCL_OK;
}

vitcl_status recipe_read(struct recipe *recipe, const char *folder, const char *model_type,
                         const struct recipe_wishes *wishes, vitcl_error *err)
{
    struct recipe_file file = {0};
    vitcl_status status;
    *recipe = (struct recipe){.numbers = {.factor = 1, .std = {1, 1, 1}}};
    TRY(check_wishes(wishes, err));
    TRY(recipe_file_open(&file, folder, !model_type, err));
    recipe->file = file.name;
    if (model_type)
        TRY(recipe_read_hf(recipe, file.at, model_type, wishes, err));
    else
        TRY(recipe_read_timm(recipe, file.at, wishes, err));
    recipe_tabulate(recipe);
done:
    recipe_file_close(&file);
    return status;
}

/* ---- cropping ---------------------------------------------------------------------------------------------------- */

/* Pixels in rows, [height,width] of `bytes` each. */
struct pixels {
    unsigned char *data;
    size_t height, width, bytes;
};

static vitcl_status pixels_allocate(struct pixels *pixels, vitcl_error *err)
{
    const size_t size =
        pixels->height * pixels->width * pixels->bytes; /* fits: recipe_target and recipe_read see to it */
    pixels->data = malloc(size);
    return pixels->data ? VITCL_OK : fail_memory(err, size);
}

/* Where a window in the middle of `side` pixels begins; negative where it is longer and the picture gets a border. */
static ptrdiff_t window_start(enum recipe_library library, size_t side, size_t window)
{
    const ptrdiff_t room = (ptrdiff_t)side - (ptrdiff_t)window;
    ptrdiff_t start = room / 2; /* torchvision: towards zero */
    if (library == LIBRARY_PIL && room < 0)
        start += room % 2; /* down: an odd border is wider before the picture */
    if (library == LIBRARY_TIMM && room > 0 && room % 2)
        start += start % 2; /* to the nearest even number */
    return start;
}

static void fill(unsigned char *pixels, size_t count, const void *border, size_t bytes)
{
    for (size_t i = 0; i < count; i++)
        memcpy(pixels + i * bytes, border, bytes);
}

/* One row of a window that begins at `left`. */
static void crop_row(const struct pixels *from, const unsigned char *row, ptrdiff_t left, const struct pixels *to,
                     unsigned char *out, const void *border)
{
    const size_t bytes = from->bytes;
    const size_t before = left < 0 ? (size_t)-left : 0, skipped = left > 0 ? (size_t)left : 0;
    const size_t count = size_min(from->width - skipped, to->width - before);
    fill(out, before, border, bytes);
    memcpy(out + before * bytes, row + skipped * bytes, count * bytes);
    fill(out + (before + count) * bytes, to->width - before - count, border, bytes);
}

/* The middle of `from`, in the size that `to` has, with a border of that colour where `from` is smaller. */
static void crop_middle(enum recipe_library library, const struct pixels *from, const void *border,
                        const struct pixels *to)
{
    const ptrdiff_t top = window_start(library, from->height, to->height);
    const ptrdiff_t left = window_start(library, from->width, to->width);
    for (size_t y = 0; y < to->height; y++) {
        const ptrdiff_t row = (ptrdiff_t)y + top;
        unsigned char *out = to->data + y * to->width * to->bytes;
        if (row < 0 || row >= (ptrdiff_t)from->height)
            fill(out, to->width, border, to->bytes);
        else
            crop_row(from, from->data + (size_t)row * from->width * from->bytes, left, to, out, border);
    }
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

/* rgb [height,width] -> pixel_values [3,height,width]. */
static void look_up(const struct recipe *recipe, const struct pixels *rgb, float *pixel_values)
{
    const size_t count = rgb->height * rgb->width;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < count; i++)
            *pixel_values++ = recipe->value[c][rgb->data[3 * i + c]];
}

/* rgb [rows*p,columns*p] -> [max_patches,p,p,3], patches row by row, then zeros. */
static void look_up_patches(const struct recipe *recipe, const struct pixels *rgb, float *pixel_values)
{
    const size_t patch = recipe->patch, stride = rgb->width * 3;
    const size_t patches = rgb->height / patch * (rgb->width / patch);
    for (size_t top = 0; top < rgb->height; top += patch)
        for (size_t left = 0; left < rgb->width; left += patch)
            for (size_t y = top; y < top + patch; y++)
                for (size_t i = left * 3; i < (left + patch) * 3; i++)
                    *pixel_values++ = recipe->value[i % 3][rgb->data[y * stride + i]];
    for (size_t i = patches * patch * patch * 3; i < recipe->max_patches * patch * patch * 3; i++)
        *pixel_values++ = 0;
}

static vitcl_status apply_levels(const struct recipe *recipe, const vitcl_image *image, size_t height, size_t width,
                                 float *pixel_values, vitcl_error *err)
{
    struct pixels resized = {.height = height, .width = width, .bytes = 3};
    struct pixels window = {.height = recipe->height, .width = recipe->width, .bytes = 3};
    vitcl_status status;
    TRY(pixels_allocate(&resized, err));
    TRY(image_resize(image, recipe->resizer, recipe->filter, width, height, resized.data, err));
    if (recipe->crop) {
        TRY(pixels_allocate(&window, err));
        crop_middle(recipe->library, &resized, recipe->border, &window);
    }
    if (recipe->rule == SIZE_PATCHES)
        look_up_patches(recipe, &resized, pixel_values);
    else
        look_up(recipe, recipe->crop ? &window : &resized, pixel_values);
done:
    free(resized.data);
    free(window.data);
    return status;
}

static void normalize(const struct recipe *recipe, size_t channel, float *values, size_t count)
{
    const float mean = (float)recipe->numbers.mean[channel], deviation = (float)recipe->numbers.std[channel];
    for (size_t i = 0; i < count; i++) {
        values[i] -= mean;
        values[i] /= deviation;
    }
}

static vitcl_status apply_floats(const struct recipe *recipe, const vitcl_image *image, size_t height, size_t width,
                                 float *pixel_values, vitcl_error *err)
{
    struct pixels planes = {.height = 3 * height, .width = width, .bytes = sizeof(float)};
    struct pixels plane = {.height = height, .width = width, .bytes = sizeof(float)}, window = plane;
    const float border = 0;
    vitcl_status status;
    if (recipe->crop) {
        window.height = recipe->height;
        window.width = recipe->width;
    }
    TRY(pixels_allocate(&planes, err));
    TRY(image_resize_float(image, recipe->filter, (float)recipe->numbers.factor, width, height, (float *)planes.data,
                           err));
    for (size_t c = 0; c < 3; c++) {
        const size_t count = window.height * window.width;
        plane.data = planes.data + c * height * width * sizeof(float);
        window.data = (unsigned char *)(pixel_values + c * count);
        crop_middle(recipe->library, &plane, &border, &window);
        normalize(recipe, c, pixel_values + c * count, count);
    }
done:
    free(planes.data);
    return status;
}

static vitcl_status check_result(const struct recipe *recipe, const vitcl_image *image, size_t height, size_t width,
                                 vitcl_error *err)
{
    if (recipe->crop || !recipe->height || (height == recipe->height && width == recipe->width))
        return VITCL_OK;
    return fail(err, VITCL_ERROR_ARGUMENT,
                "the picture is %zu x %zu and %s makes it %zu x %zu, but the model takes %zu x %zu: scale or crop the "
                "picture first",
                image->width, image->height, recipe->file, width, height, recipe->width, recipe->height);
}

vitcl_status recipe_apply(const struct recipe *recipe, const vitcl_image *image, float *pixel_values,
                          size_t *grid_height, size_t *grid_width, vitcl_error *err)
{
    size_t height, width;
    vitcl_status status;
    TRY(recipe_target(recipe, image, &height, &width, err));
    TRY(check_result(recipe, image, height, width, err));
    if (recipe->rule == SIZE_PATCHES) {
        *grid_height = height / recipe->patch;
        *grid_width = width / recipe->patch;
    }
    TRY((recipe->float_resize ? apply_floats : apply_levels)(recipe, image, height, width, pixel_values, err));
done:
    return status;
}

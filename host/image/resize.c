/* resize.c - separable resampling of whole RGB8 pictures with the weights, the rounding and the pass order of
 * Pillow 13.
 *
 * Weights are computed in double and rounded to 22 fractional bits; each pass sums in 32-bit integers and rounds to
 * 8 bits. Pictures are [height,width,3]; one pass changes the width (across), one the height (down).
 * Must be compiled with -ffp-contract=off: a fused multiply-add moves a weight by one unit and a pixel by one level.
 */
#include "image/resize.h"
#include "base/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_BITS 22
#define CHANNELS    3
#define STRIP       1024 /* samples summed at a time in the pass down: 4 KiB of sums stay in the first-level cache */

/* A filter's curve and how far it reaches from the centre, in pixels of the coarser side. */
struct filter {
    double reach;
    double (*curve)(double x);
};

/* The input pixels that one output pixel is a weighted mean of. */
struct window {
    size_t first, count;
};

/* One pass: output pixel j is the sum over k of input pixel windows[j].first + k times weights[j * taps + k]. */
struct axis {
    size_t taps;
    struct window *windows; /* [output pixels] */
    int32_t *weights;       /* [output pixels,taps] */
};

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0)
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static const struct filter filters[] = {
    [RESAMPLE_BILINEAR] = {1.0, bilinear},
    [RESAMPLE_BICUBIC] = {2.0, bicubic},
};

/* The pixels of an axis of `in` pixels whose centres lie within `reach` of `centre`, both ends rounded. */
static struct window window_around(double centre, double reach, size_t in)
{
    double low = centre - reach + 0.5;
    size_t first = low > 0.0 ? (size_t)low : 0;
    size_t end = size_min((size_t)(centre + reach + 0.5), in);
    return (struct window){first, end - first};
}

/* Fills weights [window.count], which sum to 1. `shrink` is input pixels per unit of the curve. */
static void weigh(const struct filter *filter, struct window window, double centre, double shrink, double *weights)
{
    const double inverse = 1.0 / shrink;
    double sum = 0.0;
    for (size_t k = 0; k < window.count; k++) {
        weights[k] = filter->curve(((double)(k + window.first) - centre + 0.5) * inverse);
        sum += weights[k];
    }
    for (size_t k = 0; k < window.count && sum != 0.0; k++)
        weights[k] /= sum;
}

static int32_t to_fixed(double weight)
{
    return (int32_t)(weight * (1 << WEIGHT_BITS) + (weight < 0.0 ? -0.5 : 0.5));
}

static uint8_t to_level(int32_t sum)
{
    return sum < 0 ? 0 : (uint8_t)(sum >> WEIGHT_BITS > 255 ? 255 : sum >> WEIGHT_BITS);
}

static void axis_free(struct axis *axis)
{
    free(axis->windows);
    free(axis->weights);
    memset(axis, 0, sizeof *axis);
}

/* On failure *axis is all zero. */
static vitcl_status axis_create(struct axis *axis, const struct filter *filter, size_t in, size_t out, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const double scale = (double)in / (double)out;
    const double shrink = fmax(scale, 1.0), reach = filter->reach * shrink;
    double *exact = NULL;
    size_t entries = 0, bytes = 0;

    *axis = (struct axis){.taps = 2 * (size_t)ceil(reach) + 1};
    if (size_mul(out, axis->taps, &entries) && size_mul(entries, sizeof *axis->weights, &bytes)) {
        axis->windows = malloc(out * sizeof *axis->windows);
        axis->weights = malloc(bytes);
        exact = malloc(axis->taps * sizeof *exact);
    }
    if (!axis->windows || !axis->weights || !exact)
        TRY(fail_memory(err, bytes));
    for (size_t j = 0; j < out; j++) {
        const double centre = ((double)j + 0.5) * scale;
        axis->windows[j] = window_around(centre, reach, in);
        weigh(filter, axis->windows[j], centre, shrink, exact);
        for (size_t k = 0; k < axis->windows[j].count; k++)
            axis->weights[j * axis->taps + k] = to_fixed(exact[k]);
    }
done:
    free(exact);
    if (status != VITCL_OK)
        axis_free(axis);
    return status;
}

/* One output pixel of the pass across: in [count,3] weighted by weights [count]. */
static void mix_pixels(const uint8_t *in, const int32_t *weights, size_t count, uint8_t *out)
{
    int32_t red = 1 << (WEIGHT_BITS - 1), green = red, blue = red;
    for (size_t k = 0; k < count; k++, in += CHANNELS) {
        red += in[0] * weights[k];
        green += in[1] * weights[k];
        blue += in[2] * weights[k];
    }
    out[0] = to_level(red);
    out[1] = to_level(green);
    out[2] = to_level(blue);
}

/* One strip of one output row of the pass down: `count` rows of `samples` <= STRIP samples, `stride` apart. Row by row,
 * so that the compiler can use vectors. */
static void mix_rows(const uint8_t *in, size_t stride, const int32_t *weights, size_t count, uint8_t *out,
                     size_t samples)
{
    int32_t sums[STRIP];
    for (size_t i = 0; i < samples; i++)
        sums[i] = 1 << (WEIGHT_BITS - 1);
    for (size_t k = 0; k < count; k++, in += stride)
        for (size_t i = 0; i < samples; i++)
            sums[i] += in[i] * weights[k];
    for (size_t i = 0; i < samples; i++)
        out[i] = to_level(sums[i]);
}

/* rgb [image->height,width,3]. */
static vitcl_status resize_across(const vitcl_image *image, const struct filter *filter, size_t width, uint8_t *rgb,
                                  vitcl_error *err)
{
    struct axis axis;
    vitcl_status status = axis_create(&axis, filter, image->width, width, err);
    if (status != VITCL_OK)
        return status;
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *row = image->pixels + y * image->width * CHANNELS;
        for (size_t x = 0; x < width; x++, rgb += CHANNELS)
            mix_pixels(row + axis.windows[x].first * CHANNELS, axis.weights + x * axis.taps, axis.windows[x].count,
                       rgb);
    }
    axis_free(&axis);
    return VITCL_OK;
}

/* rgb [height,image->width,3]. */
static vitcl_status resize_down(const vitcl_image *image, const struct filter *filter, size_t height, uint8_t *rgb,
                                vitcl_error *err)
{
    const size_t stride = image->width * CHANNELS;
    struct axis axis;
    vitcl_status status = axis_create(&axis, filter, image->height, height, err);
    if (status != VITCL_OK)
        return status;
    for (size_t y = 0; y < height; y++, rgb += stride) {
        const uint8_t *rows = image->pixels + axis.windows[y].first * stride;
        for (size_t i = 0; i < stride; i += STRIP)
            mix_rows(rows + i, stride, axis.weights + y * axis.taps, axis.windows[y].count, rgb + i,
                     size_min(STRIP, stride - i));
    }
    axis_free(&axis);
    return VITCL_OK;
}

/* Pillow 13 makes the pass down first where it removes more than twice as many rows as the other removes columns. Each
 * pass rounds to 8 bits, so the order shows in the result. */
static bool down_first(const vitcl_image *image, size_t width, size_t height)
{
    const int64_t fewer_rows = (int64_t)image->height - (int64_t)height;
    const int64_t fewer_columns = (int64_t)image->width - (int64_t)width;
    return fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

static vitcl_status resize_both(const vitcl_image *image, const struct filter *filter, size_t width, size_t height,
                                uint8_t *rgb, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const bool down = down_first(image, width, height);
    vitcl_image between = {.width = down ? image->width : width, .height = down ? height : image->height};
    uint8_t *pixels = NULL;
    size_t bytes;

    if (size_mul(between.width, between.height, &bytes) && size_mul(bytes, CHANNELS, &bytes))
        pixels = malloc(bytes);
    if (!pixels)
        return fail_memory(err, bytes);
    between.pixels = pixels;
    if (down) {
        TRY(resize_down(image, filter, height, pixels, err));
        TRY(resize_across(&between, filter, width, rgb, err));
    } else {
        TRY(resize_across(image, filter, width, pixels, err));
        TRY(resize_down(&between, filter, height, rgb, err));
    }
done:
    free(pixels);
    return status;
}

vitcl_status image_resize(const vitcl_image *image, enum resizer resizer, enum resample filter, size_t width,
                          size_t height, uint8_t *rgb, vitcl_error *err)
{
    if (resizer != RESIZER_PIL || (filter != RESAMPLE_BILINEAR && filter != RESAMPLE_BICUBIC))
        return fail(err, VITCL_ERROR_UNSUPPORTED, "resize %d of resizer %d is not written yet", (int)filter,
                    (int)resizer);
    if (width == image->width && height == image->height) {
        memcpy(rgb, image->pixels, width * height * CHANNELS);
        return VITCL_OK;
    }
    if (height == image->height)
        return resize_across(image, &filters[filter], width, rgb, err);
    if (width == image->width)
        return resize_down(image, &filters[filter], height, rgb, err);
    return resize_both(image, &filters[filter], width, height, rgb, err);
}

vitcl_status image_resize_float(const vitcl_image *image, enum resample filter, float factor, size_t width,
                                size_t height, float *planes, vitcl_error *err)
{
    (void)image, (void)factor, (void)width, (void)height, (void)planes;
    return fail(err, VITCL_ERROR_UNSUPPORTED, "float resize %d is not written yet", (int)filter);
}

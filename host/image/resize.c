/* resize.c - resizes of whole RGB8 pictures with the rounding and the pass order of Pillow 13 or of torchvision 0.29.
 *
 * Pictures are [height,width,3]. One pass changes the width (across), one the height (down); each sums in 32-bit
 * integers and rounds to 8 bits. Both passes are the same sum over vectors: down, of neighbouring samples; across, of
 * the same sample of GROUP rows, which are first laid side by side.
 *
 * torchvision's weights fit in 16 bits, for which vector units multiply twice as fast. Pillow's have 22. But with the
 * short weights Pillow's sum is known to within a slack that seldom lets two levels through; only there it is made
 * again with the long ones.
 */
#include "image/resize.h"
#include "base/parallel.h"
#include "base/size.h"
#include "image/resize_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64 /* samples of each row that are laid side by side at a time */

/* ---- one output pixel of each lane ---------------------------------------------------------------------------- */

static uint8_t to_level(int32_t sum, int bits)
{
    const int32_t level = sum < 0 ? 0 : sum >> bits;
    return (uint8_t)(level > UINT8_MAX ? UINT8_MAX : level);
}

/* The loops over LANES, and add_up called with a constant, become plain vector code with the sums in registers. */
static inline void add_up(const uint8_t *restrict in, size_t stride, const int16_t *restrict weights, size_t count,
                          int32_t *restrict sums, size_t lanes)
{
    for (size_t k = 0; k < count; k++, in += stride)
        for (size_t i = 0; i < lanes; i++)
            sums[i] += in[i] * weights[k];
}

static void to_levels(const int32_t *restrict sums, int32_t more, int bits, uint8_t *restrict levels)
{
    for (size_t i = 0; i < LANES; i++)
        levels[i] = to_level(sums[i] + more, bits);
}

static uint8_t long_level(const uint8_t *in, size_t stride, const int32_t *weights, size_t count)
{
    int32_t sum = 1 << (WEIGHT_BITS - 1);
    for (size_t k = 0; k < count; k++)
        sum += in[k * stride] * weights[k];
    return to_level(sum, WEIGHT_BITS);
}

/* Pillow's levels. */
static void settle(const struct axis *axis, size_t j, const uint8_t *in, size_t stride, size_t lanes,
                   const int32_t *sums, uint8_t *levels)
{
    uint8_t highest[LANES];
    to_levels(sums, axis->slacks[j].low, axis->bits, levels);
    to_levels(sums, axis->slacks[j].high, axis->bits, highest);
    if (memcmp(levels, highest, LANES) == 0)
        return;
    for (size_t i = 0; i < lanes; i++)
        if (levels[i] != highest[i])
            levels[i] = long_level(in + i, stride, axis->longs + j * axis->taps, axis->windows[j].count);
}

/* out [lanes], lanes <= LANES: output pixel j from the lanes' input pixels, which are `stride` apart. */
static void mix(const struct axis *axis, size_t j, const uint8_t *in, size_t stride, size_t lanes, uint8_t *out)
{
    const int16_t *weights = axis->shorts + j * axis->taps;
    const size_t count = axis->windows[j].count;
    int32_t sums[LANES];
    uint8_t levels[LANES];

    in += axis->windows[j].first * stride;
    for (size_t i = 0; i < LANES; i++)
        sums[i] = 1 << (axis->bits - 1);
    if (lanes == LANES)
        add_up(in, stride, weights, count, sums, LANES);
    else
        add_up(in, stride, weights, count, sums, lanes);
    if (axis->longs)
        settle(axis, j, in, stride, lanes, sums, levels);
    else
        to_levels(sums, 0, axis->bits, levels);
    memcpy(out, levels, lanes);
}

/* ---- passes --------------------------------------------------------------------------------------------------- */

struct pass {
    const vitcl_image *image;
    struct axis axis;
    uint8_t *rgb; /* across: [image->height,axis.out,3]; down: [axis.out,image->width,3] */
    atomic_bool out_of_memory;
};

size_t interleaved_size(size_t width)
{
    return size_round_up(width * CHANNELS, CHUNK) * GROUP;
}

/* [2,n] -> [n,2] */
static void zip(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = in[i];
        out[2 * i + 1] = in[n + i];
    }
}

/* Block by block of [GROUP,CHUNK]: since GROUP is 2^4, zipping the two halves of a block 4 times transposes it. */
void interleave_rows(const vitcl_image *image, size_t first, uint8_t *samples)
{
    const size_t stride = image->width * CHANNELS;
    uint8_t block[GROUP * CHUNK] = {0}, other[GROUP * CHUNK];
    for (size_t i = 0; i < stride; i += CHUNK, samples += GROUP * CHUNK) {
        const size_t n = size_min(CHUNK, stride - i);
        for (size_t r = 0; r < GROUP; r++) {
            const uint8_t *row = image->pixels + size_min(first + r, image->height - 1) * stride + i;
            if (n == CHUNK)
                memcpy(block + r * CHUNK, row, CHUNK); /* a constant size needs no loop */
            else
                memcpy(block + r * CHUNK, row, n);
        }
        zip(block, GROUP * CHUNK / 2, other);
        zip(other, GROUP * CHUNK / 2, block);
        zip(block, GROUP * CHUNK / 2, other);
        zip(other, GROUP * CHUNK / 2, samples);
    }
}

/* samples [stride,GROUP] -> the first `count` rows [count,stride]. */
static void separate_rows(const uint8_t *samples, size_t stride, size_t count, uint8_t *rows)
{
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < stride; i++)
            rows[r * stride + i] = samples[i * GROUP + r];
}

/* Groups [first,last) of GROUP rows. */
static void across_groups(void *context, size_t first, size_t last)
{
    struct pass *pass = context;
    const vitcl_image *image = pass->image;
    const size_t width = pass->axis.out;
    uint8_t *in = malloc(interleaved_size(image->width)), *out = malloc(width * LANES);

    if (!in || !out)
        atomic_store(&pass->out_of_memory, true);
    for (size_t y = first * GROUP; in && out && y < size_min(last * GROUP, image->height); y += GROUP) {
        interleave_rows(image, y, in);
        for (size_t x = 0; x < width; x++)
            mix(&pass->axis, x, in, LANES, LANES, out + x * LANES);
        separate_rows(out, width * CHANNELS, size_min(GROUP, image->height - y), pass->rgb + y * width * CHANNELS);
    }
    free(in);
    free(out);
}

/* Output rows [first,last). */
static void down_rows(void *context, size_t first, size_t last)
{
    struct pass *pass = context;
    const size_t stride = pass->image->width * CHANNELS;
    for (size_t y = first; y < last; y++)
        for (size_t i = 0; i < stride; i += LANES)
            mix(&pass->axis, y, pass->image->pixels + i, stride, size_min(LANES, stride - i),
                pass->rgb + y * stride + i);
}

static vitcl_status resize_across(const vitcl_image *image, enum weights weights, enum resample filter, size_t width,
                                  uint8_t *rgb, vitcl_error *err)
{
    struct pass pass = {.image = image, .rgb = rgb};
    vitcl_status status = axis_create(&pass.axis, weights, filter, image->width, width, err);
    if (status != VITCL_OK)
        return status;
    parallel_for(size_ceil_div(image->height, GROUP), across_groups, &pass);
    if (pass.out_of_memory)
        status = fail_memory(err, interleaved_size(image->width) + width * LANES);
    axis_free(&pass.axis);
    return status;
}

static vitcl_status resize_down(const vitcl_image *image, enum weights weights, enum resample filter, size_t height,
                                uint8_t *rgb, vitcl_error *err)
{
    struct pass pass = {.image = image, .rgb = rgb};
    vitcl_status status = axis_create(&pass.axis, weights, filter, image->height, height, err);
    if (status != VITCL_OK)
        return status;
    parallel_for(height, down_rows, &pass);
    axis_free(&pass.axis);
    return VITCL_OK;
}

/* Pillow 13 makes the pass down first where it removes more than twice as many rows as the other removes columns;
 * torchvision never does. Each pass rounds to 8 bits, so the order shows in the result. */
static bool down_first(const vitcl_image *image, enum weights weights, size_t width, size_t height)
{
    const int64_t fewer_rows = (int64_t)image->height - (int64_t)height;
    const int64_t fewer_columns = (int64_t)image->width - (int64_t)width;
    return weights == WEIGHTS_PIL && fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
}

static vitcl_status resize_both(const vitcl_image *image, enum weights weights, enum resample filter, size_t width,
                                size_t height, uint8_t *rgb, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const bool down = down_first(image, weights, width, height);
    vitcl_image between = {.width = down ? image->width : width, .height = down ? height : image->height};
    uint8_t *pixels = NULL;
    size_t bytes;

    if (size_mul(between.width, between.height, &bytes) && size_mul(bytes, CHANNELS, &bytes))
        pixels = malloc(bytes);
    if (!pixels)
        return fail_memory(err, bytes);
    between.pixels = pixels;
    if (down) {
        TRY(resize_down(image, weights, filter, height, pixels, err));
        TRY(resize_across(&between, weights, filter, width, rgb, err));
    } else {
        TRY(resize_across(image, weights, filter, width, pixels, err));
        TRY(resize_down(&between, weights, filter, height, rgb, err));
    }
done:
    free(pixels);
    return status;
}

/* ---- nearest -------------------------------------------------------------------------------------------------- */

/* Fills source [out] with the input pixel of each output pixel. Pillow adds step to step, in double. */
static void nearest_pil(size_t in, size_t out, size_t *source)
{
    const double step = (double)in / (double)out;
    double x = step * 0.5;
    for (size_t j = 0; j < out; j++, x += step)
        source[j] = size_min((size_t)x, in - 1);
}

/* torchvision's "nearest-exact", in float. torch has two codes for it, which differ where a product falls on the border
 * of two pixels; the one for small outputs does not subtract the half that the other adds again. */
static void nearest_torchvision(size_t in, size_t out, bool small, size_t *source)
{
    const double scale = (double)((float)in / (float)out);
    for (size_t j = 0; j < out; j++) {
        const double x = ((double)j + 0.5) * scale;
        const float rounded = small ? (float)x : (float)((double)(float)(x - 0.5) + 0.5);
        source[j] = size_min((size_t)rounded, in - 1);
    }
}

static vitcl_status resize_nearest(const vitcl_image *image, enum resizer resizer, size_t width, size_t height,
                                   uint8_t *rgb, vitcl_error *err)
{
    const bool small = width + height <= 128;
    size_t sides, bytes = SIZE_MAX;
    size_t *columns = NULL, *rows;

    if (size_add(width, height, &sides) && size_mul(sides, sizeof *columns, &bytes))
        columns = malloc(bytes);
    if (!columns)
        return fail_memory(err, bytes);
    rows = columns + width;
    if (resizer == RESIZER_PIL) {
        nearest_pil(image->width, width, columns);
        nearest_pil(image->height, height, rows);
    } else {
        nearest_torchvision(image->width, width, small, columns);
        nearest_torchvision(image->height, height, small, rows);
    }
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++, rgb += CHANNELS)
            memcpy(rgb, image->pixels + (rows[y] * image->width + columns[x]) * CHANNELS, CHANNELS);
    free(columns);
    return VITCL_OK;
}

vitcl_status image_resize(const vitcl_image *image, enum resizer resizer, enum resample filter, size_t width,
                          size_t height, uint8_t *rgb, vitcl_error *err)
{
    const enum weights weights = resizer == RESIZER_PIL ? WEIGHTS_PIL : WEIGHTS_TORCHVISION;
    if (width == image->width && height == image->height) {
        memcpy(rgb, image->pixels, width * height * CHANNELS);
        return VITCL_OK;
    }
    if (filter == RESAMPLE_NEAREST)
        return resize_nearest(image, resizer, width, height, rgb, err);
    if (height == image->height)
        return resize_across(image, weights, filter, width, rgb, err);
    if (width == image->width)
        return resize_down(image, weights, filter, height, rgb, err);
    return resize_both(image, weights, filter, width, height, rgb, err);
}

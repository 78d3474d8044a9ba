/* resize_float.c - torchvision 0.29's resize of float pictures (antialias=True): across first, then down, in float, not
 * clamped and not rounded to levels.
 *
 * Like resize.c it sums over lanes, each in the order of the input pixels. torch on most machines fuses the multiply
 * with the add; this does not, so that results are the same everywhere and differ from torch's by float rounding.
 */
#include "base/parallel.h"
#include "base/size.h"
#include "image/resize_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- one output pixel of each lane, as in resize.c ------------------------------------------------------------ */

static inline void add_levels(const uint8_t *restrict in, float factor, size_t stride, const float *restrict weights,
                              size_t count, float *restrict sums, size_t lanes)
{
    for (size_t k = 0; k < count; k++, in += stride)
        for (size_t i = 0; i < lanes; i++)
            sums[i] += (float)in[i] * factor * weights[k];
}

static inline void add_floats(const float *restrict in, size_t stride, const float *restrict weights, size_t count,
                              float *restrict sums, size_t lanes)
{
    for (size_t k = 0; k < count; k++, in += stride)
        for (size_t i = 0; i < lanes; i++)
            sums[i] += in[i] * weights[k];
}

static void mix_levels(const struct axis *axis, size_t j, const uint8_t *in, float factor, size_t stride, size_t lanes,
                       float *out)
{
    const struct window window = axis->windows[j];
    const float *weights = axis->floats + j * axis->taps;
    float sums[LANES] = {0};
    if (lanes == LANES)
        add_levels(in + window.first * stride, factor, stride, weights, window.count, sums, LANES);
    else
        add_levels(in + window.first * stride, factor, stride, weights, window.count, sums, lanes);
    memcpy(out, sums, lanes * sizeof *out);
}

static void mix_floats(const struct axis *axis, size_t j, const float *in, size_t stride, size_t lanes, float *out)
{
    const struct window window = axis->windows[j];
    const float *weights = axis->floats + j * axis->taps;
    float sums[LANES] = {0};
    if (lanes == LANES)
        add_floats(in + window.first * stride, stride, weights, window.count, sums, LANES);
    else
        add_floats(in + window.first * stride, stride, weights, window.count, sums, lanes);
    memcpy(out, sums, lanes * sizeof *out);
}

/* ---- passes --------------------------------------------------------------------------------------------------- */

struct pass {
    const vitcl_image *image; /* the input: this, level * factor */
    float factor;
    const float *in; /* or this [in height,width,3] */
    size_t width;
    struct axis axis;
    float *out; /* across: [in height,axis.out,3]; down: [axis.out,width,3] */
    atomic_bool out_of_memory;
};

/* samples [stride,GROUP] -> the first `count` rows [count,stride]. */
static void separate_rows(const float *samples, size_t stride, size_t count, float *rows)
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
    uint8_t *in = malloc(interleaved_size(image->width));
    float *out = malloc(width * LANES * sizeof *out);

    if (!in || !out)
        atomic_store(&pass->out_of_memory, true);
    for (size_t y = first * GROUP; in && out && y < size_min(last * GROUP, image->height); y += GROUP) {
        interleave_rows(image, y, in);
        for (size_t x = 0; x < width; x++)
            mix_levels(&pass->axis, x, in, pass->factor, LANES, LANES, out + x * LANES);
        separate_rows(out, width * CHANNELS, size_min(GROUP, image->height - y), pass->out + y * width * CHANNELS);
    }
    free(in);
    free(out);
}

/* Output rows [first,last). */
static void down_rows(void *context, size_t first, size_t last)
{
    struct pass *pass = context;
    const size_t stride = pass->width * CHANNELS;
    for (size_t y = first; y < last; y++)
        for (size_t i = 0; i < stride; i += LANES) {
            const size_t lanes = size_min(LANES, stride - i);
            float *out = pass->out + y * stride + i;
            if (pass->in)
                mix_floats(&pass->axis, y, pass->in + i, stride, lanes, out);
            else
                mix_levels(&pass->axis, y, pass->image->pixels + i, pass->factor, stride, lanes, out);
        }
}

static vitcl_status resize_across(struct pass *pass, enum resample filter, size_t width, vitcl_error *err)
{
    const vitcl_image *image = pass->image;
    vitcl_status status = axis_create(&pass->axis, WEIGHTS_FLOAT, filter, image->width, width, err);
    if (status != VITCL_OK)
        return status;
    parallel_for(size_ceil_div(image->height, GROUP), across_groups, pass);
    if (pass->out_of_memory)
        status = fail_memory(err, interleaved_size(image->width) + width * LANES * sizeof *pass->out);
    axis_free(&pass->axis);
    return status;
}

static vitcl_status resize_down(struct pass *pass, enum resample filter, size_t height, vitcl_error *err)
{
    vitcl_status status = axis_create(&pass->axis, WEIGHTS_FLOAT, filter, pass->image->height, height, err);
    if (status != VITCL_OK)
        return status;
    parallel_for(height, down_rows, pass);
    axis_free(&pass->axis);
    return VITCL_OK;
}

static vitcl_status allocate(float **rows, size_t width, size_t height, vitcl_error *err)
{
    size_t count, bytes = SIZE_MAX;
    if (size_mul(width, height, &count) && size_mul(count, CHANNELS * sizeof **rows, &bytes))
        *rows = malloc(bytes);
    return *rows ? VITCL_OK : fail_memory(err, bytes);
}

/* rows [height,width,3]. One side at least changes. */
static vitcl_status resize(const vitcl_image *image, enum resample filter, float factor, size_t width, size_t height,
                           float *rows, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct pass pass = {.image = image, .factor = factor, .width = width, .out = rows};
    float *between = NULL;

    if (height == image->height)
        return resize_across(&pass, filter, width, err);
    if (width != image->width) {
        TRY(allocate(&between, width, image->height, err));
        pass.out = between;
        TRY(resize_across(&pass, filter, width, err));
        pass.in = between;
        pass.out = rows;
    }
    TRY(resize_down(&pass, filter, height, err));
done:
    free(between);
    return status;
}

static void scale_levels(const uint8_t *levels, float factor, size_t count, float *planes)
{
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < count; i++)
            planes[c * count + i] = (float)levels[i * CHANNELS + c] * factor;
}

static void separate_planes(const float *rows, size_t count, float *planes)
{
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t i = 0; i < count; i++)
            planes[c * count + i] = rows[i * CHANNELS + c];
}

vitcl_status image_resize_float(const vitcl_image *image, enum resample filter, float factor, size_t width,
                                size_t height, float *planes, vitcl_error *err)
{
    const bool same = width == image->width && height == image->height;
    vitcl_status status = VITCL_OK;
    float *rows = NULL;

    if (!same)
        TRY(allocate(&rows, width, height, err));
    if (same) {
        scale_levels(image->pixels, factor, width * height, planes);
    } else if (filter == RESAMPLE_NEAREST) { /* the levels themselves; they fit in the memory of the floats */
        TRY(image_resize(image, RESIZER_TORCHVISION, filter, width, height, (uint8_t *)rows, err));
        scale_levels((const uint8_t *)rows, factor, width * height, planes);
    } else {
        TRY(resize(image, filter, factor, width, height, rows, err));
        separate_planes(rows, width * height, planes);
    }
done:
    free(rows);
    return status;
}

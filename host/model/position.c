/* position.c - position embeddings for another patch grid: torch.nn.functional.interpolate on a grid of vectors, one
 * axis at a time, and the angles of rotary embeddings.
 *
 * Follows PyTorch's UpSampleKernel.cpp, transformers' modeling_dinov3_vit.py and timm's pos_embed_sincos.py, but in
 * double: their float32 weights and angles are off by up to 4e-6 of the rms, most of all where a grid grows. Which
 * rows are patches, and which numbers of a head a rotary angle turns, is the caller's business.
 */
#include "model/position.h"
#include "base/size.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define STRIP 256 /* numbers summed at a time */
#define PI    3.14159265358979323846

struct filter {
    size_t reach; /* input rows from the centre */
    double (*curve)(double distance);
    bool antialias; /* where the grid shrinks, the curve is as much wider, and its weights are made to sum to 1 */
};

/* The input rows that one output row is a weighted sum of. */
struct window {
    size_t first, count;
};

/* Output row j is the sum over k of input row windows[j].first + k times weights[j * taps + k]. */
struct axis {
    size_t in, out, taps;
    struct window *windows; /* [out] */
    double *weights;        /* [out,taps] */
};

static double triangle(double x)
{
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic (1981), of which a = -0.5 is the usual one. */
static double cubic(double x, double a)
{
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0)
        return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

static double sharp_cubic(double x)
{
    return cubic(x, -0.75);
}

static double usual_cubic(double x)
{
    return cubic(x, -0.5);
}

static const struct filter filters[] = {
    [POSITION_BICUBIC] = {2, sharp_cubic, false},
    [POSITION_BICUBIC_AA] = {2, usual_cubic, true},
    [POSITION_BILINEAR] = {1, triangle, false},
    [POSITION_BILINEAR_AA] = {1, triangle, true},
};

static size_t clamp_index(double index, size_t count)
{
    return index > 0.0 ? size_min((size_t)index, count - 1) : 0;
}

/* The rows next to `centre`, of which row i has its middle at i; rows beyond an edge are the edge. Adds to weights,
 * which are zero before. To clamp the centre of a bilinear filter at 0, as torch does, is the same. */
static struct window weigh_neighbours(const struct filter *filter, double centre, size_t in, double *weights)
{
    const double left = floor(centre) - (double)filter->reach + 1.0;
    const size_t first = clamp_index(left, in);
    struct window window = {first, 0};
    for (size_t k = 0; k < 2 * filter->reach; k++) {
        const double place = left + (double)k;
        const size_t index = clamp_index(place, in);
        weights[index - first] += filter->curve(fabs(place - centre));
        window.count = index - first + 1;
    }
    return window;
}

/* The rows within reach of `centre`, of which row i covers i to i + 1; rows beyond an edge are left out. `shrink` is
 * input rows per unit of the curve. */
static struct window weigh_area(const struct filter *filter, double centre, double shrink, size_t in, double *weights)
{
    const double reach = (double)filter->reach * shrink, low = centre - reach + 0.5;
    const size_t first = low > 0.0 ? (size_t)low : 0;
    const struct window window = {first, size_min((size_t)(centre + reach + 0.5), in) - first};
    double sum = 0.0;
    for (size_t k = 0; k < window.count; k++) {
        weights[k] = filter->curve(fabs((double)(first + k) + 0.5 - centre) / shrink);
        sum += weights[k];
    }
    for (size_t k = 0; k < window.count; k++)
        weights[k] /= sum;
    return window;
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
    const double scale = (double)in / (double)out, shrink = filter->antialias ? fmax(scale, 1.0) : 1.0;
    size_t entries = 0, bytes = 0;
    *axis = (struct axis){.in = in, .out = out, .taps = 2 * (size_t)ceil((double)filter->reach * shrink) + 1};
    if (size_mul(out, axis->taps, &entries) && size_mul(entries, sizeof *axis->windows, &bytes)) {
        axis->windows = malloc(out * sizeof *axis->windows);
        axis->weights = calloc(entries, sizeof *axis->weights);
    }
    if (!axis->windows || !axis->weights) {
        axis_free(axis);
        return fail_memory(err, bytes);
    }
    for (size_t j = 0; j < out; j++) {
        const double centre = ((double)j + 0.5) * scale;
        double *weights = axis->weights + j * axis->taps;
        axis->windows[j] = filter->antialias ? weigh_area(filter, centre, shrink, in, weights)
                                             : weigh_neighbours(filter, centre - 0.5, in, weights);
    }
    return VITCL_OK;
}

/* out [size] = the sum of `count` rows in [size], `stride` apart, each times its weight. */
static void mix_rows(const float *in, size_t stride, const double *weights, size_t count, float *out, size_t size)
{
    for (size_t begin = 0; begin < size; begin += STRIP) {
        const size_t end = size_min(begin + STRIP, size);
        double sums[STRIP] = {0.0};
        for (size_t k = 0; k < count; k++)
            for (size_t i = begin; i < end; i++)
                sums[i - begin] += weights[k] * in[k * stride + i];
        for (size_t i = begin; i < end; i++)
            out[i] = (float)sums[i - begin];
    }
}

/* from [outer,axis->in,inner] -> to [outer,axis->out,inner]. */
static void resize_axis(const struct axis *axis, const float *from, float *to, size_t outer, size_t inner)
{
    for (size_t o = 0; o < outer; o++, from += axis->in * inner)
        for (size_t j = 0; j < axis->out; j++, to += inner)
            mix_rows(from + axis->windows[j].first * inner, inner, axis->weights + j * axis->taps,
                     axis->windows[j].count, to, inner);
}

vitcl_status position_resize(const float *from, struct grid from_grid, enum position_filter filter, size_t width,
                             float *to, struct grid to_grid, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct axis across = {0}, down = {0};
    float *between = NULL; /* [from_grid.height,to_grid.width,width] */
    size_t size = 0;

    if (from_grid.height == to_grid.height && from_grid.width == to_grid.width) {
        memcpy(to, from, from_grid.height * from_grid.width * width * sizeof *to);
        return VITCL_OK;
    }
    TRY(axis_create(&across, &filters[filter], from_grid.width, to_grid.width, err));
    TRY(axis_create(&down, &filters[filter], from_grid.height, to_grid.height, err));
    if (size_mul(to_grid.width * sizeof *between, from_grid.height, &size) && size_mul(size, width, &size))
        between = malloc(size);
    if (!between)
        TRY(fail_memory(err, size));
    resize_axis(&across, from, between, from_grid.height, width);
    resize_axis(&down, between, to, 1, to_grid.width * width);
done:
    free(between);
    axis_free(&across);
    axis_free(&down);
    return status;
}

/* ---- rotary embeddings ------------------------------------------------------------------------------------------- */

/* Where patch i of n along an axis stands, in the unit that bands count: `reference` is the grid's size that the model
 * was trained on. */
static double coordinate(const struct rope *rope, size_t i, size_t n, size_t reference)
{
    if (rope->kind == ROPE_DINOV3)
        return 2.0 * PI * (2.0 * ((double)i + 0.5) / (double)n - 1.0);
    return reference ? (double)i / (double)n * (double)reference : (double)i;
}

/* The first head_size/4 angles are the row's, the others the column's, in both libraries. */
void rope_fill(const struct rope *rope, struct grid grid, size_t head_size, float *table)
{
    const size_t bands = head_size / 4;
    for (size_t k = 0; k < bands; k++) {
        const double band = pow(rope->theta, -(double)k / (double)bands);
        float *cosines = table + k, *sines = table + 2 * bands + k;
        for (size_t y = 0; y < grid.height; y++)
            for (size_t x = 0; x < grid.width; x++, cosines += head_size, sines += head_size) {
                const double row = band * coordinate(rope, y, grid.height, rope->reference.height);
                const double column = band * coordinate(rope, x, grid.width, rope->reference.width);
                cosines[0] = (float)cos(row);
                cosines[bands] = (float)cos(column);
                sines[0] = (float)sin(row);
                sines[bands] = (float)sin(column);
            }
    }
}

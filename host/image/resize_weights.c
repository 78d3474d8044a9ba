/* resize_weights.c - which input pixels an output pixel is made of, and with what weights, as Pillow 13 and torchvision
 * 0.29 have them.
 *
 * Both libraries evaluate the same curves in double, in the same order; they differ in what they round the weights to.
 * torchvision's float resize computes in float instead, which moves windows and weights of large pictures.
 * Must be compiled with -ffp-contract=off: a fused multiply-add moves a weight by one unit and a pixel by one level.
 */
#include "base/size.h"
#include "image/resize_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* A filter's curve and how far it reaches from the centre, in pixels of the coarser side. */
struct filter {
    double reach;
    double (*curve)(double x);
};

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

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

/* The same in float with the fused operations that compilers make of torch's code: the error of plain ones is many
 * times larger than that of the sums that the weights are for. */
static double bicubic_float(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (float)((float)((float)(1.5 * x - 2.5) * x) * x + 1.0);
    if (x < 2.0)
        return (float)((float)((float)(-0.5 * x + 2.5) * x - 4.0) * x + 2.0);
    return 0.0;
}

/* Pillow has the two constants in float. */
static double hamming(double x)
{
    x = fabs(x);
    if (x == 0.0)
        return 1.0;
    if (x >= 1.0)
        return 0.0;
    x *= pi;
    return sin(x) / x * ((double)0.54f + (double)0.46f * cos(x));
}

static double sinc(double x)
{
    if (x == 0.0)
        return 1.0;
    x *= pi;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

static const struct filter filters[] = {
    [RESAMPLE_LANCZOS] = {3.0, lanczos}, [RESAMPLE_BILINEAR] = {1.0, bilinear}, [RESAMPLE_BICUBIC] = {2.0, bicubic},
    [RESAMPLE_BOX] = {0.5, box},         [RESAMPLE_HAMMING] = {1.0, hamming},
};

/* The numbers that windows and weights of an axis come from. */
struct geometry {
    double (*curve)(double x);
    size_t in;
    bool in_float;
    double scale;   /* input pixels per output pixel */
    double reach;   /* of the curve, input pixels */
    double inverse; /* units of the curve per input pixel */
};

/* The result of one operation of torchvision's float resize: done in double and then rounded to float it is the same
 * as done in float. */
static double round_to(bool in_float, double x)
{
    return in_float ? (double)(float)x : x;
}

static struct geometry geometry_of(const struct filter *filter, bool in_float, size_t in, size_t out)
{
    const double scale = round_to(in_float, (double)in / (double)out);
    const double shrink = fmax(scale, 1.0);
    return (struct geometry){.curve = in_float && filter->curve == bicubic ? bicubic_float : filter->curve,
                             .in = in,
                             .in_float = in_float,
                             .scale = scale,
                             .reach = round_to(in_float, filter->reach * shrink),
                             .inverse = round_to(in_float, 1.0 / shrink)};
}

static double centre_of(const struct geometry *g, size_t j)
{
    return round_to(g->in_float, ((double)j + 0.5) * g->scale);
}

/* The pixels whose centres lie within reach of `centre`, both ends rounded. */
static struct window window_around(const struct geometry *g, double centre, size_t taps)
{
    const double low = round_to(g->in_float, centre - g->reach) + 0.5;
    const double high = round_to(g->in_float, centre + g->reach) + 0.5;
    const size_t first = low > 0.0 ? (size_t)low : 0;
    const size_t end = size_max(size_min((size_t)high, g->in), first);
    return (struct window){first, size_min(end - first, taps)};
}

/* Fills weights [window.count], which sum to 1. */
static void weigh(const struct geometry *g, struct window window, double centre, double *weights)
{
    double sum = 0.0;
    for (size_t k = 0; k < window.count; k++) {
        const double distance = round_to(g->in_float, (double)(k + window.first) - centre) + 0.5;
        weights[k] = round_to(g->in_float, g->curve(round_to(g->in_float, distance * g->inverse)));
        sum = round_to(g->in_float, sum + weights[k]);
    }
    for (size_t k = 0; k < window.count && sum != 0.0; k++)
        weights[k] = round_to(g->in_float, weights[k] / sum);
}

static int32_t to_fixed(double weight, int bits)
{
    return (int32_t)(weight * (1 << bits) + (weight < 0.0 ? -0.5 : 0.5));
}

/* torchvision's rule: the most fractional bits, up to 22, with which the largest weight fits in 16 bits. */
static int short_bits(const double *weights, size_t count)
{
    double largest = 0.0;
    int bits = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, weights[i]);
    while (bits < WEIGHT_BITS && to_fixed(largest, bits + 1) <= INT16_MAX)
        bits++;
    return bits;
}

static struct slack slack_of(const int32_t *longs, const int16_t *shorts, size_t count, int bits)
{
    const int32_t unit = 1 << (WEIGHT_BITS - bits);
    int32_t less = 0, more = 0;
    for (size_t k = 0; k < count; k++) {
        const int32_t difference = longs[k] - shorts[k] * unit;
        if (difference < 0)
            less -= UINT8_MAX * difference;
        else
            more += UINT8_MAX * difference;
    }
    return (struct slack){-((less + unit - 1) / unit), (more + unit - 1) / unit};
}

/* weights [axis->out,axis->taps]. */
static void round_weights(struct axis *axis, const double *weights)
{
    const size_t count = axis->out * axis->taps;
    axis->bits = short_bits(weights, count);
    for (size_t i = 0; i < count; i++) {
        if (axis->floats)
            axis->floats[i] = (float)weights[i];
        if (axis->shorts)
            axis->shorts[i] = (int16_t)to_fixed(weights[i], axis->bits);
        if (axis->longs)
            axis->longs[i] = to_fixed(weights[i], WEIGHT_BITS);
    }
    for (size_t j = 0; j < axis->out && axis->slacks; j++)
        axis->slacks[j] =
            slack_of(axis->longs + j * axis->taps, axis->shorts + j * axis->taps, axis->windows[j].count, axis->bits);
}

/* What `kind` has no use for stays NULL. */
static vitcl_status allocate(struct axis *axis, enum weights kind, double **weights, vitcl_error *err)
{
    const size_t out = axis->out;
    size_t count, bytes;
    bool got = size_mul(out, axis->taps, &count) && size_mul(count, sizeof **weights, &bytes) &&
               size_mul(out, size_max(sizeof *axis->windows, sizeof *axis->slacks), &bytes);
    if (!got)
        return fail_memory(err, SIZE_MAX);
    *weights = calloc(count, sizeof **weights);
    axis->windows = malloc(out * sizeof *axis->windows);
    got = *weights && axis->windows;
    if (kind == WEIGHTS_FLOAT) {
        axis->floats = malloc(count * sizeof *axis->floats);
        got = got && axis->floats;
    } else {
        axis->shorts = malloc(count * sizeof *axis->shorts);
        got = got && axis->shorts;
    }
    if (kind == WEIGHTS_PIL) {
        axis->longs = malloc(count * sizeof *axis->longs);
        axis->slacks = malloc(out * sizeof *axis->slacks);
        got = got && axis->longs && axis->slacks;
    }
    return got ? VITCL_OK : fail_memory(err, count * sizeof **weights);
}

vitcl_status axis_create(struct axis *axis, enum weights kind, enum resample filter, size_t in, size_t out,
                         vitcl_error *err)
{
    vitcl_status status;
    const struct geometry g = geometry_of(&filters[filter], kind == WEIGHTS_FLOAT, in, out);
    double *weights = NULL;

    *axis = (struct axis){.out = out, .taps = 2 * (size_t)ceil(g.reach) + 1};
    TRY(allocate(axis, kind, &weights, err));
    for (size_t j = 0; j < out; j++) {
        const double centre = centre_of(&g, j);
        axis->windows[j] = window_around(&g, centre, axis->taps);
        weigh(&g, axis->windows[j], centre, weights + j * axis->taps);
    }
    round_weights(axis, weights);
done:
    free(weights);
    if (status != VITCL_OK)
        axis_free(axis);
    return status;
}

void axis_free(struct axis *axis)
{
    free(axis->windows);
    free(axis->floats);
    free(axis->shorts);
    free(axis->longs);
    free(axis->slacks);
    memset(axis, 0, sizeof *axis);
}

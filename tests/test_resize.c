/* test_resize.c - the resizes of levels against hashes of what Pillow 13 and torchvision 0.29 make of pseudo-random
 * pictures, that of floats against torchvision's numbers (make_resize_vectors.py), and properties that neither shows.
 */
#include "image/resize.h"
#include "model/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define FENCE        64 /* bytes behind every output, which must stay as they are */

struct job {
    size_t in_width, in_height, width, height;
    enum resizer resizer;
    enum resample filter;
};

/* The picture's pixels, which the caller frees: the top bytes of a linear congruential generator. */
static uint8_t *noise(size_t width, size_t height)
{
    const size_t size = width * height * 3;
    uint8_t *pixels = malloc(size);
    uint32_t x = 12345;
    assert_non_null(pixels);
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(x >> 24);
    }
    return pixels;
}

static uint32_t fnv1a32(const uint8_t *bytes, size_t size)
{
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x01000193u;
    return hash;
}

/* Resizes `pixels` and checks that nothing behind the output was written. The caller frees the result. */
static uint8_t *resized(const uint8_t *pixels, const struct job *job)
{
    const vitcl_image image = {.pixels = pixels, .width = job->in_width, .height = job->in_height};
    const size_t size = job->width * job->height * 3;
    uint8_t *rgb = malloc(size + FENCE);
    vitcl_error err;
    assert_non_null(rgb);
    memset(rgb, 0xa5, size + FENCE);
    assert_int_equal(image_resize(&image, job->resizer, job->filter, job->width, job->height, rgb, &err), VITCL_OK);
    for (size_t i = 0; i < FENCE; i++)
        assert_int_equal(rgb[size + i], 0xa5);
    return rgb;
}

static void assert_hash(const struct job *job, bool black_and_white, uint32_t hash)
{
    uint8_t *pixels = noise(job->in_width, job->in_height), *rgb;
    uint32_t found;
    for (size_t i = 0; i < job->in_width * job->in_height * 3 && black_and_white; i++)
        pixels[i] = pixels[i] > 127 ? 255 : 0;
    rgb = resized(pixels, job);
    found = fnv1a32(rgb, job->width * job->height * 3);
    if (found != hash)
        fail_msg("resizer %d, %zux%zu -> %zux%zu, filter %d: hash %08x, the library's %08x", (int)job->resizer,
                 job->in_width, job->in_height, job->width, job->height, (int)job->filter, found, hash);
    free(rgb);
    free(pixels);
}

/* Lines "library picture in_w in_h out_w out_h resample hash". */
static void vectors(void **state)
{
    FILE *file = fopen(FIXTURES "/resize_vectors.txt", "r");
    char library[16], picture[16];
    struct job job;
    int filter, lines = 0;
    uint32_t hash;
    (void)state;
    assert_non_null(file);
    while (fscanf(file, "%15s %15s %zu %zu %zu %zu %d %x", library, picture, &job.in_width, &job.in_height, &job.width,
                  &job.height, &filter, &hash) == 8) {
        job.resizer = strcmp(library, "pil") == 0 ? RESIZER_PIL : RESIZER_TORCHVISION;
        job.filter = (enum resample)filter;
        assert_hash(&job, strcmp(picture, "blackwhite") == 0, hash);
        lines++;
    }
    assert_true(feof(file));
    assert_int_equal(lines, 770);
    fclose(file);
}

static float *resized_float(const uint8_t *pixels, const struct job *job)
{
    const vitcl_image image = {.pixels = pixels, .width = job->in_width, .height = job->in_height};
    float *planes = malloc(job->width * job->height * 3 * sizeof *planes);
    vitcl_error err;
    assert_non_null(planes);
    assert_int_equal(
        image_resize_float(&image, job->filter, (float)(1.0 / 255.0), job->width, job->height, planes, &err), VITCL_OK);
    return planes;
}

static void compare_float(const struct tensor_entry *expected)
{
    struct job job;
    uint8_t *pixels;
    float *planes;
    int filter;
    assert_int_equal(
        sscanf(expected->name, "%zux%zu.%zux%zu.%d", &job.in_width, &job.in_height, &job.width, &job.height, &filter),
        5);
    job.filter = (enum resample)filter;
    pixels = noise(job.in_width, job.in_height);
    planes = resized_float(pixels, &job);
    assert_int_equal(expected->bytes, job.width * job.height * 3 * sizeof *planes);
    for (size_t i = 0; i < job.width * job.height * 3; i++) {
        float value;
        memcpy(&value, expected->data + i * sizeof value, sizeof value);
        if (!(fabsf(planes[i] - value) <= 5e-7f))
            fail_msg("%s: number %zu is %.8f, torchvision's %.8f", expected->name, i, planes[i], value);
    }
    free(planes);
    free(pixels);
}

static void float_vectors(void **state)
{
    struct safetensors expected;
    (void)state;
    assert_int_equal(safetensors_open(&expected, FIXTURES "/resize_float.safetensors", NULL), VITCL_OK);
    for (size_t i = 0; i < expected.count; i++)
        compare_float(&expected.entries[i]);
    assert_int_equal(expected.count, 19);
    safetensors_close(&expected);
}

static void same_size_is_a_copy(void **state)
{
    uint8_t *pixels = noise(31, 17);
    (void)state;
    for (int resizer = RESIZER_PIL; resizer <= RESIZER_TORCHVISION; resizer++) {
        const struct job job = {31, 17, 31, 17, (enum resizer)resizer, RESAMPLE_BICUBIC};
        uint8_t *rgb = resized(pixels, &job);
        assert_memory_equal(rgb, pixels, 31 * 17 * 3);
        free(rgb);
    }
    free(pixels);
}

/* Weights sum to one even where they are many, cut off at an edge or negative, in 22 bits, 16 bits or float. */
static void one_colour_stays(void **state)
{
    static const struct job jobs[] = {
        {1, 1, 300, 200, RESIZER_PIL, RESAMPLE_BICUBIC}, {5000, 3, 1, 7, RESIZER_TORCHVISION, RESAMPLE_BILINEAR},
        {2, 4000, 9, 1, RESIZER_PIL, RESAMPLE_BICUBIC},  {400, 300, 1, 1, RESIZER_PIL, RESAMPLE_BOX},
        {3, 2, 5, 1, RESIZER_PIL, RESAMPLE_HAMMING},     {1, 9, 1, 3, RESIZER_TORCHVISION, RESAMPLE_LANCZOS},
        {700, 1, 350, 1, RESIZER_PIL, RESAMPLE_LANCZOS}, {90, 70, 13, 130, RESIZER_TORCHVISION, RESAMPLE_BICUBIC},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(jobs); i++) {
        uint8_t *pixels = noise(jobs[i].in_width, jobs[i].in_height), *rgb;
        float *planes;
        memset(pixels, 255, jobs[i].in_width * jobs[i].in_height * 3);
        rgb = resized(pixels, &jobs[i]);
        planes = resized_float(pixels, &jobs[i]);
        for (size_t k = 0; k < jobs[i].width * jobs[i].height * 3; k++) {
            assert_int_equal(rgb[k], 255);
            assert_true(fabsf(planes[k] - 1.0f) <= 1e-5f);
        }
        free(planes);
        free(rgb);
        free(pixels);
    }
}

/* Halving a row of two pixels: the mean, rounded up at one half; each channel for itself. */
static void mean_of_two_pixels(void **state)
{
    static const uint8_t pixels[] = {10, 0, 255, 21, 1, 255}, expected[] = {16, 1, 255};
    const struct job job = {2, 1, 1, 1, RESIZER_PIL, RESAMPLE_BILINEAR};
    uint8_t *rgb = resized(pixels, &job);
    (void)state;
    assert_memory_equal(rgb, expected, 3);
    free(rgb);
}

/* Bicubic overshoots at an edge; levels outside 0..255 must be clamped, not wrapped. */
static void overshoot_is_clamped(void **state)
{
    static const uint8_t pixels[] = {0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255};
    const struct job job = {4, 1, 16, 1, RESIZER_PIL, RESAMPLE_BICUBIC};
    uint8_t *rgb = resized(pixels, &job);
    (void)state;
    for (size_t i = 1; i < 16; i++)
        assert_true(rgb[3 * i] >= rgb[3 * i - 3]);
    assert_int_equal(rgb[0], 0);
    assert_int_equal(rgb[45], 255);
    free(rgb);
}

/* Floats overshoot too, and are not clamped: torchvision's processor normalises them as they are. */
static void floats_are_not_clamped(void **state)
{
    static const uint8_t pixels[] = {0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255};
    const struct job job = {4, 1, 16, 1, RESIZER_TORCHVISION, RESAMPLE_BICUBIC};
    float *planes = resized_float(pixels, &job);
    float lowest = 0.0f, highest = 0.0f;
    (void)state;
    for (size_t i = 0; i < 16; i++) {
        lowest = fminf(lowest, planes[i]);
        highest = fmaxf(highest, planes[i]);
    }
    assert_true(lowest < -0.05f);
    assert_true(highest > 1.05f);
    free(planes);
}

/* The bytes of its weights, counted modulo the address space, are few; so are those of nearest's positions. */
static void impossible_size_is_an_error(void **state)
{
    const vitcl_image image = {.pixels = (const uint8_t[3]){0}, .width = 1, .height = 1};
    const size_t width = SIZE_MAX / 4 + 2;
    vitcl_error err = {0};
    uint8_t rgb[3];
    float planes[3];
    (void)state;
    assert_int_equal(image_resize(&image, RESIZER_PIL, RESAMPLE_BICUBIC, width, 1, rgb, &err), VITCL_ERROR_MEMORY);
    assert_int_equal(err.status, VITCL_ERROR_MEMORY);
    assert_int_equal(image_resize(&image, RESIZER_PIL, RESAMPLE_NEAREST, width, 1, rgb, &err), VITCL_ERROR_MEMORY);
    assert_int_equal(image_resize_float(&image, RESAMPLE_BICUBIC, 1.0f, width, 1, planes, &err), VITCL_ERROR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(float_vectors),
        cmocka_unit_test(same_size_is_a_copy),
        cmocka_unit_test(one_colour_stays),
        cmocka_unit_test(mean_of_two_pixels),
        cmocka_unit_test(overshoot_is_clamped),
        cmocka_unit_test(floats_are_not_clamped),
        cmocka_unit_test(impossible_size_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

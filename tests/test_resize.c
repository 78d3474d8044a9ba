/* test_resize.c - image_resize against Pillow 13: hashes of what Pillow makes of pseudo-random pictures, and properties
 * that no hash shows. A picture here is the byte stream of a linear congruential generator, as in make_images.py. */
#include "image/resize.h"

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
    enum resample filter;
};

/* The picture's pixels, which the caller frees. */
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
    assert_int_equal(image_resize(&image, RESIZER_PIL, job->filter, job->width, job->height, rgb, &err), VITCL_OK);
    for (size_t i = 0; i < FENCE; i++)
        assert_int_equal(rgb[size + i], 0xa5);
    return rgb;
}

static void assert_hash(const struct job *job, uint32_t hash)
{
    uint8_t *pixels = noise(job->in_width, job->in_height);
    uint8_t *rgb = resized(pixels, job);
    const uint32_t found = fnv1a32(rgb, job->width * job->height * 3);
    if (found != hash)
        fail_msg("%zux%zu -> %zux%zu, filter %d: hash %08x, Pillow's %08x", job->in_width, job->in_height, job->width,
                 job->height, (int)job->filter, found, hash);
    free(rgb);
    free(pixels);
}

/* Small and ordinary sizes, one axis only, and a picture so tall that the pass down comes first. */
static void published_vectors(void **state)
{
    static const struct {
        struct job job;
        uint32_t hash;
    } vectors[] = {
        {{7, 5, 4, 3, RESAMPLE_BILINEAR}, 0x1b26aa7b},         {{7, 5, 4, 3, RESAMPLE_BICUBIC}, 0x2b1870d9},
        {{64, 48, 32, 32, RESAMPLE_BILINEAR}, 0x250c1461},     {{64, 48, 32, 32, RESAMPLE_BICUBIC}, 0x60a432b8},
        {{37, 53, 224, 224, RESAMPLE_BICUBIC}, 0x7b32c807},    {{37, 53, 224, 224, RESAMPLE_BILINEAR}, 0x40ad15d9},
        {{333, 211, 224, 224, RESAMPLE_BILINEAR}, 0x39daf1e0}, {{333, 211, 224, 224, RESAMPLE_BICUBIC}, 0x90c05c86},
        {{224, 100, 224, 50, RESAMPLE_BICUBIC}, 0xf082ceac},   {{100, 224, 50, 224, RESAMPLE_BILINEAR}, 0x236afd7a},
        {{640, 427, 336, 224, RESAMPLE_BICUBIC}, 0x8fe3b63a},  {{3, 400, 8, 8, RESAMPLE_BICUBIC}, 0x2055ed91},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        assert_hash(&vectors[i].job, vectors[i].hash);
}

/* Lines "in_w in_h out_w out_h resample hash". */
static void vectors_from_file(void **state)
{
    FILE *file = fopen(FIXTURES "/resize_vectors.txt", "r");
    struct job job;
    int filter, lines = 0;
    uint32_t hash;
    (void)state;
    assert_non_null(file);
    while (fscanf(file, "%zu %zu %zu %zu %d %x", &job.in_width, &job.in_height, &job.width, &job.height, &filter,
                  &hash) == 6) {
        job.filter = (enum resample)filter;
        assert_hash(&job, hash);
        lines++;
    }
    assert_true(feof(file));
    assert_true(lines >= 36);
    fclose(file);
}

static void same_size_is_a_copy(void **state)
{
    const struct job job = {31, 17, 31, 17, RESAMPLE_BICUBIC};
    uint8_t *pixels = noise(31, 17), *rgb = resized(pixels, &job);
    (void)state;
    assert_memory_equal(rgb, pixels, 31 * 17 * 3);
    free(rgb);
    free(pixels);
}

/* Weights sum to one even where they are many, cut off at an edge or negative. */
static void one_colour_stays(void **state)
{
    static const struct job jobs[] = {
        {1, 1, 300, 200, RESAMPLE_BICUBIC},  {5000, 3, 1, 7, RESAMPLE_BILINEAR}, {2, 4000, 9, 1, RESAMPLE_BICUBIC},
        {400, 300, 1, 1, RESAMPLE_BILINEAR}, {3, 2, 5, 1, RESAMPLE_BICUBIC},     {1, 9, 1, 3, RESAMPLE_BILINEAR},
        {700, 1, 350, 1, RESAMPLE_BICUBIC},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(jobs); i++) {
        uint8_t *pixels = noise(jobs[i].in_width, jobs[i].in_height), *rgb;
        memset(pixels, 255, jobs[i].in_width * jobs[i].in_height * 3);
        rgb = resized(pixels, &jobs[i]);
        for (size_t k = 0; k < jobs[i].width * jobs[i].height * 3; k++)
            assert_int_equal(rgb[k], 255);
        free(rgb);
        free(pixels);
    }
}

/* Halving a row of two pixels: the mean, rounded up at one half; each channel for itself. */
static void mean_of_two_pixels(void **state)
{
    static const uint8_t pixels[] = {10, 0, 255, 21, 1, 255}, expected[] = {16, 1, 255};
    const struct job job = {2, 1, 1, 1, RESAMPLE_BILINEAR};
    uint8_t *rgb = resized(pixels, &job);
    (void)state;
    assert_memory_equal(rgb, expected, 3);
    free(rgb);
}

/* Bicubic overshoots at an edge; levels outside 0..255 must be clamped, not wrapped. */
static void overshoot_is_clamped(void **state)
{
    static const uint8_t pixels[] = {0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255};
    const struct job job = {4, 1, 16, 1, RESAMPLE_BICUBIC};
    uint8_t *rgb = resized(pixels, &job);
    (void)state;
    for (size_t i = 1; i < 16; i++)
        assert_true(rgb[3 * i] >= rgb[3 * i - 3]);
    assert_int_equal(rgb[0], 0);
    assert_int_equal(rgb[45], 255);
    free(rgb);
}

/* The bytes of its weights, counted modulo the address space, are few. */
static void impossible_size_is_an_error(void **state)
{
    const vitcl_image image = {.pixels = (const uint8_t[3]){0}, .width = 1, .height = 1};
    vitcl_error err = {0};
    uint8_t rgb[3];
    (void)state;
    assert_int_equal(image_resize(&image, RESIZER_PIL, RESAMPLE_BICUBIC, SIZE_MAX / 4 + 2, 1, rgb, &err),
                     VITCL_ERROR_MEMORY);
    assert_int_equal(err.status, VITCL_ERROR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),           cmocka_unit_test(vectors_from_file),
        cmocka_unit_test(same_size_is_a_copy),         cmocka_unit_test(one_colour_stays),
        cmocka_unit_test(mean_of_two_pixels),          cmocka_unit_test(overshoot_is_clamped),
        cmocka_unit_test(impossible_size_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* pictures.h - what test_decode.c and test_orientation.c share: the pictures of tests/fixtures/images as bytes that can
 * be changed, and whether bytes decode to what a fixture decodes to. Each block has exactly its size, so that a
 * sanitizer sees the first byte read behind it. */
#ifndef VITCL_TESTS_PICTURES_H
#define VITCL_TESTS_PICTURES_H

#include "base/file.h"
#include "image/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NAME         "some picture" /* of what is no fixture, in messages */

struct bytes {
    unsigned char *data;
    size_t size;
};

static inline struct bytes copy_of(const void *data, size_t size)
{
    struct bytes bytes = {malloc(size ? size : 1), size};
    assert_non_null(bytes.data);
    memcpy(bytes.data, data, size);
    return bytes;
}

/* A file under tests/fixtures/images. */
static inline struct bytes load(const char *name)
{
    char path[512];
    struct mapped_file file;
    struct bytes bytes;
    snprintf(path, sizeof path, FIXTURES "/images/%s", name);
    assert_int_equal(file_map(&file, path, NULL), VITCL_OK);
    bytes = copy_of(file.data, file.size);
    file_unmap(&file);
    return bytes;
}

/* Puts more bytes at an offset. */
static inline void insert(struct bytes *bytes, size_t offset, const void *data, size_t size)
{
    bytes->data = realloc(bytes->data, bytes->size + size);
    assert_non_null(bytes->data);
    memmove(bytes->data + offset + size, bytes->data + offset, bytes->size - offset);
    memcpy(bytes->data + offset, data, size);
    bytes->size += size;
}

/* The bytes after the first occurrence of a word. */
static inline unsigned char *after(const struct bytes *bytes, const char *word)
{
    const size_t length = strlen(word);
    for (size_t i = 0; i + length <= bytes->size; i++)
        if (memcmp(bytes->data + i, word, length) == 0)
            return bytes->data + i + length;
    fail_msg("no %s in the file", word);
    return NULL;
}

static inline vitcl_image decoded(const struct bytes *bytes, const char *name)
{
    vitcl_image image;
    vitcl_error err = {0};
    if (image_decode(&image, bytes->data, bytes->size, true, name, &err) != VITCL_OK)
        fail_msg("%s", err.message);
    return image;
}

static inline void assert_same_pixels(const vitcl_image *found, const vitcl_image *expected, const char *name)
{
    if (found->width != expected->width || found->height != expected->height)
        fail_msg("%s: %zu x %zu, expected %zu x %zu", name, found->width, found->height, expected->width,
                 expected->height);
    for (size_t i = 0; i < found->width * found->height * 3; i++)
        if (found->pixels[i] != expected->pixels[i])
            fail_msg("%s: column %zu, row %zu, channel %zu is %d, expected %d", name, i / 3 % found->width,
                     i / 3 / found->width, i % 3, found->pixels[i], expected->pixels[i]);
}

/* The bytes decode to what a fixture decodes to. */
static inline void assert_decodes_like(const struct bytes *bytes, const char *fixture)
{
    struct bytes other = load(fixture);
    vitcl_image found = decoded(bytes, NAME), expected = decoded(&other, fixture);
    assert_same_pixels(&found, &expected, fixture);
    image_free(&found);
    image_free(&expected);
    free(other.data);
}

#endif

/* test_decode.c - image_decode against Pillow 13, pixel by pixel, and what it refuses.
 *
 * Pictures are those of tests/fixtures/images and changed copies of them. A failure must leave no image and must name
 * the file. How pictures are turned is tested by test_orientation.c.
 */
#include "image/decode_internal.h"
#include "model/safetensors.h"
#include "pictures.h"

#include <dirent.h>

static void assert_clean_failure(vitcl_status status, const vitcl_image *image, const vitcl_error *err,
                                 const char *name)
{
    assert_int_equal(err->status, status);
    assert_int_equal(strncmp(err->message, name, strlen(name)), 0);
    assert_null(image->pixels);
    assert_null(image->storage);
    assert_int_equal(image->width, 0);
    assert_int_equal(image->height, 0);
}

/* Refused with that status and a message that has `words` in it. */
static void assert_refused(const struct bytes *bytes, vitcl_status status, const char *words)
{
    vitcl_image image;
    vitcl_error err = {0};
    if (image_decode(&image, bytes->data, bytes->size, true, NAME, &err) != status || !strstr(err.message, words))
        fail_msg("expected \"%s\", got %s: %s", words, vitcl_status_name(err.status), err.message);
    assert_clean_failure(status, &image, &err, NAME);
}

/* Calls visit with the name of every picture among the fixtures; returns how many there are. */
static size_t for_each_picture(const char *folder, void (*visit)(const char *name))
{
    char path[512];
    DIR *entries;
    const struct dirent *entry;
    size_t count = 0;
    snprintf(path, sizeof path, FIXTURES "/images/%s", folder);
    entries = opendir(path);
    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        char name[300];
        const char *extension = strrchr(entry->d_name, '.');
        if (!extension || !strstr(".jpg .jpeg .png .webp", extension) || !extension[1])
            continue;
        snprintf(name, sizeof name, "%s%s", folder, entry->d_name);
        visit(name);
        count++;
    }
    closedir(entries);
    return count;
}

/* ---- pictures that are whole ------------------------------------------------------------------------------------- */

static void pictures_match_pillow(void **state)
{
    struct safetensors tensors;
    size_t count = 0;
    (void)state;
    assert_int_equal(safetensors_open(&tensors, FIXTURES "/images/expected.safetensors", NULL), VITCL_OK);
    for (size_t i = 0; i < tensors.count; i++) {
        const struct tensor_entry *entry = &tensors.entries[i];
        const vitcl_image expected = {.pixels = entry->data, .width = entry->shape[1], .height = entry->shape[0]};
        struct bytes bytes;
        vitcl_image found;
        if (strcmp(entry->dtype_name, "U8") != 0)
            continue;
        bytes = load(entry->name);
        found = decoded(&bytes, entry->name);
        assert_same_pixels(&found, &expected, entry->name);
        image_free(&found);
        free(bytes.data);
        count++;
    }
    assert_true(count >= 46);
    safetensors_close(&tensors);
}

/* Four components with Adobe's transform 2. The hash, FNV-1a-32, is of Pillow's pixels. */
static void ycck_matches_pillow(void **state)
{
    struct bytes bytes = load("jpeg_cmyk.jpg");
    uint32_t hash = 0x811c9dc5u;
    vitcl_image image;
    (void)state;
    after(&bytes, "Adobe")[6] = 2;
    image = decoded(&bytes, NAME);
    for (size_t i = 0; i < image.width * image.height * 3; i++)
        hash = (hash ^ image.pixels[i]) * 0x01000193u;
    assert_int_equal(hash, 0xb19586af);
    image_free(&image);
    free(bytes.data);
}

/* Two frames; the first covers columns 2 to 5 of rows 2 to 4 of a canvas of 7 x 5. */
static void first_frame_of_animated_webp(void **state)
{
    static const unsigned char animated[] = {
        'R',  'I',  'F',  'F',  0x8a, 0,    0,    0,    'W',  'E',  'B',  'P', 'V',  'P',  '8',  'X',  0x0a,
        0,    0,    0,    0x02, 0,    0,    0,    0x06, 0,    0,    0x04, 0,   0,    'A',  'N',  'I',  'M',
        0x06, 0,    0,    0,    0,    0,    0,    0,    0,    0,    'A',  'N', 'M',  'F',  0x2a, 0,    0,
        0,    0x01, 0,    0,    0x01, 0,    0,    0x03, 0,    0,    0x02, 0,   0,    0,    0,    0,    0x02,
        'V',  'P',  '8',  'L',  0x11, 0,    0,    0,    0x2f, 0x03, 0x80, 0,   0,    0x07, 0x50, 0xb2, 0x22,
        0x57, 0xa6, 0xff, 0x81, 0x88, 0xe8, 0x7f, 0,    0,    'A',  'N',  'M', 'F',  0x2c, 0,    0,    0,
        0,    0,    0,    0,    0,    0,    0x03, 0,    0,    0x02, 0,    0,   0,    0,    0,    0,    'V',
        'P',  '8',  'L',  0x14, 0,    0,    0,    0x2f, 0x03, 0x80, 0,    0,   0x07, 0x50, 0x81, 0x54, 0x08,
        0x20, 0,    0x0a, 0x9a, 0xfe, 0xc7, 0x88, 0x88, 0xfe, 0x07};
    static const uint8_t black[] = {0, 0, 0}, brown[] = {200, 100, 50};
    struct bytes bytes = copy_of(animated, sizeof animated);
    vitcl_image image = decoded(&bytes, NAME);
    (void)state;
    assert_int_equal(image.width, 7);
    assert_int_equal(image.height, 5);
    for (size_t i = 0; i < 35; i++) {
        const bool inside = i % 7 >= 2 && i % 7 <= 5 && i / 7 >= 2;
        assert_memory_equal(image.pixels + 3 * i, inside ? brown : black, 3);
    }
    image_free(&image);
    free(bytes.data);
}

/* Turned by hand it is the upright picture. */
static void stored_rows_on_request(void **state)
{
    static const struct {
        const char *name;
        int orientation;
    } cases[] = {{"exif_1.jpg", 1}, {"exif_3.jpg", 3},     {"exif_6.jpg", 6},       {"exif_8.jpg", 8},
                 {"exif_9.jpg", 1}, {"png_exif_6.png", 6}, {"webp_exif_6.webp", 6}, {"jpeg_xmp_6.jpg", 6}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes bytes = load(cases[i].name);
        vitcl_image upright = decoded(&bytes, cases[i].name), stored;
        vitcl_error err;
        assert_int_equal(image_decode(&stored, bytes.data, bytes.size, false, NAME, &err), VITCL_OK);
        assert_int_equal(stored.width, 24);
        assert_int_equal(stored.height, 16);
        assert_int_equal(orientation_apply(&stored, cases[i].orientation, NAME, &err), VITCL_OK);
        assert_same_pixels(&upright, &stored, cases[i].name);
        image_free(&upright);
        image_free(&stored);
        free(bytes.data);
    }
}

/* Cameras append previews; Pillow, too, reads a picture up to its end only. */
static void bytes_behind_the_end_do_not_matter(void **state)
{
    static const char *const names[] = {"jpeg_420.jpg", "png_rgb.png", "webp_lossy.webp"};
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct bytes bytes = load(names[i]);
        insert(&bytes, bytes.size, "anything", 8);
        assert_decodes_like(&bytes, names[i]);
        free(bytes.data);
    }
}

/* libjpeg warns of bytes that belong to no segment; they cost nothing. But the end must be there behind them. */
static void stray_bytes_between_segments_do_not_matter(void **state)
{
    static const char stray[64] = {0};
    struct bytes bytes = load("jpeg_420.jpg");
    (void)state;
    insert(&bytes, bytes.size - 2, stray, sizeof stray);
    assert_decodes_like(&bytes, "jpeg_420.jpg");
    bytes.size -= 2;
    assert_refused(&bytes, VITCL_ERROR_FORMAT, "end of JPEG");
    free(bytes.data);
}

/* ---- files that are refused ---------------------------------------------------------------------------------------
 */

static void assert_bad(const char *name)
{
    struct bytes bytes = load(name);
    vitcl_image image;
    vitcl_error err = {0};
    const vitcl_status status = image_decode(&image, bytes.data, bytes.size, true, name, &err);
    assert_int_not_equal(status, VITCL_OK);
    assert_clean_failure(status, &image, &err, name);
    free(bytes.data);
}

static void bad_pictures(void **state)
{
    (void)state;
    assert_true(for_each_picture("bad/", assert_bad) >= 7);
}

static void too_many_pixels(void **state)
{
    struct bytes bytes = load("bad/huge_60000x60000.png");
    (void)state;
    assert_refused(&bytes, VITCL_ERROR_UNSUPPORTED, "60000 x 60000");
    free(bytes.data);
}

static void other_formats_are_named(void **state)
{
    static const struct {
        const char *bytes; /* 16 */
        const char *name;
    } cases[] = {
        {"GIF87a\1\0\1\0\0\0\0\0\0\0", "is a GIF"},
        {"GIF89a\1\0\1\0\0\0\0\0\0\0", "is a GIF"},
        {"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\0\0", "is a BMP"},
        {"II*\0\10\0\0\0\0\0\0\0\0\0\0\0", "is a TIFF"},
        {"MM\0*\0\0\0\10\0\0\0\0\0\0\0\0", "is a TIFF"},
        {"\0\0\0\x1c"
         "ftypavif\0\0\0\0",
         "is a AVIF"},
        {"\0\0\0\x18"
         "ftypheic\0\0\0\0",
         "is a HEIC"},
        {"\0\0\0\x18"
         "ftypmif1\0\0\0\0",
         "is a HEIC"},
        {"\xff\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "is a JPEG XL"},
        {"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\0", "is a JPEG XL"},
        {"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0", "is a JPEG 2000"},
        {"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes bytes = copy_of(cases[i].bytes, 16);
        assert_refused(&bytes, VITCL_ERROR_UNSUPPORTED, cases[i].name);
        free(bytes.data);
    }
}

static void no_pictures(void **state)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = {
        {"", "is empty"},
        {"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n", "is text"},
        {"BMW, Mercedes, Audi", "is text"},
        {"\1\2\3\4\5\6\7\10\11\12", "is no JPEG, PNG or WebP"},
        {"\xff", "is no JPEG, PNG or WebP"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes bytes = copy_of(cases[i].bytes, strlen(cases[i].bytes));
        assert_refused(&bytes, VITCL_ERROR_FORMAT, cases[i].message);
        free(bytes.data);
    }
}

/* A sound JPEG of 12 bits per sample. */
static void unsupported_jpeg(void **state)
{
    struct bytes bytes = load("jpeg_444.jpg");
    (void)state;
    after(&bytes, "\xff\xc0")[2] = 12;
    assert_refused(&bytes, VITCL_ERROR_UNSUPPORTED, "12");
    free(bytes.data);
}

/* A chunk that is not pixels: its loss would turn the picture. */
static void wrong_checksum_of_metadata(void **state)
{
    struct bytes bytes = load("png_exif_6.png");
    (void)state;
    after(&bytes, "eXIf")[10] ^= 1;
    assert_refused(&bytes, VITCL_ERROR_FORMAT, "CRC");
    free(bytes.data);
}

/* Not one byte may be missing, neither of the pixels nor of what follows them. */
static void assert_no_prefix_decodes(const char *name)
{
    struct bytes bytes = load(name);
    for (size_t size = 0; size < bytes.size; size++) {
        struct bytes prefix = copy_of(bytes.data, size);
        vitcl_image image;
        vitcl_error err = {0};
        const vitcl_status status = image_decode(&image, prefix.data, size, true, name, &err);
        if (status == VITCL_OK)
            fail_msg("%s: decodes from its first %zu of %zu bytes", name, size, bytes.size);
        assert_clean_failure(status, &image, &err, name);
        free(prefix.data);
    }
    free(bytes.data);
}

static void no_prefix_decodes(void **state)
{
    (void)state;
    assert_true(for_each_picture("", assert_no_prefix_decodes) >= 46);
}

/* One bit of every seventh byte is wrong, one byte at a time: a whole picture or a clean failure. */
static void assert_survives_wrong_bits(const char *name)
{
    struct bytes bytes = load(name);
    for (size_t i = 0; i < bytes.size; i += 7) {
        const unsigned char flip = (unsigned char)(1 << i % 8);
        vitcl_image image;
        vitcl_error err = {0};
        vitcl_status status;
        bytes.data[i] ^= flip;
        status = image_decode(&image, bytes.data, bytes.size, true, name, &err);
        if (status != VITCL_OK)
            assert_clean_failure(status, &image, &err, name);
        image_free(&image);
        bytes.data[i] ^= flip;
    }
    free(bytes.data);
}

static void wrong_bits(void **state)
{
    (void)state;
    assert_true(for_each_picture("", assert_survives_wrong_bits) >= 46);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_match_pillow),
        cmocka_unit_test(ycck_matches_pillow),
        cmocka_unit_test(first_frame_of_animated_webp),
        cmocka_unit_test(stored_rows_on_request),
        cmocka_unit_test(bytes_behind_the_end_do_not_matter),
        cmocka_unit_test(stray_bytes_between_segments_do_not_matter),
        cmocka_unit_test(bad_pictures),
        cmocka_unit_test(too_many_pixels),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(no_pictures),
        cmocka_unit_test(unsupported_jpeg),
        cmocka_unit_test(wrong_checksum_of_metadata),
        cmocka_unit_test(no_prefix_decodes),
        cmocka_unit_test(wrong_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

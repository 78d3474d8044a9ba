/* test_orientation.c - which of EXIF and XMP turns a picture, in which spelling, in each format; and the turning
 * itself.
 *
 * For the former, changed copies of fixtures must decode to what a fixture decodes to.
 */
#include "image/decode_internal.h"
#include "pictures.h"

#define XMP_6 "<x tiff:Orientation='6'/><tiff:Orientation>6</tiff:Orientation><x tiff:Orientation=\"3\"/>"

/* A JPEG segment APP1 right after the start. */
static void insert_app1(struct bytes *bytes, const char *content, size_t size)
{
    const unsigned char head[] = {0xff, 0xe1, 0, (unsigned char)(size + 2)};
    insert(bytes, 2, content, size);
    insert(bytes, 2, head, sizeof head);
}

/* The first form that Pillow knows counts; one in single quotes it does not know. */
static void xmp_element_in_jpeg(void **state)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/\0" XMP_6;
    struct bytes bytes = load("exif_1.jpg");
    (void)state;
    memcpy(after(&bytes, "Exif"), "\0\0XX", 4); /* now there is no EXIF to find */
    insert_app1(&bytes, xmp, sizeof xmp - 1);
    assert_decodes_like(&bytes, "exif_6.jpg");
    free(bytes.data);
}

/* EXIF with an orientation of that type and value in little-endian order; 32 bytes. */
#define EXIF(type, value) "Exif\0\0II*\0\10\0\0\0\1\0\x12\1" type "\0\1\0\0\0" value "\0\0\0\0\0\0\0"

/* Even one that makes no sense: 0 and 9 are no orientations, a string is no number. */
static void exif_wins_over_xmp(void **state)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/\0" XMP_6;
    static const char *const exifs[] = {EXIF("\3", "\1"), EXIF("\3", "\0"), EXIF("\3", "\11"), EXIF("\2", "\6")};
    (void)state;
    for (size_t i = 0; i < COUNT(exifs); i++) {
        struct bytes bytes = load("exif_1.jpg");
        insert_app1(&bytes, xmp, sizeof xmp - 1);
        insert_app1(&bytes, exifs[i], 32);
        assert_decodes_like(&bytes, "exif_1.jpg");
        free(bytes.data);
    }
}

/* Writers disagree about the tag's type and byte order; damaged EXIF says nothing. */
static void exif_types(void **state)
{
    static const struct {
        const char *exif; /* 32 bytes */
        const char *like;
    } cases[] = {
        {EXIF("\3", "\6"), "exif_6.jpg"},  /* short */
        {EXIF("\4", "\6"), "exif_6.jpg"},  /* long */
        {EXIF("\x8", "\6"), "exif_6.jpg"}, /* signed short */
        {EXIF("\1", "\6"), "exif_1.jpg"},  /* byte */
        {EXIF("\2", "\6"), "exif_1.jpg"},  /* string */
        {"Exif\0\0MM\0*\0\0\0\10\0\1\1\x12\0\4\0\0\0\1\0\0\0\6\0\0\0\0", "exif_6.jpg"},
        {"Exif\0\0XX*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0", "exif_1.jpg"},
        {"Exif\0\0II*\0\xff\xff\xff\xff\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0", "exif_1.jpg"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bytes bytes = load("exif_1.jpg");
        insert_app1(&bytes, cases[i].exif, 32);
        assert_decodes_like(&bytes, cases[i].like);
        free(bytes.data);
    }
}

/* Some writers put JPEG's six bytes before the EXIF of a WebP. */
static void exif_header_in_webp(void **state)
{
    struct bytes bytes = load("webp_exif_6.webp");
    unsigned char *size = after(&bytes, "EXIF");
    (void)state;
    size[0] = (unsigned char)(size[0] + 6);
    bytes.data[4] = (unsigned char)(bytes.data[4] + 6);
    insert(&bytes, (size_t)(size - bytes.data) + 4, "Exif\0", 6);
    assert_decodes_like(&bytes, "webp_exif_6.webp");
    free(bytes.data);
}

static uint32_t crc32_of(const unsigned char *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put_big_endian(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* Replaces the chunk eXIf by XMP. */
static void xmp_in_png(void **state)
{
    static const char chunk[] = "iTXtXML:com.adobe.xmp\0\0\0\0\0" XMP_6;
    struct bytes bytes = load("png_exif_6.png");
    unsigned char *exif = after(&bytes, "eXIf") - 4, number[4];
    const size_t end = (size_t)(exif - bytes.data) - 4; /* where the chunk before it ends */
    (void)state;
    exif[1] = 'Q'; /* no chunk that anybody knows */
    put_big_endian(exif + 4 + exif[-1], crc32_of(exif, 4 + (size_t)exif[-1]));
    put_big_endian(number, crc32_of((const unsigned char *)chunk, sizeof chunk - 1));
    insert(&bytes, end, number, 4);
    insert(&bytes, end, chunk, sizeof chunk - 1);
    put_big_endian(number, sizeof chunk - 1 - 4);
    insert(&bytes, end, number, 4);
    assert_decodes_like(&bytes, "png_exif_6.png");
    free(bytes.data);
}

/* Turns the chunk EXIF into XMP, with the flag that announces it. */
static void xmp_in_webp(void **state)
{
    static const char xmp[] = "tiff:Orientation=\"6\"";
    struct bytes bytes = load("webp_exif_6.webp");
    unsigned char *exif = after(&bytes, "EXIF");
    (void)state;
    assert_true(exif[0] >= sizeof xmp);
    memcpy(exif - 4, "XMP ", 4);
    memcpy(exif + 4, xmp, sizeof xmp);
    *(after(&bytes, "VP8X") + 4) = 0x04;
    assert_decodes_like(&bytes, "webp_exif_6.webp");
    free(bytes.data);
}

/* The stored pixel that becomes the upright pixel (x,y), by the definition of each orientation: which side of the
 * stored picture is the upright top, and which the upright left. */
static const uint8_t *stored_pixel(const vitcl_image *stored, int orientation, size_t x, size_t y)
{
    const size_t right = stored->width - 1, bottom = stored->height - 1;
    const size_t columns[] = {0, x, right - x, right - x, x, y, y, right - y, right - y};
    const size_t rows[] = {0, y, y, bottom - y, bottom - y, x, bottom - x, bottom - x, x};
    return stored->pixels + (rows[orientation] * stored->width + columns[orientation]) * 3;
}

/* Larger than what is copied at a time. */
static void every_turn_of_a_large_picture(void **state)
{
    (void)state;
    for (int orientation = 1; orientation <= 8; orientation++) {
        vitcl_image stored, image;
        uint8_t *pixels, *copy;
        assert_int_equal(image_allocate(&stored, &pixels, 150, 131, NAME, NULL), VITCL_OK);
        assert_int_equal(image_allocate(&image, &copy, 150, 131, NAME, NULL), VITCL_OK);
        for (size_t i = 0; i < 150 * 131 * 3; i++)
            copy[i] = pixels[i] = (uint8_t)(i * 2654435761u >> 16);
        assert_int_equal(orientation_apply(&image, orientation, NAME, NULL), VITCL_OK);
        assert_int_equal(image.width, orientation < 5 ? 150 : 131);
        assert_int_equal(image.height, orientation < 5 ? 131 : 150);
        for (size_t i = 0; i < 150 * 131; i++)
            assert_memory_equal(image.pixels + 3 * i,
                                stored_pixel(&stored, orientation, i % image.width, i / image.width), 3);
        image_free(&image);
        image_free(&stored);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xmp_element_in_jpeg),
        cmocka_unit_test(exif_wins_over_xmp),
        cmocka_unit_test(exif_types),
        cmocka_unit_test(exif_header_in_webp),
        cmocka_unit_test(xmp_in_png),
        cmocka_unit_test(xmp_in_webp),
        cmocka_unit_test(every_turn_of_a_large_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

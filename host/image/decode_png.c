/* decode_png.c - PNG by libpng's row reader, to RGB8 as Pillow's convert("RGB") has it.
 *
 * Alpha and transparent colours are dropped, not blended; gamma and colour profiles are ignored. 16-bit samples keep
 * their high byte, except that plain 16-bit grey is clamped to 255: Pillow's odd rule. Every chunk's checksum counts.
 */
#include "image/decode_internal.h"

#include <png.h>
#include <string.h>

struct reader {
    png_structp png;
    png_infop info;
    const struct picture_file *file;
    size_t offset; /* of the next unread byte */
    vitcl_error *err;
};

/* libpng's error function: must not return. */
static void give_up(png_structp png, png_const_charp reason)
{
    const struct reader *reader = png_get_error_ptr(png);
    fail(reader->err, VITCL_ERROR_FORMAT, "%s: can not be decoded as a PNG: %s; save or download it again",
         reader->file->name, reason);
    png_longjmp(png, 1);
}

/* What libpng only warns of costs no pixel. */
static void ignore_warning(png_structp png, png_const_charp reason)
{
    (void)png;
    (void)reason;
}

static void read_bytes(png_structp png, png_bytep out, size_t count)
{
    struct reader *reader = png_get_io_ptr(png);
    if (count > reader->file->size - reader->offset)
        png_error(png, "the file ends too early");
    memcpy(out, reader->file->bytes + reader->offset, count);
    reader->offset += count;
}

/* The size is image_allocate's to judge. Chunks other than pixels and orientation are skipped unread, so that a bad
 * colour profile does not stand in the way. */
static void configure(struct reader *reader)
{
    png_set_read_fn(reader->png, reader, read_bytes);
    png_set_user_limits(reader->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_crc_action(reader->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf\0iTXt", 2);
}

/* row [width,3] begins with width big-endian samples. From the last to the first, since RGB takes more room. */
static void clamp_grey16(uint8_t *row, size_t width)
{
    for (size_t x = width; x-- > 0;) {
        const uint8_t level = row[2 * x] > 0 ? 255 : row[2 * x + 1];
        memset(row + 3 * x, level, 3);
    }
}

static void read_rows(const struct reader *reader, uint8_t *pixels, size_t width, size_t height)
{
    const bool grey16 = png_get_color_type(reader->png, reader->info) == PNG_COLOR_TYPE_GRAY &&
                        png_get_bit_depth(reader->png, reader->info) == 16;
    const size_t stride = width * 3;
    int passes = png_set_interlace_handling(reader->png);

    if (!grey16) {
        png_set_expand(reader->png);
        png_set_strip_16(reader->png);
        png_set_strip_alpha(reader->png);
        png_set_gray_to_rgb(reader->png);
    }
    png_read_update_info(reader->png, reader->info);
    if (png_get_rowbytes(reader->png, reader->info) > stride)
        png_error(reader->png, "its rows are longer than its header says");
    for (; passes > 0; passes--)
        for (size_t y = 0; y < height; y++)
            png_read_row(reader->png, pixels + y * stride, NULL);
    for (size_t y = 0; y < height && grey16; y++)
        clamp_grey16(pixels + y * stride, width);
}

static struct metadata collect_metadata(const struct reader *reader)
{
    struct metadata metadata = {0};
    png_uint_32 size = 0;
    png_bytep exif = NULL;
    png_textp texts = NULL;
    const int count = png_get_text(reader->png, reader->info, &texts, NULL);

    if (png_get_eXIf_1(reader->png, reader->info, &size, &exif))
        metadata.exif = (struct block){exif, size};
    for (int i = 0; i < count; i++)
        if (strcmp(texts[i].key, "XML:com.adobe.xmp") == 0)
            metadata.xmp = (struct block){(const unsigned char *)texts[i].text, texts[i].itxt_length};
    return metadata;
}

static vitcl_status read_picture(struct reader *reader, vitcl_image *image, int *orientation)
{
    struct metadata metadata;
    vitcl_status status;
    uint8_t *pixels;

    configure(reader);
    png_read_info(reader->png, reader->info);
    status = image_allocate(image, &pixels, png_get_image_width(reader->png, reader->info),
                            png_get_image_height(reader->png, reader->info), reader->file->name, reader->err);
    if (status != VITCL_OK)
        return status;
    read_rows(reader, pixels, image->width, image->height);
    png_read_end(reader->png, reader->info);
    metadata = collect_metadata(reader);
    return orientation_find(orientation, &metadata, reader->err);
}

/* A function of its own, so that no local variable lives across the jump. */
static vitcl_status guard(struct reader *reader, vitcl_image *image, int *orientation)
{
    if (setjmp(png_jmpbuf(reader->png)))
        return VITCL_ERROR_FORMAT;
    return read_picture(reader, image, orientation);
}

vitcl_status decode_png(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err)
{
    struct reader reader = {.file = file, .err = err};
    vitcl_status status = VITCL_OK;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, give_up, ignore_warning);
    reader.info = reader.png ? png_create_info_struct(reader.png) : NULL;
    if (!reader.info)
        status = fail(err, VITCL_ERROR_MEMORY, "%s: no memory for a PNG decoder", file->name);
    else
        status = guard(&reader, image, orientation);
    png_destroy_read_struct(&reader.png, &reader.info, NULL);
    return status;
}

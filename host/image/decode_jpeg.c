/* decode_jpeg.c - JPEG by libjpeg-turbo with its default transform and upsampling, which are Pillow's.
 *
 * Grey and YCbCr become RGB in the library. Four components are taken for Adobe's inverted CMYK and become RGB by
 * Pillow's formula. Where libjpeg would warn of damage and go on with grey pixels, this is an error.
 */
#include "image/decode_internal.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> /* needs jpeglib.h */

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf failed;
    vitcl_status status; /* what to return after the jump */
    const struct picture_file *file;
    vitcl_error *err;
};

static vitcl_status classify(int code)
{
    switch (code) {
    case JERR_OUT_OF_MEMORY:
        return VITCL_ERROR_MEMORY;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return VITCL_ERROR_UNSUPPORTED;
    default:
        return VITCL_ERROR_FORMAT;
    }
}

/* libjpeg's error_exit: must not return. */
static void give_up(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    char reason[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, reason);
    reader->status = classify(jpeg->err->msg_code);
    fail(reader->err, reader->status, "%s: can not be decoded as a JPEG: %s; save or download it again",
         reader->file->name, reason);
    longjmp(reader->failed, 1);
}

/* libjpeg's emit_message. A negative level is a warning; these few cost no pixel, and sound pictures from many cameras
 * have stray bytes between their segments. */
static void judge_message(j_common_ptr jpeg, int level)
{
    const int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR && code != JWRN_ADOBE_XFORM)
        give_up(jpeg);
}

/* What follows the prefix in a marker; no block where the marker begins otherwise. */
static struct block block_after(jpeg_saved_marker_ptr marker, const char *prefix, size_t length)
{
    if (marker->data_length < length || memcmp(marker->data, prefix, length) != 0)
        return (struct block){0};
    return (struct block){marker->data + length, marker->data_length - length};
}

static struct metadata collect_metadata(const struct jpeg_decompress_struct *jpeg)
{
    struct metadata metadata = {0};
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next) {
        if (!metadata.exif.bytes)
            metadata.exif = block_after(marker, "Exif\0\0", 6);
        if (!metadata.xmp.bytes)
            metadata.xmp = block_after(marker, "http://ns.adobe.com/xap/1.0/\0", 29);
    }
    return metadata;
}

/* a * b / 255, rounded, in Pillow's integers. */
static int scale_level(int a, int b)
{
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* cmyk [width,4] with every ink inverted: 255 is none. */
static void inks_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t width)
{
    for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (size_t c = 0; c < 3; c++)
            rgb[c] = (uint8_t)(cmyk[3] - scale_level(255 - cmyk[c], cmyk[3]));
}

static void read_rows(struct jpeg_decompress_struct *jpeg, uint8_t *rgb)
{
    const size_t width = jpeg->output_width;
    JSAMPARRAY inks = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    for (; jpeg->output_scanline < jpeg->output_height; rgb += width * 3) {
        JSAMPROW row = jpeg->out_color_space == JCS_CMYK ? inks[0] : rgb;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (row != rgb)
            inks_to_rgb(row, rgb, width);
    }
}

static vitcl_status read_picture(struct reader *reader, vitcl_image *image, int *orientation)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;
    struct metadata metadata;
    vitcl_status status;
    uint8_t *pixels;

    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, reader->file->bytes, reader->file->size);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    status = image_allocate(image, &pixels, jpeg->image_width, jpeg->image_height, reader->file->name, reader->err);
    if (status != VITCL_OK)
        return status;
    jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    read_rows(jpeg, pixels);
    metadata = collect_metadata(jpeg);
    status = orientation_find(orientation, &metadata, reader->err);
    jpeg_finish_decompress(jpeg); /* reads to the end of the picture, frees the markers */
    return status;
}

/* A function of its own, so that no local variable lives across the jump. */
static vitcl_status guard(struct reader *reader, vitcl_image *image, int *orientation)
{
    if (setjmp(reader->failed))
        return reader->status;
    return read_picture(reader, image, orientation);
}

vitcl_status decode_jpeg(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err)
{
    struct reader reader = {.file = file, .err = err};
    vitcl_status status;
    reader.jpeg.err = jpeg_std_error(&reader.errors);
    reader.jpeg.client_data = &reader;
    reader.errors.error_exit = give_up;
    reader.errors.emit_message = judge_message;
    status = guard(&reader, image, orientation);
    jpeg_destroy_decompress(&reader.jpeg);
    return status;
}

/* decode.c - tells a picture's format by its first bytes, has it decoded, turns it upright if asked to.
 *
 * Knows no format's inside: decode_jpeg.c, decode_png.c and decode_webp.c do. What other programs write is recognised
 * only to be refused by name.
 */
#include "image/decode.h"
#include "base/size.h"
#include "image/decode_internal.h"

#include <stdlib.h>
#include <string.h>

/* Twice Pillow's MAX_IMAGE_PIXELS, where Pillow, too, stops warning of a decompression bomb and refuses. */
#define MOST_PIXELS 178956970

typedef vitcl_status (*decoder)(vitcl_image *, int *, const struct picture_file *, vitcl_error *);

struct format {
    const char *name;
    size_t offset, length; /* where in the file the signature stands, and its bytes */
    const char *signature;
    decoder decode; /* NULL: recognised, not supported */
};

#define SIGNATURE(offset, bytes) offset, sizeof(bytes) - 1, bytes

static const struct format formats[] = {
    {"JPEG", SIGNATURE(0, "\xff\xd8\xff"), decode_jpeg},
    {"PNG", SIGNATURE(0, "\x89PNG\r\n\x1a\n"), decode_png},
    {"WebP", SIGNATURE(8, "WEBP"), decode_webp},
    {"GIF", SIGNATURE(0, "GIF87a"), NULL},
    {"GIF", SIGNATURE(0, "GIF89a"), NULL},
    {"TIFF", SIGNATURE(0, "II*\0"), NULL},
    {"TIFF", SIGNATURE(0, "MM\0*"), NULL},
    {"AVIF", SIGNATURE(4, "ftypavif"), NULL},
    {"AVIF", SIGNATURE(4, "ftypavis"), NULL},
    {"HEIC", SIGNATURE(4, "ftyphe"), NULL},
    {"HEIC", SIGNATURE(4, "ftypmif1"), NULL},
    {"HEIC", SIGNATURE(4, "ftypmsf1"), NULL},
    {"JPEG XL", SIGNATURE(0, "\xff\x0a"), NULL},
    {"JPEG XL", SIGNATURE(4, "JXL \r\n\x87\n"), NULL},
    {"JPEG 2000", SIGNATURE(4, "jP  \r\n\x87\n"), NULL},
    {"PDF", SIGNATURE(0, "%PDF-"), NULL},
    {"BMP", SIGNATURE(0, "BM"), NULL},
};

static bool has_signature(const struct picture_file *file, const struct format *format)
{
    return file->size >= format->offset + format->length &&
           memcmp(file->bytes + format->offset, format->signature, format->length) == 0;
}

static bool looks_like_text(const struct picture_file *file)
{
    for (size_t i = 0; i < size_min(file->size, 64); i++) {
        const unsigned char c = file->bytes[i];
        if (!(c >= ' ' && c <= '~') && !(c >= '\t' && c <= '\r'))
            return false;
    }
    return true;
}

static const struct format *find_format(const struct picture_file *file)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (has_signature(file, &formats[i]))
            return &formats[i];
    return NULL;
}

static vitcl_status find_decoder(decoder *decode, const struct picture_file *file, vitcl_error *err)
{
    const struct format *format = find_format(file);
    if (file->size == 0)
        return fail(err, VITCL_ERROR_FORMAT, "%s: is empty; expected a JPEG, PNG or WebP picture", file->name);
    if (looks_like_text(file))
        return fail(err, VITCL_ERROR_FORMAT, "%s: is text; expected a JPEG, PNG or WebP picture", file->name);
    if (!format)
        return fail(err, VITCL_ERROR_FORMAT, "%s: is no JPEG, PNG or WebP picture, nor any that vitcl knows",
                    file->name);
    if (!format->decode)
        return fail(err, VITCL_ERROR_UNSUPPORTED, "%s: is a %s; vitcl reads JPEG, PNG and WebP: convert it", file->name,
                    format->name);
    *decode = format->decode;
    return VITCL_OK;
}

vitcl_status image_allocate(vitcl_image *image, uint8_t **pixels, size_t width, size_t height, const char *name,
                            vitcl_error *err)
{
    size_t count;
    if (width == 0 || height == 0)
        return fail(err, VITCL_ERROR_FORMAT, "%s: has no pixels: it is %zu x %zu", name, width, height);
    if (!size_mul(width, height, &count) || count > MOST_PIXELS)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: is %zu x %zu; vitcl decodes at most %d pixels, as Pillow does: scale it down first", name,
                    width, height, MOST_PIXELS);
    *pixels = calloc(count, 3);
    if (!*pixels)
        return fail_memory(err, count * 3);
    *image = (vitcl_image){.pixels = *pixels, .width = width, .height = height, .storage = *pixels};
    return VITCL_OK;
}

vitcl_status image_decode(vitcl_image *image, const unsigned char *bytes, size_t size, bool upright, const char *name,
                          vitcl_error *err)
{
    const struct picture_file file = {bytes, size, name};
    vitcl_status status;
    decoder decode = NULL;
    int orientation = 1;

    memset(image, 0, sizeof *image);
    TRY(find_decoder(&decode, &file, err));
    TRY(decode(image, &orientation, &file, err));
    if (upright)
        TRY(orientation_apply(image, orientation, name, err));
done:
    if (status != VITCL_OK)
        image_free(image);
    return status;
}

void image_free(vitcl_image *image)
{
    free(image->storage);
    memset(image, 0, sizeof *image);
}

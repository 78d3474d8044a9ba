/* orientation.c - how the camera was held: found in EXIF or XMP, undone in the pixels.
 *
 * Follows Pillow's exif_transpose: the orientation of EXIF's first directory counts, XMP's where EXIF has none; a value
 * outside 1..8 means "as stored". The thumbnail's directory does not count. EXIF itself is libexif's business.
 */
#include "base/size.h"
#include "image/decode.h"
#include "image/decode_internal.h"

#include <libexif/exif-data.h>
#include <stdlib.h>
#include <string.h>

#define ABSENT    (-1)
#define MOST_EXIF 0xffff /* bytes; libexif looks at no more */
#define STRIP     64     /* pixels; what the cache can follow at once */

/* The value of the tag in the first directory; 0, which means nothing, for a type that holds no such number. */
static int find_in_directory(ExifData *data)
{
    const ExifByteOrder order = exif_data_get_byte_order(data);
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (!entry)
        return ABSENT;
    switch (entry->format) {
    case EXIF_FORMAT_SHORT:
    case EXIF_FORMAT_SSHORT:
        return exif_get_short(entry->data, order);
    case EXIF_FORMAT_LONG:
    case EXIF_FORMAT_SLONG:
        return (int)exif_get_long(entry->data, order);
    default:
        return 0;
    }
}

/* libexif wants the header that JPEG has and PNG has not: a copy gets it in any case. */
static vitcl_status find_in_exif(int *value, struct block exif, vitcl_error *err)
{
    static const unsigned char header[6] = "Exif\0";
    const bool has_header = exif.size >= sizeof header && memcmp(exif.bytes, header, sizeof header) == 0;
    const size_t skip = has_header ? sizeof header : 0;
    const size_t size = size_min(exif.size - skip, MOST_EXIF);
    unsigned char *copy = malloc(sizeof header + size);
    ExifData *data = exif_data_new();
    vitcl_status status = VITCL_OK;

    if (!copy || !data)
        TRY(fail_memory(err, sizeof header + size));
    memcpy(copy, header, sizeof header);
    memcpy(copy + sizeof header, exif.bytes + skip, size);
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION); /* or it would rewrite odd entries */
    exif_data_load_data(data, copy, (unsigned)(sizeof header + size));
    *value = find_in_directory(data);
done:
    exif_data_unref(data);
    free(copy);
    return status;
}

/* The digit after the key that the text begins with. */
static int digit_after(const char *key, const unsigned char *text, size_t size)
{
    const size_t length = strlen(key);
    if (size <= length || memcmp(text, key, length) != 0 || text[length] < '0' || text[length] > '9')
        return ABSENT;
    return text[length] - '0';
}

/* RDF has it as an attribute or as an element. */
static int find_in_xmp(struct block xmp)
{
    int value = ABSENT;
    for (size_t i = 0; i < xmp.size && value == ABSENT; i++) {
        value = digit_after("tiff:Orientation=\"", xmp.bytes + i, xmp.size - i);
        if (value == ABSENT)
            value = digit_after("tiff:Orientation>", xmp.bytes + i, xmp.size - i);
    }
    return value;
}

vitcl_status orientation_find(int *orientation, const struct metadata *metadata, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    int value = ABSENT;
    if (metadata->exif.bytes)
        status = find_in_exif(&value, metadata->exif, err);
    if (value == ABSENT && metadata->xmp.bytes)
        value = find_in_xmp(metadata->xmp);
    *orientation = value >= 1 && value <= 8 ? value : 1;
    return status;
}

/* Where upright pixel (x,y) is stored: in column x, row y; `swapped` in column y, row x; counted from the right or from
 * the bottom where flipped. */
struct turn {
    bool swapped, from_right, from_bottom;
};

static const struct turn turns[] = {
    [1] = {false, false, false}, [2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true},
    [5] = {true, false, false},  [6] = {true, false, true},  [7] = {true, true, true},  [8] = {true, true, false},
};

static void copy_pixels(uint8_t *to, const uint8_t *from, ptrdiff_t step, size_t count)
{
    for (; count > 0; count--, to += 3, from += step)
        memcpy(to, from, 3);
}

/* pixels [height,width,3] are the upright picture's. Strip by strip: a strip's row that is read down a column finds the
 * cache lines of the row before. */
static void copy_upright(uint8_t *pixels, size_t width, size_t height, const vitcl_image *stored, struct turn turn)
{
    const ptrdiff_t row = (ptrdiff_t)stored->width * 3, rows = (ptrdiff_t)stored->height;
    const ptrdiff_t right = turn.from_right ? -3 : 3, down = turn.from_bottom ? -row : row;
    const ptrdiff_t step_x = turn.swapped ? down : right, step_y = turn.swapped ? right : down;
    const uint8_t *first = stored->pixels + (turn.from_right ? row - 3 : 0) + (turn.from_bottom ? (rows - 1) * row : 0);

    for (size_t left = 0; left < width; left += STRIP)
        for (size_t y = 0; y < height; y++)
            copy_pixels(pixels + (y * width + left) * 3, first + (ptrdiff_t)y * step_y + (ptrdiff_t)left * step_x,
                        step_x, size_min(STRIP, width - left));
}

vitcl_status orientation_apply(vitcl_image *image, int orientation, const char *name, vitcl_error *err)
{
    const struct turn turn = turns[orientation];
    vitcl_image upright = {0};
    uint8_t *pixels;
    vitcl_status status;

    if (orientation == 1)
        return VITCL_OK;
    status = image_allocate(&upright, &pixels, turn.swapped ? image->height : image->width,
                            turn.swapped ? image->width : image->height, name, err);
    if (status != VITCL_OK)
        return status;
    copy_upright(pixels, upright.width, upright.height, image, turn);
    image_free(image);
    *image = upright;
    return VITCL_OK;
}

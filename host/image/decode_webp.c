/* decode_webp.c - WebP by libwebp: a still picture, or the first frame of an animated one.
 *
 * Alpha is dropped, not blended. A frame smaller than its canvas stands on black, as in Pillow.
 */
#include "image/decode_internal.h"

#include <webp/decode.h>
#include <webp/demux.h>

static vitcl_status damaged(const struct picture_file *file, vitcl_error *err)
{
    return fail(err, VITCL_ERROR_FORMAT,
                "%s: can not be decoded as a WebP: damaged or cut off; save or download it again", file->name);
}

/* The chunk of that name; it lives as long as the demuxer's file. */
static struct block find_chunk(const WebPDemuxer *demuxer, const char name[4])
{
    struct block block = {0};
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(demuxer, name, 1, &chunk)) {
        block = (struct block){chunk.chunk.bytes, chunk.chunk.size};
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return block;
}

static vitcl_status decode_frame(const WebPIterator *frame, const vitcl_image *image, uint8_t *pixels,
                                 const struct picture_file *file, vitcl_error *err)
{
    const size_t stride = image->width * 3;
    const size_t start = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 3;
    if (!WebPDecodeRGBInto(frame->fragment.bytes, frame->fragment.size, pixels + start, stride * image->height - start,
                           (int)stride))
        return damaged(file, err);
    return VITCL_OK;
}

static vitcl_status decode_first_frame(vitcl_image *image, const WebPDemuxer *demuxer, const struct picture_file *file,
                                       vitcl_error *err)
{
    vitcl_status status;
    uint8_t *pixels;
    WebPIterator frame;

    if (!WebPDemuxGetFrame(demuxer, 1, &frame))
        return damaged(file, err);
    status = image_allocate(image, &pixels, WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                            WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), file->name, err);
    if (status == VITCL_OK)
        status = decode_frame(&frame, image, pixels, file, err);
    WebPDemuxReleaseIterator(&frame);
    return status;
}

vitcl_status decode_webp(vitcl_image *image, int *orientation, const struct picture_file *file, vitcl_error *err)
{
    const WebPData data = {file->bytes, file->size};
    WebPDemuxer *demuxer = WebPDemux(&data); /* NULL for a file that is not complete */
    struct metadata metadata;
    vitcl_status status;

    if (!demuxer)
        return damaged(file, err);
    TRY(decode_first_frame(image, demuxer, file, err));
    metadata = (struct metadata){find_chunk(demuxer, "EXIF"), find_chunk(demuxer, "XMP ")};
    TRY(orientation_find(orientation, &metadata, err));
done:
    WebPDemuxDelete(demuxer);
    return status;
}

/* buffer.c - device memory and transfers. */
#include "device/device_cl.h"

#include <stdio.h>
#include <stdlib.h>

static vitcl_status fail_buffer(vitcl_error *err, cl_int code, const char *call, const struct buffer *b)
{
    return fail_cl(err, code, call, "%s (%zu bytes; %s has %llu MB, at most %llu MB in one buffer)", b->what, b->bytes,
                   b->device->description, (unsigned long long)(b->device->facts.memory >> 20),
                   (unsigned long long)(b->device->facts.max_alloc >> 20));
}

static vitcl_status new_buffer(struct buffer **buffer, struct device *device, size_t bytes, const char *what,
                               vitcl_error *err)
{
    *buffer = calloc(1, sizeof **buffer);
    if (!*buffer)
        return fail_memory(err, sizeof **buffer);
    (*buffer)->device = device;
    (*buffer)->bytes = bytes;
    snprintf((*buffer)->what, sizeof(*buffer)->what, "%s", what);
    return VITCL_OK;
}

vitcl_status buffer_create_over(struct buffer **buffer, struct device *device, void *memory, size_t bytes,
                                const char *what, vitcl_error *err)
{
    const cl_mem_flags flags = CL_MEM_READ_WRITE | (memory ? CL_MEM_USE_HOST_PTR : 0);
    cl_int code;
    vitcl_status status = new_buffer(buffer, device, bytes, what, err);
    if (status != VITCL_OK)
        return status;
    (*buffer)->memory = clCreateBuffer(device->context, flags, bytes, memory, &code);
    if (!(*buffer)->memory) {
        status = fail_buffer(err, code, "clCreateBuffer", *buffer);
        buffer_destroy(buffer);
    }
    return status;
}

vitcl_status buffer_create(struct buffer **buffer, struct device *device, size_t bytes, const char *what,
                           vitcl_error *err)
{
    return buffer_create_over(buffer, device, NULL, bytes, what, err); /* the driver's own memory */
}

vitcl_status buffer_slice(struct buffer **slice, struct buffer *whole, size_t offset, size_t bytes, const char *what,
                          vitcl_error *err)
{
    cl_int code;
    cl_buffer_region region = {offset, bytes};
    vitcl_status status = new_buffer(slice, whole->device, bytes, what, err);
    if (status != VITCL_OK)
        return status;
    (*slice)->memory =
        clCreateSubBuffer(whole->memory, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    if (!(*slice)->memory) {
        status = fail_buffer(err, code, "clCreateSubBuffer", *slice);
        buffer_destroy(slice);
    }
    return status;
}

vitcl_status buffer_share(struct buffer **alias, struct buffer *buffer, const char *what, vitcl_error *err)
{
    vitcl_status status = new_buffer(alias, buffer->device, buffer->bytes, what, err);
    if (status != VITCL_OK)
        return status;
    clRetainMemObject(buffer->memory);
    (*alias)->memory = buffer->memory;
    return VITCL_OK;
}

void buffer_destroy(struct buffer **buffer)
{
    if (!*buffer)
        return;
    if ((*buffer)->memory)
        clReleaseMemObject((*buffer)->memory);
    free(*buffer);
    *buffer = NULL;
}

vitcl_status buffer_map(struct buffer *buffer, void **memory, vitcl_error *err)
{
    cl_int code;
    *memory = clEnqueueMapBuffer(buffer->device->queue, buffer->memory, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0,
                                 buffer->bytes, 0, NULL, NULL, &code);
    return *memory ? VITCL_OK : fail_buffer(err, code, "clEnqueueMapBuffer", buffer);
}

vitcl_status buffer_unmap(struct buffer *buffer, void *memory, vitcl_error *err)
{
    cl_int code = clEnqueueUnmapMemObject(buffer->device->queue, buffer->memory, memory, 0, NULL, NULL);
    return code == CL_SUCCESS ? VITCL_OK : fail_buffer(err, code, "clEnqueueUnmapMemObject", buffer);
}

vitcl_status buffer_write(struct buffer *buffer, const void *memory, size_t bytes, vitcl_error *err)
{
    cl_int code =
        clEnqueueWriteBuffer(buffer->device->queue, buffer->memory, CL_FALSE, 0, bytes, memory, 0, NULL, NULL);
    return code == CL_SUCCESS ? VITCL_OK : fail_buffer(err, code, "clEnqueueWriteBuffer", buffer);
}

vitcl_status buffer_read(struct buffer *buffer, void *memory, size_t bytes, vitcl_error *err)
{
    cl_int code = clEnqueueReadBuffer(buffer->device->queue, buffer->memory, CL_FALSE, 0, bytes, memory, 0, NULL, NULL);
    return code == CL_SUCCESS ? VITCL_OK : fail_buffer(err, code, "clEnqueueReadBuffer", buffer);
}

struct mark {
    cl_event event;
};

vitcl_status mark_create(struct mark **mark, struct device *device, vitcl_error *err)
{
    cl_int code;
    *mark = calloc(1, sizeof **mark);
    if (!*mark)
        return fail_memory(err, sizeof **mark);
    code = clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &(*mark)->event);
    if (code == CL_SUCCESS)
        code = clFlush(device->queue);
    if (code == CL_SUCCESS)
        return VITCL_OK;
    if ((*mark)->event)
        clReleaseEvent((*mark)->event);
    free(*mark);
    *mark = NULL;
    return fail_cl(err, code, "clEnqueueMarkerWithWaitList", "%s", device->description);
}

vitcl_status mark_wait(struct mark **mark, vitcl_error *err)
{
    cl_int code = clWaitForEvents(1, &(*mark)->event);
    clReleaseEvent((*mark)->event);
    free(*mark);
    *mark = NULL;
    return code == CL_SUCCESS ? VITCL_OK : fail_cl(err, code, "clWaitForEvents", "the run failed on the device");
}

vitcl_status buffer_clear(struct buffer *buffer, vitcl_error *err)
{
    const cl_uint zero = 0;
    cl_int code =
        clEnqueueFillBuffer(buffer->device->queue, buffer->memory, &zero, sizeof zero, 0, buffer->bytes, 0, NULL, NULL);
    return code == CL_SUCCESS ? VITCL_OK : fail_buffer(err, code, "clEnqueueFillBuffer", buffer);
}

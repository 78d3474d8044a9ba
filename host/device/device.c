/* device.c - opens a device: selection, context, queue. */
#include "device/device_cl.h"

#include <stdio.h>
#include <stdlib.h>

static vitcl_status open_selected(struct device *device, const struct candidate *c, vitcl_error *err)
{
    cl_int code;
    snprintf(device->description, sizeof device->description, "%s / %s / %s", c->info.platform, c->info.vendor,
             c->info.name);
    read_facts(device->id, &device->facts);
    device->context = clCreateContext(NULL, 1, &device->id, NULL, NULL, &code);
    if (!device->context)
        return fail_cl(err, code, "clCreateContext", "%s", device->description);
    device->queue = clCreateCommandQueue(device->context, device->id, 0, &code);
    if (!device->queue)
        return fail_cl(err, code, "clCreateCommandQueue", "%s", device->description);
    return VITCL_OK;
}

vitcl_status device_open(struct device **device, const char *selector, const struct logger *log, vitcl_error *err)
{
    return device_open_prebuilt(device, selector, NULL, log, err);
}

vitcl_status device_open_prebuilt(struct device **device, const char *selector, const char *binaries,
                                  const struct logger *log, vitcl_error *err)
{
    vitcl_status status;
    struct candidate *list = NULL;
    cl_device_id *ids = NULL;
    size_t count, index;
    char why[160];

    *device = calloc(1, sizeof **device);
    if (!*device)
        return fail_memory(err, sizeof **device);
    if (log)
        (*device)->log = *log;
    TRY(list_candidates(&list, &ids, &count, false, err));
    for (size_t i = 0; binaries && i < count; i++)
        list[i].info.compiler_works = true; /* none is needed */
    TRY(select_device(list, count, selector, &index, why, err));
    (*device)->id = ids[index];
    TRY(open_selected(*device, &list[index], err));
    if (binaries)
        TRY(prebuilt_open(*device, binaries, err));
    cache_open(&(*device)->cache, log);
    identify_device(*device);
    log_line(log, VITCL_LOG_INFO, "running on %s %s (%s): %s", list[index].info.kind, list[index].info.name,
             list[index].info.platform, why);
done:
    free(list);
    free(ids);
    if (status != VITCL_OK)
        device_close(device);
    return status;
}

void device_close(struct device **device)
{
    struct device *d = *device;
    if (!d)
        return;
    for (size_t i = 0; i < d->program_count; i++)
        clReleaseProgram(d->programs[i].program);
    free(d->programs);
    prebuilt_close(d);
    if (d->queue) {
        clFinish(d->queue);
        gemm_forget(d);
        clReleaseCommandQueue(d->queue);
    }
    if (d->context)
        clReleaseContext(d->context);
    cache_close(&d->cache);
    text_free(&d->identity);
    free(d);
    *device = NULL;
}

const struct facts *device_facts(const struct device *device)
{
    return &device->facts;
}

const char *device_description(const struct device *device)
{
    return device->description;
}

const struct logger *device_log(const struct device *device)
{
    return &device->log;
}

bool device_cache_on(const struct device *device)
{
    return device->cache.on;
}

bool device_cache_read(const struct device *device, const char *kind, const char *key, unsigned char **bytes,
                       size_t *size)
{
    struct text whole = {0};
    bool found;
    *bytes = NULL;
    if (!device->cache.on)
        return false;
    text_add(&whole, "%s%s", device->identity.chars, key);
    found = !whole.failed && cache_read(&device->cache, kind, whole.chars, bytes, size);
    text_free(&whole);
    return found;
}

void device_cache_write(const struct device *device, const char *kind, const char *key, const void *bytes, size_t size)
{
    struct text whole = {0};
    if (!device->cache.on)
        return;
    text_add(&whole, "%s%s", device->identity.chars, key);
    if (!whole.failed)
        cache_write(&device->cache, kind, whole.chars, bytes, size);
    text_free(&whole);
}

vitcl_status device_finish(struct device *device, vitcl_error *err)
{
    cl_int code = clFinish(device->queue);
    return code == CL_SUCCESS ? VITCL_OK : fail_cl(err, code, "clFinish", "%s", device->description);
}

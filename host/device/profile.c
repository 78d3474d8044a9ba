/* profile.c - when the device did what: while a profile is open, launches go to a queue that keeps times, and each
 * leaves its event here. Normal runs never see that queue.
 *
 * CLBlast gives the event of its last kernel only. What is told about a product therefore begins where the launch
 * before it ended, so that all of its kernels are in it, and the pauses between them.
 */
#include "device/device_cl.h"

#include <stdlib.h>

struct note {
    cl_event event;
    bool several; /* kernels, of which this is the last one's event */
};

struct profile {
    struct device *device;
    cl_command_queue plain; /* the device's own, which waits meanwhile */
    struct note *notes;
    size_t count, capacity;
};

vitcl_status profile_open(struct profile **profile, struct device *device, size_t capacity, vitcl_error *err)
{
    cl_int code;
    cl_command_queue queue = NULL;
    vitcl_status status;
    struct profile *p = calloc(1, sizeof *p);

    *profile = p;
    if (p)
        p->notes = calloc(capacity, sizeof *p->notes);
    if (!p || !p->notes)
        TRY(fail_memory(err, capacity * sizeof(struct note)));
    TRY(device_finish(device, err));
    queue = clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
    if (!queue)
        TRY(fail_cl(err, code, "clCreateCommandQueue", "%s, a queue that keeps times", device->description));
    p->capacity = capacity;
    p->device = device;
    p->plain = device->queue;
    device->queue = queue;
    device->profile = p;
done:
    if (status != VITCL_OK)
        profile_close(profile);
    return status;
}

static void forget(struct profile *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->notes[i].event)
            clReleaseEvent(p->notes[i].event);
    p->count = 0;
}

void profile_close(struct profile **profile)
{
    struct profile *p = *profile;
    if (!p)
        return;
    if (p->device) {
        clFinish(p->device->queue);
        clReleaseCommandQueue(p->device->queue);
        p->device->queue = p->plain;
        p->device->profile = NULL;
    }
    forget(p);
    free(p->notes);
    free(p);
    *profile = NULL;
}

cl_event *profile_note(struct device *device, bool several)
{
    struct profile *p = device->profile;
    if (!p || p->count == p->capacity)
        return NULL;
    p->notes[p->count] = (struct note){.several = several};
    return &p->notes[p->count++].event;
}

static vitcl_status read_time(cl_event event, cl_profiling_info which, double *seconds, vitcl_error *err)
{
    cl_ulong nanoseconds = 0;
    cl_int code = clGetEventProfilingInfo(event, which, sizeof nanoseconds, &nanoseconds, NULL);
    *seconds = 1e-9 * (double)nanoseconds;
    return code == CL_SUCCESS ? VITCL_OK : fail_cl(err, code, "clGetEventProfilingInfo", "the time of a launch");
}

vitcl_status profile_read(struct profile *profile, struct span *spans, size_t *count, vitcl_error *err)
{
    vitcl_status status;
    TRY(device_finish(profile->device, err));
    *count = profile->count;
    for (size_t i = 0; i < profile->count; i++) {
        TRY(read_time(profile->notes[i].event, CL_PROFILING_COMMAND_START, &spans[i].start, err));
        TRY(read_time(profile->notes[i].event, CL_PROFILING_COMMAND_END, &spans[i].end, err));
        if (profile->notes[i].several && i > 0)
            spans[i].start = spans[i - 1].end;
    }
done:
    forget(profile);
    return status;
}

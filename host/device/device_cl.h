/* device_cl.h - what the files of host/device share among themselves: the only header that includes CL/cl.h. */
#ifndef VITCL_DEVICE_DEVICE_CL_H
#define VITCL_DEVICE_DEVICE_CL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "device/device.h"
#include "device/select.h"

/* A file of cl/ compiled with some options. */
struct compiled {
    const char *stem;
    char options[128];
    cl_program program;
};

#define MAX_PROGRAMS 64

struct device {
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    struct facts facts;
    struct logger log;
    char description[400];
    struct compiled programs[MAX_PROGRAMS]; /* compiled so far */
    size_t program_count;
    bool gemm_used;          /* CLBlast compiles when first used, for seconds */
    struct profile *profile; /* NULL: nobody asks for times */
};

struct buffer {
    struct device *device;
    cl_mem memory;
    size_t bytes;
    char what[64]; /* for messages */
};

/* profile.c: where what is enqueued next leaves its event, NULL unless a profile is open. `several`: it is more than
 * one kernel, and the event is the last one's. */
cl_event *profile_note(struct device *device, bool several);

/* clname.c: "CL_INVALID_VALUE" for -30. */
const char *cl_name(cl_int code);

/* clname.c: fills err with "detail: call failed with CL_NAME (code)" and what one can do about it. */
vitcl_status fail_cl(vitcl_error *err, cl_int code, const char *call, const char *format, ...) PRINTF_LIKE(4, 5);

/* list.c: every device of every platform with its OpenCL handle. With `probe`, info.compiler_works is told by
 * compiling a small kernel; without, by what the driver claims. The caller frees both arrays. */
vitcl_status list_candidates(struct candidate **list, cl_device_id **ids, size_t *count, bool probe, vitcl_error *err);

/* facts.c */
void read_facts(cl_device_id id, struct facts *facts);

#endif

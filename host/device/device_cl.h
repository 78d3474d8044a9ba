/* device_cl.h - what the files of host/device share among themselves: the only header that includes CL/cl.h. */
#ifndef VITCL_DEVICE_DEVICE_CL_H
#define VITCL_DEVICE_DEVICE_CL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "base/text.h"
#include "device/cache.h"
#include "device/device.h"
#include "device/program.h"
#include "device/select.h"

/* A file of cl/ compiled with some options. */
struct compiled {
    const char *stem;
    char options[200];
    cl_program program;
};

struct device {
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    struct facts facts;
    struct logger log;
    char description[400];
    struct compiled *programs; /* compiled so far */
    size_t program_count, program_capacity;
    struct cache cache;
    struct text identity;    /* for keys of the cache: device, driver, this version of vitcl */
    const char *binaries;    /* one of BINARIES_... ; NULL until known */
    bool probed;             /* device_probe_bf16 was here */
    bool gemm_used;          /* CLBlast compiles when first used, for seconds */
    struct profile *profile; /* NULL: nobody asks for times */
    char *prebuilt;          /* the folder, or with prebuilt_file the file, of programs; NULL: they are compiled here */
    bool prebuilt_file;
    cl_program whole; /* the binary that has all programs of the newest session; NULL: there is none */
    char whole_name[PROGRAM_NAME_SIZE];
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

/* program_cache.c: what identifies a program beside its device. */
struct program_source {
    const char *stem, *options;
    const char *texts[2]; /* the prelude, the file */
};

/* How this driver hands out the binary of a program. */
#define BINARIES_QUICK "quick: programs are kept"
#define BINARIES_SLOW  "slow: programs are not kept"

/* Fills device->identity. */
void identify_device(struct device *device);
/* A built program; NULL where the cache has none, or none that this driver takes. */
cl_program program_from_cache(const struct device *device, const struct program_source *source);
/* Keeps a program that was built from source, where the driver is quick to hand out its binary. */
void program_to_cache(struct device *device, const struct program_source *source, cl_program program);
/* For this process and later ones. */
void remember_verdict(struct device *device, const char *verdict);

/* prebuilt.c: programs come from this folder or file, and the device counts as one without a compiler. */
vitcl_status prebuilt_open(struct device *device, const char *path, vitcl_error *err);
void prebuilt_close(struct device *device);
vitcl_status program_prebuilt(struct device *device, const char *stem, const char *options, cl_program *program,
                              vitcl_error *err);

/* facts.c */
void read_facts(cl_device_id id, struct facts *facts);

#endif

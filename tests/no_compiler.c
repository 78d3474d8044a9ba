/* no_compiler.c - loaded before the OpenCL library (LD_PRELOAD), it makes every device one without a compiler: what
 * would compile a source fails as the specification has it, and CL_DEVICE_COMPILER_AVAILABLE is false. */
#define _GNU_SOURCE              /* RTLD_NEXT */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <dlfcn.h>
#include <string.h>

#define SHOWN __attribute__((visibility("default")))

SHOWN cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char **strings,
                                           const size_t *lengths, cl_int *code)
{
    (void)context, (void)count, (void)strings, (void)lengths;
    if (code)
        *code = CL_COMPILER_NOT_AVAILABLE;
    return NULL;
}

SHOWN cl_int clCompileProgram(cl_program program, cl_uint device_count, const cl_device_id *devices,
                              const char *options, cl_uint header_count, const cl_program *headers, const char **names,
                              void(CL_CALLBACK *notify)(cl_program program, void *data), void *data)
{
    (void)program, (void)device_count, (void)devices, (void)options, (void)header_count, (void)headers, (void)names;
    (void)notify, (void)data;
    return CL_COMPILER_NOT_AVAILABLE;
}

SHOWN cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *value, size_t *needed)
{
    cl_int (*next)(cl_device_id, cl_device_info, size_t, void *, size_t *);
    cl_int code;
    void *found = dlsym(RTLD_NEXT, "clGetDeviceInfo");
    memcpy(&next, &found, sizeof next);
    code = next(device, what, size, value, needed);
    if (code == CL_SUCCESS && what == CL_DEVICE_COMPILER_AVAILABLE && value)
        memset(value, 0, sizeof(cl_bool));
    return code;
}

/* program.c - compiles cl/ files, or finds them compiled in the cache, and makes kernels. Every program is the prelude
 * and one file. */
#include "device/program.h"
#include "device/device_cl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LOG 1024 /* of a build log, what fits into a message */

struct kernel {
    struct device *device;
    cl_kernel handle;
    char name[64];
};

const char *find_source(const char *stem)
{
    for (const struct kernel_source *s = KERNEL_SOURCES; s->stem; s++)
        if (strcmp(s->stem, stem) == 0)
            return s->text;
    return NULL;
}

static vitcl_status fail_build(vitcl_error *err, cl_int code, struct device *device, cl_program program,
                               const char *stem)
{
    size_t size = 0;
    char *log;
    vitcl_status status;
    clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    log = calloc(size + 1, 1);
    if (log)
        clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    status = fail_cl(err, code, "clBuildProgram", "cl/%s.cl on %s does not compile:\n%.*s\n", stem, device->description,
                     MAX_LOG, log ? log : "");
    free(log);
    return status;
}

static vitcl_status build_source(struct device *device, const struct program_source *source, cl_program *program,
                                 vitcl_error *err)
{
    const char *texts[2] = {source->texts[0], source->texts[1]};
    cl_int code;
    log_line(&device->log, VITCL_LOG_PROGRESS, "compiling %s.cl%s for %s", source->stem,
             source->options + strlen(BUILD_OPTIONS), device->description);
    *program = clCreateProgramWithSource(device->context, 2, texts, NULL, &code);
    if (!*program)
        return fail_cl(err, code, "clCreateProgramWithSource", "cl/%s.cl", source->stem);
    code = clBuildProgram(*program, 1, &device->id, source->options, NULL, NULL);
    if (code != CL_SUCCESS) {
        vitcl_status status = fail_build(err, code, device, *program, source->stem);
        clReleaseProgram(*program);
        return status;
    }
    return VITCL_OK;
}

/* Compiled beforehand, from the cache, or else from its source. */
static vitcl_status build(struct device *device, const char *stem, const char *options, cl_program *program,
                          vitcl_error *err)
{
    char all_options[sizeof((struct compiled *)0)->options + sizeof BUILD_OPTIONS];
    const struct program_source source = {stem, all_options, {KERNEL_SOURCES[0].text, find_source(stem)}};
    vitcl_status status;
    if (!source.texts[1])
        return fail(err, VITCL_ERROR_ARGUMENT, "there is no kernel file cl/%s.cl", stem);
    if (device->prebuilt)
        return program_prebuilt(device, stem, options, program, err);
    snprintf(all_options, sizeof all_options, BUILD_OPTIONS "%s", options);
    *program = program_from_cache(device, &source);
    if (*program)
        return VITCL_OK;
    status = build_source(device, &source, program, err);
    if (status == VITCL_OK)
        program_to_cache(device, &source, *program);
    return status;
}

/* Room for one more program; false when memory is out. */
static bool make_room(struct device *device)
{
    size_t wanted = device->program_capacity ? 2 * device->program_capacity : 16;
    struct compiled *grown;
    if (device->program_count < device->program_capacity)
        return true;
    grown = realloc(device->programs, wanted * sizeof *grown);
    if (!grown)
        return false;
    device->programs = grown;
    device->program_capacity = wanted;
    return true;
}

/* The compiled program of a file with these options, from this device's list or new. */
static vitcl_status get_program(struct device *device, const char *stem, const char *options, cl_program *program,
                                vitcl_error *err)
{
    struct compiled *compiled;
    vitcl_status status;
    for (size_t i = 0; i < device->program_count; i++) {
        compiled = &device->programs[i];
        if (strcmp(compiled->stem, stem) == 0 && strcmp(compiled->options, options) == 0) {
            *program = compiled->program;
            return VITCL_OK;
        }
    }
    if (!make_room(device))
        return fail_memory(err, sizeof *compiled);
    compiled = &device->programs[device->program_count];
    snprintf(compiled->options, sizeof compiled->options, "%s", options);
    status = build(device, stem, options, program, err);
    if (status != VITCL_OK)
        return status;
    compiled->stem = stem;
    compiled->program = *program;
    device->program_count++;
    return VITCL_OK;
}

vitcl_status kernel_create(struct kernel **kernel, struct device *device, const char *program, const char *options,
                           const char *name, vitcl_error *err)
{
    cl_int code;
    cl_program compiled = NULL;
    vitcl_status status = get_program(device, program, options, &compiled, err);
    *kernel = NULL;
    if (status != VITCL_OK)
        return status;
    *kernel = calloc(1, sizeof **kernel);
    if (!*kernel)
        return fail_memory(err, sizeof **kernel);
    (*kernel)->device = device;
    snprintf((*kernel)->name, sizeof(*kernel)->name, "%s", name);
    (*kernel)->handle = clCreateKernel(compiled, name, &code);
    if (!(*kernel)->handle) {
        kernel_destroy(kernel);
        return fail_cl(err, code, "clCreateKernel", "kernel %s of cl/%s.cl on %s", name, program, device->description);
    }
    return VITCL_OK;
}

void kernel_destroy(struct kernel **kernel)
{
    if (!*kernel)
        return;
    if ((*kernel)->handle)
        clReleaseKernel((*kernel)->handle);
    free(*kernel);
    *kernel = NULL;
}

static vitcl_status set_arg(struct kernel *kernel, size_t index, size_t size, const void *value, vitcl_error *err)
{
    cl_int code = clSetKernelArg(kernel->handle, (cl_uint)index, size, value);
    return code == CL_SUCCESS ? VITCL_OK
                              : fail_cl(err, code, "clSetKernelArg", "kernel %s, argument %zu", kernel->name, index);
}

vitcl_status kernel_set_buffer(struct kernel *kernel, size_t index, const struct buffer *buffer, vitcl_error *err)
{
    return set_arg(kernel, index, sizeof buffer->memory, &buffer->memory, err);
}

vitcl_status kernel_set_int(struct kernel *kernel, size_t index, int value, vitcl_error *err)
{
    const cl_int number = value;
    return set_arg(kernel, index, sizeof number, &number, err);
}

vitcl_status kernel_set_float(struct kernel *kernel, size_t index, float value, vitcl_error *err)
{
    const cl_float number = value;
    return set_arg(kernel, index, sizeof number, &number, err);
}

vitcl_status kernel_max_group(const struct kernel *kernel, size_t *max_group, vitcl_error *err)
{
    const cl_device_id device = kernel->device->id;
    cl_ulong needed = 0, there = 0;
    cl_int code =
        clGetKernelWorkGroupInfo(kernel->handle, device, CL_KERNEL_WORK_GROUP_SIZE, sizeof *max_group, max_group, NULL);
    if (code == CL_SUCCESS)
        code = clGetKernelWorkGroupInfo(kernel->handle, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof needed, &needed, NULL);
    if (code == CL_SUCCESS)
        code = clGetDeviceInfo(device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof there, &there, NULL);
    if (code != CL_SUCCESS)
        return fail_cl(err, code, "clGetKernelWorkGroupInfo", "kernel %s", kernel->name);
    if (needed > there)
        *max_group = 0;
    return VITCL_OK;
}

vitcl_status kernel_enqueue(struct kernel *kernel, const size_t global[3], const size_t local[3], vitcl_error *err)
{
    cl_int code = clEnqueueNDRangeKernel(kernel->device->queue, kernel->handle, 3, NULL, global, local, 0, NULL,
                                         profile_note(kernel->device, false));
    if (code == CL_SUCCESS)
        return VITCL_OK;
    return fail_cl(err, code, "clEnqueueNDRangeKernel", "kernel %s, %zux%zux%zu work-items in groups of %zux%zux%zu",
                   kernel->name, global[0], global[1], global[2], local[0], local[1], local[2]);
}

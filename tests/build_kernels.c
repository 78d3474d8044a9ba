/* build_kernels.c - plays the offline compiler of a device that has none: compiles the files that vitcl_run
 * --kernels-out wrote by the compiler of the device that VITCL_DEVICE selects, and keeps what it makes of them.
 *
 *     build_kernels DIR each|all
 *
 * writes DIR/<name>.clbin for each program's DIR/<name>.cl, or for those that have all programs of a model. It knows
 * nothing but the files and their manifest. The exit status is EXIT_SKIPPED where the device hands out no binaries.
 */
#include "device/device_cl.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "build_kernels: %s: %s\n", what, why);
    exit(1);
}

static cl_program compile(struct device *device, const char *path, const char *options)
{
    char *text = file_read(path, NULL), log[4000] = "";
    cl_program program = clCreateProgramWithSource(device->context, 1, &(const char *){text}, NULL, NULL);
    if (!program || clBuildProgram(program, 1, &device->id, options, NULL, NULL) != CL_SUCCESS) {
        clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
        give_up(path, log);
    }
    free(text);
    return program;
}

static void keep(cl_program program, const char *path)
{
    size_t size = 0;
    unsigned char *bytes;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS || size == 0)
        exit(EXIT_SKIPPED);
    bytes = allocate(size, 1);
    if (clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) != CL_SUCCESS)
        exit(EXIT_SKIPPED);
    file_write(path, bytes, size);
    free(bytes);
}

static void build(struct device *device, const char *folder, const char *name, const char *options)
{
    char source[PATH_SIZE], binary[PATH_SIZE];
    cl_program program;
    path_join(source, folder, name);
    snprintf(binary, sizeof binary, "%.*sclbin", (int)(strlen(source) - 2), source);
    program = compile(device, source, options);
    keep(program, binary);
    clReleaseProgram(program);
    puts(binary);
}

int main(int argc, char **argv)
{
    const char *selector = getenv("VITCL_DEVICE"), *name;
    char path[PATH_SIZE];
    struct device *device;
    json_t *manifest, *entry;
    vitcl_error err;
    if (argc != 3)
        give_up("usage", "build_kernels DIR each|all");
    path_join(path, argv[1], "manifest.json");
    if (json_read(&manifest, path, &err) != VITCL_OK ||
        device_open(&device, selector ? selector : "", NULL, &err) != VITCL_OK)
        give_up(argv[1], err.message);
    json_object_foreach(json_object_get(manifest, "files"), name, entry) {
        if (json_is_true(json_object_get(entry, "all")) == (strcmp(argv[2], "all") == 0))
            build(device, argv[1], name, json_string_value(json_object_get(manifest, "options")));
    }
    device_close(&device);
    json_decref(manifest);
    return 0;
}

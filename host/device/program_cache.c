/* program_cache.c - keeps programs in the cache as the device compiled them.
 *
 * Most drivers hand out a program's binary as a copy. Some compile only what a run needs, and when they are asked for a
 * binary compile everything for every size of group, which takes longer than all that a run compiles; such drivers keep
 * what they compile on the disk by themselves. Which kind this one is, the first binary tells by the time it takes;
 * the answer is kept in the cache, too. */
#include "base/text.h"
#include "device/device_cl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define KIND_PROGRAM "program"
#define KIND_VERDICT "verdict"
#define QUICK        20e-3 /* seconds: far more than a copy takes, and far less than to compile a kernel */

/* ---- keys ---- */

static void add_device_info(struct text *text, cl_device_id id, const char *name, cl_device_info what)
{
    char value[1024] = "";
    clGetDeviceInfo(id, what, sizeof value - 1, value, NULL);
    text_add(text, "%s %s\n", name, value);
}

static void add_platform_info(struct text *text, cl_platform_id id, const char *name, cl_platform_info what)
{
    char value[1024] = "";
    clGetPlatformInfo(id, what, sizeof value - 1, value, NULL);
    text_add(text, "%s %s\n", name, value);
}

void identify_device(struct device *device)
{
    struct text *text = &device->identity;
    cl_platform_id platform = NULL;
    cl_uint address_bits = 0;

    clGetDeviceInfo(device->id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
    clGetDeviceInfo(device->id, CL_DEVICE_ADDRESS_BITS, sizeof address_bits, &address_bits, NULL);
    text_add(text, "vitcl %s\n", VITCL_VERSION_STRING);
    add_platform_info(text, platform, "platform", CL_PLATFORM_NAME);
    add_platform_info(text, platform, "platform version", CL_PLATFORM_VERSION);
    add_device_info(text, device->id, "device", CL_DEVICE_NAME);
    add_device_info(text, device->id, "vendor", CL_DEVICE_VENDOR);
    add_device_info(text, device->id, "device version", CL_DEVICE_VERSION);
    add_device_info(text, device->id, "driver version", CL_DRIVER_VERSION);
    text_add(text, "address bits %u\n", (unsigned)address_bits);
    if (text->failed)
        cache_close(&device->cache); /* nothing can be told apart */
}

/* On failure the text says so. */
static struct text program_key(const struct device *device, const struct program_source *source)
{
    struct text key = {0};
    text_add(&key, "%sprogram %s\noptions %s\n", device->identity.chars, source->stem, source->options);
    for (size_t i = 0; i < 2; i++) {
        XXH128_hash_t hash = XXH3_128bits(source->texts[i], strlen(source->texts[i]));
        text_add(&key, "source %016llx%016llx\n", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
    }
    return key;
}

/* ---- reading ---- */

/* Makes every kernel of a program and lets go of it: some drivers compile only now, and a binary may lack one. */
static bool make_kernels(cl_program program)
{
    cl_uint count = 0;
    cl_kernel *kernels = NULL;
    bool made = clCreateKernelsInProgram(program, 0, NULL, &count) == CL_SUCCESS && count > 0;
    if (made)
        kernels = calloc(count, sizeof(cl_kernel));
    made = kernels && clCreateKernelsInProgram(program, count, kernels, NULL) == CL_SUCCESS;
    for (cl_uint i = 0; made && i < count; i++)
        clReleaseKernel(kernels[i]);
    free(kernels);
    return made;
}

/* NULL where the driver does not take it. */
static cl_program load_binary(const struct device *device, const struct program_source *source,
                              const unsigned char *bytes, size_t size)
{
    cl_int code, loaded = CL_INVALID_BINARY;
    cl_program program = clCreateProgramWithBinary(device->context, 1, &device->id, &size, &bytes, &loaded, &code);
    if (!program)
        return NULL;
    if (code == CL_SUCCESS && loaded == CL_SUCCESS &&
        clBuildProgram(program, 1, &device->id, source->options, NULL, NULL) == CL_SUCCESS && make_kernels(program))
        return program;
    clReleaseProgram(program);
    return NULL;
}

cl_program program_from_cache(const struct device *device, const struct program_source *source)
{
    struct text key;
    cl_program program = NULL;
    unsigned char *bytes = NULL;
    size_t size;
    if (!device->cache.on)
        return NULL;
    key = program_key(device, source);
    if (!key.failed && cache_read(&device->cache, KIND_PROGRAM, key.chars, &bytes, &size)) {
        program = load_binary(device, source, bytes, size);
        log_line(&device->log, VITCL_LOG_DEBUG,
                 program ? "loaded %s.cl %s from the cache" : "cache: the driver refuses %s.cl %s", source->stem,
                 source->options);
    }
    free(bytes);
    text_free(&key);
    return program;
}

/* ---- writing ---- */

static double seconds(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* In new memory; NULL where there is none. */
static unsigned char *take_binary(cl_program program, size_t *size)
{
    unsigned char *bytes;
    *size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof *size, size, NULL) != CL_SUCCESS || *size == 0)
        return NULL;
    bytes = malloc(*size);
    if (bytes && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) == CL_SUCCESS)
        return bytes;
    free(bytes);
    return NULL;
}

/* What an earlier process found out. */
static void recall_verdict(struct device *device)
{
    unsigned char *bytes;
    size_t size;
    if (!cache_read(&device->cache, KIND_VERDICT, device->identity.chars, &bytes, &size))
        return;
    if (size == strlen(BINARIES_QUICK) && memcmp(bytes, BINARIES_QUICK, size) == 0)
        device->binaries = BINARIES_QUICK;
    else if (size == strlen(BINARIES_SLOW) && memcmp(bytes, BINARIES_SLOW, size) == 0)
        device->binaries = BINARIES_SLOW;
    free(bytes);
}

void remember_verdict(struct device *device, const char *verdict)
{
    device->binaries = verdict;
    cache_write(&device->cache, KIND_VERDICT, device->identity.chars, verdict, strlen(verdict));
}

void program_to_cache(struct device *device, const struct program_source *source, cl_program program)
{
    struct text key;
    unsigned char *bytes;
    size_t size;
    double started, taken;

    if (!device->cache.on)
        return;
    if (!device->binaries)
        recall_verdict(device);
    if (device->binaries && strcmp(device->binaries, BINARIES_SLOW) == 0)
        return;
    if (!make_kernels(program))
        return;
    started = seconds();
    bytes = take_binary(program, &size);
    taken = seconds() - started;
    if (!device->binaries) {
        remember_verdict(device, taken < QUICK ? BINARIES_QUICK : BINARIES_SLOW);
        log_line(&device->log, VITCL_LOG_DEBUG, "cache: this driver took %.1f ms for the binary of %s.cl: %s",
                 1e3 * taken, source->stem, device->binaries);
    }
    key = program_key(device, source);
    if (bytes && !key.failed)
        cache_write(&device->cache, KIND_PROGRAM, key.chars, bytes, size);
    free(bytes);
    text_free(&key);
}

/* probe.c - facts that no query tells: they are tried out. */
#include "device/device_cl.h"

#include <stdio.h>

/* Runs a kernel of one group, of `items` work-items, that writes `count` numbers. */
static vitcl_status run_probe(struct device *device, const char *program, const char *options, const char *name,
                              size_t items, cl_int *found, size_t count, vitcl_error *err)
{
    vitcl_status status;
    struct buffer *buffer = NULL;
    struct kernel *kernel = NULL;
    const size_t size[3] = {items, 1, 1};
    TRY(buffer_create(&buffer, device, count * sizeof *found, "what the probe found", err));
    TRY(kernel_create(&kernel, device, program, options, name, err));
    TRY(kernel_set_buffer(kernel, 0, buffer, err));
    TRY(kernel_enqueue(kernel, size, size, err));
    TRY(buffer_read(buffer, found, count * sizeof *found, err));
    TRY(device_finish(device, err));
done:
    kernel_destroy(&kernel);
    buffer_destroy(&buffer);
    return status;
}

/* ---- CPUs: dot products of bf16, tiles of them ---- */

static void probe_cpu(struct device *device)
{
    vitcl_error err;
    cl_int found[2] = {0, 0};
    if (run_probe(device, "probe", "", "probe_bf16", 1, found, 2, &err) != VITCL_OK) {
        log_line(&device->log, VITCL_LOG_DEBUG, "the probe for bf16 instructions does not run here: %s", err.message);
        return;
    }
    device->facts.bf16_dot = found[0] == 1;
    device->facts.bf16_tiles = found[1] == 1;
    log_line(&device->log, VITCL_LOG_DEBUG, "bf16: dot products %s, tiles %s", found[0] ? "yes" : "no",
             found[1] ? "yes" : "no");
}

/* ---- GPUs: matrix instructions ---- */

/* Questions of the vendors' own extensions, cl_nv_device_attribute_query and cl_amd_device_attribute_query. */
#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define WAVEFRONT_WIDTH_AMD         0x4043

/* What might be there. A driver that answers its vendor's question compiles for such a processor; others are never
 * given an instruction that they do not know. */
static enum matrix_unit candidate(const struct device *device)
{
    cl_uint answer = 0;
    if (clGetDeviceInfo(device->id, COMPUTE_CAPABILITY_MAJOR_NV, sizeof answer, &answer, NULL) == CL_SUCCESS)
        return answer >= 8 ? MATRIX_MMA : MATRIX_NONE; /* the first with bf16 */
    if (clGetDeviceInfo(device->id, WAVEFRONT_WIDTH_AMD, sizeof answer, &answer, NULL) == CL_SUCCESS)
        return answer == 64 ? MATRIX_MFMA : answer == 32 ? MATRIX_WMMA : MATRIX_NONE;
    return MATRIX_NONE;
}

bool device_try_matrix(struct device *device, enum matrix_unit unit, bool emulated, vitcl_error *err)
{
    enum { MOST = 2 * 64 };
    const size_t items = unit == MATRIX_MFMA ? 2 * 64 : 2 * 32;
    for (int f16 = 0; f16 < 2; f16++) {
        cl_int found[MOST] = {0};
        char options[64];
        size_t right = 0;
        snprintf(options, sizeof options, " -D MATRIX=%d%s%s", (int)unit, emulated ? " -D EMULATED=1" : "",
                 f16 ? " -D F16_INPUT=1" : "");
        if (run_probe(device, "probe_matrix", options, "probe_matrix", items, found, items, err) != VITCL_OK)
            return false;
        for (size_t i = 0; i < items; i++)
            right += found[i] == 1;
        if (right < items) {
            fail(err, VITCL_ERROR_MISMATCH, "%zu of %zu work-items have wrong sums", items - right, items);
            return false;
        }
    }
    return true;
}

static void probe_gpu(struct device *device)
{
    const enum matrix_unit unit = candidate(device);
    vitcl_error err;
    if (unit == MATRIX_NONE)
        return;
    if (device_try_matrix(device, unit, false, &err))
        device->facts.matrix = unit;
    log_line(&device->log, VITCL_LOG_DEBUG, "matrix instructions %d: %s", (int)unit,
             device->facts.matrix ? "yes" : err.message);
}

void device_probe_bf16(struct device *device)
{
    if (device->probed || !device->facts.has_compiler)
        return;
    device->probed = true;
    if (device->facts.is_cpu)
        probe_cpu(device);
    else
        probe_gpu(device);
}

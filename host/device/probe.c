/* probe.c - facts that no query tells: they are tried out. */
#include "device/device_cl.h"

/* found [2]: dot products of bf16, tiles of them. */
static vitcl_status run_probe(struct device *device, int found[2], vitcl_error *err)
{
    vitcl_status status;
    struct buffer *buffer = NULL;
    struct kernel *kernel = NULL;
    const size_t one[3] = {1, 1, 1};
    TRY(buffer_create(&buffer, device, 2 * sizeof *found, "what the probe found", err));
    TRY(kernel_create(&kernel, device, "probe", "", "probe_bf16", err));
    TRY(kernel_set_buffer(kernel, 0, buffer, err));
    TRY(kernel_enqueue(kernel, one, one, err));
    TRY(buffer_read(buffer, found, 2 * sizeof *found, err));
    TRY(device_finish(device, err));
done:
    kernel_destroy(&kernel);
    buffer_destroy(&buffer);
    return status;
}

void device_probe_bf16(struct device *device)
{
    vitcl_error err;
    cl_int found[2] = {0, 0};
    if (device->probed || !device->facts.is_cpu || !device->facts.has_compiler)
        return;
    device->probed = true;
    if (run_probe(device, found, &err) != VITCL_OK) {
        log_line(&device->log, VITCL_LOG_DEBUG, "the probe for bf16 instructions does not run here: %s", err.message);
        return;
    }
    device->facts.bf16_dot = found[0] == 1;
    device->facts.bf16_tiles = found[1] == 1;
    log_line(&device->log, VITCL_LOG_DEBUG, "bf16: dot products %s, tiles %s", found[0] ? "yes" : "no",
             found[1] ? "yes" : "no");
}

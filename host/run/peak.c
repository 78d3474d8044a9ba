/* peak.c - multiply-adds that never leave the registers, and a copy. Their rates are what a share of the peak is a
 * share of: measured, because no data sheet knows the clock of this machine today. */
#include "run/peak.h"
#include "base/size.h"
#include "run/timing.h"

#define SECONDS 0.3 /* per kernel */

struct kernel_run {
    struct device *device;
    struct kernel *kernel;
    size_t global[3], local[3];
};

static vitcl_status run_kernel(void *context, vitcl_error *err)
{
    struct kernel_run *run = context;
    vitcl_status status = kernel_enqueue(run->kernel, run->global, run->local, err);
    return status == VITCL_OK ? device_finish(run->device, err) : status;
}

/* Work-items in groups of up to 64. */
static struct kernel_run make_run(struct device *device, size_t items)
{
    size_t group = size_min(64, device_facts(device)->max_work_group);
    return (struct kernel_run){.device = device, .global = {size_round_up(items, group), 1, 1}, .local = {group, 1, 1}};
}

static vitcl_status measure_fma(struct device *device, double *flops, vitcl_error *err)
{
    enum { ROUNDS = 4096, SUMS = 10, ITEMS = 65536 };
    static const struct {
        const char *name;
        double width;
    } KERNELS[] = {{"fma_peak_float4", 4}, {"fma_peak_float8", 8}, {"fma_peak_float16", 16}};
    vitcl_status status;
    struct buffer *out = NULL;
    struct kernel_run run = make_run(device, device_facts(device)->is_cpu ? ITEMS / 16 : ITEMS);

    TRY(buffer_create(&out, device, run.global[0] * sizeof(float), "results of the peak kernel", err));
    for (size_t i = 0; i < sizeof KERNELS / sizeof *KERNELS; i++) {
        vitcl_timing timing;
        double rate;
        TRY(kernel_create(&run.kernel, device, "peak", "", KERNELS[i].name, err));
        TRY(kernel_set_buffer(run.kernel, 0, out, err));
        TRY(kernel_set_int(run.kernel, 1, ROUNDS, err));
        TRY(kernel_set_float(run.kernel, 2, 0.5f, err));
        TRY(time_runs(run_kernel, &run, SECONDS, &timing, err));
        rate = (double)run.global[0] * ROUNDS * SUMS * 2 * KERNELS[i].width / timing.fastest;
        *flops = rate > *flops ? rate : *flops;
        kernel_destroy(&run.kernel);
    }
done:
    kernel_destroy(&run.kernel);
    buffer_destroy(&out);
    return status;
}

/* 256 MB, less on a small device: too much for any cache. */
static vitcl_status measure_copy(struct device *device, double *bytes, vitcl_error *err)
{
    enum { ITEM = 64 }; /* bytes */
    const struct facts *facts = device_facts(device);
    uint64_t room = facts->max_alloc < facts->memory / 8 ? facts->max_alloc : facts->memory / 8;
    struct kernel_run run = make_run(device, (size_t)(room < 256 << 20 ? room : 256 << 20) / ITEM);
    size_t size = run.global[0] * ITEM;
    vitcl_status status;
    struct buffer *from = NULL, *to = NULL;
    vitcl_timing timing;

    TRY(buffer_create(&from, device, size, "copy source", err));
    TRY(buffer_create(&to, device, size, "copy target", err));
    TRY(buffer_clear(from, err));
    TRY(kernel_create(&run.kernel, device, "peak", "", "copy_peak", err));
    TRY(kernel_set_buffer(run.kernel, 0, from, err));
    TRY(kernel_set_buffer(run.kernel, 1, to, err));
    TRY(time_runs(run_kernel, &run, SECONDS, &timing, err));
    *bytes = 2.0 * (double)size / timing.fastest;
done:
    kernel_destroy(&run.kernel);
    buffer_destroy(&from);
    buffer_destroy(&to);
    return status;
}

vitcl_status peak_measure(struct device *device, vitcl_peak *peak, vitcl_error *err)
{
    vitcl_status status;
    *peak = (vitcl_peak){0};
    if (!device_facts(device)->has_compiler)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "the peak of %s can not be measured: the kernels for that are not compiled beforehand",
                    device_description(device));
    log_line(device_log(device), VITCL_LOG_PROGRESS, "measuring the peak of %s", device_description(device));
    TRY(measure_fma(device, &peak->flops, err));
    TRY(measure_copy(device, &peak->bytes, err));
done:
    return status;
}

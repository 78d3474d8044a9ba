/* prepare.c - everything that happens once: kernels, memory, weights. A run then only enqueues. */
#include "base/size.h"
#include "run/executor_internal.h"
#include "run/pack.h"
#include "run/programs.h"

#include <stdlib.h>

/* ---- memory ---- */

/* Where a device takes host memory as it is, the weight is packed there, and the buffer made over it. */
static vitcl_status pack_in_place(struct executor *e, const struct tensor *tensor, void *memory, struct buffer **buffer,
                                  vitcl_error *err)
{
    vitcl_status status = pack_weight(tensor, memory, err);
    if (status != VITCL_OK)
        return status;
    return buffer_create_over(buffer, e->device, memory, tensor->bytes, tensor->name, err);
}

static vitcl_status pack_and_upload(struct executor *e, const struct tensor *tensor, struct buffer **buffer,
                                    vitcl_error *err)
{
    void *memory;
    vitcl_status status, unmapped;
    status = buffer_create(buffer, e->device, tensor->bytes, tensor->name, err);
    if (status == VITCL_OK)
        status = buffer_map(*buffer, &memory, err);
    if (status != VITCL_OK)
        return status;
    status = pack_weight(tensor, memory, err);
    unmapped = buffer_unmap(*buffer, memory, status == VITCL_OK ? err : NULL);
    return status == VITCL_OK ? unmapped : status;
}

static vitcl_status upload_weight(struct executor *e, const struct tensor *tensor, struct buffer **buffer,
                                  vitcl_error *err)
{
    void *memory = host_pages_take(&e->pages, tensor->bytes);
    vitcl_status status =
        memory ? pack_in_place(e, tensor, memory, buffer, err) : pack_and_upload(e, tensor, buffer, err);
    weight_release(tensor->weight, 0, tensor->weight->rows); /* what pack_weight left of it */
    return status;
}

/* The place of an activation. A tensor that takes the place of another shares its buffer object: two objects over the
 * same bytes in one kernel would be undefined. */
static vitcl_status prepare_activation(struct executor *e, size_t t, vitcl_error *err)
{
    const struct tensor *tensor = &e->plan->tensors[t];
    if (tensor->reuse != NO_TENSOR && e->plan->tensors[tensor->reuse].offset == tensor->offset)
        return buffer_share(&e->buffers[t], e->buffers[tensor->reuse], tensor->name, err);
    return buffer_slice(&e->buffers[t], e->segments[tensor->segment],
                        tensor->offset - plan_segment(e->plan, tensor->segment).first, tensor->bytes, tensor->name,
                        err);
}

static size_t host_pages_bytes(const struct plan *plan)
{
    size_t bytes = 0;
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (plan->tensors[t].weight)
            bytes += host_pages_size_of(plan->tensors[t].bytes);
    return bytes;
}

static vitcl_status prepare_arena(struct executor *e, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < e->plan->segment_count; i++) {
        TRY(buffer_create(&e->segments[i], e->device, plan_segment(e->plan, i).bytes, "arena of activations", err));
        TRY(buffer_clear(e->segments[i], err));
    }
done:
    return status;
}

static vitcl_status prepare_memory(struct executor *e, vitcl_error *err)
{
    const struct plan *plan = e->plan;
    vitcl_status status;
    host_pages_open(&e->pages, e->device, host_pages_bytes(plan));
    TRY(prepare_arena(e, err));
    log_line(device_log(e->device), VITCL_LOG_PROGRESS, "uploading %.1f MB of weights",
             (double)plan->weight_bytes / 1e6);
    for (size_t t = 0; t < plan->tensor_count; t++) {
        if (plan->tensors[t].weight)
            TRY(upload_weight(e, &plan->tensors[t], &e->buffers[t], err));
        else
            TRY(prepare_activation(e, t, err));
    }
done:
    return status;
}

/* ---- launches ---- */

static vitcl_status set_arg(struct executor *e, struct kernel *kernel, size_t index, const struct arg *arg,
                            vitcl_error *err)
{
    switch (arg->kind) {
    case ARG_TENSOR:
        return kernel_set_buffer(kernel, index, e->buffers[arg->tensor], err);
    case ARG_INT:
        return kernel_set_int(kernel, index, arg->integer, err);
    case ARG_FLOAT:
        return kernel_set_float(kernel, index, arg->real, err);
    }
    return fail(err, VITCL_ERROR_ARGUMENT, "unknown kind of argument");
}

/* Makes a launch's kernel. *max_group is the largest group it can run in. */
static vitcl_status prepare_kernel(struct executor *e, struct prepared *prepared, size_t *max_group, vitcl_error *err)
{
    struct launch *launch = &prepared->launch;
    vitcl_status status =
        kernel_create(&prepared->kernel, e->device, launch->program, launch->options, launch->kernel, err);
    for (size_t i = 0; i < launch->arg_count && status == VITCL_OK; i++)
        status = set_arg(e, prepared->kernel, i, &launch->args[i], err);
    return status == VITCL_OK ? kernel_max_group(prepared->kernel, max_group, err) : status;
}

/* What the kernel of a step must know of how its numbers are stored. */
static void add_types(const struct plan *plan, const struct step *step, struct launch *launch)
{
    static const char *const INPUTS[] = {[NUMBER_BF16] = "BF16_INPUT", [NUMBER_F16] = "F16_INPUT"};
    static const char *const OUTPUTS[] = {[NUMBER_BF16] = "BF16_OUTPUT", [NUMBER_F16] = "F16_OUTPUT"};
    const enum number input = plan->tensors[step->input[0]].number, output = plan->tensors[step->output[0]].number;
    if (input != NUMBER_F32)
        add_option(launch, INPUTS[input], 1);
    if (output != NUMBER_F32)
        add_option(launch, OUTPUTS[output], 1);
}

size_t step_launches(const struct plan *plan, const struct step *step, const struct facts *facts,
                     struct launch launches[MAX_LAUNCHES])
{
    const size_t count = step->variant->launch(plan, step, facts, launches);
    for (size_t i = 0; i < count; i++) {
        if (!launches[i].kernel)
            continue;
        add_types(plan, step, &launches[i]);
        if (!facts->has_compiler)
            add_option(&launches[i], "FIXED_GROUPS", 1);
    }
    return count;
}

static vitcl_status fail_group(const struct launch *launch, size_t max_group, vitcl_error *err)
{
    return fail(err, VITCL_ERROR_OPENCL,
                "kernel %s%s takes groups of %zu work-items, and local memory for them; the device allows it %zu",
                launch->kernel, launch->options, launch->local[0], max_group);
}

/* Whether a step's variant runs in groups of at most facts->max_work_group. */
static bool can_run(const struct step *step, const struct facts *facts)
{
    return !step->variant->obstacle || !step->variant->obstacle(facts);
}

/* A kernel may allow smaller groups than its device: then the step is laid out again for those. */
static vitcl_status lay_out(struct executor *e, const struct step *step, struct facts *facts, struct prepared *first,
                            size_t *count, vitcl_error *err)
{
    struct launch launches[MAX_LAUNCHES] = {0};

    *count = step_launches(e->plan, step, facts, launches);
    for (size_t i = 0; i < *count; i++) {
        vitcl_status status;
        size_t max_group = facts->max_work_group;
        first[i].launch = launches[i];
        if (!launches[i].kernel)
            continue;
        kernel_destroy(&first[i].kernel);
        status = prepare_kernel(e, &first[i], &max_group, err);
        if (status != VITCL_OK)
            return fail_context(err, status, "%s", step->label);
        if (launches[i].local[0] > max_group) {
            const size_t less = size_max(1, max_group ? max_group : launches[i].local[0] / 2);
            const bool told = less >= facts->max_work_group;
            facts->max_work_group = size_min(less, facts->max_work_group);
            if (told || !can_run(step, facts))
                return fail_context(err, fail_group(&launches[i], max_group, err), "%s", step->label);
            return lay_out(e, step, facts, first, count, err);
        }
    }
    return VITCL_OK;
}

vitcl_status prepare_step(struct executor *e, const struct step *step, struct facts *facts, struct prepared *first,
                          size_t *count, vitcl_error *err)
{
    struct facts own = *facts; /* other steps' variants were chosen for larger groups, and may need them */
    const vitcl_status status = lay_out(e, step, &own, first, count, err);
    if (status != VITCL_OK)
        facts->max_work_group = own.max_work_group;
    return status;
}

static vitcl_status prepare_launches(struct executor *e, struct facts *facts, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t s = 0; s < e->plan->step_count && status == VITCL_OK; s++) {
        size_t first = e->first_launch[s], count;
        status = prepare_step(e, &e->plan->steps[s], facts, &e->launches[first], &count, err);
        e->first_launch[s + 1] = first + count;
    }
    return status;
}

/* One workspace serves all of CLBlast's products: they run one after the other. */
static vitcl_status prepare_gemm_temp(struct executor *e, vitcl_error *err)
{
    size_t largest = 0;
    for (size_t i = 0; i < e->first_launch[e->plan->step_count]; i++) {
        const struct launch *launch = &e->launches[i].launch;
        size_t bytes;
        vitcl_status status;
        if (launch->kernel)
            continue;
        status = gemm_temp_bytes(e->device, launch->m, launch->n, launch->k, &bytes, err);
        if (status != VITCL_OK)
            return status;
        largest = size_max(largest, bytes);
    }
    return largest ? buffer_create(&e->gemm_temp, e->device, largest, "workspace of CLBlast", err) : VITCL_OK;
}

vitcl_status executor_create(struct executor **executor, struct device *device, const struct plan *plan,
                             struct facts *facts, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct executor *e = calloc(1, sizeof *e);

    *executor = e;
    if (!e)
        return fail_memory(err, sizeof *e);
    e->plan = plan;
    e->device = device;
    e->segments = calloc(plan->segment_count, sizeof(struct buffer *));
    e->buffers = calloc(plan->tensor_count, sizeof(struct buffer *));
    e->launches = calloc(plan->step_count * MAX_LAUNCHES, sizeof *e->launches);
    e->first_launch = calloc(plan->step_count + 1, sizeof *e->first_launch);
    if (!e->segments || !e->buffers || !e->launches || !e->first_launch)
        TRY(fail_memory(err, plan->step_count * MAX_LAUNCHES * sizeof *e->launches));
    TRY(prepare_memory(e, err));
    TRY(prepare_launches(e, facts, err));
    TRY(prepare_gemm_temp(e, err));
    TRY(device_finish(device, err));
done:
    if (status != VITCL_OK)
        executor_destroy(executor);
    return status;
}

void executor_destroy(struct executor **executor)
{
    struct executor *e = *executor;
    if (!e)
        return;
    device_finish(e->device, NULL); /* nothing may be freed while the device still uses it */
    for (size_t i = 0; e->launches && i < e->plan->step_count * MAX_LAUNCHES; i++)
        kernel_destroy(&e->launches[i].kernel);
    for (size_t t = 0; e->buffers && t < e->plan->tensor_count; t++)
        buffer_destroy(&e->buffers[t]);
    buffer_destroy(&e->gemm_temp);
    for (size_t i = 0; e->segments && i < e->plan->segment_count; i++)
        buffer_destroy(&e->segments[i]);
    host_pages_close(&e->pages);
    free(e->segments);
    free(e->buffers);
    free(e->launches);
    free(e->first_launch);
    free(e);
    *executor = NULL;
}

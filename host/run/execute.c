/* execute.c - enqueues a prepared plan. */
#include "run/executor_internal.h"

struct buffer *executor_buffer(const struct executor *executor, int tensor)
{
    return executor->buffers[tensor];
}

size_t executor_first_launch(const struct executor *executor, size_t step)
{
    return executor->first_launch[step];
}

static vitcl_status enqueue_gemm(struct executor *e, const struct launch *launch, vitcl_error *err)
{
    return gemm_enqueue(e->device, launch->m, launch->n, launch->k, e->buffers[launch->args[0].tensor],
                        e->buffers[launch->args[1].tensor], e->buffers[launch->args[2].tensor], e->gemm_temp, err);
}

vitcl_status enqueue_launches(struct executor *executor, const struct prepared *first, size_t count, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < count && status == VITCL_OK; i++) {
        const struct prepared *p = &first[i];
        status = p->kernel ? kernel_enqueue(p->kernel, p->launch.global, p->launch.local, err)
                           : enqueue_gemm(executor, &p->launch, err);
    }
    return status;
}

vitcl_status executor_enqueue_step(struct executor *executor, size_t step, vitcl_error *err)
{
    const size_t first = executor->first_launch[step], end = executor->first_launch[step + 1];
    vitcl_status status = enqueue_launches(executor, &executor->launches[first], end - first, err);
    return status == VITCL_OK ? VITCL_OK : fail_context(err, status, "%s", executor->plan->steps[step].label);
}

vitcl_status executor_enqueue(struct executor *executor, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t s = 0; s < executor->plan->step_count && status == VITCL_OK; s++)
        status = executor_enqueue_step(executor, s, err);
    return status;
}

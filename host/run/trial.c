/* trial.c - one step of an executor's plan in another tuning: the same memory, its own kernels. */
#include "run/executor_internal.h"

#include <stdlib.h>

struct trial {
    struct executor *executor;
    struct step step;
    struct prepared launches[MAX_LAUNCHES];
    size_t count;
};

vitcl_status trial_create(struct trial **trial, struct executor *executor, size_t step, struct tuning tuning,
                          vitcl_error *err)
{
    struct facts facts = *device_facts(executor->device);
    vitcl_status status;
    struct trial *t = *trial = calloc(1, sizeof **trial);
    if (!t)
        return fail_memory(err, sizeof *t);
    t->executor = executor;
    t->step = executor->plan->steps[step];
    t->step.tuning = tuning;
    status = prepare_step(executor, &t->step, &facts, t->launches, &t->count, err);
    if (status != VITCL_OK)
        trial_destroy(trial);
    return status;
}

vitcl_status trial_enqueue(struct trial *trial, vitcl_error *err)
{
    return enqueue_launches(trial->executor, trial->launches, trial->count, err);
}

void trial_destroy(struct trial **trial)
{
    if (!*trial)
        return;
    device_finish((*trial)->executor->device, NULL); /* its kernels may still run */
    for (size_t i = 0; i < MAX_LAUNCHES; i++)
        kernel_destroy(&(*trial)->launches[i].kernel);
    free(*trial);
    *trial = NULL;
}

/* executor_internal.h - what prepare.c fills and execute.c runs. */
#ifndef VITCL_RUN_EXECUTOR_INTERNAL_H
#define VITCL_RUN_EXECUTOR_INTERNAL_H

#include "run/executor.h"

struct prepared {
    struct launch launch;
    struct kernel *kernel; /* its arguments are set; NULL for a gemm */
};

struct executor {
    const struct plan *plan;
    struct device *device;
    struct host_pages pages;   /* holds the large weights, where the device takes them from there */
    struct buffer **segments;  /* [segment_count] of the arena */
    struct buffer *gemm_temp;  /* CLBlast's workspace, shared by all steps; NULL where none is needed */
    struct buffer **buffers;   /* [tensor_count]: slices of the segments, or weights */
    struct prepared *launches; /* of all steps, in order */
    size_t *first_launch;      /* [step_count + 1]: where each step's launches begin */
};

/* prepare.c: makes the launches of a step, which may be one beside the plan, ready, in groups that its kernels allow;
 * where its variant can not run in such, the call fails, and `facts` learn what they allow. first [MAX_LAUNCHES], all
 * zero; *count of them are made, and owned also on failure. */
vitcl_status prepare_step(struct executor *executor, const struct step *step, struct facts *facts,
                          struct prepared *first, size_t *count, vitcl_error *err);

/* execute.c: enqueues them. */
vitcl_status enqueue_launches(struct executor *executor, const struct prepared *first, size_t count, vitcl_error *err);

#endif

/* reference.h - the second executor: a plan in plain C on the host, without OpenCL. What every check compares with. */
#ifndef VITCL_RUN_REFERENCE_H
#define VITCL_RUN_REFERENCE_H

#include "plan/plan.h"

struct reference {
    const struct plan *plan;
    float *arena;      /* the same offsets as on the device */
    float **data;      /* [tensor_count]: in the arena, in the file, or a copy */
    float **converted; /* [tensor_count]: what is owned of data */
};

/* The plan must outlive it. Weights that the file has as aligned float are used in place. */
vitcl_status reference_create(struct reference *reference, const struct plan *plan, vitcl_error *err);
void reference_destroy(struct reference *reference);

void reference_run_step(struct reference *reference, size_t step);
void reference_run(struct reference *reference);

#endif

/* executor.h - a plan made ready for a device (prepare.c) and run there (execute.c). */
#ifndef VITCL_RUN_EXECUTOR_H
#define VITCL_RUN_EXECUTOR_H

#include "device/device.h"
#include "ops/ops.h"

struct executor;

/* Compiles the plan's kernels, allocates the arena, packs and uploads the weights. The plan must outlive the executor
 * and must not change. facts: those that it was made for. Where a kernel allows smaller work-groups than its device,
 * and its step's variant can not run in such, facts->max_work_group becomes what it allows, and the call fails: a plan
 * made for the new facts may succeed. */
vitcl_status executor_create(struct executor **executor, struct device *device, const struct plan *plan,
                             struct facts *facts, vitcl_error *err);
void executor_destroy(struct executor **executor);

/* The device memory of a tensor, for writing inputs and reading outputs. */
struct buffer *executor_buffer(const struct executor *executor, int tensor);

/* How many launches of kernels and gemms come before a step, of all steps for the number behind the last. */
size_t executor_first_launch(const struct executor *executor, size_t step);

/* A step of the plan on the executor's memory, tuned in another way. */
struct trial;
vitcl_status trial_create(struct trial **trial, struct executor *executor, size_t step, struct tuning tuning,
                          vitcl_error *err);
vitcl_status trial_enqueue(struct trial *trial, vitcl_error *err);
void trial_destroy(struct trial **trial);

/* Enqueues one step, or all of them. */
vitcl_status executor_enqueue_step(struct executor *executor, size_t step, vitcl_error *err);
vitcl_status executor_enqueue(struct executor *executor, vitcl_error *err);

#endif

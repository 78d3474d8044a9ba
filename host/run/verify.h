/* verify.h - runs both executors side by side and compares what each step wrote. */
#ifndef VITCL_RUN_VERIFY_H
#define VITCL_RUN_VERIFY_H

#include "run/executor.h"
#include "run/reference.h"

/* The largest deviation that passes, as a share of the output's rms. Float rounding adds up to 2e-5 over the steps of
 * ViT-B and ViT-L (measured); one wrong element is a thousand times that. */
#define VERIFY_TOLERANCE 2e-4

/* With bf16 a number that lies between two may be rounded up here and down there: the largest, which are some times the
 * rms, then differ by 1/256, and such differences go on through all steps. */
#define VERIFY_TOLERANCE_BF16 0.1

/* With f16 by 1/2048: most models stay within 0.006 of the rms, ViT-B among them, and the one with the largest outliers
 * within 0.014 (measured). */
#define VERIFY_TOLERANCE_F16 0.025

double verify_tolerance(const struct plan *plan);

/* Makes `count` numbers of a tensor, as they were read from the device, floats; in place. */
void numbers_to_float(enum number number, void *numbers, size_t count);

/* The largest deviation of step s's outputs, as they are on the device, from those of the reference. `scratch` has
 * verify_scratch(plan) bytes. */
vitcl_status verify_outputs(struct executor *executor, struct device *device, const struct reference *reference,
                            size_t s, float *scratch, double *deviation, vitcl_error *err);
size_t verify_scratch(const struct plan *plan);

/* Both executors have the same plan, and the same pixels in place. See vitcl_session_verify. In f16 the first step that
 * overflows ends it: VITCL_ERROR_OVERFLOW. */
vitcl_status verify_plan(struct executor *executor, struct device *device, struct reference *reference,
                         vitcl_verify_fn report, void *user, vitcl_error *err);

bool all_finite(const float *values, size_t count);

/* The largest |a - b| over the rms of b; infinite where either is not finite. */
double deviation_of(const float *a, const float *b, size_t count);

#endif

/* fit.h - plans for a device, and whether they fit its memory. */
#ifndef VITCL_RUN_FIT_H
#define VITCL_RUN_FIT_H

#include "plan/plan.h"

/* Builds the plan, gives it variants and memory. Allocates nothing on the device. */
vitcl_status plan_for(struct plan *plan, const struct request *request, const struct facts *facts, vitcl_error *err);

/* VITCL_ERROR_MEMORY where the plan of that request needs more than the device has: with the largest batch that fits.
 */
vitcl_status check_fit(const struct plan *plan, const struct request *request, const struct facts *facts,
                       vitcl_error *err);

#endif

/* fit.h - plans for a device, and how many images it takes at once. Nothing here touches the device. */
#ifndef VITCL_RUN_FIT_H
#define VITCL_RUN_FIT_H

#include "plan/plan.h"

/* Builds the plan, gives it variants and memory. On a device that is no CPU, and so may have a display to serve, a
 * batch whose launches would take too long is divided: the plan is then for a part of it, and plan_passes tells how
 * often it is to run. VITCL_ERROR_MEMORY where a tensor is larger than a buffer can be, with the largest batch that
 * fits. */
vitcl_status plan_for(struct plan *plan, const struct request *request, const struct facts *facts, vitcl_error *err);

/* VITCL_ERROR_MEMORY where the plan of that request needs more than the device has: with the largest batch that fits.
 */
vitcl_status check_fit(const struct plan *plan, const struct request *request, const struct facts *facts,
                       vitcl_error *err);

/* The batch that is sensible where nobody asks for one, at most the request's: see vitcl_choose_batch. */
vitcl_status choose_batch(const struct request *request, const struct facts *facts, size_t *batch, vitcl_error *err);

#endif

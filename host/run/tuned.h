/* tuned.h - the tunings that were found best (tune.h), in the cache of their device. */
#ifndef VITCL_RUN_TUNED_H
#define VITCL_RUN_TUNED_H

#include "base/text.h"
#include "device/device.h"
#include "ops/ops.h"

/* The tunings that a step's variant offers (see candidates in ops.h); 0 where there is nothing to choose from. */
size_t tuned_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                        struct tuning candidates[MAX_CANDIDATES]);

/* Two steps of one kind have the same key, and run equally fast: it tells the variant, and what it is launched with.
 * The caller frees it. */
struct text tuned_key(const struct plan *plan, const struct step *step);

/* Keeps what is best for this kind of step; false where the cache does not take it. */
bool tuned_keep(const struct plan *plan, const struct step *step, const struct device *device, struct tuning best);

/* Gives the steps of a fresh plan what was kept for their kinds. What is no candidate of a step is ignored; device
 * NULL: nothing is kept. */
void tuned_recall(struct plan *plan, const struct device *device);

#endif

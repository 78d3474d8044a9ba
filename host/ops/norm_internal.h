/* norm_internal.h - what the operations that normalise share. */
#ifndef VITCL_OPS_NORM_INTERNAL_H
#define VITCL_OPS_NORM_INTERNAL_H

#include "ops/ops.h"

/* Why a kernel in cl/residual_norm_group.cl can not run there, or NULL. */
const char *norm_group_obstacle(const struct facts *facts);

/* A launch of one of these kernels over across x down vectors of `width` numbers, a work-group each. */
struct launch make_norm_launch(const char *kernel, const struct facts *facts, size_t width, size_t across, size_t down);

#endif

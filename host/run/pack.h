/* pack.h - one weight, from the mapped file into device memory: converted and laid out in one pass. */
#ifndef VITCL_RUN_PACK_H
#define VITCL_RUN_PACK_H

#include "plan/plan.h"

/* Writes the tensor's weight in its layout; packed has tensor->bytes bytes. */
vitcl_status pack_weight(const struct tensor *tensor, void *packed, vitcl_error *err);

/* VITCL_ERROR_OVERFLOW: the tensor's weight has a number that f16 can not hold. */
vitcl_status fail_weight_overflow(const struct tensor *tensor, vitcl_error *err);

#endif

/* pack.h - one weight, from the mapped file into device memory: converted to float and laid out in one pass. */
#ifndef VITCL_RUN_PACK_H
#define VITCL_RUN_PACK_H

#include "plan/plan.h"

/* packed [rows*cols] in the given layout. */
vitcl_status pack_weight(const struct weight *weight, enum layout layout, float *packed, vitcl_error *err);

#endif

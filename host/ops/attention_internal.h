/* attention_internal.h - what the files of attention share. */
#ifndef VITCL_OPS_ATTENTION_INTERNAL_H
#define VITCL_OPS_ATTENTION_INTERNAL_H

#include "ops/ops.h"

/* attention_fused.c */
extern const struct variant ATTENTION_AMX, ATTENTION_FUSED;

/* attention_group.c */
extern const struct variant ATTENTION_GROUP, ATTENTION_POOL_GROUP;

#endif

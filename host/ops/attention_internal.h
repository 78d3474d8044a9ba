/* attention_internal.h - what the files of attention share. */
#ifndef VITCL_OPS_ATTENTION_INTERNAL_H
#define VITCL_OPS_ATTENTION_INTERNAL_H

#include "ops/ops.h"

/* attention.c, attention_pool.c: the arguments that the kernels of all variants share: tensors, T, H and the scale, of
 * BEiT's the grid. `own` is a number that only the variant's own kernels take, behind H; 0: they take none. */
void add_attention_args(const struct plan *plan, const struct step *step, size_t own, struct launch *launch);
void add_attention_pool_args(const struct plan *plan, const struct step *step, size_t own, struct launch *launch);

/* Kernels of which each form is a program, in the numbers that their files have for them. */
enum form { FORM_PLAIN, FORM_BIASED, FORM_MASKED, FORM_POOL, FORM_POOL_MASKED };

/* attention.c: of a step of attention: one of the first three. */
enum form form_of(const struct step *step);

/* ---- variants ---- */

/* attention_fused.c */
extern const struct variant ATTENTION_AMX, ATTENTION_FUSED;

/* attention_group.c */
extern const struct variant ATTENTION_GROUP, ATTENTION_POOL_GROUP;

/* attention_mma.c */
extern const struct variant ATTENTION_MMA;

#endif

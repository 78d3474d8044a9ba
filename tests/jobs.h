/* jobs.h - one step of each operation, as the job says: the tensors and weights of the table in plan/plan.h, and as
 * inputs what a kernel must not read. For `build` and `spoil` of a job (single_step.h).
 */
#ifndef VITCL_TESTS_JOBS_H
#define VITCL_TESTS_JOBS_H

#include "single_step.h"

/* x [rows,k], W [n,k], bias [n] -> y [rows,n] */
void build_matmul(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);

/* With lengths where the job is masked, with BEiT's table where it is biased. Keys and values behind an image's length
 * are poison, and those before the job's first token are in a pooling head's. */
void build_attention(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void spoil_attention(const struct job *job, float *const inputs[STEP_INPUTS]);
void build_attention_pool(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void spoil_attention_pool(const struct job *job, float *const inputs[STEP_INPUTS]);

void build_residual_norm(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void build_qk_norm(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);

void build_im2patch(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void build_tokens(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void build_rope(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);

/* x [rows,2n] -> y [rows,n] */
void build_gate(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);

/* Poison is all that a pool does not read. */
void build_pool(struct plan *plan, struct weight weights[STEP_WEIGHTS], const struct job *job);
void spoil_pool(const struct job *job, float *const inputs[STEP_INPUTS]);

/* Whether the pool changes no number. */
bool pool_copies(enum pool pool);

#endif

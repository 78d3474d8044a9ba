/* plan_text.h - for tests of plans: steps as text, and whole descriptions against those in tests/fixtures/plans. */
#ifndef VITCL_TESTS_PLAN_TEXT_H
#define VITCL_TESTS_PLAN_TEXT_H

#include "base/text.h"
#include "plan/plan.h"

/* Gives a plan its variants and its memory. */
void select_and_place(struct plan *plan, const struct facts *facts, const char *overrides);

/* Adds all that a step reads and writes, and what it is told:
 * "matmul(block 0 norm2, block 0 fc1.weight, block 0 fc1.bias) -> block 0 fc1 [1,5,16] gelu". */
void add_step_text(struct text *text, const struct plan *plan, const struct step *step);

/* The description of a plan, which is selected and placed here and freed. The caller frees the text. */
char *describe_plan(struct plan *plan, const struct facts *facts);

/* Fails unless the text is that of tests/fixtures/plans/<name>, and prints it for whoever meant to change it. */
void assert_golden(const char *text, const char *name);

#endif

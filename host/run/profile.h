/* profile.h - which steps of a plan the time goes to. */
#ifndef VITCL_RUN_PROFILE_H
#define VITCL_RUN_PROFILE_H

#include "run/executor.h"

/* Runs the executor's plan over what its inputs hold. See vitcl_session_profile. */
vitcl_status profile_plan(struct executor *executor, struct device *device, const struct plan *plan,
                          vitcl_profile_fn report, void *user, vitcl_profile *total, vitcl_error *err);

#endif

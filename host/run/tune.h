/* tune.h - finds by measuring how a model's steps run best on a device. */
#ifndef VITCL_RUN_TUNE_H
#define VITCL_RUN_TUNE_H

#include "run/session.h"

/* See vitcl_tune. One block stands for all: they are alike. */
vitcl_status tune_model(struct device *device, const struct request *request, double seconds, vitcl_tune_fn report,
                        void *user, vitcl_error *err);

/* The same for the steps of a session on a device, without runs in flight. */
vitcl_status tune_session(struct session *session, double seconds, vitcl_tune_fn report, void *user, vitcl_error *err);

#endif

/* handles.h - what the public handles hold, and the checks that their files share. */
#ifndef VITCL_API_HANDLES_H
#define VITCL_API_HANDLES_H

#include "run/model.h"
#include "run/session.h"

struct vitcl_context {
    struct device *device;
};

struct vitcl_model {
    struct model model;
};

struct vitcl_session {
    struct session *session;
    const struct vitcl_model *model;
};

/* context.c: VITCL_ERROR_ARGUMENT: "what must not be NULL". */
vitcl_status fail_null(vitcl_error *err, const char *what);

/* request.c: what the params ask for, checked, with the defaults filled in. It points into the model, the params and
 * the environment. context NULL: the reference. */
vitcl_status make_request(struct request *request, const vitcl_context *context, const vitcl_model *model,
                          const vitcl_session_params *params, vitcl_error *error);

/* session.c: whether a run of `count` images, which nothing may overtake, can begin and fill these results. */
vitcl_status check_run(const vitcl_session *session, size_t count, const vitcl_results *results, vitcl_error *error);

/* session.c: in a model of variable resolution each image has its own grid. Those of other models are not looked at. */
bool has_grids(const vitcl_session *session);
vitcl_status check_grids(const vitcl_session *session, const vitcl_grid *grids, size_t count, vitcl_error *error);

#endif

/* session.h - a plan with an executor and a queue of runs in flight. The engine behind vitcl_session. */
#ifndef VITCL_RUN_SESSION_H
#define VITCL_RUN_SESSION_H

#include "run/fit.h"
#include "run/inputs.h"

/* One run in flight: its own host memory, so that the next one can be prepared meanwhile. */
struct slot {
    struct inputs inputs;
    float *outputs[OUTPUT_COUNT]; /* [B,...]; NULL where the plan does not keep it */
    size_t count;                 /* images of this run */
    struct mark *mark;            /* passed when the results are here; NULL on the reference */
};

/* What the request's plan is made for; device NULL: the reference. */
const struct facts *session_facts(struct device *device, const struct request *request);

struct session {
    struct request request;
    struct plan plan;
    struct device *device; /* NULL: the plain-C reference runs */
    struct executor *executor;
    struct reference reference;
    struct slot slots[VITCL_QUEUE_DEPTH];
    size_t oldest, in_flight;
};

/* Plans the request for a device, or with device NULL for the reference, and makes everything ready. What the request
 * points to must outlive the session. */
vitcl_status session_create(struct session **session, struct device *device, const struct request *request,
                            vitcl_error *err);
void session_destroy(struct session **session);

/* Numbers in the pixel values [3,H,W] (patches [N,3pp]) of one image. */
size_t session_image_size(const struct session *session);

/* Where the pixel values of the next run go; NULL while VITCL_QUEUE_DEPTH runs are in flight. */
float *session_next_pixels(struct session *session);

/* In a model of variable resolution: the patches of image number `image` at session_next_pixels. */
vitcl_status session_set_grid(struct session *session, size_t image, vitcl_grid grid, vitcl_error *err);

/* Starts a run of the `count` images at session_next_pixels. */
vitcl_status session_submit(struct session *session, size_t count, vitcl_error *err);

/* Waits for the oldest run, of which there must be one, and copies those results that the plan keeps. */
vitcl_status session_wait(struct session *session, const vitcl_results *results, vitcl_error *err);

/* See vitcl_session_verify; takes the images at session_next_pixels. */
vitcl_status session_verify(struct session *session, vitcl_verify_fn report, void *user, vitcl_error *err);

/* See vitcl_session_profile; takes the images at session_next_pixels. */
vitcl_status session_profile(struct session *session, vitcl_profile_fn report, void *user, vitcl_profile *total,
                             vitcl_error *err);

#endif

/* session.h - a plan with an executor and a queue of runs in flight. The engine behind vitcl_session. */
#ifndef VITCL_RUN_SESSION_H
#define VITCL_RUN_SESSION_H

#include "run/executor.h"
#include "run/reference.h"

/* One run in flight: its own host memory, so that the next one can be prepared meanwhile. */
struct slot {
    float *pixels;                      /* [B,3,H,W] */
    float *logits, *embedding, *hidden; /* [B,...]; NULL where the session does not keep it */
    size_t count;                       /* images of this run */
    struct mark *mark;                  /* passed when the results are here; NULL on the reference */
};

struct session {
    struct plan plan;
    struct device *device; /* NULL: the plain-C reference runs */
    struct executor *executor;
    struct reference reference;
    struct slot slots[VITCL_QUEUE_DEPTH];
    size_t oldest, in_flight;
};

/* Builds the plan for a device (NULL: for the reference): what both session_create and a plan's description need. */
vitcl_status session_plan(struct plan *plan, const struct device *device, const struct config *config,
                          const struct weights *weights, size_t batch, unsigned outputs, const char *variants,
                          vitcl_error *err);

/* Makes a session of a plan, which it then owns, also on failure. */
vitcl_status session_create(struct session **session, struct device *device, struct plan *plan, vitcl_error *err);
void session_destroy(struct session **session);

/* Where the pixel values of the next run go; NULL while VITCL_QUEUE_DEPTH runs are in flight. */
float *session_next_pixels(const struct session *session);

/* Starts a run of the `count` images at session_next_pixels. */
vitcl_status session_submit(struct session *session, size_t count, vitcl_error *err);

/* Waits for the oldest run, of which there must be one, and copies its results. */
vitcl_status session_wait(struct session *session, const vitcl_results *results, vitcl_error *err);

/* See vitcl_session_verify; takes the images at session_next_pixels. */
vitcl_status session_verify(struct session *session, vitcl_verify_fn report, void *user, vitcl_error *err);

#endif

/* inspect.h - what --verify and --profile do with a batch instead of answering it. */
#ifndef VITCL_CLI_INSPECT_H
#define VITCL_CLI_INSPECT_H

#include "cli/report.h"

/* Images whose pixel values are ready. */
struct ready_batch {
    const float *pixels;     /* [count,3,H,W] */
    const vitcl_grid *grids; /* [count] */
    size_t count;
};

/* Each prints its table, and returns the library's status, having said on stderr what failed. */
vitcl_status verify_batch(vitcl_session *session, const struct ready_batch *batch);

/* With report->json the table is one more of its objects. */
vitcl_status profile_batch(vitcl_session *session, const struct ready_batch *batch, const vitcl_peak *peak,
                           struct report *report);

#endif

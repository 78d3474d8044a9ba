/* speed.h - what --bench and --profile tell, as text or as JSON. bench/bench_model prints by it, too. */
#ifndef VITCL_CLI_SPEED_H
#define VITCL_CLI_SPEED_H

#include "vitcl.h"

#include <jansson.h>

/* ---- whole forward passes ---- */

struct speed {
    const char *name, *device;
    size_t batch;
    double flops; /* of one image */
    vitcl_peak peak;
    vitcl_timing timing;
};

double speed_ms_per_image(const struct speed *speed); /* the median */
double speed_flops(const struct speed *speed);        /* per second */
void speed_print(const struct speed *speed);
json_t *speed_json(const struct speed *speed); /* the caller's */

/* ---- steps ---- */

/* A step table. Its lines are printed as they come, or where `json` is set collected. */
struct step_table {
    bool json;
    vitcl_peak peak;     /* of the device */
    size_t batch;        /* images of a run */
    vitcl_profile total; /* filled by vitcl_session_profile, before the first line */
    json_t *lines;       /* NULL for text */
};

void step_table_begin(struct step_table *table);

/* The vitcl_profile_fn, whose user is the table. */
void step_table_line(void *table, const vitcl_profile_line *line);

/* Prints the total; or returns the whole table, which the caller owns. */
json_t *step_table_end(struct step_table *table);

/* Frees what has been collected, where there was no end. */
void step_table_drop(struct step_table *table);

#endif

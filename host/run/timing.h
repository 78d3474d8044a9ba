/* timing.h - runs something again and again, and tells how long it takes. */
#ifndef VITCL_RUN_TIMING_H
#define VITCL_RUN_TIMING_H

#include "base/error.h"

/* One run from beginning to end, the device's work included. */
typedef vitcl_status (*run_fn)(void *context, vitcl_error *err);

/* Runs once untimed, because the first run may compile, then three times at least and on until `seconds` have passed.
 */
vitcl_status time_runs(run_fn run, void *context, double seconds, vitcl_timing *timing, vitcl_error *err);

/* Seconds of a clock that only goes forward. */
double seconds_now(void);

/* Sorts the values. */
double median_of(double *values, size_t count);

#endif

/* timing.c - the loop of every measurement. Single runs are kept, so that what other programs took from some of them
 * can be told from what all of them need. */
#include "run/timing.h"

#include <stdlib.h>
#include <time.h>

#define MIN_RUNS 3
#define MAX_RUNS 1000

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

vitcl_status time_runs(run_fn run, void *context, double seconds, vitcl_timing *timing, vitcl_error *err)
{
    double times[MAX_RUNS], end;
    size_t count = 0;
    vitcl_status status;
    TRY(run(context, err));
    end = seconds_now() + seconds;
    while (count < MIN_RUNS || (count < MAX_RUNS && seconds_now() < end)) {
        double start = seconds_now();
        TRY(run(context, err));
        times[count++] = seconds_now() - start;
    }
    timing->runs = count;
    timing->median = median_of(times, count);
    timing->fastest = times[0];
    timing->lower = times[count / 4];
    timing->upper = times[(count - 1) - count / 4];
    timing->slowest = times[count - 1];
done:
    return status;
}

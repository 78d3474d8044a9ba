/* speed.c - times of whole forward passes, and the table of steps. Shares are of the device's measured peak, for
 * multiply-adds and for copies: a step that is near neither has something left to win. */
#include "cli/speed.h"

#include <stdio.h>

/* ---- whole forward passes ---- */

static double ms_per_image(const struct speed *speed, double seconds)
{
    return 1e3 * seconds / (double)speed->batch;
}

double speed_ms_per_image(const struct speed *speed)
{
    return ms_per_image(speed, speed->timing.median);
}

double speed_flops(const struct speed *speed)
{
    return speed->flops * (double)speed->batch / speed->timing.median;
}

void speed_print(const struct speed *speed)
{
    const vitcl_timing *t = &speed->timing;
    printf("batch %zu, upload to results; checked before it was timed\n", speed->batch);
    printf("ms per image   %.3f, the median of %zu runs; half of them %.3f to %.3f, all %.3f to %.3f\n",
           speed_ms_per_image(speed), t->runs, ms_per_image(speed, t->lower), ms_per_image(speed, t->upper),
           ms_per_image(speed, t->fastest), ms_per_image(speed, t->slowest));
    printf("images/s       %.2f\n", 1e3 / speed_ms_per_image(speed));
    printf("GFLOP/s        %.1f, %.1f %% of this device's peak, measured now: %.1f\n", speed_flops(speed) / 1e9,
           100 * speed_flops(speed) / speed->peak.flops, speed->peak.flops / 1e9);
}

json_t *speed_json(const struct speed *speed)
{
    const vitcl_timing *t = &speed->timing;
    json_t *name = json_string(speed->name); /* a path need not be UTF-8; JSON must be */
    json_t *ms = json_pack("{s:f, s:f, s:f, s:f, s:f}", "median", speed_ms_per_image(speed), "fastest",
                           ms_per_image(speed, t->fastest), "lower_quartile", ms_per_image(speed, t->lower),
                           "upper_quartile", ms_per_image(speed, t->upper), "slowest", ms_per_image(speed, t->slowest));
    return json_pack("{s:o, s:s, s:I, s:I, s:o, s:f, s:f, s:f, s:f}", "model",
                     name ? name : json_string("(a path that is not UTF-8)"), "device", speed->device, "batch",
                     (json_int_t)speed->batch, "runs", (json_int_t)t->runs, "ms_per_image", ms, "images_per_second",
                     1e3 / speed_ms_per_image(speed), "gflops", speed_flops(speed) / 1e9, "peak_gflops",
                     speed->peak.flops / 1e9, "share_of_peak", speed_flops(speed) / speed->peak.flops);
}

/* ---- steps ---- */

void step_table_begin(struct step_table *table)
{
    table->lines = table->json ? json_array() : NULL;
    if (!table->json)
        printf("%-20s %5s  %-10s %9s %7s %9s %7s %8s %7s\n", "step", "times", "variant", "ms", "% wall", "GFLOP/s",
               "% peak", "GB/s", "% copy");
}

void step_table_line(void *user, const vitcl_profile_line *line)
{
    struct step_table *table = user;
    double flops = line->seconds > 0 ? line->flops / line->seconds : 0;
    double bytes = line->seconds > 0 ? line->bytes / line->seconds : 0;
    double share = line->seconds / table->total.wall;
    if (table->json)
        json_array_append_new(table->lines,
                              json_pack("{s:s, s:I, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "label", line->label, "times",
                                        (json_int_t)line->steps, "variant", line->variant, "ms", 1e3 * line->seconds,
                                        "share_of_wall", share, "gflops", flops / 1e9, "share_of_peak",
                                        flops / table->peak.flops, "gbytes_per_second", bytes / 1e9, "share_of_copy",
                                        bytes / table->peak.bytes));
    else
        printf("%-20s %5zu  %-10s %9.3f %6.1f%% %9.1f %6.1f%% %8.2f %6.1f%%\n", line->label, line->steps, line->variant,
               1e3 * line->seconds, 100 * share, flops / 1e9, 100 * flops / table->peak.flops, bytes / 1e9,
               100 * bytes / table->peak.bytes);
}

json_t *step_table_end(struct step_table *table)
{
    const vitcl_profile *total = &table->total;
    double flops = total->flops / total->wall;
    if (table->json)
        return json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "batch", (json_int_t)table->batch, "runs",
                         (json_int_t)total->runs, "wall_ms", 1e3 * total->wall, "explained", total->busy / total->wall,
                         "gflops", flops / 1e9, "peak_gflops", table->peak.flops / 1e9, "peak_gbytes_per_second",
                         table->peak.bytes / 1e9, "steps", table->lines);
    printf("%-20s %5s  %-10s %9.3f %6.1f%% %9.1f %6.1f%%\n", "all", "", "", 1e3 * total->busy,
           100 * total->busy / total->wall, flops / 1e9, 100 * flops / table->peak.flops);
    printf("\nThe steps explain %.1f %% of %.3f ms, the wall time of one run of %zu image%s (medians of %zu runs).\n"
           "Peak of this device, measured now: %.1f GFLOP/s, %.1f GB/s copied.\n",
           100 * total->busy / total->wall, 1e3 * total->wall, table->batch, table->batch == 1 ? "" : "s", total->runs,
           table->peak.flops / 1e9, table->peak.bytes / 1e9);
    return NULL;
}

void step_table_drop(struct step_table *table)
{
    json_decref(table->lines);
    table->lines = NULL;
}

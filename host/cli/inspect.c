/* inspect.c - the modes that run images to look into the device: --verify compares each step with plain C, --profile
 * tells how long each takes. */
#include "cli/inspect.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/speed.h"

#include <stdio.h>

static void print_step(void *user, const vitcl_verify_step *step)
{
    (void)user;
    printf("%4zu/%-4zu %-20s %-10s %10.3g  %s\n", step->index + 1, step->count, step->label, step->variant,
           step->deviation, step->passed ? "ok" : "OVER TOLERANCE");
    fflush(stdout);
    progress_phase("comparing the next step with the plain-C reference");
}

vitcl_status verify_batch(vitcl_session *session, const struct ready_batch *batch)
{
    vitcl_error error;
    vitcl_status status;

    printf("%9s %-20s %-10s %10s\n", "step", "label", "variant", "deviation");
    progress_phase("running the first step on the device and in plain C");
    status = vitcl_session_verify(session, batch->pixels, batch->grids, batch->count, print_step, NULL, &error);
    progress_idle();
    if (status == VITCL_OK)
        printf("verified %zu image%s: every step is within tolerance\n", batch->count, batch->count == 1 ? "" : "s");
    else
        complain(&error);
    return status;
}

vitcl_status profile_batch(vitcl_session *session, const struct ready_batch *batch, const vitcl_peak *peak,
                           struct report *report)
{
    vitcl_error error;
    vitcl_status status;
    struct step_table table = {.json = report->json, .peak = *peak, .batch = batch->count};

    step_table_begin(&table);
    progress_phase("running the batch on a queue that keeps times");
    status = vitcl_session_profile(session, batch->pixels, batch->grids, batch->count, step_table_line, &table,
                                   &table.total, &error);
    progress_idle();
    if (status != VITCL_OK) {
        step_table_drop(&table);
        complain(&error);
    } else if (report->json) {
        report_object(report, step_table_end(&table));
    } else {
        step_table_end(&table);
    }
    return status;
}

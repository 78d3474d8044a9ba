/* tune.c - --tune: a line for each kind of step that was measured. */
#include "cli/commands.h"
#include "cli/outputs.h"
#include "cli/progress.h"

#include <stdio.h>

/* The lines so far. */
struct lines {
    size_t written, count;
};

static void on_result(void *user, const vitcl_tune_result *r)
{
    struct lines *lines = user;
    progress_idle();
    if (lines->written++ == 0)
        printf("%-18s %-10s %14s %12s  %-22s %s\n", "step", "variant", "untuned, us", "tuned, us", "choice",
               "measured");
    printf("%-18s %-10s %14.1f %12.1f  %-22s %zu of %zu\n", r->label, r->variant, 1e6 * r->untuned, 1e6 * r->tuned,
           r->choice, r->measured, r->candidates);
    fflush(stdout);
    lines->count = r->count;
}

int tune(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    vitcl_error error;
    vitcl_model_info info;
    vitcl_session_params params = {.batch_size = options->batch_size, .precision = options->precision};
    struct lines lines = {0};
    vitcl_status status;
    vitcl_model_get_info(model, &info);
    params.outputs = outputs_kept(options, &info);
    status = vitcl_tune(context, model, &params, (double)options->tune_seconds, on_result, &lines, &error);
    progress_idle();
    if (status != VITCL_OK)
        return complain(&error);
    if (lines.written == 0)
        puts("nothing was tuned: the time was too short, or this device has no variants with something to choose");
    else if (lines.written < lines.count)
        printf("%zu kinds of steps were not reached: allow more by --tune-seconds\n", lines.count - lines.written);
    return 0;
}

/* bench.c - --bench: how fast this model runs on this device, without any image. */
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/speed.h"

#include <stdio.h>
#include <stdlib.h>

#define SECONDS 3

int run_bench(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    vitcl_error error;
    const vitcl_session_params params = {.batch_size = options->batch_size, .precision = options->precision};
    struct speed speed = {
        .name = options->model, .device = vitcl_context_device(context), .batch = options->batch_size};
    vitcl_model_info info;
    vitcl_status status;

    vitcl_model_get_info(model, &info);
    speed.flops = info.flops;
    status = vitcl_context_measure_peak(context, &speed.peak, &error);
    if (status == VITCL_OK)
        status = vitcl_model_bench(model, context, &params, SECONDS, &speed.timing, &error);
    progress_idle();
    if (status != VITCL_OK)
        return complain(&error);
    if (options->json) {
        json_t *object = speed_json(&speed);
        json_dumpf(object, stdout, JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII | JSON_INDENT(2));
        putchar('\n');
        json_decref(object);
    } else {
        speed_print(&speed);
    }
    return 0;
}

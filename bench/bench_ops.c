/* bench_ops.c - every operation of a model's block, in every variant for this device:
 *
 *     bench_ops -m DIR [-d DEVICE] [-b BATCH] [-p f32|bf16|f16] [-s SECONDS]
 *
 * Each step is compared with the plain-C reference before it is timed, and a wrong one gets no time. A time is the
 * median of its runs. The shares are of this device's peak for multiply-adds and for copies: the fastest runs of two
 * kernels that do nothing else, measured in the same process.
 */
#include "cli/precision.h"
#include "run/model.h"
#include "run/peak.h"
#include "run/session.h"
#include "run/timing.h"
#include "run/verify.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *model, *device;
    size_t batch;
    vitcl_precision precision;
    double seconds; /* per step and variant */
};

/* ---- steps ---- */

struct step_run {
    struct session *session;
    size_t step;
};

static vitcl_status run_step(void *context, vitcl_error *err)
{
    struct step_run *run = context;
    vitcl_status status = executor_enqueue_step(run->session->executor, run->step, err);
    return status == VITCL_OK ? device_finish(run->session->device, err) : status;
}

static void print_heading(const struct device *device, const vitcl_peak *peak)
{
    printf("peak of %s, measured now: %.1f GFLOP/s, %.1f GB/s\n\n", device_description(device), peak->flops / 1e9,
           peak->bytes / 1e9);
    printf("%-16s %-14s %-10s %-18s %10s %10s %10s %8s %8s\n", "step", "op", "variant", "output", "deviation", "us",
           "GFLOP/s", "% FLOPs", "% bytes");
}

static void print_row(const struct plan *plan, size_t s, double deviation, double seconds, const vitcl_peak *peak)
{
    const struct step *step = &plan->steps[s];
    const struct tensor *output = &plan->tensors[step->output[0]];
    char shape[48];
    snprintf(shape, sizeof shape, "[%zu,%zu]", output->rows, output->cols);
    printf("%-16s %-14s %-10s %-18s %10.2g ", step->label, plan_op_name(step->op), step->variant_name, shape,
           deviation);
    if (deviation > verify_tolerance(plan))
        printf("wrong: not timed\n");
    else
        printf("%10.1f %10.1f %7.1f%% %7.1f%%\n", 1e6 * seconds, step->flops / seconds / 1e9,
               100 * step->flops / seconds / peak->flops, 100 * step->bytes / seconds / peak->bytes);
}

/* Deviations by step, from the verification that runs before any timing. */
static void note_deviation(void *user, const vitcl_verify_step *line)
{
    double *deviations = user;
    deviations[line->index] = line->passed ? line->deviation : 1e300;
}

/* Verifies a session, then times its steps: those of one operation, or all where `only` is OP_COUNT. */
static vitcl_status bench_session(struct session *session, const struct settings *settings, enum op only,
                                  const vitcl_peak *peak, vitcl_error *err)
{
    vitcl_status status;
    const struct plan *plan = &session->plan;
    float *pixels = session_next_pixels(session);
    size_t count = plan->tensors[plan->pixels].rows * plan->tensors[plan->pixels].cols;
    double *deviations = calloc(plan->step_count, sizeof *deviations);

    if (!deviations)
        return fail_memory(err, plan->step_count * sizeof *deviations);
    for (size_t i = 0; i < count; i++)
        pixels[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    status = session_verify(session, note_deviation, deviations, err);
    if (status != VITCL_OK && status != VITCL_ERROR_MISMATCH)
        goto done;
    status = VITCL_OK;
    for (size_t s = 0; s < plan->step_count; s++) {
        struct step_run run = {session, s};
        vitcl_timing timing = {0};
        if (only != OP_COUNT && plan->steps[s].op != only)
            continue;
        if (deviations[s] <= verify_tolerance(plan))
            TRY(time_runs(run_step, &run, settings->seconds, &timing, err));
        print_row(plan, s, deviations[s], timing.median, peak);
    }
done:
    free(deviations);
    return status;
}

/* ---- all of it ---- */

struct bench {
    struct device *device;
    const struct model *model;
    const struct settings *settings;
    vitcl_peak peak;
    const struct variant *defaults[OP_COUNT]; /* what was chosen without an override */
};

static vitcl_status bench_variants(struct bench *bench, const char *override, enum op only, vitcl_error *err)
{
    vitcl_status status;
    struct session *session = NULL;
    const struct request request = {.config = &bench->model->config,
                                    .weights = &bench->model->weights,
                                    .batch = bench->settings->batch,
                                    .height = bench->model->height,
                                    .width = bench->model->width,
                                    .max_patches = bench->model->max_patches,
                                    .outputs = model_classes(bench->model) ? VITCL_OUTPUT_LOGITS : VITCL_OUTPUT_HIDDEN,
                                    .variants = override,
                                    .precision = bench->settings->precision};

    TRY(session_create(&session, bench->device, &request, err));
    for (size_t s = 0; only == OP_COUNT && s < session->plan.step_count; s++)
        bench->defaults[session->plan.steps[s].op] = session->plan.steps[s].variant;
    TRY(bench_session(session, bench->settings, only, &bench->peak, err));
done:
    session_destroy(&session);
    return status;
}

/* All steps with the default variants first, then each operation's other variants. */
static vitcl_status bench_all(struct bench *bench, vitcl_error *err)
{
    vitcl_status status;
    TRY(peak_measure(bench->device, &bench->peak, err));
    print_heading(bench->device, &bench->peak);
    TRY(bench_variants(bench, "", OP_COUNT, err));
    for (enum op op = 0; op < OP_COUNT; op++) {
        for (size_t v = 0; v < MAX_VARIANTS && operation_of(op)->variants[v]; v++) {
            const struct variant *variant = operation_of(op)->variants[v];
            const enum number number = number_of_precision(bench->settings->precision);
            char override[64];
            if (variant == bench->defaults[op] || !variant_suits(variant, device_facts(bench->device)))
                continue;
            if (op == OP_MATMUL && !numbers_have(variant->reads, number))
                continue;
            snprintf(override, sizeof override, "%s=%s", plan_op_name(op), variant->name);
            TRY(bench_variants(bench, override, op, err));
        }
    }
done:
    return status;
}

static bool parse(struct settings *settings, int argc, char **argv)
{
    int option;
    *settings = (struct settings){.device = getenv("VITCL_DEVICE"), .batch = 1, .seconds = 1};
    while ((option = getopt(argc, argv, "m:d:b:p:s:")) != -1) {
        if (option == 'm')
            settings->model = optarg;
        else if (option == 'd')
            settings->device = optarg;
        else if (option == 'b')
            settings->batch = (size_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            settings->seconds = strtod(optarg, NULL);
        else if (option != 'p' || !precision_from_text(&settings->precision, optarg))
            return false;
    }
    return settings->model && settings->batch > 0 && settings->batch <= VITCL_MAX_BATCH && settings->seconds > 0;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct model model = {0};
    struct bench bench = {.model = &model, .settings = &settings};
    vitcl_error error;
    vitcl_status status;

    if (!parse(&settings, argc, argv)) {
        fputs("usage: bench_ops -m DIR [-d DEVICE] [-b BATCH] [-p f32|bf16|f16] [-s SECONDS]\n"
              "DIR as bench/make_model writes it; SECONDS of timing per row\n",
              stderr);
        return 2;
    }
    setenv("POCL_AFFINITY", "1", 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    TRY(model_open(&model, settings.model, NULL, &error));
    model.config.layers = 1; /* all blocks are alike */
    TRY(device_open(&bench.device, settings.device ? settings.device : "", NULL, &error));
    TRY(bench_all(&bench, &error));
done:
    if (status != VITCL_OK)
        fprintf(stderr, "bench_ops: %s\n", error.message);
    device_close(&bench.device);
    model_close(&model);
    return status == VITCL_OK ? 0 : 1;
}

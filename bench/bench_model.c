/* bench_model.c - times whole models by name, with random weights, so that none has to be there:
 *
 *     bench_model [-d DEVICE] [-s SECONDS] [--json] [--profile] NAME:BATCH[:PRECISION]...
 *     bench_model vit_base_patch16_224:1 vit_base_patch16_224:8 dinov2_base_patch14_518:1
 *
 * Each is checked before it is timed (vitcl_model_bench): a wrong one gets a message instead of a time, and the exit
 * status tells. With --profile the table of its steps follows.
 */
#include "cli/precision.h"
#include "cli/speed.h"
#include "random_model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    const char *device; /* NULL: VITCL_DEVICE */
    double seconds;     /* of timing per model */
    bool json, profile;
};

/* "vit_base_patch16_224:8:f32" */
struct item {
    char name[64], precision_name[16];
    vitcl_precision precision;
    unsigned long batch;
};

struct bench {
    struct settings settings;
    vitcl_context *context;
    vitcl_peak peak;
    vitcl_model *model; /* the last one, and its name: it often serves the next batch size, too */
    char name[64];
    json_t *answers; /* --json */
};

static bool parse_item(struct item *item, const char *text)
{
    int length = 0;
    strcpy(item->precision_name, "f32");
    if (sscanf(text, "%63[^:]:%5lu%n:%15[^:]%n", item->name, &item->batch, &length, item->precision_name, &length) <
            2 ||
        text[length] || item->batch < 1 || item->batch > VITCL_MAX_BATCH) {
        fprintf(stderr, "bench_model: %s: expected NAME:BATCH or NAME:BATCH:PRECISION\n", text);
        return false;
    }
    if (!precision_from_text(&item->precision, item->precision_name)) {
        fprintf(stderr, "bench_model: %s: there is no precision %s; there are f32, bf16 and f16\n", text,
                item->precision_name);
        return false;
    }
    return true;
}

/* ---- models ---- */

static void remove_folder(const char *folder)
{
    static const char *const FILES[] = {"model.safetensors", "config.json", "preprocessor_config.json"};
    char path[4096];
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, FILES[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* The files are mapped, so their names can go as soon as the model is open: whatever happens later, nothing is left. */
static bool open_model(struct bench *bench, const char *name)
{
    const char *temporary = getenv("TMPDIR");
    char folder[2048];
    vitcl_error error;
    bool opened;
    if (bench->model && strcmp(bench->name, name) == 0)
        return true;
    vitcl_model_destroy(&bench->model);
    snprintf(folder, sizeof folder, "%s/vitcl_bench_XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        return false;
    }
    opened = random_model_write(name, folder);
    if (opened && vitcl_model_create(&bench->model, folder, NULL, &error) != VITCL_OK) {
        fprintf(stderr, "bench_model: %s\n", error.message);
        opened = false;
    }
    remove_folder(folder);
    snprintf(bench->name, sizeof bench->name, "%s", name);
    return opened;
}

/* ---- one model ---- */

static bool complain(const struct item *item, const vitcl_error *error)
{
    fprintf(stderr, "bench_model: %s:%lu: %s\n", item->name, item->batch, error->message);
    return false;
}

static void print_row(const struct item *item, const struct speed *speed)
{
    const vitcl_timing *t = &speed->timing;
    const double per_image = 1e3 / (double)speed->batch;
    printf("%-28s %5lu %-9s %10.3f %10.3f %10.3f %10.1f %7.1f%%\n", item->name, item->batch, item->precision_name,
           speed_ms_per_image(speed), per_image * t->lower, per_image * t->upper, speed_flops(speed) / 1e9,
           100 * speed_flops(speed) / speed->peak.flops);
}

/* The table of steps: printed, or put into `answer`. */
static bool profile(struct bench *bench, const struct item *item, json_t *answer)
{
    const vitcl_session_params params = {.batch_size = item->batch, .precision = item->precision};
    struct step_table table = {.json = bench->settings.json, .peak = bench->peak, .batch = item->batch};
    vitcl_session *session = NULL;
    vitcl_model_info info;
    vitcl_error error;
    float *pixels;
    bool done;

    vitcl_model_get_info(bench->model, &info);
    pixels = calloc(info.input, sizeof *pixels);
    step_table_begin(&table);
    done = pixels && vitcl_session_create(&session, bench->context, bench->model, &params, &error) == VITCL_OK &&
           vitcl_session_profile(session, pixels, NULL, 1, step_table_line, &table, &table.total, &error) == VITCL_OK;
    if (!done)
        step_table_drop(&table);
    else if (answer)
        json_object_set_new(answer, "profile", step_table_end(&table));
    else
        step_table_end(&table);
    if (pixels && !done)
        complain(item, &error);
    vitcl_session_destroy(&session);
    free(pixels);
    return done;
}

static bool bench_item(struct bench *bench, const struct item *item)
{
    const vitcl_session_params params = {.batch_size = item->batch, .precision = item->precision};
    struct speed speed = {
        .name = item->name, .device = vitcl_context_device(bench->context), .batch = item->batch, .peak = bench->peak};
    json_t *answer = NULL;
    vitcl_model_info info;
    vitcl_error error;
    bool done;

    if (!open_model(bench, item->name))
        return false;
    vitcl_model_get_info(bench->model, &info);
    speed.flops = info.flops;
    if (vitcl_model_bench(bench->model, bench->context, &params, bench->settings.seconds, &speed.timing, &error) !=
        VITCL_OK)
        return complain(item, &error);
    if (bench->settings.json) {
        answer = speed_json(&speed);
        json_object_set_new(answer, "precision", json_string(item->precision_name));
    } else {
        print_row(item, &speed);
    }
    done = !bench->settings.profile || profile(bench, item, answer);
    if (answer)
        json_array_append_new(bench->answers, answer);
    return done;
}

/* ---- all of them ---- */

static bool parse(struct settings *settings, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"json", no_argument, NULL, 'j'}, {"profile", no_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
    int option;
    *settings = (struct settings){.seconds = 3};
    while ((option = getopt_long(argc, argv, "d:s:", OPTIONS, NULL)) != -1) {
        if (option == 'd')
            settings->device = optarg;
        else if (option == 's')
            settings->seconds = strtod(optarg, NULL);
        else if (option == 'j')
            settings->json = true;
        else if (option == 'p')
            settings->profile = true;
        else
            return false;
    }
    return settings->seconds > 0 && optind < argc;
}

static bool open_device(struct bench *bench)
{
    vitcl_error error;
    const vitcl_context_params params = {.device = bench->settings.device};
    if (vitcl_context_create(&bench->context, &params, &error) == VITCL_OK &&
        vitcl_context_measure_peak(bench->context, &bench->peak, &error) == VITCL_OK)
        return true;
    fprintf(stderr, "bench_model: %s\n", error.message);
    return false;
}

static void print_heading(const struct bench *bench)
{
    printf("peak of %s, measured now: %.1f GFLOP/s\n\n", vitcl_context_device(bench->context), bench->peak.flops / 1e9);
    printf("%-28s %5s %-9s %10s %10s %10s %10s %8s\n", "model", "batch", "precision", "ms/image", "quartiles", "",
           "GFLOP/s", "% peak");
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    bool fine = true;

    if (!parse(&bench.settings, argc, argv)) {
        fputs("usage: bench_model [-d DEVICE] [-s SECONDS] [--json] [--profile] NAME:BATCH[:PRECISION]...\n"
              "NAME as bench/make_model takes it; SECONDS of timing per model\n",
              stderr);
        return 2;
    }
    for (int i = optind; i < argc; i++)
        if (!parse_item(&(struct item){0}, argv[i]))
            return 2;
    setenv("POCL_AFFINITY", "1", 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!open_device(&bench))
        return 1;
    bench.answers = json_array();
    if (!bench.settings.json)
        print_heading(&bench);
    for (int i = optind; i < argc; i++) {
        struct item item;
        fine = parse_item(&item, argv[i]) && bench_item(&bench, &item) && fine;
    }
    if (bench.settings.json) {
        json_dumpf(bench.answers, stdout, JSON_REAL_PRECISION(6) | JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(bench.answers);
    vitcl_model_destroy(&bench.model);
    vitcl_context_destroy(&bench.context);
    return fine ? 0 : 1;
}

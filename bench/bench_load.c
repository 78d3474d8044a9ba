/* bench_load.c - what happens before a forward pass: a model's way from its folder, in the file cache, to a session
 * that is ready, without the compilation of programs, which a first session has done; and a picture's way from its file
 * to pixel values, beside its decoding alone.
 *
 *     bench_load DIR [PICTURE]
 */
#include "vitcl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUNS 9

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Seconds for the model and the session; negative where either failed. */
static double load(vitcl_context *context, const char *folder, vitcl_error *error)
{
    vitcl_model *model = NULL;
    vitcl_session *session = NULL;
    double begin = now(), ready = -1;
    if (vitcl_model_create(&model, folder, NULL, error) == VITCL_OK &&
        vitcl_session_create(&session, context, model, NULL, error) == VITCL_OK)
        ready = now() - begin;
    vitcl_session_destroy(&session);
    vitcl_model_destroy(&model);
    return ready;
}

static double median(double seconds[RUNS])
{
    qsort(seconds, RUNS, sizeof *seconds, by_size);
    return seconds[RUNS / 2];
}

static vitcl_status bench_model(vitcl_context *context, const char *folder, vitcl_error *error)
{
    double seconds[RUNS], middle;
    if (load(context, folder, error) < 0) /* compiles */
        return error->status;
    for (size_t i = 0; i < RUNS; i++) {
        seconds[i] = load(context, folder, error);
        if (seconds[i] < 0)
            return error->status;
    }
    middle = median(seconds);
    printf("%s on %s: ready after %.3f s (median of %d; fastest %.3f, slowest %.3f)\n", folder,
           vitcl_context_device(context), middle, RUNS, seconds[0], seconds[RUNS - 1]);
    return VITCL_OK;
}

static vitcl_status bench_picture(const char *folder, const char *path, vitcl_error *error)
{
    double decoding[RUNS], preprocessing[RUNS], decode, preprocess;
    vitcl_model *model = NULL;
    vitcl_model_info info;
    vitcl_image image = {0};
    float *pixels = NULL;
    vitcl_status status = vitcl_model_create(&model, folder, NULL, error);

    vitcl_model_get_info(model, &info);
    pixels = calloc(info.input ? info.input : 1, sizeof *pixels);
    for (size_t i = 0; pixels && status == VITCL_OK && i < RUNS; i++) {
        vitcl_grid grid;
        double begin = now(), decoded;
        status = vitcl_image_read(&image, path, true, error);
        decoded = now();
        if (status == VITCL_OK)
            status = vitcl_model_preprocess(model, &image, pixels, &grid, error);
        decoding[i] = decoded - begin;
        preprocessing[i] = now() - decoded;
        if (i + 1 < RUNS)
            vitcl_image_destroy(&image);
    }
    if (status == VITCL_OK && pixels) {
        decode = median(decoding);
        preprocess = median(preprocessing);
        printf("%s, %.1f megapixels: decoded in %.1f ms, preprocessed in %.1f ms: together %.2f x the decoding alone "
               "(medians of %d)\n",
               path, (double)(image.width * image.height) / 1e6, 1e3 * decode, 1e3 * preprocess,
               (decode + preprocess) / decode, RUNS);
    }
    vitcl_image_destroy(&image);
    vitcl_model_destroy(&model);
    free(pixels);
    return status;
}

int main(int argc, char **argv)
{
    vitcl_context *context = NULL;
    vitcl_error error;
    vitcl_status status;

    if (argc < 2 || argc > 3) {
        fputs("usage: bench_load DIR [PICTURE]\n", stderr);
        return 2;
    }
    setenv("POCL_AFFINITY", "1", 0);
    status = vitcl_context_create(&context, NULL, &error);
    if (status == VITCL_OK)
        status = bench_model(context, argv[1], &error);
    if (status == VITCL_OK && argc == 3)
        status = bench_picture(argv[1], argv[2], &error);
    if (status != VITCL_OK)
        fprintf(stderr, "bench_load: %s\n", error.message);
    vitcl_context_destroy(&context);
    return status != VITCL_OK;
}

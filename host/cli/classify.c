/* classify.c - the main job: reads inputs into batches, keeps up to VITCL_QUEUE_DEPTH of them in flight, reports the
 * answers in order. An input that can not be read is reported and left out; the others are answered. --verify and
 * --profile take the same way, but look into each batch instead of answering it.
 */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/inspect.h"
#include "cli/npy.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 4200 /* a path, and "[row]" of a .npy file */

/* The images of one run. */
struct batch {
    char **names; /* [batch_size], owned up to count */
    size_t count;
};

struct job {
    const vitcl_model *model;
    vitcl_session *session;
    vitcl_model_info info;
    size_t batch_size;
    enum mode mode;  /* MODE_RUN, MODE_VERIFY or MODE_PROFILE */
    vitcl_peak peak; /* of the device; MODE_PROFILE */
    struct report report;
    struct outputs outputs;
    size_t image_size; /* numbers in one image's pixel values */
    float *pixels;     /* [batch_size,3,H,W]: the batch being filled */
    vitcl_grid *grids; /* [batch_size]; 0 x 0 unless the model is of variable resolution */
    bool upright;      /* EXIF's orientation counts */
    struct texts texts;
    struct batch filling;
    struct batch flying[VITCL_QUEUE_DEPTH]; /* oldest first */
    size_t in_flight;
    bool failed; /* an input failed; the job went on */
};

static void fail_input(struct job *job, const char *file, const char *message)
{
    fflush(stdout);
    say(message);
    report_failure(&job->report, file, message);
    job->failed = true;
}

static bool fail_memory(void)
{
    fputs("vitcl_run: out of memory; try a smaller batch (-b)\n", stderr);
    return false;
}

static void forget(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->names[i]);
    batch->count = 0;
}

/* ---- answers ---- */

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

static bool report_batch(struct job *job, const struct batch *batch)
{
    const vitcl_results *r = &job->outputs.results;
    for (size_t i = 0; i < batch->count; i++) {
        const float *logits = r->logits ? r->logits + i * job->info.classes : NULL;
        const float *embedding = r->embedding ? r->embedding + i * job->info.embedding : NULL;
        const float *hidden = r->hidden ? r->hidden + i * job->info.tokens * job->info.width : NULL;
        if (!all_finite(logits, job->info.classes) || !all_finite(embedding, job->info.embedding) ||
            !all_finite(hidden, job->info.tokens * job->info.width)) {
            char message[NAME_SIZE + 100];
            snprintf(message, sizeof message, "%s: the model gave NaN or infinity; --verify shows at which step",
                     batch->names[i]);
            fail_input(job, batch->names[i], message);
            continue;
        }
        if (!report_result(&job->report, batch->names[i], logits, embedding))
            return fail_memory();
    }
    return outputs_write(&job->outputs, batch->count);
}

/* Fetches the oldest run's results and reports them. False when nothing can go on. */
static bool finish_oldest(struct job *job)
{
    vitcl_error error;
    vitcl_status status;
    struct batch batch = job->flying[0];
    bool fine = false;

    progress_phase("waiting for the device");
    status = vitcl_session_wait(job->session, &job->outputs.results, &error);
    progress_idle();
    if (status == VITCL_OK)
        fine = report_batch(job, &batch);
    else
        complain(&error);
    forget(&batch);
    /* Its list of names serves a later batch. */
    memmove(&job->flying[0], &job->flying[1], (VITCL_QUEUE_DEPTH - 1) * sizeof *job->flying);
    job->flying[VITCL_QUEUE_DEPTH - 1] = batch;
    job->in_flight--;
    return fine;
}

static bool submit(struct job *job)
{
    vitcl_error error;
    vitcl_status status;
    struct batch empty;

    if (job->in_flight == VITCL_QUEUE_DEPTH && !finish_oldest(job))
        return false;
    progress_phase("starting a run on the device");
    status = vitcl_session_submit(job->session, job->pixels, job->grids, job->filling.count, &error);
    progress_idle();
    if (status != VITCL_OK) {
        complain(&error);
        return false;
    }
    empty = job->flying[job->in_flight];
    job->flying[job->in_flight++] = job->filling;
    job->filling = empty;
    return true;
}

/* ---- instead of answers ---- */

static bool inspect(struct job *job)
{
    const struct ready_batch batch = {job->pixels, job->grids, job->filling.count};
    vitcl_status status = job->mode == MODE_VERIFY ? verify_batch(job->session, &batch)
                                                   : profile_batch(job->session, &batch, &job->peak, &job->report);
    forget(&job->filling);
    job->failed |= status != VITCL_OK;
    return status == VITCL_OK || status == VITCL_ERROR_MISMATCH;
}

/* ---- inputs ---- */

static bool send_batch(struct job *job)
{
    if (job->filling.count == 0)
        return true;
    if (!outputs_write_pixels(&job->outputs, job->pixels, job->filling.count))
        return false;
    return job->mode == MODE_RUN ? submit(job) : inspect(job);
}

/* The image's pixel values are in place; the batch goes when it is full. */
static bool accept(struct job *job, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return fail_memory();
    job->filling.names[job->filling.count++] = copy;
    return job->filling.count < job->batch_size || send_batch(job);
}

static float *next_pixels(const struct job *job)
{
    return job->pixels + job->filling.count * job->image_size;
}

static bool add_image(struct job *job, const char *path)
{
    vitcl_error error;
    vitcl_image image;
    char message[NAME_SIZE + sizeof error.message];
    vitcl_status status = vitcl_image_read(&image, path, job->upright, &error);
    if (status == VITCL_OK) {
        status = vitcl_model_preprocess(job->model, &image, next_pixels(job), &job->grids[job->filling.count], &error);
        vitcl_image_destroy(&image);
    }
    if (status == VITCL_OK)
        return accept(job, path);
    if (strncmp(error.message, path, strlen(path)) == 0) { /* as messages about a file begin */
        fail_input(job, path, error.message);
    } else {
        snprintf(message, sizeof message, "%s: %s", path, error.message);
        fail_input(job, path, message);
    }
    return true;
}

/* NULL when the array is a batch of images for this model; else what is wrong, written into `message`. */
static const char *check_shape(const struct job *job, const struct npy_reader *npy, char message[256])
{
    const size_t *image = npy->shape + (npy->rank == 4);
    size_t height = job->info.image_height, width = job->info.image_width;
    if (job->info.max_patches)
        return "this model cuts each picture into patches of its own grid: it takes pictures, not ready pixel values";
    if ((npy->rank == 3 || npy->rank == 4) && image[0] == 3 && image[1] == height && image[2] == width)
        return NULL;
    snprintf(message, 256, "its shape does not fit: %s takes [B,3,%zu,%zu] or [3,%zu,%zu]%s",
             job->info.any_size ? "this run" : "this model", height, width, height, width,
             job->info.any_size ? "; .npy files of one size, without pictures, are run at theirs"
                                : "; --image-size interpolates its positions");
    return message;
}

static bool add_npy(struct job *job, const char *path)
{
    struct npy_reader npy;
    char message[NAME_SIZE + 300], shape[256], name[NAME_SIZE];
    const char *problem = npy_open(&npy, path);
    size_t rows = npy.rank == 4 ? npy.shape[0] : 1;
    bool fine = true;

    if (!problem)
        problem = check_shape(job, &npy, shape);
    for (size_t row = 0; !problem && fine && row < rows; row++) {
        if (!npy_read(&npy, next_pixels(job), job->image_size)) {
            problem = "it can not be read to its end";
            break;
        }
        snprintf(name, sizeof name, rows > 1 ? "%s[%zu]" : "%s", path, row);
        fine = accept(job, name);
    }
    if (problem) {
        snprintf(message, sizeof message, "%s: %s", path, problem);
        fail_input(job, path, message);
    }
    npy_close(&npy);
    return fine;
}

static bool run_all(struct job *job, const struct input_list *inputs)
{
    bool fine = true;
    for (size_t i = 0; fine && i < inputs->count; i++)
        fine = npy_is_npy(inputs->paths[i]) ? add_npy(job, inputs->paths[i]) : add_image(job, inputs->paths[i]);
    fine = fine && send_batch(job);
    while (fine && job->in_flight > 0)
        fine = finish_oldest(job);
    return fine;
}

/* ---- setting up and clearing away ---- */

/* Images in a file; 1 for what can not be read, which will be said later. */
static size_t images_in(const char *path)
{
    struct npy_reader npy;
    size_t rows = 1;
    if (npy_is_npy(path) && !npy_open(&npy, path)) {
        rows = npy.rank == 4 ? npy.shape[0] : 1;
        npy_close(&npy);
    }
    return rows;
}

/* A batch larger than there are images would only compute what nobody asked for. */
static size_t useful_batch(const struct input_list *inputs, size_t batch_size)
{
    size_t images = 0;
    for (size_t i = 0; i < inputs->count && images < batch_size; i++)
        images += images_in(inputs->paths[i]);
    return images && images < batch_size ? images : batch_size;
}

static bool allocate(struct job *job)
{
    bool fine = (job->pixels = calloc(job->batch_size, job->image_size * sizeof(float))) != NULL &&
                (job->grids = calloc(job->batch_size, sizeof *job->grids)) != NULL &&
                (job->filling.names = calloc(job->batch_size, sizeof(char *))) != NULL;
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++)
        fine = fine && (job->flying[i].names = calloc(job->batch_size, sizeof(char *))) != NULL;
    return fine || fail_memory();
}

/* Files first: a name that can not be written must not cost the wait for the device. */
static bool set_up(struct job *job, const struct options *options, vitcl_context *context)
{
    vitcl_error error;
    const vitcl_session_params params = {
        .batch_size = job->batch_size, .outputs = outputs_kept(options, &job->info), .precision = options->precision};
    vitcl_status status;

    if (!texts_open(&job->texts, options, job->model) || !allocate(job) ||
        !outputs_open(&job->outputs, options, &job->info, job->batch_size))
        return false;
    status = vitcl_session_create(&job->session, context, job->model, &params, &error);
    if (status == VITCL_OK && job->mode == MODE_PROFILE)
        status = vitcl_context_measure_peak(context, &job->peak, &error);
    progress_idle();
    if (status != VITCL_OK)
        complain(&error);
    return status == VITCL_OK;
}

static void clear_away(struct job *job)
{
    vitcl_session_destroy(&job->session);
    outputs_close(&job->outputs);
    forget(&job->filling);
    free(job->filling.names);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        forget(&job->flying[i]);
        free(job->flying[i].names);
    }
    free(job->pixels);
    free(job->grids);
    texts_close(&job->texts);
}

int run_inputs(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    struct job job = {.model = model, .mode = options->mode};
    struct input_list inputs;
    bool fine;

    input_expand(&inputs, options->inputs, options->input_count, options->recursive);
    if (inputs.count == 0) { /* what was wrong with them has been said */
        input_free(&inputs);
        return EXIT_FAILED;
    }
    vitcl_model_get_info(model, &job.info);
    job.failed = inputs.failed;
    job.batch_size = useful_batch(&inputs, options->batch_size);
    job.image_size = job.info.input;
    job.upright = options->exif == EXIF_AS_LIBRARY ? !job.info.timm : options->exif == EXIF_ON;
    job.report = (struct report){.json = options->json && job.mode != MODE_VERIFY,
                                 .topk = options->topk,
                                 .device = vitcl_context_device(context),
                                 .texts = &job.texts,
                                 .info = job.info};
    fine = set_up(&job, options, context);
    if (fine) {
        report_begin(&job.report);
        fine = run_all(&job, &inputs);
        report_end(&job.report);
        fine = fine && outputs_finish(&job.outputs);
    }
    clear_away(&job);
    input_free(&inputs);
    return fine && !job.failed ? 0 : EXIT_FAILED;
}

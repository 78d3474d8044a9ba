/* classify.c - the main job: reads inputs into batches, keeps up to VITCL_QUEUE_DEPTH of them in flight, reports the
 * answers in order. An input that can not be read is reported and left out; the others are answered. */
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/npy.h"
#include "cli/progress.h"
#include "cli/report.h"

#include <errno.h>
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
    const struct options *options;
    const vitcl_model *model;
    vitcl_session *session;
    size_t batch_size;
    vitcl_model_info info;
    struct report report;
    size_t image_size;                        /* numbers in one image's pixel values */
    float *pixels;                            /* [batch_size,3,H,W]: the batch being filled */
    struct batch filling;
    struct batch flying[VITCL_QUEUE_DEPTH];   /* oldest first */
    size_t in_flight;
    float *logits, *embedding, *hidden;       /* [batch_size,...]; NULL where not asked for */
    struct npy_writer logits_file, embedding_file, hidden_file, pixels_file;
    bool verify;
    bool failed; /* at least one input or output failed */
};

static void fail_input(struct job *job, const char *file, const char *message)
{
    fflush(stdout);
    fprintf(stderr, "vitcl_run: %s\n", message);
    report_failure(&job->report, file, message);
    job->failed = true;
}

/* ---- results ---- */

static bool write_rows(struct npy_writer *file, const float *rows, size_t count)
{
    if (!file->file || npy_append(file, rows, count))
        return true;
    fprintf(stderr, "vitcl_run: %s: %s\n", file->path, strerror(errno));
    return false;
}

static void forget(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->names[i]);
    batch->count = 0;
}

/* Fetches the oldest run's results and reports them. False when nothing can go on. */
static bool finish_oldest(struct job *job)
{
    vitcl_error error;
    struct batch batch = job->flying[0];
    const vitcl_results results = {job->logits, job->embedding, job->hidden};
    bool fine = vitcl_session_wait(job->session, &results, &error) == VITCL_OK;

    if (!fine)
        complain(&error);
    for (size_t i = 0; fine && i < batch.count; i++)
        fine = report_result(&job->report, batch.names[i], job->logits ? job->logits + i * job->info.classes : NULL,
                             job->embedding ? job->embedding + i * job->info.embedding : NULL);
    fine = fine && write_rows(&job->logits_file, job->logits, batch.count) &&
           write_rows(&job->embedding_file, job->embedding, batch.count) &&
           write_rows(&job->hidden_file, job->hidden, batch.count);
    forget(&batch);
    /* Its list of names serves the next batch but one. */
    memmove(&job->flying[0], &job->flying[1], (VITCL_QUEUE_DEPTH - 1) * sizeof *job->flying);
    job->flying[VITCL_QUEUE_DEPTH - 1] = batch;
    job->in_flight--;
    return fine;
}

/* ---- verification ---- */

static void print_step(void *user, const vitcl_verify_step *step)
{
    (void)user;
    progress_idle();
    printf("%4zu/%zu  %-20s %-10s %10.3g  %s\n", step->index + 1, step->count, step->label, step->variant,
           step->deviation, step->passed ? "ok" : "OVER TOLERANCE");
    fflush(stdout);
    progress_phase("comparing the next step with the plain-C reference");
}

static bool verify_batch(struct job *job)
{
    vitcl_error error;
    vitcl_status status;
    printf("%9s  %-20s %-10s %10s\n", "step", "label", "variant", "deviation");
    progress_phase("running the first step on the device and in plain C");
    status = vitcl_session_verify(job->session, job->pixels, job->filling.count, print_step, NULL, &error);
    progress_idle();
    if (status == VITCL_OK)
        printf("verified %zu image%s: every step within tolerance\n", job->filling.count,
               job->filling.count == 1 ? "" : "s");
    else
        complain(&error);
    forget(&job->filling);
    job->failed |= status != VITCL_OK;
    return status == VITCL_OK || status == VITCL_ERROR_MISMATCH;
}

/* ---- batches ---- */

static bool submit(struct job *job)
{
    vitcl_error error;
    struct batch empty;
    if (job->filling.count == 0)
        return true;
    if (!write_rows(&job->pixels_file, job->pixels, job->filling.count))
        return false;
    if (job->verify)
        return verify_batch(job);
    if (job->in_flight == VITCL_QUEUE_DEPTH && !finish_oldest(job))
        return false;
    if (vitcl_session_submit(job->session, job->pixels, job->filling.count, &error) != VITCL_OK) {
        complain(&error);
        return false;
    }
    empty = job->flying[job->in_flight];
    job->flying[job->in_flight++] = job->filling;
    job->filling = empty;
    return true;
}

/* The image's pixel values are in place; the batch goes when it is full. */
static bool accept(struct job *job, const char *name)
{
    char *copy = strdup(name);
    if (!copy)
        return false;
    job->filling.names[job->filling.count++] = copy;
    return job->filling.count < job->batch_size || submit(job);
}

static float *next_pixels(const struct job *job)
{
    return job->pixels + job->filling.count * job->image_size;
}

static bool add_image(struct job *job, const char *path)
{
    vitcl_error error;
    vitcl_image image;
    vitcl_status status = vitcl_image_read(&image, path, &error);
    if (status == VITCL_OK) {
        status = vitcl_model_preprocess(job->model, &image, next_pixels(job), &error);
        vitcl_image_destroy(&image);
    }
    if (status == VITCL_OK)
        return accept(job, path);
    fail_input(job, path, error.message);
    return true;
}

/* NULL when the array is a batch of images for this model; else what is wrong. */
static const char *check_shape(const struct job *job, const struct npy_reader *npy, char message[256])
{
    const size_t *image = npy->shape + (npy->rank == 4);
    if ((npy->rank == 3 || npy->rank == 4) && image[0] == 3 && image[1] == job->info.image_height &&
        image[2] == job->info.image_width)
        return NULL;
    snprintf(message, 256, "its shape does not fit: this model takes [B,3,%zu,%zu] or [3,%zu,%zu]",
             job->info.image_height, job->info.image_width, job->info.image_height, job->info.image_width);
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
    fine = fine && submit(job);
    while (fine && job->in_flight > 0)
        fine = finish_oldest(job);
    return fine;
}

/* ---- setting up and clearing away ---- */

static unsigned outputs_of(const struct options *o, const vitcl_model_info *info)
{
    unsigned outputs = info->classes     ? VITCL_OUTPUT_LOGITS
                       : info->embedding ? VITCL_OUTPUT_EMBEDDING
                                         : VITCL_OUTPUT_HIDDEN;
    return outputs | (o->logits ? VITCL_OUTPUT_LOGITS : 0u) | (o->embedding ? VITCL_OUTPUT_EMBEDDING : 0u) |
           (o->hidden ? VITCL_OUTPUT_HIDDEN : 0u);
}

static bool open_file(struct npy_writer *file, const char *path, const size_t *shape, size_t rank)
{
    if (!path || npy_create(file, path, shape, rank))
        return true;
    fprintf(stderr, "vitcl_run: %s: %s\n", path, strerror(errno));
    return false;
}

static bool open_files(struct job *job)
{
    const vitcl_model_info *info = &job->info;
    const struct options *o = job->options;
    return open_file(&job->logits_file, o->logits, (size_t[]){info->classes}, 1) &&
           open_file(&job->embedding_file, o->embedding, (size_t[]){info->embedding}, 1) &&
           open_file(&job->hidden_file, o->hidden, (size_t[]){info->tokens, info->width}, 2) &&
           open_file(&job->pixels_file, o->pixels, (size_t[]){3, info->image_height, info->image_width}, 3);
}

static bool allocate(struct job *job, unsigned outputs)
{
    size_t batch = job->batch_size;
    bool fine = (job->pixels = malloc(batch * job->image_size * sizeof(float))) != NULL &&
                (job->filling.names = calloc(batch, sizeof(char *))) != NULL;
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++)
        fine = fine && (job->flying[i].names = calloc(batch, sizeof(char *))) != NULL;
    if (outputs & VITCL_OUTPUT_LOGITS)
        fine = fine && (job->logits = malloc(batch * job->info.classes * sizeof(float))) != NULL;
    if (outputs & VITCL_OUTPUT_EMBEDDING)
        fine = fine && (job->embedding = malloc(batch * job->info.embedding * sizeof(float))) != NULL;
    if (outputs & VITCL_OUTPUT_HIDDEN)
        fine = fine && (job->hidden = malloc(batch * job->info.tokens * job->info.width * sizeof(float))) != NULL;
    if (!fine)
        fprintf(stderr, "vitcl_run: out of memory; try a smaller batch (-b)\n");
    return fine;
}

static bool set_up(struct job *job, vitcl_context *context)
{
    vitcl_error error;
    unsigned outputs = outputs_of(job->options, &job->info);
    const vitcl_session_params params = {.batch_size = job->batch_size, .outputs = outputs};

    if (vitcl_session_create(&job->session, context, job->model, &params, &error) != VITCL_OK) {
        complain(&error);
        return false;
    }
    progress_phase("running the first batch");
    return allocate(job, outputs) && open_files(job);
}

static bool finish_file(struct npy_writer *file)
{
    if (npy_finish(file))
        return true;
    fprintf(stderr, "vitcl_run: %s: %s\n", file->path, strerror(errno));
    return false;
}

static bool finish_files(struct job *job)
{
    bool fine = finish_file(&job->logits_file);
    fine = finish_file(&job->embedding_file) && fine;
    fine = finish_file(&job->hidden_file) && fine;
    return finish_file(&job->pixels_file) && fine;
}

static void clear_away(struct job *job)
{
    vitcl_session_destroy(&job->session);
    npy_discard(&job->logits_file);
    npy_discard(&job->embedding_file);
    npy_discard(&job->hidden_file);
    npy_discard(&job->pixels_file);
    forget(&job->filling);
    free(job->filling.names);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        forget(&job->flying[i]);
        free(job->flying[i].names);
    }
    free(job->pixels);
    free(job->logits);
    free(job->embedding);
    free(job->hidden);
}

/* A batch larger than there are images would only compute what nobody asked for. */
static size_t useful_batch(const struct input_list *inputs, size_t batch_size)
{
    for (size_t i = 0; i < inputs->count; i++)
        if (npy_is_npy(inputs->paths[i]))
            return batch_size; /* which may hold any number of images */
    return inputs->count && inputs->count < batch_size ? inputs->count : batch_size;
}

int run_inputs(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    struct job job = {.options = options, .model = model, .verify = options->mode == MODE_VERIFY};
    struct input_list inputs;
    bool fine;

    vitcl_model_get_info(model, &job.info);
    job.image_size = 3 * job.info.image_height * job.info.image_width;
    job.report = (struct report){.json = options->json && !job.verify,
                                 .topk = options->topk,
                                 .device = vitcl_context_device(context),
                                 .model = model,
                                 .info = job.info};
    input_expand(&inputs, options->inputs, options->input_count, options->recursive);
    job.failed = inputs.failed;
    job.batch_size = useful_batch(&inputs, options->batch_size);
    fine = set_up(&job, context);
    if (fine) {
        report_begin(&job.report);
        fine = run_all(&job, &inputs);
        report_end(&job.report);
        fine = fine && finish_files(&job);
    }
    progress_idle();
    clear_away(&job);
    input_free(&inputs);
    return fine && !job.failed ? 0 : EXIT_FAILED;
}

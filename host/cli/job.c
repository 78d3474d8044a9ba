/* job.c - gathers images into batches and keeps up to VITCL_QUEUE_DEPTH of them in flight, so that the device always
 * has the next one before it has finished one. An input that could not be read is reported between the answers of its
 * neighbours. --verify and --profile take the same way, but look into each batch instead of answering it.
 */
#include "cli/job.h"
#include "cli/commands.h"
#include "cli/inspect.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool fail_memory(void)
{
    say("out of memory; try a smaller batch (-b)");
    return false;
}

/* ---- answers ---- */

static void report_problem(struct job *job, const char *file, const char *message)
{
    fflush(stdout);
    say(message);
    report_failure(&job->report, file, message);
    job->failed = true;
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

/* Row i of a result; NULL where it is not kept. */
static const float *row_of(const float *rows, size_t i, size_t size)
{
    return rows ? rows + i * size : NULL;
}

static bool report_image(struct job *job, const char *name, size_t image)
{
    const vitcl_results *r = &job->outputs.results;
    const size_t states = job->info.tokens * job->info.width;
    const float *logits = row_of(r->logits, image, job->info.classes);
    const float *embedding = row_of(r->embedding, image, job->info.embedding);
    char message[NAME_SIZE + 100];
    if (all_finite(logits, job->info.classes) && all_finite(embedding, job->info.embedding) &&
        all_finite(row_of(r->hidden, image, states), states))
        return report_result(&job->report, name, logits, embedding) || fail_memory();
    snprintf(message, sizeof message, "%s: the model gave NaN or infinity; --verify shows at which step", name);
    report_problem(job, name, message);
    return true;
}

static void forget(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free(batch->entries[i].name);
        free(batch->entries[i].problem);
    }
    batch->count = 0;
    batch->images = 0;
}

/* Reports and forgets all of a batch's entries. */
static bool report_entries(struct job *job, struct batch *batch)
{
    bool fine = true;
    size_t image = 0;
    for (size_t i = 0; fine && i < batch->count; i++) {
        const struct entry *entry = &batch->entries[i];
        if (entry->problem)
            report_problem(job, entry->name, entry->problem);
        else
            fine = report_image(job, entry->name, image++);
    }
    job->done += batch->count;
    forget(batch);
    return fine;
}

/* ---- sessions ---- */

/* Ends the session, if there is one, and makes one of f32. `error` says what overflowed, and what now fails. */
static vitcl_status turn_to_f32(struct job *job, vitcl_error *error)
{
    char message[sizeof error->message + 64];
    snprintf(message, sizeof message, "%s. Going on in f32", error->message);
    progress_idle();
    say(message);
    vitcl_session_destroy(&job->session);
    job->params.precision = VITCL_PRECISION_F32;
    return vitcl_session_create(&job->session, job->context, job->model, &job->params, error);
}

bool job_open_session(struct job *job)
{
    vitcl_error error;
    vitcl_status status = vitcl_session_create(&job->session, job->context, job->model, &job->params, &error);
    if (status == VITCL_ERROR_OVERFLOW && job->mode == MODE_RUN)
        status = turn_to_f32(job, &error);
    progress_idle();
    if (status != VITCL_OK)
        complain(&error);
    return status == VITCL_OK;
}

/* Runs all that is in flight again, and fetches the oldest run's results. */
static vitcl_status repeat_in_f32(struct job *job, vitcl_error *error)
{
    vitcl_status status = turn_to_f32(job, error);
    for (size_t i = 0; i < job->in_flight && status == VITCL_OK; i++) {
        const struct batch *batch = &job->flying[i];
        status = vitcl_session_submit(job->session, batch->pixels, batch->grids, batch->images, error);
    }
    progress_phase("repeating a run in f32");
    return status == VITCL_OK ? vitcl_session_wait(job->session, &job->outputs.results, error) : status;
}

/* ---- runs ---- */

/* Fetches the oldest run's results and reports them. */
static bool finish_oldest(struct job *job)
{
    vitcl_error error;
    vitcl_status status;
    struct batch batch = job->flying[0];
    const size_t images = batch.images;
    bool fine = false;

    progress_phase("waiting for the device");
    status = vitcl_session_wait(job->session, &job->outputs.results, &error);
    if (status == VITCL_ERROR_OVERFLOW)
        status = repeat_in_f32(job, &error);
    progress_idle();
    if (status == VITCL_OK)
        fine = report_entries(job, &batch) && outputs_write(&job->outputs, images);
    else
        complain(&error);
    progress_count(job->done, job->total);
    /* Its memory serves a later batch. */
    memmove(&job->flying[0], &job->flying[1], (VITCL_QUEUE_DEPTH - 1) * sizeof *job->flying);
    job->flying[VITCL_QUEUE_DEPTH - 1] = batch;
    job->in_flight--;
    return fine;
}

static bool submit(struct job *job)
{
    vitcl_error error;
    vitcl_status status;
    struct batch *flying, empty;

    if (job->in_flight == VITCL_QUEUE_DEPTH && !finish_oldest(job))
        return false;
    progress_phase("starting a run on the device");
    status = vitcl_session_submit(job->session, job->filling.pixels, job->filling.grids, job->filling.images, &error);
    progress_idle();
    if (status != VITCL_OK) {
        complain(&error);
        return false;
    }
    flying = &job->flying[job->in_flight++];
    empty = *flying;
    *flying = job->filling;
    if (!empty.pixels) { /* nothing has to fly again, and the session has a copy */
        empty.pixels = flying->pixels;
        empty.grids = flying->grids;
        flying->pixels = NULL;
        flying->grids = NULL;
    }
    job->filling = empty;
    return true;
}

static bool inspect(struct job *job)
{
    const struct ready_batch batch = {job->filling.pixels, job->filling.grids, job->filling.images};
    vitcl_status status = job->mode == MODE_VERIFY ? verify_batch(job->session, &batch)
                                                   : profile_batch(job->session, &batch, &job->peak, &job->report);
    forget(&job->filling);
    job->failed |= status != VITCL_OK;
    return status == VITCL_OK || status == VITCL_ERROR_MISMATCH;
}

static bool send_batch(struct job *job)
{
    if (!outputs_write_pixels(&job->outputs, job->filling.pixels, job->filling.images))
        return false;
    return job->mode == MODE_RUN ? submit(job) : inspect(job);
}

/* ---- filling ---- */

/* Copies both texts. */
static bool add_entry(struct batch *batch, const char *name, const char *problem)
{
    struct entry entry = {strdup(name), problem ? strdup(problem) : NULL};
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? 2 * batch->capacity : 8;
        struct entry *grown = realloc(batch->entries, capacity * sizeof *grown);
        if (grown) {
            batch->entries = grown;
            batch->capacity = capacity;
        }
    }
    if (!entry.name || (problem && !entry.problem) || batch->count == batch->capacity) {
        free(entry.name);
        free(entry.problem);
        return fail_memory();
    }
    batch->entries[batch->count++] = entry;
    batch->images += !problem;
    return true;
}

float *job_next_pixels(const struct job *job)
{
    return job->filling.pixels + job->filling.images * job->image_size;
}

bool job_add(struct job *job, const char *name, vitcl_grid grid)
{
    job->filling.grids[job->filling.images] = grid;
    if (!add_entry(&job->filling, name, NULL))
        return false;
    return job->filling.images < job->batch_size || send_batch(job);
}

bool job_add_failure(struct job *job, const char *name, const char *message)
{
    if (job->mode == MODE_RUN && (job->in_flight > 0 || job->filling.images > 0))
        return add_entry(&job->filling, name, message);
    report_problem(job, name, message); /* nothing is before it in the order */
    progress_count(++job->done, job->total);
    return true;
}

bool job_finish(struct job *job)
{
    bool fine = job->filling.images == 0 || send_batch(job);
    while (fine && job->in_flight > 0)
        fine = finish_oldest(job);
    return fine && report_entries(job, &job->filling); /* failures behind the last image */
}

/* ---- memory ---- */

static bool allocate_images(struct job *job, struct batch *batch)
{
    batch->pixels = calloc(job->batch_size, job->image_size * sizeof *batch->pixels);
    batch->grids = calloc(job->batch_size, sizeof *batch->grids);
    return (batch->pixels && batch->grids) || fail_memory();
}

bool job_allocate(struct job *job)
{
    bool fine = allocate_images(job, &job->filling);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH && job->params.precision == VITCL_PRECISION_F16; i++)
        fine = fine && allocate_images(job, &job->flying[i]);
    return fine;
}

static void free_batch(struct batch *batch)
{
    forget(batch);
    free(batch->entries);
    free(batch->pixels);
    free(batch->grids);
}

void job_clear(struct job *job)
{
    vitcl_session_destroy(&job->session);
    outputs_close(&job->outputs);
    free_batch(&job->filling);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++)
        free_batch(&job->flying[i]);
    texts_close(&job->texts);
}

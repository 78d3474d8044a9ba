/* classify.c - the main job: sets up what reads the inputs, the device and the outputs, and lets them work together. */
#include "cli/commands.h"
#include "cli/feed.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <string.h>
#include <unistd.h>

#define MOST_WORKERS 8

/* A batch larger than there are images would only compute what nobody asked for. */
static size_t useful_batch(const struct input_list *inputs, size_t batch_size)
{
    size_t images = 0;
    for (size_t i = 0; i < inputs->count && images < batch_size; i++)
        images += feed_count(inputs->paths[i]);
    return images && images < batch_size ? images : batch_size;
}

/* One for each core, also where the device is made of the same ones: they sleep while it is what is waited for. */
static size_t useful_workers(size_t inputs)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t workers = cores > 1 ? (size_t)cores : 1;
    if (workers > MOST_WORKERS)
        workers = MOST_WORKERS;
    return workers < inputs ? workers : inputs;
}

/* Files first: a name that can not be written must not cost the wait for the device. */
static bool open_outputs(struct job *job, const struct options *options)
{
    return texts_open(&job->texts, options, job->model) && job_allocate(job) &&
           outputs_open(&job->outputs, options, &job->info, job->batch_size);
}

static bool open_session(struct job *job)
{
    vitcl_error error;
    vitcl_status status = VITCL_OK;
    if (!job_open_session(job))
        return false;
    if (job->mode == MODE_PROFILE)
        status = vitcl_context_measure_peak(job->context, &job->peak, &error);
    progress_idle();
    if (status != VITCL_OK)
        complain(&error);
    return status == VITCL_OK;
}

/* The first pictures are read while the session is made. */
static struct loader *open_loader(const struct job *job, const struct options *options, const struct input_list *inputs)
{
    const struct loader_params params = {.model = job->model,
                                         .paths = inputs->paths,
                                         .count = inputs->count,
                                         .upright = options->exif == EXIF_AS_LIBRARY ? !job->info.timm
                                                                                     : options->exif == EXIF_ON,
                                         .image_size = job->image_size,
                                         .workers = useful_workers(inputs->count)};
    struct loader *loader = loader_start(&params);
    if (!loader)
        say("no memory or no threads to read the inputs with");
    return loader;
}

static bool run_job(struct job *job, const struct options *options, const struct input_list *inputs)
{
    struct loader *loader = NULL;
    bool fine = open_outputs(job, options) && (loader = open_loader(job, options, inputs)) != NULL && open_session(job);
    if (fine) {
        report_begin(&job->report);
        progress_count(0, job->total);
        fine = feed_all(job, loader);
        report_end(&job->report);
        fine = fine && outputs_finish(&job->outputs);
    }
    loader_stop(loader);
    return fine;
}

int run_inputs(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    struct job job = {.model = model, .context = context, .mode = options->mode};
    struct input_list inputs;
    bool fine;

    input_expand(&inputs, options->inputs, options->input_count, options->recursive);
    if (inputs.count == 0) { /* what was wrong with them has been said */
        input_free(&inputs);
        return EXIT_FAILED;
    }
    vitcl_model_get_info(model, &job.info);
    job.failed = inputs.failed;
    job.total = inputs.count;
    job.batch_size = useful_batch(&inputs, options->batch_size);
    job.image_size = job.info.input;
    job.params = (vitcl_session_params){
        .batch_size = job.batch_size, .outputs = outputs_kept(options, &job.info), .precision = options->precision};
    job.report = (struct report){.json = options->json && job.mode != MODE_VERIFY,
                                 .topk = options->topk,
                                 .device = vitcl_context_device(context),
                                 .texts = &job.texts,
                                 .info = job.info};
    fine = run_job(&job, options, &inputs);
    job_clear(&job);
    input_free(&inputs);
    return fine && !job.failed ? 0 : EXIT_FAILED;
}

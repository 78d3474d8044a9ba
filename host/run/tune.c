/* tune.c - measures the candidates of each kind of step against the variant's own choice.
 *
 * The device and the reference walk through the plan together. Where a step is the first of its kind, each candidate
 * runs on the step's inputs, which are in place, and must write what the reference wrote before it is timed. Times are
 * the fastest of runs that take turns with the untuned ones, so that whatever else the machine does meets both.
 */
#include "run/tune.h"
#include "base/size.h"
#include "run/tuned.h"
#include "run/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GAIN          0.97 /* of the untuned time: what is not below is noise, and not worth a program of its own */
#define HOPELESS      1.1
#define ROUNDS        5
#define FINAL_ROUNDS  15
#define SAMPLE        2e-3 /* seconds: shorter steps are timed several at once, which hides what a launch costs */
#define MOST_AT_ONCE  100
#define MULTIPLICATOR 2654435761u

struct tuner {
    struct session *session;
    struct reference reference;
    float *scratch;
    double end; /* on the clock */
    size_t kinds, done;
    vitcl_tune_fn report;
    void *user;
};

/* One kind of step. */
struct kind {
    size_t step;
    struct tuning candidates[MAX_CANDIDATES];
    size_t count;
    struct trial *untuned;
    size_t at_once; /* runs in one sample */
    struct tuning best;
    double untuned_seconds, best_seconds, share; /* share: of the untuned time */
    size_t measured;
};

static double now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- kinds ---- */

static bool same_kind(const struct plan *plan, size_t a, size_t b)
{
    struct text left = tuned_key(plan, &plan->steps[a]), right = tuned_key(plan, &plan->steps[b]);
    bool same = !left.failed && !right.failed && strcmp(left.chars, right.chars) == 0;
    text_free(&left);
    text_free(&right);
    return same;
}

/* Whether step s has candidates, and is the first of its kind. Where an output may take an input's place, a second run
 * would not find its input. */
static bool begins_kind(const struct session *session, size_t s, struct kind *kind)
{
    const struct plan *plan = &session->plan;
    const struct step *step = &plan->steps[s];
    *kind = (struct kind){.step = s, .share = 1};
    kind->count = tuned_candidates(plan, step, device_facts(session->device), kind->candidates);
    if (kind->count < 2 || plan->tensors[step->output[0]].reuse != NO_TENSOR)
        return false;
    for (size_t earlier = 0; earlier < s; earlier++)
        if (same_kind(plan, earlier, s))
            return false;
    return true;
}

/* ---- one candidate ---- */

/* What a trial does not write must not look right. */
static vitcl_status check_numbers(struct tuner *t, const struct kind *kind, struct trial *trial, bool *right,
                                  vitcl_error *err)
{
    vitcl_status status;
    struct session *s = t->session;
    double deviation;
    TRY(buffer_clear(executor_buffer(s->executor, s->plan.steps[kind->step].output[0]), err));
    TRY(trial_enqueue(trial, err));
    TRY(verify_outputs(s->executor, s->device, &t->reference, kind->step, t->scratch, &deviation, err));
    *right = deviation <= verify_tolerance(&s->plan);
done:
    return status;
}

/* Seconds of one run, of `at_once` one after the other. *fastest is kept where it is less. */
static vitcl_status time_trial(struct device *device, struct trial *trial, size_t at_once, double *fastest,
                               vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const double start = now();
    for (size_t i = 0; i < at_once; i++)
        TRY(trial_enqueue(trial, err));
    TRY(device_finish(device, err));
    *fastest = fmin(*fastest, (now() - start) / (double)at_once);
done:
    return status;
}

/* Both in turns, until one is clearly slower. */
static vitcl_status race(struct tuner *t, const struct kind *kind, struct trial *trial, size_t rounds, double *untuned,
                         double *tuned, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    *untuned = *tuned = INFINITY;
    for (size_t i = 0; i < rounds && (i < 2 || *tuned < HOPELESS * *untuned); i++) {
        TRY(time_trial(t->session->device, kind->untuned, kind->at_once, untuned, err));
        TRY(time_trial(t->session->device, trial, kind->at_once, tuned, err));
    }
done:
    return status;
}

/* A candidate that can not be prepared, which may ask for more than a device has, is left out. */
static vitcl_status try_candidate(struct tuner *t, struct kind *kind, struct tuning tuning, vitcl_error *err)
{
    const struct logger *log = device_log(t->session->device);
    const char *label = t->session->plan.steps[kind->step].label;
    vitcl_status status;
    vitcl_error why;
    struct trial *trial;
    double untuned, tuned;
    bool right;
    if (trial_create(&trial, t->session->executor, kind->step, tuning, &why) != VITCL_OK) {
        log_line(log, VITCL_LOG_DEBUG, "%s: tile %zu, block %zu: %s", label, tuning.tile, tuning.block, why.message);
        return VITCL_OK;
    }
    TRY(check_numbers(t, kind, trial, &right, err));
    if (!right)
        log_line(log, VITCL_LOG_WARNING, "%s: tile %zu, block %zu gives wrong numbers and is not taken", label,
                 tuning.tile, tuning.block);
    if (right) {
        TRY(race(t, kind, trial, ROUNDS, &untuned, &tuned, err));
        kind->measured++;
        if (tuned / untuned < kind->share) {
            kind->share = tuned / untuned;
            kind->best = tuning;
        }
    }
done:
    trial_destroy(&trial);
    return status;
}

/* ---- one kind ---- */

static vitcl_status prepare_untuned(struct tuner *t, struct kind *kind, vitcl_error *err)
{
    vitcl_status status;
    const struct step *step = &t->session->plan.steps[kind->step];
    double seconds = INFINITY;
    bool right;
    TRY(trial_create(&kind->untuned, t->session->executor, kind->step, (struct tuning){0}, err));
    TRY(check_numbers(t, kind, kind->untuned, &right, err));
    if (!right)
        TRY(fail(err, VITCL_ERROR_MISMATCH,
                 "%s (%s) deviates from the plain-C reference already untuned: see vitcl_session_verify", step->label,
                 step->variant_name));
    for (size_t i = 0; i < 2; i++)
        TRY(time_trial(t->session->device, kind->untuned, 1, &seconds, err));
    kind->at_once = seconds * MOST_AT_ONCE > SAMPLE ? size_max(1, (size_t)(SAMPLE / seconds)) : MOST_AT_ONCE;
done:
    return status;
}

/* The best of many measurements is often the luckiest: it must win again. */
static vitcl_status confirm(struct tuner *t, struct kind *kind, vitcl_error *err)
{
    vitcl_status status;
    struct trial *trial = NULL;
    if (kind->share > GAIN)
        kind->best = (struct tuning){0};
    TRY(trial_create(&trial, t->session->executor, kind->step, kind->best, err));
    TRY(race(t, kind, trial, FINAL_ROUNDS, &kind->untuned_seconds, &kind->best_seconds, err));
    if (kind->best_seconds > GAIN * kind->untuned_seconds)
        kind->best = (struct tuning){0};
    if (!kind->best.tile) /* the race may have been with itself */
        kind->best_seconds = kind->untuned_seconds;
done:
    trial_destroy(&trial);
    return status;
}

static void tell(struct tuner *t, const struct kind *kind)
{
    const struct step *step = &t->session->plan.steps[kind->step];
    char choice[64] = "untuned";
    if (kind->best.tile)
        snprintf(choice, sizeof choice, "tile %zu, block %zu", kind->best.tile, kind->best.block);
    if (t->report)
        t->report(t->user, &(vitcl_tune_result){.index = t->done,
                                                .count = t->kinds,
                                                .label = step->label,
                                                .variant = step->variant_name,
                                                .choice = choice,
                                                .candidates = kind->count - 1,
                                                .measured = kind->measured,
                                                .untuned = kind->untuned_seconds,
                                                .tuned = kind->best_seconds});
}

/* In its share of the time that is left. */
static vitcl_status tune_kind(struct tuner *t, struct kind *kind, vitcl_error *err)
{
    vitcl_status status;
    const struct step *step = &t->session->plan.steps[kind->step];
    const double end = now() + (t->end - now()) / (double)(t->kinds - t->done);
    TRY(prepare_untuned(t, kind, err));
    for (size_t i = 1; i < kind->count && now() < end; i++) {
        log_line(device_log(t->session->device), VITCL_LOG_PROGRESS, "tuning %s: %zu of %zu", step->label, i,
                 kind->count - 1);
        TRY(try_candidate(t, kind, kind->candidates[i], err));
    }
    TRY(confirm(t, kind, err));
    TRY(trial_enqueue(kind->untuned, err)); /* later steps read its output */
    if (kind->measured > 0 && !tuned_keep(&t->session->plan, step, t->session->device, kind->best))
        TRY(fail(err, VITCL_ERROR_IO, "%s: the cache does not take its tuning", step->label));
    tell(t, kind);
    t->done++;
done:
    trial_destroy(&kind->untuned);
    return status;
}

/* ---- all kinds ---- */

/* Pixels without a pattern; in a model of variable resolution as many patches as an image may have. */
static vitcl_status fill_inputs(struct session *s, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    float *pixels = session_next_pixels(s);
    const size_t batch = s->plan.geometry.batch, count = batch * session_image_size(s);
    vitcl_grid grid = {1, s->request.max_patches};
    for (size_t i = 0; i < count; i++)
        pixels[i] = (float)(i * MULTIPLICATOR % 1000) / 500 - 1;
    for (size_t side = 2; side * side <= s->request.max_patches; side++)
        if (s->request.max_patches % side == 0)
            grid = (vitcl_grid){side, s->request.max_patches / side};
    for (size_t i = 0; i < batch && s->request.max_patches && status == VITCL_OK; i++)
        status = session_set_grid(s, i, grid, err);
    return status;
}

static vitcl_status walk(struct tuner *t, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct session *session = t->session;
    struct kind kind;
    for (size_t s = 0; s < session->plan.step_count; s++)
        t->kinds += begins_kind(session, s, &kind);
    for (size_t s = 0; s < session->plan.step_count && t->done < t->kinds && now() < t->end; s++) {
        TRY(executor_enqueue_step(session->executor, s, err));
        reference_run_step(&t->reference, s);
        if (begins_kind(session, s, &kind))
            TRY(tune_kind(t, &kind, err));
    }
done:
    return status;
}

static vitcl_status check_cache(const struct device *device, vitcl_error *err)
{
    if (device_cache_on(device))
        return VITCL_OK;
    return fail(err, VITCL_ERROR_IO,
                "tuning has no place to keep its results: the cache is off; VITCL_CACHE_DIR names its folder");
}

vitcl_status tune_session(struct session *session, double seconds, vitcl_tune_fn report, void *user, vitcl_error *err)
{
    vitcl_status status;
    const struct inputs *inputs = &session->slots[session->oldest].inputs;
    const size_t batch = session->plan.geometry.batch;
    struct tuner t = {.session = session, .end = now() + seconds, .report = report, .user = user};

    TRY(check_cache(session->device, err));
    t.scratch = malloc(verify_scratch(&session->plan));
    if (!t.scratch)
        TRY(fail_memory(err, verify_scratch(&session->plan)));
    TRY(reference_create(&t.reference, &session->plan, err));
    TRY(fill_inputs(session, err));
    inputs_copy(inputs, &t.reference, 0, batch);
    TRY(inputs_upload(inputs, session->executor, &session->plan, 0, batch, err));
    TRY(walk(&t, err));
done:
    device_finish(session->device, NULL); /* the inputs must not be read any more */
    if (t.reference.plan)
        reference_destroy(&t.reference);
    free(t.scratch);
    return status;
}

vitcl_status tune_model(struct device *device, const struct request *request, double seconds, vitcl_tune_fn report,
                        void *user, vitcl_error *err)
{
    vitcl_status status;
    struct config config = *request->config;
    struct request one_block = *request;
    struct session *session = NULL;
    config.layers = 1;
    one_block.config = &config;
    TRY(check_cache(device, err));
    TRY(session_create(&session, device, &one_block, err));
    TRY(tune_session(session, seconds, report, user, err));
done:
    session_destroy(&session);
    return status;
}

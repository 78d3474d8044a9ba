/* session.c - keeps the device busy: while it computes one batch, the host fills the next slot. */
#include "run/session.h"
#include "base/size.h"
#include "run/profile.h"
#include "run/programs.h"
#include "run/tuned.h"
#include "run/verify.h"

#include <stdlib.h>
#include <string.h>

static const struct facts NO_DEVICE = {.is_cpu = true, .max_work_group = 64, .buffer_align = 64};

/* ---- slots ---- */

static vitcl_status create_slots(struct session *s, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        struct slot *slot = &s->slots[i];
        TRY(inputs_create(&slot->inputs, &s->plan, err));
        for (size_t k = 0; k < OUTPUT_COUNT; k++)
            TRY(batch_allocate(&s->plan, s->plan.outputs[k], &slot->outputs[k], err));
    }
done:
    return status;
}

const struct facts *session_facts(struct device *device, const struct request *request)
{
    if (!device)
        return &NO_DEVICE;
    if (request->precision != VITCL_PRECISION_F32)
        device_probe_bf16(device);
    return device_facts(device);
}

static vitcl_status prepare_for(struct session *s, const struct request *request, struct facts *facts, vitcl_error *err)
{
    vitcl_status status;
    TRY(plan_for(&s->plan, request, facts, err));
    tuned_recall(&s->plan, s->device);
    TRY(check_fit(&s->plan, request, facts, err));
    if (device_is_prebuilt(s->device))
        TRY(programs_load(s->device, request, err));
    TRY(executor_create(&s->executor, s->device, &s->plan, facts, err));
done:
    return status;
}

/* Until kernels allow the work-groups for which their variants were chosen. */
static vitcl_status prepare_device(struct session *s, const struct request *request, vitcl_error *err)
{
    struct facts facts = *session_facts(s->device, request);
    for (;;) {
        const size_t allowed = facts.max_work_group;
        vitcl_error why = {0};
        vitcl_status status = prepare_for(s, request, &facts, &why);
        if (status == VITCL_OK || facts.max_work_group == allowed) {
            if (status != VITCL_OK && err)
                *err = why;
            return status;
        }
        log_line(device_log(s->device), VITCL_LOG_DEBUG,
                 "variants are chosen again, for work-groups of at most %zu: %s", facts.max_work_group, why.message);
        plan_free(&s->plan);
    }
}

static vitcl_status prepare(struct session *s, const struct request *request, vitcl_error *err)
{
    vitcl_status status;
    if (s->device) {
        TRY(prepare_device(s, request, err));
    } else {
        TRY(plan_for(&s->plan, request, session_facts(NULL, request), err));
        TRY(reference_create(&s->reference, &s->plan, err));
    }
    TRY(create_slots(s, err));
done:
    return status;
}

vitcl_status session_create(struct session **session, struct device *device, const struct request *request,
                            vitcl_error *err)
{
    vitcl_status status;
    *session = calloc(1, sizeof **session);
    if (!*session)
        return fail_memory(err, sizeof **session);
    (*session)->device = device;
    (*session)->request = *request;
    (*session)->request.variants = NULL; /* the caller's text need not live on */
    status = prepare(*session, request, err);
    if (status != VITCL_OK)
        session_destroy(session);
    return status;
}

void session_destroy(struct session **session)
{
    struct session *s = *session;
    if (!s)
        return;
    while (s->in_flight > 0)
        session_wait(s, NULL, NULL);
    executor_destroy(&s->executor);
    if (s->reference.plan)
        reference_destroy(&s->reference);
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        inputs_destroy(&s->slots[i].inputs);
        for (size_t k = 0; k < OUTPUT_COUNT; k++)
            free(s->slots[i].outputs[k]);
    }
    plan_free(&s->plan);
    free(s);
    *session = NULL;
}

/* ---- runs ---- */

static struct slot *next_slot(struct session *s)
{
    return &s->slots[(s->oldest + s->in_flight) % VITCL_QUEUE_DEPTH];
}

size_t session_image_size(const struct session *session)
{
    return plan_image_bytes(&session->plan, session->plan.pixels, 1) / sizeof(float);
}

float *session_next_pixels(struct session *session)
{
    return session->in_flight < VITCL_QUEUE_DEPTH ? next_slot(session)->inputs.pixels : NULL;
}

vitcl_status session_set_grid(struct session *session, size_t image, vitcl_grid grid, vitcl_error *err)
{
    return inputs_set_grid(&next_slot(session)->inputs, &session->request, image,
                           (struct grid){grid.height, grid.width}, err);
}

/* Images from `first` on, as many as one pass takes. */
static vitcl_status enqueue_pass(struct session *s, struct slot *slot, size_t first, vitcl_error *err)
{
    vitcl_status status;
    const size_t count = size_min(slot->count - first, s->plan.geometry.batch);
    TRY(inputs_upload(&slot->inputs, s->executor, &s->plan, first, count, err));
    TRY(executor_enqueue(s->executor, err));
    for (size_t k = 0; k < OUTPUT_COUNT; k++) {
        int output = s->plan.outputs[k];
        if (output != NO_TENSOR)
            TRY(buffer_read(executor_buffer(s->executor, output),
                            slot->outputs[k] + plan_image_bytes(&s->plan, output, first) / sizeof(float),
                            plan_image_bytes(&s->plan, output, count), err));
    }
done:
    return status;
}

static vitcl_status submit_to_device(struct session *s, struct slot *slot, vitcl_error *err)
{
    vitcl_status status;
    for (size_t first = 0; first < slot->count; first += s->plan.geometry.batch)
        TRY(enqueue_pass(s, slot, first, err));
    TRY(mark_create(&slot->mark, s->device, err));
done:
    if (status != VITCL_OK)
        device_finish(s->device, NULL); /* the slot's memory must not be written any more */
    return status;
}

static void run_on_host(struct session *s, struct slot *slot)
{
    float *const *data = s->reference.data;
    inputs_copy(&slot->inputs, &s->reference, 0, slot->count);
    reference_run(&s->reference);
    for (size_t k = 0; k < OUTPUT_COUNT; k++) {
        int output = s->plan.outputs[k];
        if (output != NO_TENSOR)
            memcpy(slot->outputs[k], data[output], plan_image_bytes(&s->plan, output, slot->count));
    }
}

vitcl_status session_submit(struct session *session, size_t count, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct slot *slot = next_slot(session);
    slot->count = count;
    if (session->device)
        status = submit_to_device(session, slot, err);
    else
        run_on_host(session, slot);
    if (status == VITCL_OK)
        session->in_flight++;
    return status;
}

/* A number that f16 can not hold is NaN, and so is all that depends on it. */
static vitcl_status check_overflow(const struct session *s, const struct slot *slot, vitcl_error *err)
{
    for (size_t k = 0; k < OUTPUT_COUNT && s->plan.precision == VITCL_PRECISION_F16; k++)
        if (slot->outputs[k] &&
            !all_finite(slot->outputs[k], plan_image_bytes(&s->plan, s->plan.outputs[k], slot->count) / sizeof(float)))
            return fail(err, VITCL_ERROR_OVERFLOW,
                        "an output is not finite: a number was too large for f16, whose largest is 65504; f32 and bf16 "
                        "hold more");
    return VITCL_OK;
}

static void copy_results(const struct session *s, const struct slot *slot, const vitcl_results *results)
{
    float *const to[OUTPUT_COUNT] = {results->logits, results->embedding, results->hidden};
    for (size_t k = 0; k < OUTPUT_COUNT; k++)
        if (to[k] && slot->outputs[k])
            memcpy(to[k], slot->outputs[k], plan_image_bytes(&s->plan, s->plan.outputs[k], slot->count));
}

vitcl_status session_wait(struct session *session, const vitcl_results *results, vitcl_error *err)
{
    struct slot *slot = &session->slots[session->oldest];
    vitcl_status status = slot->mark ? mark_wait(&slot->mark, err) : VITCL_OK;
    session->oldest = (session->oldest + 1) % VITCL_QUEUE_DEPTH;
    session->in_flight--;
    if (status == VITCL_OK)
        status = check_overflow(session, slot, err);
    if (status == VITCL_OK && results)
        copy_results(session, slot, results);
    return status;
}

static vitcl_status verify_pass(struct session *s, struct reference *reference, size_t first, vitcl_verify_fn report,
                                void *user, vitcl_error *err)
{
    const struct inputs *inputs = &next_slot(s)->inputs;
    const size_t batch = s->plan.geometry.batch;
    vitcl_status status = inputs_upload(inputs, s->executor, &s->plan, first, batch, err);
    inputs_copy(inputs, reference, first, batch);
    return status == VITCL_OK ? verify_plan(s->executor, s->device, reference, report, user, err) : status;
}

/* user: [step_count] */
static void keep_worst(void *user, const vitcl_verify_step *step)
{
    vitcl_verify_step *worst = (vitcl_verify_step *)user + step->index;
    if (!worst->label || step->deviation > worst->deviation)
        *worst = *step;
}

/* Of a step that runs in several passes the worst one is reported, after the last; all passes are compared. */
static vitcl_status verify_passes(struct session *s, struct reference *reference, vitcl_verify_fn report, void *user,
                                  vitcl_error *err)
{
    vitcl_status status, mismatch = VITCL_OK;
    vitcl_verify_step *worst = calloc(s->plan.step_count, sizeof *worst);
    if (!worst)
        return fail_memory(err, s->plan.step_count * sizeof *worst);
    for (size_t first = 0; first < s->plan.images; first += s->plan.geometry.batch) {
        status = verify_pass(s, reference, first, keep_worst, worst, mismatch == VITCL_OK ? err : NULL);
        if (status == VITCL_ERROR_MISMATCH)
            mismatch = status;
        else
            TRY(status);
    }
    for (size_t step = 0; report && step < s->plan.step_count; step++)
        report(user, &worst[step]);
    status = mismatch;
done:
    free(worst);
    return status;
}

vitcl_status session_verify(struct session *session, vitcl_verify_fn report, void *user, vitcl_error *err)
{
    struct reference reference;
    vitcl_status status = reference_create(&reference, &session->plan, err);
    if (status != VITCL_OK)
        return status;
    status = plan_passes(&session->plan) == 1 ? verify_pass(session, &reference, 0, report, user, err)
                                              : verify_passes(session, &reference, report, user, err);
    device_finish(session->device, NULL); /* the inputs must not be read any more */
    reference_destroy(&reference);
    return status;
}

vitcl_status session_profile(struct session *session, vitcl_profile_fn report, void *user, vitcl_profile *total,
                             vitcl_error *err)
{
    vitcl_status status;
    TRY(inputs_upload(&next_slot(session)->inputs, session->executor, &session->plan, 0, session->plan.geometry.batch,
                      err));
    TRY(profile_plan(session->executor, session->device, &session->plan, report, user, total, err));
done:
    device_finish(session->device, NULL); /* the inputs must not be read any more */
    return status;
}

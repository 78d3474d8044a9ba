/* session.c - keeps the device busy: while it computes one batch, the host fills the next slot. */
#include "run/session.h"
#include "base/size.h"
#include "run/verify.h"

#include <stdlib.h>
#include <string.h>

/* What a plan is made for where there is no device. */
static const struct facts NO_DEVICE = {.is_cpu = true, .max_work_group = 64, .buffer_align = 64};

vitcl_status session_plan(struct plan *plan, const struct device *device, const struct config *config,
                          const struct weights *weights, size_t batch, unsigned outputs, const char *variants,
                          vitcl_error *err)
{
    const struct facts *facts = device ? device_facts(device) : &NO_DEVICE;
    vitcl_status status = plan_build(plan, config, weights, batch, outputs, err);
    if (status != VITCL_OK)
        return status;
    TRY(ops_select(plan, facts, device ? variants : NULL, err)); /* the reference has no variants */
    TRY(plan_place(plan, facts->buffer_align, err));
done:
    if (status != VITCL_OK)
        plan_free(plan);
    return status;
}

/* ---- slots ---- */

static size_t numbers_in(const struct session *s, int tensor)
{
    return s->plan.tensors[tensor].rows * s->plan.tensors[tensor].cols;
}

/* The same for one image of the batch. */
static size_t numbers_per_image(const struct session *s, int tensor)
{
    return numbers_in(s, tensor) / s->plan.geometry.batch;
}

static vitcl_status allocate(const struct session *s, int tensor, float **memory, vitcl_error *err)
{
    if (tensor == NO_TENSOR)
        return VITCL_OK;
    *memory = calloc(numbers_in(s, tensor), sizeof **memory);
    return *memory ? VITCL_OK : fail_memory(err, numbers_in(s, tensor) * sizeof **memory);
}

static vitcl_status create_slots(struct session *s, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    for (size_t i = 0; i < VITCL_QUEUE_DEPTH; i++) {
        struct slot *slot = &s->slots[i];
        TRY(allocate(s, s->plan.pixels, &slot->pixels, err));
        TRY(allocate(s, s->plan.logits, &slot->logits, err));
        TRY(allocate(s, s->plan.embedding, &slot->embedding, err));
        TRY(allocate(s, s->plan.hidden, &slot->hidden, err));
    }
done:
    return status;
}

vitcl_status session_create(struct session **session, struct device *device, struct plan *plan, vitcl_error *err)
{
    vitcl_status status;
    struct session *s = calloc(1, sizeof *s);

    *session = s;
    if (!s) {
        plan_free(plan);
        return fail_memory(err, sizeof *s);
    }
    s->plan = *plan;
    memset(plan, 0, sizeof *plan);
    s->device = device;
    TRY(create_slots(s, err));
    if (device)
        TRY(executor_create(&s->executor, device, &s->plan, err));
    else
        TRY(reference_create(&s->reference, &s->plan, err));
done:
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
        free(s->slots[i].pixels);
        free(s->slots[i].logits);
        free(s->slots[i].embedding);
        free(s->slots[i].hidden);
    }
    plan_free(&s->plan);
    free(s);
    *session = NULL;
}

/* ---- runs ---- */

static struct slot *next_slot(const struct session *s)
{
    return (struct slot *)&s->slots[(s->oldest + s->in_flight) % VITCL_QUEUE_DEPTH];
}

float *session_next_pixels(const struct session *session)
{
    return session->in_flight < VITCL_QUEUE_DEPTH ? next_slot(session)->pixels : NULL;
}

static vitcl_status read_output(struct session *s, int tensor, float *memory, size_t count, vitcl_error *err)
{
    if (tensor == NO_TENSOR)
        return VITCL_OK;
    return buffer_read(executor_buffer(s->executor, tensor), memory,
                       count * numbers_per_image(s, tensor) * sizeof(float), err);
}

static vitcl_status submit_to_device(struct session *s, struct slot *slot, vitcl_error *err)
{
    vitcl_status status;
    struct buffer *pixels = executor_buffer(s->executor, s->plan.pixels);
    TRY(buffer_write(pixels, slot->pixels, slot->count * numbers_per_image(s, s->plan.pixels) * sizeof(float), err));
    TRY(executor_enqueue(s->executor, err));
    TRY(read_output(s, s->plan.logits, slot->logits, slot->count, err));
    TRY(read_output(s, s->plan.embedding, slot->embedding, slot->count, err));
    TRY(read_output(s, s->plan.hidden, slot->hidden, slot->count, err));
    TRY(mark_create(&slot->mark, s->device, err));
done:
    if (status != VITCL_OK)
        device_finish(s->device, NULL); /* the slot's memory must not be written any more */
    return status;
}

static void copy(const struct session *s, int tensor, float *to, const float *from, size_t count)
{
    if (tensor != NO_TENSOR && to && from)
        memcpy(to, from, count * numbers_per_image(s, tensor) * sizeof(float));
}

static void run_on_host(struct session *s, struct slot *slot)
{
    float *const *data = s->reference.data;
    copy(s, s->plan.pixels, data[s->plan.pixels], slot->pixels, slot->count);
    reference_run(&s->reference);
    copy(s, s->plan.logits, slot->logits, s->plan.logits == NO_TENSOR ? NULL : data[s->plan.logits], slot->count);
    copy(s, s->plan.embedding, slot->embedding, s->plan.embedding == NO_TENSOR ? NULL : data[s->plan.embedding],
         slot->count);
    copy(s, s->plan.hidden, slot->hidden, s->plan.hidden == NO_TENSOR ? NULL : data[s->plan.hidden], slot->count);
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

vitcl_status session_wait(struct session *session, const vitcl_results *results, vitcl_error *err)
{
    struct slot *slot = &session->slots[session->oldest];
    vitcl_status status = slot->mark ? mark_wait(&slot->mark, err) : VITCL_OK;
    session->oldest = (session->oldest + 1) % VITCL_QUEUE_DEPTH;
    session->in_flight--;
    if (status != VITCL_OK || !results)
        return status;
    copy(session, session->plan.logits, results->logits, slot->logits, slot->count);
    copy(session, session->plan.embedding, results->embedding, slot->embedding, slot->count);
    copy(session, session->plan.hidden, results->hidden, slot->hidden, slot->count);
    return VITCL_OK;
}

vitcl_status session_verify(struct session *session, vitcl_verify_fn report, void *user, vitcl_error *err)
{
    vitcl_status status;
    struct reference reference;
    const float *pixels = session_next_pixels(session);
    size_t count = numbers_in(session, session->plan.pixels);

    status = reference_create(&reference, &session->plan, err);
    if (status != VITCL_OK)
        return status;
    memcpy(reference.data[session->plan.pixels], pixels, count * sizeof *pixels);
    TRY(buffer_write(executor_buffer(session->executor, session->plan.pixels), pixels, count * sizeof *pixels, err));
    TRY(verify_plan(session->executor, session->device, &reference, report, user, err));
done:
    device_finish(session->device, NULL); /* the pixels must not be read any more */
    reference_destroy(&reference);
    return status;
}

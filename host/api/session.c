/* session.c - vitcl.h: sessions and their runs. */
#include "api/handles.h"

#include <stdlib.h>
#include <string.h>

vitcl_status vitcl_session_create(vitcl_session **session, vitcl_context *context, const vitcl_model *model,
                                  const vitcl_session_params *params, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (session)
        *session = NULL;
    if (!session || !model)
        return fail_null(error, "session and model");
    *session = calloc(1, sizeof **session);
    if (!*session)
        return fail_memory(error, sizeof **session);
    (*session)->model = model;
    TRY(make_request(&request, context, model, params, error));
    TRY(session_create(&(*session)->session, context ? context->device : NULL, &request, error));
done:
    if (status != VITCL_OK)
        vitcl_session_destroy(session);
    return status;
}

void vitcl_session_destroy(vitcl_session **session)
{
    if (!session || !*session)
        return;
    session_destroy(&(*session)->session);
    free(*session);
    *session = NULL;
}

static vitcl_status check_count(const vitcl_session *session, size_t count, vitcl_error *error)
{
    size_t batch = session->session->plan.images;
    if (count == 0 || count > batch)
        return fail(error, VITCL_ERROR_ARGUMENT, "count: %zu images; this session takes 1 to %zu", count, batch);
    if (!session_next_pixels(session->session))
        return fail(error, VITCL_ERROR_ARGUMENT, "%d runs are in flight already; vitcl_session_wait ends one",
                    VITCL_QUEUE_DEPTH);
    return VITCL_OK;
}

static vitcl_status check_results(const vitcl_session *session, const vitcl_results *results, vitcl_error *error)
{
    const struct plan *plan = &session->session->plan;
    if ((results->logits && plan->outputs[OUTPUT_LOGITS] == NO_TENSOR) ||
        (results->embedding && plan->outputs[OUTPUT_EMBEDDING] == NO_TENSOR) ||
        (results->hidden && plan->outputs[OUTPUT_HIDDEN] == NO_TENSOR))
        return fail(error, VITCL_ERROR_ARGUMENT,
                    "results: an output that this session does not keep; ask for it in "
                    "vitcl_session_params.outputs");
    return VITCL_OK;
}

/* In a model of variable resolution each image has its own grid. */
bool has_grids(const vitcl_session *session)
{
    return session->model->model.max_patches > 0;
}

vitcl_status check_grids(const vitcl_session *session, const vitcl_grid *grids, size_t count, vitcl_error *error)
{
    const size_t most = session->model->model.max_patches;
    if (!has_grids(session))
        return VITCL_OK;
    if (!grids)
        return fail_null(error, "grids of a model of variable resolution");
    for (size_t i = 0; i < count; i++)
        if (grids[i].height == 0 || grids[i].width == 0 || grids[i].height > most / grids[i].width)
            return fail(error, VITCL_ERROR_ARGUMENT, "grids: image %zu has %zux%zu patches; 1 to %zu are taken", i,
                        grids[i].height, grids[i].width, most);
    return VITCL_OK;
}

vitcl_status vitcl_session_submit(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                  size_t count, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values)
        return fail_null(error, "session and pixel_values");
    TRY(check_count(session, count, error));
    TRY(check_grids(session, grids, count, error));
    for (size_t i = 0; i < count && has_grids(session); i++)
        TRY(session_set_grid(session->session, i, grids[i], error));
    memcpy(session_next_pixels(session->session), pixel_values,
           count * session_image_size(session->session) * sizeof *pixel_values);
    TRY(session_submit(session->session, count, error));
done:
    return status;
}

vitcl_status vitcl_session_wait(vitcl_session *session, const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !results)
        return fail_null(error, "session and results");
    if (session->session->in_flight == 0)
        return fail(error, VITCL_ERROR_ARGUMENT, "no run is in flight");
    status = check_results(session, results, error);
    return status == VITCL_OK ? session_wait(session->session, results, error) : status;
}

/* A run must not overtake those in flight: its results would be theirs. */
vitcl_status check_run(const vitcl_session *session, size_t count, const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (session->session->in_flight > 0)
        return fail(error, VITCL_ERROR_ARGUMENT,
                    "submitted runs are in flight; fetch them by vitcl_session_wait first");
    status = check_count(session, count, error);
    return status == VITCL_OK ? check_results(session, results, error) : status;
}

vitcl_status vitcl_session_run_pixels(vitcl_session *session, const float *pixel_values, const vitcl_grid *grids,
                                      size_t count, const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    if (!session || !pixel_values || !results)
        return fail_null(error, "session, pixel_values and results");
    TRY(check_run(session, count, results, error));
    TRY(vitcl_session_submit(session, pixel_values, grids, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

vitcl_status vitcl_session_run(vitcl_session *session, const vitcl_image *images, size_t count,
                               const vitcl_results *results, vitcl_error *error)
{
    vitcl_status status;
    float *pixels;
    if (!session || !images || !results)
        return fail_null(error, "session, images and results");
    TRY(check_run(session, count, results, error));
    pixels = session_next_pixels(session->session);
    for (size_t i = 0; i < count; i++) {
        float *values = pixels + i * session_image_size(session->session);
        vitcl_grid grid;
        status = vitcl_model_preprocess(session->model, &images[i], values, &grid, error);
        if (status == VITCL_OK && grid.height)
            status = session_set_grid(session->session, i, grid, error);
        if (status != VITCL_OK)
            TRY(fail_context(error, status, "image %zu", i));
    }
    TRY(session_submit(session->session, count, error));
    TRY(session_wait(session->session, results, error));
done:
    return status;
}

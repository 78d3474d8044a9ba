/* request.c - vitcl.h: from session params to a plan, and the calls that need no session of the caller's. */
#include "api/handles.h"
#include "run/bench.h"
#include "run/programs.h"
#include "run/tune.h"
#include "run/tuned.h"

#include <stdlib.h>

/* The outputs asked for, or the default; those the model does not have are refused. */
static vitcl_status choose_outputs(const struct vitcl_model *model, unsigned *outputs, vitcl_error *error)
{
    if (*outputs == 0)
        *outputs = model_classes(&model->model)     ? VITCL_OUTPUT_LOGITS
                   : model_embedding(&model->model) ? VITCL_OUTPUT_EMBEDDING
                                                    : VITCL_OUTPUT_HIDDEN;
    if (*outputs & ~(unsigned)(VITCL_OUTPUT_LOGITS | VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_HIDDEN))
        return fail(error, VITCL_ERROR_ARGUMENT, "outputs: %#x is not a set of vitcl_output", *outputs);
    if ((*outputs & VITCL_OUTPUT_LOGITS) && !model_classes(&model->model))
        return fail(error, VITCL_ERROR_UNSUPPORTED, "this model has no classifier, so it gives no logits");
    if ((*outputs & VITCL_OUTPUT_EMBEDDING) && !model_embedding(&model->model))
        return fail(error, VITCL_ERROR_UNSUPPORTED,
                    "this model does not pool its tokens into one vector, so it gives no embedding; its hidden states "
                    "are there");
    return VITCL_OK;
}

vitcl_status make_request(struct request *request, const vitcl_context *context, const vitcl_model *model,
                          const vitcl_session_params *params, vitcl_error *error)
{
    const vitcl_session_params defaults = {0};
    const vitcl_session_params *p = params ? params : &defaults;

    *request = (struct request){.config = &model->model.config,
                                .weights = &model->model.weights,
                                .batch = p->batch_size ? p->batch_size : 1,
                                .height = model->model.height,
                                .width = model->model.width,
                                .max_patches = model->model.max_patches,
                                .outputs = p->outputs,
                                .precision = p->precision};
    if (context) /* the reference has no variants */
        request->variants = p->variants ? p->variants : getenv("VITCL_VARIANT");
    if (request->batch > VITCL_MAX_BATCH)
        return fail(error, VITCL_ERROR_ARGUMENT, "batch_size: %zu; at most %d is taken", request->batch,
                    VITCL_MAX_BATCH);
    if ((unsigned)p->precision > VITCL_PRECISION_F16)
        return fail(error, VITCL_ERROR_ARGUMENT, "precision: %d is no vitcl_precision", (int)p->precision);
    return choose_outputs(model, &request->outputs, error);
}

vitcl_status vitcl_plan_describe(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                                 char **text, vitcl_error *error)
{
    struct request request;
    struct plan plan;
    vitcl_status status;
    if (text)
        *text = NULL;
    if (!model || !text)
        return fail_null(error, "model and text");
    status = make_request(&request, context, model, params, error);
    if (status == VITCL_OK)
        status = plan_for(&plan, &request, session_facts(context ? context->device : NULL, &request), error);
    if (status != VITCL_OK)
        return status;
    tuned_recall(&plan, context ? context->device : NULL);
    status = plan_describe(&plan, text, error);
    plan_free(&plan);
    return status;
}

vitcl_status vitcl_kernels_write(const vitcl_model *model, const vitcl_session_params *params, const char *folder,
                                 vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!model || !folder)
        return fail_null(error, "model and folder");
    status = make_request(&request, NULL, model, params, error);
    request.variants = params && params->variants ? params->variants : getenv("VITCL_VARIANT");
    return status == VITCL_OK ? programs_write_request(&request, folder, error) : status;
}

vitcl_status vitcl_choose_batch(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                                size_t *batch, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!context || !model || !batch)
        return fail_null(error, "context, model and batch");
    status = make_request(&request, context, model, params, error);
    if (!params || !params->batch_size)
        request.batch = VITCL_MAX_BATCH;
    return status == VITCL_OK ? choose_batch(&request, session_facts(context->device, &request), batch, error) : status;
}

vitcl_status vitcl_tune(vitcl_context *context, const vitcl_model *model, const vitcl_session_params *params,
                        double seconds, vitcl_tune_fn report, void *user, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!context || !model)
        return fail_null(error, "context and model");
    if (!(seconds > 0))
        return fail(error, VITCL_ERROR_ARGUMENT, "seconds: %g; more than 0 are needed", seconds);
    status = make_request(&request, context, model, params, error);
    return status == VITCL_OK ? tune_model(context->device, &request, seconds, report, user, error) : status;
}

vitcl_status vitcl_model_bench(const vitcl_model *model, vitcl_context *context, const vitcl_session_params *params,
                               double seconds, vitcl_timing *timing, vitcl_error *error)
{
    struct request request;
    vitcl_status status;
    if (!model || !context || !timing)
        return fail_null(error, "model, context and timing");
    TRY(make_request(&request, context, model, params, error));
    TRY(bench_request(context->device, &request, seconds, timing, error));
done:
    return status;
}

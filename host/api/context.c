/* context.c - vitcl.h: the version, devices, and a device that is open. */
#include "api/handles.h"
#include "run/peak.h"

#include <stdlib.h>

const char *vitcl_version(void)
{
    return VITCL_VERSION_STRING;
}

vitcl_status fail_null(vitcl_error *err, const char *what)
{
    return fail(err, VITCL_ERROR_ARGUMENT, "%s must not be NULL", what);
}

/* ---- devices ---- */

vitcl_status vitcl_device_list_create(vitcl_device_info **list, size_t *count, vitcl_error *error)
{
    if (list)
        *list = NULL;
    if (!list || !count)
        return fail_null(error, "list and count");
    return device_list(list, count, error);
}

void vitcl_device_list_destroy(vitcl_device_info **list)
{
    if (!list)
        return;
    free(*list);
    *list = NULL;
}

vitcl_status vitcl_context_create(vitcl_context **context, const vitcl_context_params *params, vitcl_error *error)
{
    vitcl_status status;
    const vitcl_context_params defaults = {0};
    const char *selector, *kernels;

    if (!context)
        return fail_null(error, "context");
    if (!params)
        params = &defaults;
    selector = params->device ? params->device : getenv("VITCL_DEVICE");
    kernels = params->kernels ? params->kernels : getenv("VITCL_KERNELS");
    *context = calloc(1, sizeof **context);
    if (!*context)
        return fail_memory(error, sizeof **context);
    status = device_open_prebuilt(&(*context)->device, selector ? selector : "", kernels && *kernels ? kernels : NULL,
                                  &(struct logger){params->log, params->log_user}, error);
    if (status != VITCL_OK)
        vitcl_context_destroy(context);
    return status;
}

void vitcl_context_destroy(vitcl_context **context)
{
    if (!context || !*context)
        return;
    device_close(&(*context)->device);
    free(*context);
    *context = NULL;
}

const char *vitcl_context_device(const vitcl_context *context)
{
    return context ? device_description(context->device) : "";
}

vitcl_status vitcl_context_measure_peak(vitcl_context *context, vitcl_peak *peak, vitcl_error *error)
{
    if (!context || !peak)
        return fail_null(error, "context and peak");
    return peak_measure(context->device, peak, error);
}

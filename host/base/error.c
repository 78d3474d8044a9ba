/* error.c - fills the caller's vitcl_error. */
#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

vitcl_status fail(vitcl_error *err, vitcl_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        err->status = status;
        err->cl_code = 0;
        va_start(args, format);
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

vitcl_status fail_context(vitcl_error *err, vitcl_status status, const char *format, ...)
{
    if (err) {
        struct text message = {0};
        char context[256];
        va_list args;
        va_start(args, format);
        vsnprintf(context, sizeof context, format, args);
        va_end(args);
        text_add(&message, "%s: %s", context, err->message);
        if (message.chars)
            snprintf(err->message, sizeof err->message, "%s", message.chars);
        text_free(&message);
    }
    return status;
}

vitcl_status fail_memory(vitcl_error *err, size_t bytes)
{
    return fail(err, VITCL_ERROR_MEMORY, "out of host memory: could not get %zu bytes", bytes);
}

const char *vitcl_status_name(vitcl_status status)
{
    switch (status) {
    case VITCL_OK:
        return "VITCL_OK";
    case VITCL_ERROR_ARGUMENT:
        return "VITCL_ERROR_ARGUMENT";
    case VITCL_ERROR_IO:
        return "VITCL_ERROR_IO";
    case VITCL_ERROR_FORMAT:
        return "VITCL_ERROR_FORMAT";
    case VITCL_ERROR_UNSUPPORTED:
        return "VITCL_ERROR_UNSUPPORTED";
    case VITCL_ERROR_DEVICE:
        return "VITCL_ERROR_DEVICE";
    case VITCL_ERROR_OPENCL:
        return "VITCL_ERROR_OPENCL";
    case VITCL_ERROR_MEMORY:
        return "VITCL_ERROR_MEMORY";
    case VITCL_ERROR_MISMATCH:
        return "VITCL_ERROR_MISMATCH";
    case VITCL_ERROR_OVERFLOW:
        return "VITCL_ERROR_OVERFLOW";
    }
    return "unknown status";
}

/* clname.c - names of OpenCL's and CLBlast's codes, and the one place where an OpenCL failure becomes a message. */
#include "device/device_cl.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME(code)                                                                                                     \
    case code:                                                                                                         \
        return #code

const char *cl_name(cl_int code)
{
    switch (code) {
        NAME(CL_SUCCESS);
        NAME(CL_DEVICE_NOT_FOUND);
        NAME(CL_DEVICE_NOT_AVAILABLE);
        NAME(CL_COMPILER_NOT_AVAILABLE);
        NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE);
        NAME(CL_OUT_OF_RESOURCES);
        NAME(CL_OUT_OF_HOST_MEMORY);
        NAME(CL_PROFILING_INFO_NOT_AVAILABLE);
        NAME(CL_MEM_COPY_OVERLAP);
        NAME(CL_BUILD_PROGRAM_FAILURE);
        NAME(CL_MAP_FAILURE);
        NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET);
        NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
        NAME(CL_COMPILE_PROGRAM_FAILURE);
        NAME(CL_LINKER_NOT_AVAILABLE);
        NAME(CL_LINK_PROGRAM_FAILURE);
        NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
        NAME(CL_INVALID_VALUE);
        NAME(CL_INVALID_DEVICE_TYPE);
        NAME(CL_INVALID_PLATFORM);
        NAME(CL_INVALID_DEVICE);
        NAME(CL_INVALID_CONTEXT);
        NAME(CL_INVALID_QUEUE_PROPERTIES);
        NAME(CL_INVALID_COMMAND_QUEUE);
        NAME(CL_INVALID_HOST_PTR);
        NAME(CL_INVALID_MEM_OBJECT);
        NAME(CL_INVALID_BINARY);
        NAME(CL_INVALID_BUILD_OPTIONS);
        NAME(CL_INVALID_PROGRAM);
        NAME(CL_INVALID_PROGRAM_EXECUTABLE);
        NAME(CL_INVALID_KERNEL_NAME);
        NAME(CL_INVALID_KERNEL_DEFINITION);
        NAME(CL_INVALID_KERNEL);
        NAME(CL_INVALID_ARG_INDEX);
        NAME(CL_INVALID_ARG_VALUE);
        NAME(CL_INVALID_ARG_SIZE);
        NAME(CL_INVALID_KERNEL_ARGS);
        NAME(CL_INVALID_WORK_DIMENSION);
        NAME(CL_INVALID_WORK_GROUP_SIZE);
        NAME(CL_INVALID_WORK_ITEM_SIZE);
        NAME(CL_INVALID_GLOBAL_OFFSET);
        NAME(CL_INVALID_EVENT_WAIT_LIST);
        NAME(CL_INVALID_EVENT);
        NAME(CL_INVALID_OPERATION);
        NAME(CL_INVALID_BUFFER_SIZE);
        NAME(CL_INVALID_GLOBAL_WORK_SIZE);
        NAME(CL_INVALID_PROPERTY);
        NAME(CL_INVALID_COMPILER_OPTIONS);
        NAME(CL_INVALID_LINKER_OPTIONS);
    case -1001:
        return "CL_PLATFORM_NOT_FOUND_KHR";
    case -1011:
        return "CLBlastInsufficientMemoryA";
    case -1012:
        return "CLBlastInsufficientMemoryB";
    case -1013:
        return "CLBlastInsufficientMemoryC";
    case -2045:
        return "CLBlastNoHalfPrecision";
    case -2046:
        return "CLBlastInvalidLocalMemUsage";
    case -2048:
        return "CLBlastDatabaseError";
    case -2050:
        return "CLBlastInsufficientMemoryTemp";
    default:
        return code <= -1007 ? "a CLBlast status, see clblast_c.h" : "unknown OpenCL error";
    }
}

/* What a user can do about a code; "" where nothing general can be said. */
static const char *advice(cl_int code)
{
    switch (code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
        return ". Try a smaller batch (-b), or another device (vitcl_run --list-devices)";
    case CL_DEVICE_NOT_AVAILABLE:
        return ". The device is in use or its driver failed; try another one (vitcl_run --list-devices)";
    default:
        return "";
    }
}

vitcl_status fail_cl(vitcl_error *err, cl_int code, const char *call, const char *format, ...)
{
    char detail[1024];
    va_list args;
    vitcl_status status;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    status = fail(err, VITCL_ERROR_OPENCL, "%s: %s failed with %s (%d)%s", detail, call, cl_name(code), (int)code,
                  advice(code));
    if (err)
        err->cl_code = (int)code;
    return status;
}

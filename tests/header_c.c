/* header_c.c - vitcl.h alone compiles as C11, and the library exports every function that it declares, in the version
 * that was compiled against. */
#include "vitcl.h"

typedef void (*any_function)(void);

#define EXPORTED(function) ((any_function)(function))

static const any_function FUNCTIONS[] = {
    EXPORTED(vitcl_version),
    EXPORTED(vitcl_status_name),
    EXPORTED(vitcl_device_list_create),
    EXPORTED(vitcl_device_list_destroy),
    EXPORTED(vitcl_context_create),
    EXPORTED(vitcl_context_destroy),
    EXPORTED(vitcl_context_device),
    EXPORTED(vitcl_context_measure_peak),
    EXPORTED(vitcl_model_create),
    EXPORTED(vitcl_model_destroy),
    EXPORTED(vitcl_model_get_info),
    EXPORTED(vitcl_model_label),
    EXPORTED(vitcl_model_scores),
    EXPORTED(vitcl_model_similarity),
    EXPORTED(vitcl_image_read),
    EXPORTED(vitcl_image_destroy),
    EXPORTED(vitcl_model_preprocess),
    EXPORTED(vitcl_model_bench),
    EXPORTED(vitcl_session_create),
    EXPORTED(vitcl_session_destroy),
    EXPORTED(vitcl_session_run),
    EXPORTED(vitcl_session_run_pixels),
    EXPORTED(vitcl_session_submit),
    EXPORTED(vitcl_session_wait),
    EXPORTED(vitcl_session_verify),
    EXPORTED(vitcl_session_profile),
    EXPORTED(vitcl_plan_describe),
    EXPORTED(vitcl_choose_batch),
};

int main(void)
{
    const char *running = vitcl_version(), *compiled = VITCL_VERSION_STRING;
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++)
        if (!FUNCTIONS[i])
            return 1;
    while (*running && *running == *compiled) {
        running++;
        compiled++;
    }
    return *running != *compiled;
}

/* precision.h - the names of vitcl_precision on command lines. */
#ifndef VITCL_CLI_PRECISION_H
#define VITCL_CLI_PRECISION_H

#include "vitcl.h"

#include <string.h>

/* False where there is no such precision. */
static inline bool precision_from_text(vitcl_precision *precision, const char *text)
{
    static const char *const NAMES[] = {
        [VITCL_PRECISION_F32] = "f32", [VITCL_PRECISION_BF16] = "bf16", [VITCL_PRECISION_F16] = "f16"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(text, NAMES[i]) == 0) {
            *precision = (vitcl_precision)i;
            return true;
        }
    return false;
}

#endif

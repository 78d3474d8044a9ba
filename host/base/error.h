/* error.h - how vitcl reports failure.
 *
 * Where a failure is found: `return fail(err, CODE, "what, and what to do")`. On the way up a caller may add context
 * with fail_context, never swallow. A function that owns something uses TRY and one `done:` label, which success also
 * reaches.
 */
#ifndef VITCL_BASE_ERROR_H
#define VITCL_BASE_ERROR_H

#include "vitcl.h"

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* Fills err (which may be NULL) and returns status. */
vitcl_status fail(vitcl_error *err, vitcl_status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the message of an error that is already there, and returns its status. */
vitcl_status fail_context(vitcl_error *err, vitcl_status status, const char *format, ...) PRINTF_LIKE(3, 4);

/* An allocation of that many bytes failed. */
vitcl_status fail_memory(vitcl_error *err, size_t bytes);

/* Needs `vitcl_status status` and a label `done` in scope. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        status = (call);                                                                                               \
        if (status != VITCL_OK)                                                                                        \
            goto done;                                                                                                 \
    } while (0)

#endif

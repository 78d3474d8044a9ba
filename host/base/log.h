/* log.h - lines for the user's log callback; a logger of all zeros is silent. */
#ifndef VITCL_BASE_LOG_H
#define VITCL_BASE_LOG_H

#include "base/error.h"

struct logger {
    vitcl_log_fn write;
    void *user;
};

void log_line(const struct logger *log, vitcl_log_level level, const char *format, ...) PRINTF_LIKE(3, 4);

#endif

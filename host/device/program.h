/* program.h - the kernel sources, embedded by cl/embed.cmake. */
#ifndef VITCL_DEVICE_PROGRAM_H
#define VITCL_DEVICE_PROGRAM_H

#include <stddef.h>

struct kernel_source {
    const char *stem; /* "matmul" for cl/matmul.cl */
    const char *text; /* NUL-terminated; begins with a #line directive */
};

extern const struct kernel_source KERNEL_SOURCES[]; /* ends with a NULL stem; the first is the prelude */

#endif

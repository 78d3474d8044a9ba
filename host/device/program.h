/* program.h - the kernel sources, embedded by cl/embed.cmake, and programs as files for compilers that run beforehand.
 */
#ifndef VITCL_DEVICE_PROGRAM_H
#define VITCL_DEVICE_PROGRAM_H

#include "base/text.h"

#define BUILD_OPTIONS "-cl-std=CL1.2" /* with which everything compiles */

struct kernel_source {
    const char *stem; /* "matmul" for cl/matmul.cl */
    const char *text; /* NUL-terminated; begins with a #line directive */
};

extern const struct kernel_source KERNEL_SOURCES[]; /* ends with a NULL stem; the first is the prelude */

/* The text of cl/<stem>.cl; NULL where there is none. */
const char *find_source(const char *stem);

/* ---- program_file.c ---- */

/* What a program's file says, which compiles alone with BUILD_OPTIONS: its options, " -D NAME=VALUE"... as in struct
 * launch, as #define lines; the prelude; the `count` files of cl/. The caller frees the text. */
vitcl_status program_text(struct text *text, const char *options, const char *const *stems, size_t count,
                          vitcl_error *err);

#define PROGRAM_NAME_SIZE 80

/* "matmul-0123456789abcdef": the stem and a hash of the text. So each text has its own name, whatever model needs it,
 * and a binary of that name is known to be made of it. */
void program_name(char name[PROGRAM_NAME_SIZE], const char *stem, const struct text *text);

#endif

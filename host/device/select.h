/* select.h - which device a text selects. Pure: works on a list, needs no OpenCL. */
#ifndef VITCL_DEVICE_SELECT_H
#define VITCL_DEVICE_SELECT_H

#include "base/error.h"

/* Kinds are a set: a device that claims to be CPU and GPU at once is a simulator, which is never taken unasked. */
#define KIND_CPU         1u
#define KIND_GPU         2u
#define KIND_ACCELERATOR 4u
#define KIND_CUSTOM      8u

/* What selection knows of one device. */
struct candidate {
    vitcl_device_info info; /* selector and automatic are filled by candidates_finish */
    unsigned kinds;
    unsigned platform, index; /* P:D */
    unsigned clock;           /* MHz; 0 unknown */
    unsigned vector_width;    /* native width in floats; 0 unknown */
    char pci[16];             /* "03:00.0", lower case; "" unknown */
    char uuid[33];            /* 32 hex digits, lower case; "" unknown */
};

/* Finds the candidate that `selector` names ("" is automatic) and writes why it was taken ("the only GPU", ...).
 * Errors list what is there, with the text that would select each. */
vitcl_status select_device(const struct candidate *list, size_t count, const char *selector, size_t *index,
                           char why[160], vitcl_error *err);

/* Fills info.selector and info.automatic of every candidate. */
void candidates_finish(struct candidate *list, size_t count);

#endif

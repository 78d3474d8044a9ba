/* programs.h - which programs a plan runs, and how they come to a device without a compiler: written as files, compiled
 * elsewhere, loaded from there. */
#ifndef VITCL_RUN_PROGRAMS_H
#define VITCL_RUN_PROGRAMS_H

#include "device/device.h"
#include "device/program.h"
#include "ops/ops.h"

/* prepare.c: the launches of a step, with all options. Returns how many there are. */
size_t step_launches(const struct plan *plan, const struct step *step, const struct facts *facts,
                     struct launch launches[MAX_LAUNCHES]);

/* A kernel of a program, which is a file of cl/ with options. */
struct program_kernel {
    const char *stem;
    char options[sizeof((struct launch *)0)->options];
    const char *kernel;
};

/* Sorted: the kernels of one program, and the programs of one file, stand together. */
struct program_list {
    struct program_kernel *kernels; /* [count], each once */
    size_t count, capacity;
};

/* Adds those of the plan's steps to a list. */
vitcl_status programs_add(struct program_list *list, const struct plan *plan, const struct facts *facts,
                          vitcl_error *err);

/* The same for the plans of a request, whatever outputs it asks for: which programs a model needs does not depend on
 * what a run wants of it. */
vitcl_status programs_add_request(struct program_list *list, const struct request *request, const struct facts *facts,
                                  vitcl_error *err);
void programs_free(struct program_list *list);

/* The first kernel behind `first` that is not of its program. */
size_t program_end(const struct program_list *list, size_t first);

/* The text of all programs as one file, which the caller frees, and its name; "" where they can not be in one: options
 * hold for a whole file. */
vitcl_status programs_whole(const struct program_list *list, struct text *text, char name[PROGRAM_NAME_SIZE],
                            vitcl_error *err);

/* programs_write.c: writes each program's file, where it can be all of them as one file, too, and manifest.json into a
 * folder, which is made where it is missing. What the manifest already has of other models stays. */
vitcl_status programs_write(const struct program_list *list, const char *folder, vitcl_error *err);

/* See vitcl_kernels_write. */
vitcl_status programs_write_request(const struct request *request, const char *folder, vitcl_error *err);

/* On a device that runs kernels compiled beforehand, before a session's are made: loads the one binary that has all of
 * them, where there is one. */
vitcl_status programs_load(struct device *device, const struct request *request, vitcl_error *err);

#endif

/* loader.h - reads inputs ahead: threads decode and preprocess pictures while the device computes earlier ones; they
 * are taken in the order of the list. */
#ifndef VITCL_CLI_LOADER_H
#define VITCL_CLI_LOADER_H

#include "vitcl.h"

struct loader_params {
    const vitcl_model *model;
    char *const *paths; /* [count], which live until loader_stop */
    size_t count;
    bool upright;      /* EXIF's orientation counts */
    size_t image_size; /* numbers in one image's pixel values */
    size_t workers;    /* threads, 1 or more; two images for each are held in memory at most */
};

/* What became of one input. */
struct loaded {
    const char *path; /* the list's */
    enum {
        LOADED_IMAGE, /* its pixel values are there, and its grid: 0 x 0 unless the model is of variable resolution */
        LOADED_NPY,   /* a .npy file by its content: not read, that is the caller's to do */
        LOADED_NOTHING
    } what;
    vitcl_grid grid;
    vitcl_error error; /* of LOADED_NOTHING */
};

struct loader;

/* Starts the threads. NULL where memory or threads are not to be had. */
struct loader *loader_start(const struct loader_params *params);

/* Waits for the next input in order, and copies its pixel values [image_size]. False after the last one. */
bool loader_next(struct loader *loader, struct loaded *loaded, float *pixels);

/* Ends the threads, wherever they are, and frees. Accepts NULL. */
void loader_stop(struct loader *loader);

#endif

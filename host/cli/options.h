/* options.h - the command line of vitcl_run. */
#ifndef VITCL_CLI_OPTIONS_H
#define VITCL_CLI_OPTIONS_H

#include "vitcl.h"

#define EXIT_FAILED 1 /* something could not be read, run or written */
#define EXIT_USAGE  2 /* the command line makes no sense */

#define BATCH_AUTO ((size_t)-1)

enum mode {
    MODE_RUN,
    MODE_HELP,
    MODE_VERSION,
    MODE_LIST_DEVICES,
    MODE_INFO,
    MODE_PLAN,
    MODE_VERIFY,
    MODE_PROFILE,
    MODE_BENCH,
    MODE_TUNE,
    MODE_KERNELS
};

struct options {
    enum mode mode;
    const char *model;       /* --model, else VITCL_MODEL, else NULL */
    const char *device;      /* --device, else NULL: the library reads VITCL_DEVICE */
    size_t topk, batch_size; /* batch_size may be BATCH_AUTO */
    size_t tune_seconds;
    bool recursive, json, quiet;
    size_t image_height, image_width; /* 0: the model's */
    vitcl_resize resize;
    vitcl_precision precision;
    enum { EXIF_AS_LIBRARY, EXIF_ON, EXIF_OFF } exif;
    const char *labels, *labels_embeddings;           /* files to read; NULL: none */
    const char *logits, *embedding, *hidden, *pixels; /* .npy files to write; NULL: none */
    const char *kernels_out;                          /* a folder; MODE_KERNELS */
    char **inputs;                                    /* [input_count], from argv */
    size_t input_count;
};

/* Parses the command line. Returns 0, or EXIT_USAGE after saying on stderr what is wrong. */
int options_parse(struct options *options, int argc, char **argv);

void options_print_help(void);

#endif

/* texts.h - what images are named by: the model's classes, names from a file, or texts whose embeddings are compared
 * with the image's. */
#ifndef VITCL_CLI_TEXTS_H
#define VITCL_CLI_TEXTS_H

#include "cli/options.h"
#include "vitcl.h"

struct texts {
    const vitcl_model *model;
    float *embeddings; /* [count,E]: --labels-embeddings; NULL: the model classifies */
    char *file;        /* the bytes of --labels, cut into lines */
    char **names;      /* [count], into `file`; NULL: the model's labels, or numbers */
    size_t count;      /* labels to choose from */
};

/* Reads the files that the options name. False after saying on stderr what is wrong. */
bool texts_open(struct texts *texts, const struct options *options, const vitcl_model *model);
void texts_close(struct texts *texts);

/* The name of a label; `number` holds it where there is no name. */
const char *texts_name(const struct texts *texts, size_t index, char number[32]);

/* scores [count] of an image. False where the model can not score it, which texts_open has ruled out. */
bool texts_scores(const struct texts *texts, const float *logits, const float *embedding, float *scores);

#endif

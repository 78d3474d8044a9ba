/* report.h - results on stdout, as text or as one JSON array. */
#ifndef VITCL_CLI_REPORT_H
#define VITCL_CLI_REPORT_H

#include "cli/texts.h"

#include <jansson.h>

struct report {
    bool json;
    size_t topk;
    const char *device;
    const struct texts *texts;
    vitcl_model_info info;
    size_t printed; /* objects of JSON so far */
};

void report_begin(struct report *report);

/* One image: its logits [C], or where the model has no classifier its embedding [E], which is named by texts where
 * there are some; NULL for both: hidden states only, which have no text. False when memory is out. */
bool report_result(struct report *report, const char *file, const float *logits, const float *embedding);

/* In JSON: one more object, whose reference it takes. */
void report_object(struct report *report, json_t *object);

/* One image that could not be answered; stderr has been told. */
void report_failure(struct report *report, const char *file, const char *message);

void report_end(struct report *report);

#endif

/* labels.h - the names of a classifier's classes, from id2label. */
#ifndef VITCL_MODEL_LABELS_H
#define VITCL_MODEL_LABELS_H

#include "base/json.h"

/* How logits become scores: the rule of transformers' image-classification pipeline. */
enum scores { SCORES_SOFTMAX, SCORES_SIGMOID, SCORES_LOGITS };

struct labels {
    char **names; /* [count] */
    size_t count;
    enum scores scores;
};

/* Reads id2label, num_labels and problem_type. Without id2label the names are LABEL_0, LABEL_1, ... as in
 * transformers. On failure nothing is owned. */
vitcl_status labels_read(struct labels *labels, struct json_at config, vitcl_error *err);

/* timm: num_classes, and label_names (a list, or an object from index to name); without names the indices stand for
 * them. Scores are a softmax. */
vitcl_status labels_read_timm(struct labels *labels, struct json_at config, vitcl_error *err);

void labels_free(struct labels *labels);

#endif

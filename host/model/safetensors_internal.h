/* safetensors_internal.h - what the files behind safetensors.h share. */
#ifndef VITCL_MODEL_SAFETENSORS_INTERNAL_H
#define VITCL_MODEL_SAFETENSORS_INTERNAL_H

#include "model/safetensors.h"

#include <jansson.h>

/* Checks the header of a mapped file and lists its tensors: *entries [*count] in the order of their data. The caller
 * frees *entries, then *header by json_decref, to which the names belong. On failure both are NULL. */
vitcl_status safetensors_read_header(const struct mapped_file *file, json_t **header, struct tensor_entry **entries,
                                     size_t *count, vitcl_error *err);

/* Brings the entries into the order in which safetensors_find looks for them. */
void safetensors_sort(struct safetensors *tensors);

#endif

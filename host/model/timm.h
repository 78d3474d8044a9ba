/* timm.h - the models of timm: config.json names an architecture and little else, the tensors and the architecture's
 * name tell the rest. */
#ifndef VITCL_MODEL_TIMM_H
#define VITCL_MODEL_TIMM_H

#include "model/config.h"

/* Fills what config.json of a timm folder tells. */
vitcl_status timm_read(struct config *config, struct json_at at, vitcl_error *err);

/* Fills the rest from the tensors. */
vitcl_status timm_complete(struct config *config, const struct safetensors *tensors, vitcl_error *err);

#endif

/* random_model.h - models with random weights in the layout that Hugging Face publishes. */
#ifndef VITCL_BENCH_RANDOM_MODEL_H
#define VITCL_BENCH_RANDOM_MODEL_H

#include <stdbool.h>

/* Writes "vit_base_patch16_224", say, into a folder that exists. False after saying on stderr what is wrong. */
bool random_model_write(const char *name, const char *folder);

#endif

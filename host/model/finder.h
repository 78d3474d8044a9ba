/* finder.h - finds the tensor of a role under any of the names it may have, and checks its shape and type. The tool of
 * weights.c. */
#ifndef VITCL_MODEL_FINDER_H
#define VITCL_MODEL_FINDER_H

#include "model/weights.h"

struct finder {
    const struct config *config;
    const struct safetensors *file;
    struct weights *weights;
    bool *used; /* [file->count] */
    vitcl_error *err;
};

/* Sets *found to the tensor of a role, NULL where the file has none under any name. `block` stands for "{i}"; `suffix`
 * is ".weight", ".bias" or "". */
vitcl_status find_role(struct finder *f, enum role role, size_t block, const char *suffix,
                       const struct tensor_entry **found);

/* The same before there are weights to find: NULL for none, the first where a file has two, which weights_find refuses.
 */
const struct tensor_entry *finder_look(const struct config *config, const struct safetensors *tensors, enum role role,
                                       size_t block, const char *suffix);

/* Adds a tensor that must be there, of this shape (leading axes of length 1 do not matter), to a weight: as
 * [shape[0], the rest] below the parts it has, or where rank is 1 beside them. */
vitcl_status find_tensor(struct finder *f, enum role role, size_t block, const char *suffix, struct weight *weight,
                         const size_t *shape, size_t rank);

/* A linear layer [out,in]. Without `biased` it has no bias in the model's class: zeros stand for it, and a file that
 * has one is refused for it later. */
vitcl_status find_linear(struct finder *f, enum role role, size_t block, struct linear *linear, size_t out, size_t in,
                         bool biased);
vitcl_status find_bias(struct finder *f, enum role role, size_t block, struct linear *linear, size_t out, bool biased);

vitcl_status find_norm(struct finder *f, enum role role, size_t block, struct norm *norm, size_t width);

/* LayerScale of what the layer gives. */
vitcl_status find_scale(struct finder *f, enum role role, size_t block, struct linear *linear);

/* Adds zeros beside (below) what a vector (matrix) has. */
void add_zeros(struct weight *weight, size_t rows, size_t cols);

/* Parts of one row, which were put beside each other like those of a vector, become the rows of a matrix. */
void make_matrix(struct weight *weight, size_t cols);

/* Leaves the first `rows` rows of a layer of one part to it, and gives the others to `rest`. */
void split_rows(struct linear *linear, size_t rows, struct linear *rest);

/* Every tensor of the file must be used, or on the family's list of those that do not matter. */
vitcl_status check_all_used(struct finder *f);

#endif

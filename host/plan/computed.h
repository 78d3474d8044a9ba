/* computed.h - the weights that a plan makes itself, once and on the host, from those of the file. Each is NULL where
 * memory is out; the builder's `failed` is then set. */
#ifndef VITCL_PLAN_COMPUTED_H
#define VITCL_PLAN_COMPUTED_H

#include "plan/builder.h"

/* The position of each token [T,D] on the plan's grid; zeros for tokens that have none. */
const struct weight *position_of(struct builder *b, const struct weights *weights);

/* BEiT's bias table [R,H] on the plan's grid. One that all blocks share is resized once. */
const struct weight *bias_table_of(struct builder *b, const struct weight *table);

/* The angles of the plan's patches [N,d]: cosines, then sines. The same for all blocks. */
const struct weight *angles_of(struct builder *b, const struct rope *rope);

/* layer(x) of one row x [1,D]. */
const struct weight *apply_layer(struct builder *b, const struct weight *x, const struct linear *layer);

/* The layer that gives, for two vectors beside each other, the mean of first's for the first and second's for the
 * second: its weight and bias. */
void mean_of_layers(struct builder *b, const struct linear *first, const struct linear *second,
                    const struct weight **weight, const struct weight **bias);

#endif

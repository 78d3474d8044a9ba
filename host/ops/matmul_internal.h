/* matmul_internal.h - what the files of matmul share. */
#ifndef VITCL_OPS_MATMUL_INTERNAL_H
#define VITCL_OPS_MATMUL_INTERNAL_H

#include "ops/ops.h"

/* y [rows,n] = x [rows,k] W^T */
struct matmul_shape {
    size_t rows, n, k;
};

struct matmul_shape matmul_shape(const struct plan *plan, const struct step *step);

/* The arguments that the kernels of all variants begin with: x, w, bias, y, rows and N. */
void add_matmul_args(const struct plan *plan, const struct step *step, struct launch *launch);

/* ---- matmul_tiles.c: kernels in which a work-group computes a tile of y ---- */

/* Columns of w that lie together; as PANEL in cl/prelude.cl. */
#define TILE_PANEL 64

struct tile {
    size_t rows, columns;
    size_t part_rows, part_columns; /* of one work-item, or of one wave */
    size_t items;                   /* of the work-group */
    size_t local_bytes;
};

/* Why none of the tiles can run there, or NULL. A list of tiles ends with one without rows; the last one before needs
 * the least. */
const char *tiles_obstacle(const struct tile *tiles, const struct facts *facts);

/* Those that can run there, as tunings: `tile` its rows, `block` its columns. The first is the choice. */
size_t tiles_candidates(const struct tile *tiles, const struct facts *facts, struct tuning *candidates);

/* The launch of a kernel that takes x, w, bias, y, rows, N, K and the activation, in the tile of the step's tuning or
 * the one that should be done first. `part` begins the names of the options that tell the part's size. */
struct launch tiles_launch(const char *program, const char *part, const struct tile *tiles, const struct plan *plan,
                           const struct step *step, const struct facts *facts);

/* ---- variants ---- */

extern const struct variant MATMUL_AMX, MATMUL_BF16_DOT, MATMUL_PANEL; /* matmul_panel.c */
extern const struct variant MATMUL_TILE, MATMUL_MMA;

#endif

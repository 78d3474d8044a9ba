/* matmul_tiles.c - which tile of y a work-group computes: large ones load less for each product, small ones keep all
 * units of a device busy where y is small. Both matmul_tile.c and matmul_mma.c choose from a list of theirs.
 */
#include "base/size.h"
#include "ops/matmul_internal.h"

#include <stdio.h>

/* What loading one number costs, in multiply-adds of one sum: an estimate that no device has confirmed. */
#define LOAD 16

/* OpenCL promises every device 32 KB of local memory. Where it is none of its own, on CPUs, that is known to be there.
 */
static bool can_run(const struct tile *tile, const struct facts *facts)
{
    const size_t local_memory = facts->local_memory ? facts->local_memory : 32 << 10;
    return tile->items <= facts->max_work_group && tile->local_bytes <= local_memory;
}

const char *tiles_obstacle(const struct tile *tiles, const struct facts *facts)
{
    if (!facts->has_compiler)
        return "it is compiled for its tiles";
    for (const struct tile *tile = tiles; tile->rows; tile++)
        if (can_run(tile, facts))
            return NULL;
    return "its work-groups, or their local memory, are larger than the device allows";
}

/* Time for all tiles, where every unit works on one after the other. */
static size_t cost(const struct tile *tile, const struct matmul_shape *s, const struct facts *facts)
{
    const size_t tiles = size_ceil_div(s->rows, tile->rows) * size_ceil_div(s->n, tile->columns);
    return size_ceil_div(tiles, size_max(facts->units, 1)) *
           (tile->rows * tile->columns + LOAD * (tile->rows + tile->columns));
}

static const struct tile *choose(const struct tile *tiles, const struct matmul_shape *s, struct tuning tuning,
                                 const struct facts *facts)
{
    const struct tile *best = NULL, *last = tiles;
    for (const struct tile *tile = tiles; tile->rows; tile++) {
        last = tile;
        if (tile->rows == tuning.tile && tile->columns == tuning.block)
            return tile;
        if (can_run(tile, facts) && (!best || cost(tile, s, facts) < cost(best, s, facts)))
            best = tile;
    }
    return best ? best : last;
}

size_t tiles_candidates(const struct tile *tiles, const struct facts *facts, struct tuning *candidates)
{
    size_t count = 0;
    add_candidate(candidates, &count, (struct tuning){0});
    for (const struct tile *tile = tiles; tile->rows; tile++)
        if (can_run(tile, facts))
            add_candidate(candidates, &count, (struct tuning){.tile = tile->rows, .block = tile->columns});
    return count;
}

static void add_part(struct launch *launch, const char *part, const char *what, size_t size)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", part, what);
    add_option(launch, name, size);
}

struct launch tiles_launch(const char *program, const char *part, const struct tile *tiles, const struct plan *plan,
                           const struct step *step, const struct facts *facts)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const struct tile *tile = choose(tiles, &s, step->tuning, facts);
    const size_t groups = size_ceil_div(s.rows, tile->rows) * size_ceil_div(s.n, tile->columns);
    struct launch launch = {
        .program = program, .kernel = program, .global = {groups * tile->items, 1, 1}, .local = {tile->items, 1, 1}};
    add_option(&launch, "TILE_ROWS", tile->rows);
    add_option(&launch, "TILE_COLUMNS", tile->columns);
    add_part(&launch, part, "ROWS", tile->part_rows);
    add_part(&launch, part, "COLUMNS", tile->part_columns);
    add_matmul_args(plan, step, &launch);
    add_arg(&launch, arg_int(s.k));
    add_arg(&launch, arg_int(step->activation));
    return launch;
}

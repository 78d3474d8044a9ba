/* matmul_tile.c - matmul for GPUs with local memory (cl/matmul_tile.cl), of floats, or of 16-bit numbers that become
 * float on their way into it. It runs on CPUs, too, but is no good there.
 */
#include "ops/matmul_internal.h"

/* 16 numbers of each row, padded by 4, and of each column lie in local memory. */
#define TILE(rows, columns, part_rows, part_columns)                                                                   \
    {                                                                                                                  \
        rows, columns, part_rows, part_columns, (rows) / (part_rows) * ((columns) / (part_columns)),                   \
            16 * sizeof(float) * ((rows) + 4 + (columns))                                                              \
    }

static const struct tile TILES[] = {
    TILE(128, 128, 8, 8), TILE(64, 64, 8, 4), TILE(32, 64, 4, 4), TILE(32, 32, 4, 4), {0}};

static const char *obstacle(const struct facts *facts)
{
    return tiles_obstacle(TILES, facts);
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    out[0] = tiles_launch("matmul_tile", "WORK", TILES, plan, step, facts);
    return 1;
}

static size_t candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *out)
{
    (void)plan;
    (void)step;
    return tiles_candidates(TILES, facts, out);
}

const struct variant MATMUL_TILE = {.name = "tile",
                                    .layout = LAYOUT_PAIRS,
                                    .panel = TILE_PANEL,
                                    .reads = NUMBERS_ALL,
                                    .writes = NUMBERS_ALL,
                                    .obstacle = obstacle,
                                    .suits = suits_groups,
                                    .launch = launch,
                                    .candidates = candidates};

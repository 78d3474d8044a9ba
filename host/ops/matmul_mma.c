/* matmul_mma.c - matmul by the matrix instructions of GPUs (cl/matmul_mma.cl, cl/matrix.cl), of 16-bit numbers with
 * sums in float. On a CPU the instructions are emulated, to check all that is around them.
 */
#include "ops/matmul_internal.h"

/* In words: 16 pairs of each row, padded by 4, and 16 rows of pairs of the columns, padded by 8; in the end 16 rows of
 * sums of each wave. */
#define FACTORS(rows, columns)         ((rows)*20 + 16 * ((columns) + 8))
#define SUMS(rows, columns, part_rows) ((rows) / (part_rows)*16 * ((columns) + 8))
#define TILE(wave, rows, columns, part_rows, part_columns)                                                             \
    {                                                                                                                  \
        rows, columns, part_rows, part_columns, (rows) / (part_rows) * ((columns) / (part_columns)) * (wave),          \
            4 * (FACTORS(rows, columns) > SUMS(rows, columns, part_rows) ? FACTORS(rows, columns)                      \
                                                                         : SUMS(rows, columns, part_rows))             \
    }

/* For waves of 32 work-items, and of 64. */
static const struct tile TILES_32[] = {
    TILE(32, 128, 128, 64, 32), TILE(32, 64, 64, 32, 32), TILE(32, 32, 64, 16, 32), TILE(32, 32, 32, 16, 16), {0}};
static const struct tile TILES_64[] = {
    TILE(64, 128, 128, 64, 64), TILE(64, 64, 64, 32, 32), TILE(64, 32, 64, 32, 32), TILE(64, 32, 32, 32, 16), {0}};

static const struct tile *tiles(const struct facts *facts)
{
    return facts->matrix == MATRIX_MFMA ? TILES_64 : TILES_32;
}

static const char *obstacle(const struct facts *facts)
{
    if (!facts->is_cpu && facts->matrix == MATRIX_NONE)
        return "no matrix instructions were found";
    return tiles_obstacle(tiles(facts), facts);
}

static bool suits(const struct facts *facts)
{
    return facts->matrix != MATRIX_NONE && suits_groups(facts);
}

/* Rows of x are read by vectors of eight numbers. */
static bool fits(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    (void)facts;
    return plan->tensors[step->input[0]].cols % 8 == 0;
}

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    out[0] = tiles_launch("matmul_mma", "WAVE", tiles(facts), plan, step, facts);
    add_option(&out[0], "MATRIX", facts->matrix ? facts->matrix : MATRIX_MMA);
    if (facts->is_cpu)
        add_option(&out[0], "EMULATED", 1);
    return 1;
}

static size_t candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *out)
{
    (void)plan;
    (void)step;
    return tiles_candidates(tiles(facts), facts, out);
}

const struct variant MATMUL_MMA = {.name = "mma",
                                   .layout = LAYOUT_PAIRS,
                                   .panel = TILE_PANEL,
                                   .reads = NUMBERS(NUMBER_BF16) | NUMBERS(NUMBER_F16),
                                   .writes = NUMBERS_ALL,
                                   .obstacle = obstacle,
                                   .suits = suits,
                                   .fits = fits,
                                   .launch = launch,
                                   .candidates = candidates};

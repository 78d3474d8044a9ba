/* matmul_panel.c - matmul for CPUs: how rows and columns are shared out among the work-items of cl/matmul_panel.cl. */
#include "base/size.h"
#include "ops/matmul_internal.h"

/* Bytes of x that should stay in a core's cache while the panels of w pass by; w is read once for each such block. */
#define BLOCK_BYTES ((size_t)4 << 20)

/* How the rows are shared out. In a tuning `tile` is the most rows of a tile, `block` the number of tiles whose rows of
 * x stay in the cache. */
struct cut {
    size_t tiles, height, block;
};

static struct cut cut_rows(const struct plan *plan, const struct step *step, size_t max_height, size_t block_bytes)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const size_t row_bytes = s.k * number_bytes(plan->tensors[step->input[0]].number);
    size_t blocks;
    struct cut cut = {.tiles = size_ceil_div(s.rows, max_height)};
    cut.height = size_ceil_div(s.rows, cut.tiles);
    blocks = size_ceil_div(s.rows * row_bytes, size_max(block_bytes, cut.height * row_bytes));
    cut.block = size_ceil_div(cut.tiles, blocks);
    return cut;
}

/* Tiles of at most `max_height` rows and `panels_each` panels; `name` is the option that says how they are multiplied.
 */
static size_t launch_tiles(const struct plan *plan, const struct step *step, const struct facts *facts,
                           size_t max_height, size_t panels_each, const char *name, struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const struct cut cut = cut_rows(plan, step, step->tuning.tile ? step->tuning.tile : max_height, BLOCK_BYTES);
    size_t panels = size_ceil_div(s.n, panels_each * PANEL_VECTORS * facts->vector_width);

    out[0] = make_launch("matmul_panel", "matmul_panel", facts, 1, (size_t[]){cut.tiles * panels, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_option(&out[0], "HEIGHT", cut.height);
    add_option(&out[0], "K", s.k);
    add_option(&out[0], "PANELS", panels_each);
    add_option(&out[0], "ACTIVATION", step->activation);
    add_option(&out[0], name, 1);
    add_arg(&out[0], arg_tensor(step->input[0]));
    add_arg(&out[0], arg_tensor(step->weight[0]));
    add_arg(&out[0], arg_tensor(step->weight[1]));
    add_arg(&out[0], arg_tensor(step->output[0]));
    add_arg(&out[0], arg_int(s.rows));
    add_arg(&out[0], arg_int(s.n));
    add_arg(&out[0], arg_int(cut.tiles));
    add_arg(&out[0], arg_int(step->tuning.block ? step->tuning.block : cut.block));
    return 1;
}

/* A few heights, each with so many rows of x to a block that they take 4 MB, 1 MB and a quarter of it. Tiles that come
 * out alike are measured once. */
static size_t tile_candidates(const struct plan *plan, const struct step *step, size_t max_height,
                              struct tuning *candidates)
{
    const size_t chosen = cut_rows(plan, step, max_height, BLOCK_BYTES).block;
    size_t count = 0, tiles = 0, height;
    add_candidate(candidates, &count, (struct tuning){0});
    for (size_t k = 0; (height = tile_candidate(max_height, k)) > 0; k++) {
        if (cut_rows(plan, step, height, 0).tiles == tiles)
            continue;
        for (size_t bytes = BLOCK_BYTES / 16; bytes <= BLOCK_BYTES; bytes *= 4) {
            const struct cut cut = cut_rows(plan, step, height, bytes);
            tiles = cut.tiles;
            if (k > 0 || cut.block != chosen)
                add_candidate(candidates, &count, (struct tuning){.tile = height, .block = cut.block});
        }
    }
    return count;
}

/* ---- multiply-adds of floats; bf16 becomes float in registers ---- */

/* Pairs of bf16 are read whole. */
static bool fits_pairs(const struct plan *plan, const struct step *step)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    return x->number == NUMBER_F32 || x->cols % 2 == 0;
}

static size_t launch_panel(const struct plan *plan, const struct step *step, const struct facts *facts,
                           struct launch *out)
{
    return launch_tiles(plan, step, facts, vector_rows(facts), 1, "FMA", out);
}

static size_t vector_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                                struct tuning *candidates)
{
    return tile_candidates(plan, step, vector_rows(facts), candidates);
}

const struct variant MATMUL_PANEL = {.name = "panel",
                                     .layout = LAYOUT_PANELS,
                                     .reads_bf16 = true,
                                     .writes_bf16 = true,
                                     .obstacle = vector_obstacle,
                                     .fits = fits_pairs,
                                     .launch = launch_panel,
                                     .candidates = vector_candidates};

/* ---- dot products of bf16 pairs ---- */

static size_t launch_dot(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    return launch_tiles(plan, step, facts, vector_rows(facts), 1, "BF16_DOT", out);
}

const struct variant MATMUL_BF16_DOT = {.name = "bf16_dot",
                                        .layout = LAYOUT_PANELS,
                                        .reads_bf16 = true,
                                        .only_bf16 = true,
                                        .writes_bf16 = true,
                                        .obstacle = dot_obstacle,
                                        .fits = fits_pairs,
                                        .launch = launch_dot,
                                        .candidates = vector_candidates};

/* ---- AMX ---- */

/* A tile register takes 32 numbers of a row. */
static bool fits_amx(const struct plan *plan, const struct step *step)
{
    return plan->tensors[step->input[0]].cols % 32 == 0;
}

#define AMX_ROWS 32 /* two registers of 16 */
#define AMX_PANELS                                                                                                     \
    8 /* past which the x of a tile goes from the first cache; fewer where cores would wait for the last */

static size_t launch_amx(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const size_t tiles = size_ceil_div(s.rows, AMX_ROWS), panels = size_ceil_div(s.n, PANEL_VECTORS * 16);
    size_t each = AMX_PANELS;
    while (each > 1 && tiles * size_ceil_div(panels, each) < 64 * facts->units)
        each /= 2;
    return launch_tiles(plan, step, facts, AMX_ROWS, each, "AMX", out);
}

static size_t amx_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct tuning *candidates)
{
    (void)facts;
    return tile_candidates(plan, step, AMX_ROWS, candidates);
}

const struct variant MATMUL_AMX = {.name = "amx",
                                   .layout = LAYOUT_PANELS,
                                   .reads_bf16 = true,
                                   .only_bf16 = true,
                                   .writes_bf16 = true,
                                   .obstacle = amx_obstacle,
                                   .fits = fits_amx,
                                   .launch = launch_amx,
                                   .candidates = amx_candidates};

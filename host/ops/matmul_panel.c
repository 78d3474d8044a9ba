/* matmul_panel.c - matmul for CPUs: how rows and columns are shared out among the work-items of cl/matmul_panel.cl. */
#include "base/size.h"
#include "ops/matmul_internal.h"

/* A way to multiply: the option that tells the kernel, the most rows and the panels of one tile, and how many bytes of
 * x should stay in a core's cache while the panels of w pass by. w comes from further away once for each such block,
 * which matters the more, the faster the products are. */
struct method {
    const char *option;
    size_t rows, panels, block_bytes;
};

#define VECTOR_BLOCK ((size_t)640 << 10)
#define AMX_BLOCK    ((size_t)4 << 20)

/* So few rows are one block: w then comes from memory, and should do so once only. */
#define FEW_ROWS 320

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
    blocks = s.rows <= FEW_ROWS ? 1 : size_ceil_div(s.rows * row_bytes, size_max(block_bytes, cut.height * row_bytes));
    cut.block = size_ceil_div(cut.tiles, blocks);
    return cut;
}

static size_t launch_tiles(const struct plan *plan, const struct step *step, const struct facts *facts,
                           const struct method *m, struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const struct cut cut = cut_rows(plan, step, step->tuning.tile ? step->tuning.tile : m->rows, m->block_bytes);
    size_t panels = size_ceil_div(s.n, m->panels * PANEL_VECTORS * facts->vector_width);

    out[0] = make_launch("matmul_panel", "matmul_panel", facts, 1, (size_t[]){cut.tiles * panels, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_option(&out[0], "HEIGHT", cut.height);
    add_option(&out[0], "K", s.k);
    add_option(&out[0], "PANELS", m->panels);
    add_option(&out[0], "ACTIVATION", step->activation);
    add_option(&out[0], m->option, 1);
    add_matmul_args(plan, step, &out[0]);
    add_arg(&out[0], arg_int(cut.tiles));
    add_arg(&out[0], arg_int(step->tuning.block ? step->tuning.block : cut.block));
    return 1;
}

/* A few heights, each with a quarter, once and four times that much of x in a block. Tiles that come out alike are
 * measured once. */
static size_t tile_candidates(const struct plan *plan, const struct step *step, const struct method *m,
                              struct tuning *candidates)
{
    const size_t chosen = cut_rows(plan, step, m->rows, m->block_bytes).block;
    size_t count = 0, tiles = 0, height;
    add_candidate(candidates, &count, (struct tuning){0});
    for (size_t k = 0; (height = tile_candidate(m->rows, k)) > 0; k++) {
        if (cut_rows(plan, step, height, 0).tiles == tiles)
            continue;
        for (size_t bytes = m->block_bytes / 4; bytes <= 4 * m->block_bytes; bytes *= 4) {
            const struct cut cut = cut_rows(plan, step, height, bytes);
            tiles = cut.tiles;
            if (k > 0 || cut.block != chosen)
                add_candidate(candidates, &count, (struct tuning){.tile = height, .block = cut.block});
        }
    }
    return count;
}

/* How many panels a tile may have, `most` or fewer, so that each core gets `share` tiles and none waits for the last.
 */
static size_t few_panels(const struct plan *plan, const struct step *step, const struct facts *facts, size_t rows,
                         size_t most, size_t share)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    const size_t tiles = size_ceil_div(s.rows, rows);
    const size_t panels = size_ceil_div(s.n, PANEL_VECTORS * facts->vector_width);
    while (most > 1 && tiles * size_ceil_div(panels, most) < share * facts->units)
        most /= 2;
    return most;
}

/* ---- multiply-adds of floats; bf16 becomes float in registers, f16 in the core's first cache ---- */

/* Pairs of bf16 are read whole. */
static bool fits_pairs(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    (void)facts;
    return x->number != NUMBER_BF16 || x->cols % 2 == 0;
}

static struct method vector_method(const struct facts *facts, const char *option)
{
    return (struct method){.option = option, .rows = vector_rows(facts), .panels = 1, .block_bytes = VECTOR_BLOCK};
}

/* A tile's x, once it is float, serves several panels. */
static struct method panel_method(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    struct method method = vector_method(facts, "FMA");
    if (plan->tensors[step->input[0]].number == NUMBER_F16)
        method.panels = few_panels(plan, step, facts, method.rows, 4, 16);
    return method;
}

static size_t launch_panel(const struct plan *plan, const struct step *step, const struct facts *facts,
                           struct launch *out)
{
    const struct method method = panel_method(plan, step, facts);
    return launch_tiles(plan, step, facts, &method, out);
}

static size_t panel_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                               struct tuning *candidates)
{
    const struct method method = panel_method(plan, step, facts);
    return tile_candidates(plan, step, &method, candidates);
}

const struct variant MATMUL_PANEL = {.name = "panel",
                                     .layout = LAYOUT_PANELS,
                                     .reads = NUMBERS_ALL,
                                     .writes = NUMBERS_ALL,
                                     .obstacle = vector_obstacle,
                                     .fits = fits_pairs,
                                     .launch = launch_panel,
                                     .candidates = panel_candidates};

/* ---- dot products of bf16 pairs ---- */

static size_t dot_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct tuning *candidates)
{
    const struct method method = vector_method(facts, "BF16_DOT");
    return tile_candidates(plan, step, &method, candidates);
}

static size_t launch_dot(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    const struct method method = vector_method(facts, "BF16_DOT");
    return launch_tiles(plan, step, facts, &method, out);
}

const struct variant MATMUL_BF16_DOT = {.name = "bf16_dot",
                                        .layout = LAYOUT_PANELS,
                                        .reads = NUMBERS(NUMBER_BF16),
                                        .writes = NUMBERS(NUMBER_F32) | NUMBERS(NUMBER_BF16),
                                        .obstacle = dot_obstacle,
                                        .fits = fits_pairs,
                                        .launch = launch_dot,
                                        .candidates = dot_candidates};

/* ---- AMX ---- */

/* A tile register takes 32 numbers of a row. */
static bool fits_amx(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    (void)facts;
    return plan->tensors[step->input[0]].cols % 32 == 0;
}

/* Two registers of rows. A tile's x goes from the core's first cache past several panels. */
static struct method amx_method(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    struct method method = {.option = "AMX", .rows = 32, .block_bytes = AMX_BLOCK};
    method.panels = few_panels(plan, step, facts, method.rows, 8, 64);
    return method;
}

static size_t launch_amx(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    const struct method method = amx_method(plan, step, facts);
    return launch_tiles(plan, step, facts, &method, out);
}

static size_t amx_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct tuning *candidates)
{
    const struct method method = amx_method(plan, step, facts);
    return tile_candidates(plan, step, &method, candidates);
}

const struct variant MATMUL_AMX = {.name = "amx",
                                   .layout = LAYOUT_PANELS,
                                   .reads = NUMBERS(NUMBER_BF16),
                                   .writes = NUMBERS(NUMBER_F32) | NUMBERS(NUMBER_BF16),
                                   .obstacle = amx_obstacle,
                                   .fits = fits_amx,
                                   .launch = launch_amx,
                                   .candidates = amx_candidates};

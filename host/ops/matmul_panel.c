/* matmul_panel.c - matmul for CPUs: how rows and columns are shared out among the work-items of cl/matmul_panel.cl. */
#include "base/size.h"
#include "ops/matmul_internal.h"

/* Bytes of x that should stay in a core's cache while the panels of w pass by; w is read once for each such block. */
#define BLOCK_BYTES (4u << 20)

/* Tiles of at most `max_height` rows; `name` is the option that says how they are multiplied. */
static size_t launch_tiles(const struct plan *plan, const struct step *step, const struct facts *facts,
                           size_t max_height, const char *name, struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    size_t tiles = size_ceil_div(s.rows, max_height), height = size_ceil_div(s.rows, tiles);
    size_t panels = size_ceil_div(s.n, PANEL_VECTORS * facts->vector_width);
    size_t x_bytes = s.rows * s.k * number_bytes(plan->tensors[step->input[0]].number);
    size_t block = size_ceil_div(tiles, size_ceil_div(x_bytes, BLOCK_BYTES));

    out[0] = make_launch("matmul_panel", "matmul_panel", facts, 1, (size_t[]){tiles * panels, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_option(&out[0], "HEIGHT", height);
    add_option(&out[0], "K", s.k);
    add_option(&out[0], "ACTIVATION", step->activation);
    add_option(&out[0], name, 1);
    add_arg(&out[0], arg_tensor(step->input[0]));
    add_arg(&out[0], arg_tensor(step->weight[0]));
    add_arg(&out[0], arg_tensor(step->weight[1]));
    add_arg(&out[0], arg_tensor(step->output[0]));
    add_arg(&out[0], arg_int(s.rows));
    add_arg(&out[0], arg_int(s.n));
    add_arg(&out[0], arg_int(tiles));
    add_arg(&out[0], arg_int(block));
    return 1;
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
    return launch_tiles(plan, step, facts, vector_rows(facts), "FMA", out);
}

const struct variant MATMUL_PANEL = {.name = "panel",
                                     .layout = LAYOUT_PANELS,
                                     .reads_bf16 = true,
                                     .writes_bf16 = true,
                                     .obstacle = vector_obstacle,
                                     .fits = fits_pairs,
                                     .launch = launch_panel};

/* ---- dot products of bf16 pairs ---- */

static size_t launch_dot(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    return launch_tiles(plan, step, facts, vector_rows(facts), "BF16_DOT", out);
}

const struct variant MATMUL_BF16_DOT = {.name = "bf16_dot",
                                        .layout = LAYOUT_PANELS,
                                        .reads_bf16 = true,
                                        .only_bf16 = true,
                                        .writes_bf16 = true,
                                        .obstacle = dot_obstacle,
                                        .fits = fits_pairs,
                                        .launch = launch_dot};

/* ---- AMX ---- */

/* A tile register takes 32 numbers of a row. */
static bool fits_amx(const struct plan *plan, const struct step *step)
{
    return plan->tensors[step->input[0]].cols % 32 == 0;
}

/* Two registers of 16 rows. */
static size_t launch_amx(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    return launch_tiles(plan, step, facts, 32, "AMX", out);
}

const struct variant MATMUL_AMX = {.name = "amx",
                                   .layout = LAYOUT_PANELS,
                                   .reads_bf16 = true,
                                   .only_bf16 = true,
                                   .writes_bf16 = true,
                                   .obstacle = amx_obstacle,
                                   .fits = fits_amx,
                                   .launch = launch_amx};

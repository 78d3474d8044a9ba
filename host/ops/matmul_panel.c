/* matmul_panel.c - matmul for CPUs: how rows and columns are shared out among the work-items of cl/matmul_panel.cl. */
#include "base/size.h"
#include "ops/matmul_internal.h"

/* Bytes of x that should stay in a core's cache while the panels of w pass by. */
#define BLOCK_BYTES (1u << 20)

static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    size_t tiles = size_ceil_div(s.rows, vector_rows(facts)), height = size_ceil_div(s.rows, tiles);
    size_t panels = size_ceil_div(s.n, PANEL_VECTORS * facts->vector_width);
    size_t block = size_max(1, BLOCK_BYTES / (height * s.k * sizeof(float)));

    out[0] = make_launch("matmul_panel", "matmul_panel", facts, 1, (size_t[]){tiles * panels, 1, 1});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_option(&out[0], "HEIGHT", height);
    add_option(&out[0], "K", s.k);
    add_arg(&out[0], arg_tensor(step->input[0]));
    add_arg(&out[0], arg_tensor(step->weight[0]));
    add_arg(&out[0], arg_tensor(step->weight[1]));
    add_arg(&out[0], arg_tensor(step->output[0]));
    add_arg(&out[0], arg_int(s.rows));
    add_arg(&out[0], arg_int(s.n));
    add_arg(&out[0], arg_int(tiles));
    add_arg(&out[0], arg_int(size_min(block, tiles)));
    add_arg(&out[0], arg_int(step->activation));
    return 1;
}

const struct variant MATMUL_PANEL = {
    .name = "panel", .layout = LAYOUT_PANELS, .obstacle = vector_obstacle, .launch = launch};

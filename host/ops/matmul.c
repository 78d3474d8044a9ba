/* matmul.c - y [rows,N] = activation(x [rows,K] W^T + bias [N]), W [N,K] as in the file. */
#include "base/size.h"
#include "ops/matmul_internal.h"

/* What CLBlast costs before its first product: its kernels compile for seconds (9 s on PoCL, 3 s on Intel's CPU
 * runtime, 1 s on Mesa). A plan below this many FLOPs is done sooner without. */
#define CLBLAST_MIN_FLOPS 2e9

struct matmul_shape matmul_shape(const struct plan *plan, const struct step *step)
{
    const struct tensor *x = &plan->tensors[step->input[0]];
    return (struct matmul_shape){.rows = x->rows, .n = plan->tensors[step->output[0]].cols, .k = x->cols};
}

static void cost(const struct plan *plan, struct step *step)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    double rows = (double)s.rows, n = (double)s.n, k = (double)s.k;
    step->flops = 2 * rows * n * k;
    step->bytes = sizeof(float) * (rows * k + n * k + n + rows * n);
}

/* Eight sums side by side: the compiler keeps them in vectors, and the order of additions does not depend on it. */
static double dot(const float *a, const float *b, size_t count)
{
    double sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < count; i++)
        sum[0] += (double)a[i] * (double)b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void reference(const struct plan *plan, const struct step *step, float *const *data, size_t first, size_t last)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    size_t n = s.n, k = s.k;
    const float *x = data[step->input[0]], *w = data[step->weight[0]], *bias = data[step->weight[1]];
    float *y = data[step->output[0]];
    for (size_t j = 0; j < n; j++) /* a row of W serves all rows of x while it is in the cache */
        for (size_t row = first; row < last; row++)
            y[row * n + j] = (float)activate(step->activation, dot(x + row * k, w + j * k, k) + (double)bias[j]);
}

/* ---- variants ---- */

void add_matmul_args(const struct plan *plan, const struct step *step, struct launch *launch)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    add_arg(launch, arg_tensor(step->input[0]));
    add_arg(launch, arg_tensor(step->weight[0]));
    add_arg(launch, arg_tensor(step->weight[1]));
    add_arg(launch, arg_tensor(step->output[0]));
    add_arg(launch, arg_int(s.rows));
    add_arg(launch, arg_int(s.n));
}

/* Work-items of a group on a CPU, 1 to 16: its columns of w, group * tile * K floats, should stay in a core's cache
 * while the group's successors walk down the rows. */
static size_t cpu_group(size_t k, size_t tile)
{
    const size_t cache = 256 << 10;
    size_t group = 16;
    while (group > 1 && group * tile * k * sizeof(float) > cache)
        group /= 2;
    return group;
}

static size_t launch_portable(const struct plan *plan, const struct step *step, const struct facts *facts,
                              struct launch *out)
{
    enum { TILE = 8 }; /* rows and columns of one work-item, as in cl/matmul.cl */
    const struct matmul_shape s = matmul_shape(plan, step);
    size_t group = size_min(facts->is_cpu && facts->has_compiler ? cpu_group(s.k, TILE) : 64, facts->max_work_group);
    size_t row_tiles = size_ceil_div(s.rows, TILE), column_groups = size_ceil_div(size_ceil_div(s.n, TILE), group);
    out[0] =
        make_launch("matmul", "matmul_portable", facts, group, (size_t[]){row_tiles * column_groups * group, 1, 1});
    add_matmul_args(plan, step, out);
    add_arg(out, arg_int(s.k));
    add_arg(out, arg_int(step->activation));
    return 1;
}

static const char *clblast_obstacle(const struct facts *facts)
{
    return facts->has_compiler ? NULL : "CLBlast needs a device with a compiler";
}

static size_t launch_clblast(const struct plan *plan, const struct step *step, const struct facts *facts,
                             struct launch *out)
{
    const struct matmul_shape s = matmul_shape(plan, step);
    out[0] = (struct launch){.m = s.rows, .n = s.n, .k = s.k};
    add_arg(&out[0], arg_tensor(step->input[0]));
    add_arg(&out[0], arg_tensor(step->weight[0]));
    add_arg(&out[0], arg_tensor(step->output[0]));
    out[1] = make_launch("bias_act", "bias_act", facts, 64, (size_t[]){size_ceil_div(s.n, 8), s.rows, 1});
    add_arg(&out[1], arg_tensor(step->output[0]));
    add_arg(&out[1], arg_tensor(step->weight[1]));
    add_arg(&out[1], arg_int(s.n));
    add_arg(&out[1], arg_int(step->activation));
    return 2;
}

static const struct variant CLBLAST = {
    .name = "clblast", .layout = LAYOUT_TRANSPOSED, .obstacle = clblast_obstacle, .launch = launch_clblast};
static const struct variant PORTABLE = {.name = "portable",
                                        .layout = LAYOUT_TRANSPOSED,
                                        .reads = NUMBERS_ALL,
                                        .writes = NUMBERS_ALL,
                                        .launch = launch_portable};

static const struct variant *choose(const struct plan *plan, const struct facts *facts, const char **reason)
{
    double flops = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].op == OP_MATMUL)
            flops += plan->steps[s].flops;
    if (!MATMUL_PANEL.obstacle(facts)) {
        *reason = "a CPU with vectors: measured at nine tenths of its peak";
        return &MATMUL_PANEL;
    }
    if (variant_suits(&MATMUL_TILE, facts)) {
        *reason = "a GPU with local memory: bias and activation in the kernel; not measured against CLBlast yet";
        return &MATMUL_TILE;
    }
    if (clblast_obstacle(facts)) {
        *reason = "CLBlast can not run here";
    } else if (facts->is_cpu) {
        *reason = "a CPU: measured faster than CLBlast";
    } else if (flops < CLBLAST_MIN_FLOPS) {
        *reason = "under 2 GFLOP of matmul: done before CLBlast has compiled";
    } else {
        *reason = "a GPU, and 2 GFLOP of matmul or more";
        return &CLBLAST;
    }
    return &PORTABLE;
}

const struct operation MATMUL = {
    .cost = cost,
    .reference = reference,
    .variants = {&MATMUL_AMX, &MATMUL_BF16_DOT, &MATMUL_MMA, &MATMUL_PANEL, &MATMUL_TILE, &CLBLAST, &PORTABLE},
    .choose = choose};

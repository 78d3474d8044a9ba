/* attention_group.c - attention for GPUs: how queries are shared out among the work-groups of cl/attention_group.cl,
 * and what they need of local memory. A pooling head's attention is the same with one query.
 */
#include "base/size.h"
#include "ops/attention_internal.h"

/* As in cl/attention_group.cl. */
#define ACROSS  8
#define DOWN    16
#define WORKERS (DOWN * ACROSS)
#define KEYS    (4 * ACROSS) /* at a time, for each vector of keys that a work-item has */

/* Queries of a work-item. Of heads of 64 numbers Intel's compiler for Xe HPC keeps 2, but not 4 in registers. */
#define SAFE_ROWS 2
#define MAX_ROWS  4

/* What OpenCL promises of every device; where local memory lies elsewhere, more of it is no gain. */
#define LEAST_LOCAL_MEMORY ((size_t)32 << 10)

/* Bytes of local memory for DOWN * rows queries and KEYS * key_vectors keys at a time. */
static size_t tile_bytes(size_t head_size, size_t rows, size_t key_vectors)
{
    const size_t stride = size_ceil_div(head_size, 4) | 1, queries = DOWN * rows, keys = KEYS * key_vectors;
    return 4 * sizeof(float) * ((queries + keys) * stride + queries * (keys / 4 + 1) + queries * ACROSS / 4);
}

static size_t room(const struct facts *facts)
{
    return facts->local_memory ? facts->local_memory : LEAST_LOCAL_MEMORY;
}

static size_t group_count(const struct geometry *g, size_t rows)
{
    return size_ceil_div(g->tokens, DOWN * rows) * g->heads * g->batch;
}

/* Each row more is one time less that keys and values are read; but every unit should have a group, and room for two,
 * so that one multiplies while the other waits. */
static size_t rows_of(const struct geometry *g, const struct facts *facts)
{
    size_t rows = 1;
    while (rows < SAFE_ROWS && group_count(g, 2 * rows) >= facts->units &&
           2 * tile_bytes(g->head_size, 2 * rows, 1) <= room(facts))
        rows *= 2;
    return rows;
}

static const char *obstacle(const struct facts *facts)
{
    if (!facts->has_compiler)
        return "it is compiled for each head size";
    return facts->max_work_group < WORKERS ? "it needs work-groups of 128" : NULL;
}

static bool fits(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    (void)step;
    return tile_bytes(plan->geometry.head_size, 1, 1) <= room(facts);
}

/* By their form. */
static const char *const KERNELS[] = {"attention_group", "attention_group_biased", "attention_group_masked",
                                      "attention_pool_group", "attention_pool_group_masked"};

static struct launch make_group_launch(enum form form, const struct geometry *g, const struct facts *facts, size_t rows,
                                       size_t key_vectors, const size_t groups[3])
{
    struct launch launch = make_launch("attention_group", KERNELS[form], facts, WORKERS,
                                       (size_t[]){groups[0] * WORKERS, groups[1], groups[2]});
    add_option(&launch, "HEAD_SIZE", g->head_size);
    add_option(&launch, "ROWS", rows);
    add_option(&launch, "KEY_VECTORS", key_vectors);
    add_option(&launch, "ONLY", form);
    return launch;
}

/* In a tuning `tile` is the queries of a group, `block` the keys at a time. */
static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const size_t rows = step->tuning.tile ? step->tuning.tile / DOWN : rows_of(g, facts);
    const size_t key_vectors = step->tuning.block ? step->tuning.block / KEYS : 1;

    out[0] = make_group_launch(form_of(step), g, facts, rows, key_vectors,
                               (size_t[]){size_ceil_div(g->tokens, DOWN * rows), g->heads, g->batch});
    add_attention_args(plan, step, 0, &out[0]);
    return 1;
}

/* All that local memory has room for. */
static size_t candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *found)
{
    const struct geometry *g = &plan->geometry;
    size_t count = 0;
    (void)step;
    add_candidate(found, &count, (struct tuning){0});
    for (size_t rows = 1; rows <= MAX_ROWS; rows *= 2)
        for (size_t key_vectors = 1; key_vectors <= 2; key_vectors++)
            if (tile_bytes(g->head_size, rows, key_vectors) <= room(facts) &&
                (rows != rows_of(g, facts) || key_vectors > 1))
                add_candidate(found, &count, (struct tuning){.tile = DOWN * rows, .block = KEYS * key_vectors});
    return count;
}

const struct variant ATTENTION_GROUP = {.name = "group",
                                        .reads = NUMBERS_ALL,
                                        .writes = NUMBERS_ALL,
                                        .obstacle = obstacle,
                                        .suits = suits_groups,
                                        .fits = fits,
                                        .launch = launch,
                                        .candidates = candidates};

/* ---- a pooling head's attention ---- */

static size_t launch_pool(const struct plan *plan, const struct step *step, const struct facts *facts,
                          struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const bool masked = step->input[1] != NO_TENSOR;
    out[0] =
        make_group_launch(masked ? FORM_POOL_MASKED : FORM_POOL, g, facts, 1, 1, (size_t[]){g->heads, g->batch, 1});
    add_attention_pool_args(plan, step, 0, &out[0]);
    return 1;
}

const struct variant ATTENTION_POOL_GROUP = {
    .name = "group", .obstacle = obstacle, .suits = suits_groups, .fits = fits, .launch = launch_pool};

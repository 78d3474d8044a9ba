/* attention_fused.c - attention for CPUs, in vectors and in AMX's tiles: how queries, heads and images are shared out.
 */
#include "base/size.h"
#include "ops/attention_internal.h"

#define MAX_KEYS 224 /* KEYS in cl/attention_fused.cl */

/* Keys of a tile: the most, or those of which `count` waste less. Two choices are enough, and few programs. */
static size_t tile_of(size_t count, size_t most)
{
    size_t less = most * 4 / 5;
    return size_round_up(count, less) < size_round_up(count, most) ? less : most;
}

static size_t largest_divisor(size_t count, size_t max)
{
    size_t divisor = size_min(count, max);
    while (count % divisor)
        divisor--;
    return divisor;
}

/* Keys at a time, where the tokens come in `parts` equal parts, or as many as it takes. */
static size_t keys_of(const struct geometry *g, size_t parts)
{
    return size_ceil_div(g->tokens, size_max(parts, size_ceil_div(g->tokens, MAX_KEYS)));
}

/* In a tuning `tile` is the keys of a tile, `block` the keys at a time. */
static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const bool biased = step->weight[0] != NO_TENSOR, masked = step->input[1] != NO_TENSOR;
    const char *kernel = biased ? "attention_fused_biased" : masked ? "attention_fused_masked" : "attention_fused";
    size_t max_tile = vector_rows(facts);
    size_t key_tile = step->tuning.tile ? step->tuning.tile : tile_of(g->tokens, max_tile);
    size_t keys = step->tuning.block ? step->tuning.block : keys_of(g, 1);
    size_t blocks = size_ceil_div(g->tokens, PANEL_VECTORS * facts->vector_width);

    out[0] = make_launch("attention_fused", kernel, facts, 1, (size_t[]){blocks, g->heads, g->batch});
    add_option(&out[0], "VECTOR", facts->vector_width);
    add_option(&out[0], "HEAD_SIZE", g->head_size);
    add_option(&out[0], "KEY_TILE", key_tile);
    add_option(&out[0], "VALUE_TILE", largest_divisor(g->head_size, max_tile));
    add_attention_args(plan, step, keys, &out[0]);
    return 1;
}

/* A few tiles, with as many keys at a time as there may be, a half and a quarter of them. */
static size_t candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *found)
{
    const struct geometry *g = &plan->geometry;
    const size_t chosen = tile_of(g->tokens, vector_rows(facts)), most = size_ceil_div(g->tokens, keys_of(g, 1));
    size_t count = 0, tile;
    (void)step;
    add_candidate(found, &count, (struct tuning){0});
    for (size_t k = 0; (tile = tile_candidate(vector_rows(facts), k)) > 0; k++)
        for (size_t parts = most; parts <= 4 * most; parts *= 2)
            if (tile != chosen || parts > most)
                add_candidate(found, &count, (struct tuning){.tile = tile, .block = keys_of(g, parts)});
    return count;
}

const struct variant ATTENTION_FUSED = {.name = "fused",
                                        .reads = NUMBERS_ALL,
                                        .writes = NUMBERS_ALL,
                                        .obstacle = vector_obstacle,
                                        .launch = launch,
                                        .candidates = candidates};

/* ---- AMX ---- */

#define AMX_ROWS     32   /* QUERIES in cl/attention_amx.cl */
#define AMX_MAX_KEYS 4096 /* of which a work-item holds all, on its stack: 2 MB */

static bool fits_amx(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    const struct geometry *g = &plan->geometry;
    (void)facts;
    return step->weight[0] == NO_TENSOR && g->tokens <= AMX_MAX_KEYS && g->head_size <= 128 && g->head_size % 2 == 0 &&
           plan->tensors[step->output[0]].number == NUMBER_BF16;
}

/* Laying out a head's keys pays for all its queries: they are shared out only where there are too few heads for the
 * device's cores. */
static size_t launch_amx(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct launch *out)
{
    const struct geometry *g = &plan->geometry;
    const bool masked = step->input[1] != NO_TENSOR;
    size_t shares = size_min(size_ceil_div(4 * facts->units, g->batch * g->heads), size_ceil_div(g->tokens, AMX_ROWS));

    out[0] = make_launch("attention_amx", masked ? "attention_amx_masked" : "attention_amx", facts, 1,
                         (size_t[]){shares, g->heads, g->batch});
    add_option(&out[0], "AMX", 1);
    add_option(&out[0], "HEAD_SIZE", g->head_size);
    add_option(&out[0], "KEYS", size_round_up(g->tokens, 32));
    add_attention_args(plan, step, 0, &out[0]);
    return 1;
}

const struct variant ATTENTION_AMX = {.name = "amx",
                                      .reads = NUMBERS(NUMBER_BF16),
                                      .writes = NUMBERS(NUMBER_F32) | NUMBERS(NUMBER_BF16),
                                      .obstacle = amx_obstacle,
                                      .fits = fits_amx,
                                      .launch = launch_amx};

/* attention_mma.c - attention by the matrix instructions of GPUs (cl/attention_mma.cl, cl/matrix.cl), of 16-bit numbers
 * with softmax and sums in float. On a CPU the instructions are emulated, to check all that is around them.
 */
#include "base/size.h"
#include "ops/attention_internal.h"

#define WAVE_QUERIES 16
#define MAX_WAVES    8 /* of a group */
#define MOST_NUMBERS 128
#define LEAST_KEYS   32
#define MOST_KEYS    128

/* Waves, unless there are too few queries for all units: as many as share each key and value that is read. */
#define WAVES 4

/* What OpenCL promises of every device; where local memory lies elsewhere, more of it is no gain. */
#define LEAST_LOCAL_MEMORY ((size_t)32 << 10)

/* As in cl/matrix.cl. */
static enum matrix_unit unit_of(const struct facts *facts)
{
    return facts->matrix ? facts->matrix : MATRIX_MMA;
}

static size_t wave_items(const struct facts *facts)
{
    return unit_of(facts) == MATRIX_MFMA ? 64 : 32;
}

/* Bytes of local memory: keys or in their place weights, values, and what the work-items of a wave tell each other. */
static size_t tile_bytes(size_t head_size, size_t waves, size_t keys, const struct facts *facts)
{
    const size_t wide = size_round_up(head_size, 16), queries = waves * WAVE_QUERIES;
    const size_t columns = unit_of(facts) == MATRIX_MMA ? 8 : 16;
    const size_t emulation = facts->is_cpu ? waves * 8 * (16 + columns) : 0;
    const size_t pairs = size_max(keys * (wide / 2 + 4), queries * (keys / 2 + 4)) + keys / 2 * (wide + 8);
    return 4 * (pairs + queries * columns + emulation);
}

static size_t room(const struct facts *facts)
{
    return facts->local_memory ? facts->local_memory : LEAST_LOCAL_MEMORY;
}

static bool can_run(const struct geometry *g, size_t waves, size_t keys, const struct facts *facts)
{
    return waves * wave_items(facts) <= facts->max_work_group &&
           tile_bytes(g->head_size, waves, keys, facts) <= room(facts);
}

static size_t waves_of(const struct geometry *g, const struct facts *facts)
{
    size_t waves = WAVES;
    while (waves > 1 && (!can_run(g, waves, LEAST_KEYS, facts) ||
                         size_ceil_div(g->tokens, waves * WAVE_QUERIES) * g->heads * g->batch < facts->units))
        waves /= 2;
    return waves;
}

/* More keys at a time are fewer times that waves wait for each other; but two groups should have room, so that one
 * multiplies while the other waits, and scores of 64 keys are more than clang for gfx1100 keeps in registers. */
static size_t keys_of(const struct geometry *g, size_t waves, const struct facts *facts)
{
    const bool more = unit_of(facts) != MATRIX_WMMA && 2 * tile_bytes(g->head_size, waves, 64, facts) <= room(facts);
    return more ? 64 : LEAST_KEYS;
}

static const char *obstacle(const struct facts *facts)
{
    if (!facts->is_cpu && facts->matrix == MATRIX_NONE)
        return "no matrix instructions were found";
    if (!facts->has_compiler)
        return "it is compiled for each head size";
    return facts->max_work_group < wave_items(facts) ? "its work-groups are larger than the device allows" : NULL;
}

static bool suits(const struct facts *facts)
{
    return facts->matrix != MATRIX_NONE && suits_groups(facts);
}

/* Rows are read by vectors of eight numbers. */
static bool fits(const struct plan *plan, const struct step *step, const struct facts *facts)
{
    const struct geometry *g = &plan->geometry;
    (void)step;
    return g->head_size % 8 == 0 && g->head_size <= MOST_NUMBERS && can_run(g, 1, LEAST_KEYS, facts);
}

/* In a tuning `tile` is the queries of a group, `block` the keys at a time. */
static size_t launch(const struct plan *plan, const struct step *step, const struct facts *facts, struct launch *out)
{
    static const char *const KERNELS[] = {"attention_mma", "attention_mma_biased", "attention_mma_masked"};
    const struct geometry *g = &plan->geometry;
    const enum form form = form_of(step);
    const size_t waves = step->tuning.tile ? step->tuning.tile / WAVE_QUERIES : waves_of(g, facts);
    const size_t keys = step->tuning.block ? step->tuning.block : keys_of(g, waves, facts);
    const size_t items = waves * wave_items(facts), blocks = size_ceil_div(g->tokens, waves * WAVE_QUERIES);

    out[0] = make_launch("attention_mma", KERNELS[form], facts, items, (size_t[]){blocks * items, g->heads, g->batch});
    add_option(&out[0], "MATRIX", unit_of(facts));
    if (facts->is_cpu)
        add_option(&out[0], "EMULATED", 1);
    add_option(&out[0], "HEAD_SIZE", g->head_size);
    add_option(&out[0], "KEYS", keys);
    add_option(&out[0], "WAVES", waves);
    add_option(&out[0], "ONLY", form);
    add_attention_args(plan, step, 0, &out[0]);
    return 1;
}

/* All that local memory has room for. */
static size_t candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                         struct tuning *found)
{
    const struct geometry *g = &plan->geometry;
    const size_t chosen = waves_of(g, facts);
    size_t count = 0;
    (void)step;
    add_candidate(found, &count, (struct tuning){0});
    for (size_t waves = 1; waves <= MAX_WAVES; waves *= 2)
        for (size_t keys = LEAST_KEYS; keys <= MOST_KEYS; keys *= 2)
            if (can_run(g, waves, keys, facts) && (waves != chosen || keys != keys_of(g, waves, facts)))
                add_candidate(found, &count, (struct tuning){.tile = WAVE_QUERIES * waves, .block = keys});
    return count;
}

const struct variant ATTENTION_MMA = {.name = "mma",
                                      .reads = NUMBERS(NUMBER_BF16) | NUMBERS(NUMBER_F16),
                                      .writes = NUMBERS_ALL,
                                      .obstacle = obstacle,
                                      .suits = suits,
                                      .fits = fits,
                                      .launch = launch,
                                      .candidates = candidates};

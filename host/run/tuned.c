/* tuned.c - see tuned.h. A file holds a tuning as text. It is taken only where it is one of those that the step's
 * variant offers today, so that no content of a file can launch anything else. */
#include "run/tuned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "tune"

size_t tuned_candidates(const struct plan *plan, const struct step *step, const struct facts *facts,
                        struct tuning candidates[MAX_CANDIDATES])
{
    return step->variant->candidates ? step->variant->candidates(plan, step, facts, candidates) : 0;
}

static void add_tensor(struct text *key, const struct plan *plan, const char *what, int number)
{
    const struct tensor *tensor = &plan->tensors[number];
    if (number != NO_TENSOR)
        text_add(key, "%s %zux%zu, number %d, layout %d of %zu\n", what, tensor->rows, tensor->cols,
                 (int)tensor->number, (int)tensor->layout, tensor->panel);
}

struct text tuned_key(const struct plan *plan, const struct step *step)
{
    const struct geometry *g = &plan->geometry;
    struct text key = {0};
    text_add(&key, "operation %s\nvariant %s\nactivation %d\n", plan_op_name(step->op), step->variant->name,
             (int)step->activation);
    text_add(&key, "batch %zu, tokens %zu, heads %zu of %zu\n", g->batch, g->tokens, g->heads, g->head_size);
    for (size_t i = 0; i < STEP_INPUTS; i++)
        add_tensor(&key, plan, "input", step->input[i]);
    for (size_t i = 0; i < STEP_WEIGHTS; i++)
        add_tensor(&key, plan, "weight", step->weight[i]);
    for (size_t i = 0; i < STEP_OUTPUTS; i++)
        add_tensor(&key, plan, "output", step->output[i]);
    return key;
}

struct content {
    char chars[64];
};

static struct content content_of(struct tuning tuning)
{
    struct content content;
    snprintf(content.chars, sizeof content.chars, "tile %zu block %zu\n", tuning.tile, tuning.block);
    return content;
}

/* The candidate that is kept for a step. */
static bool read_tuning(const struct plan *plan, const struct step *step, const struct device *device,
                        struct tuning *tuning)
{
    struct tuning candidates[MAX_CANDIDATES];
    const size_t count = tuned_candidates(plan, step, device_facts(device), candidates);
    struct text key = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    bool found = false;
    if (count > 0)
        key = tuned_key(plan, step);
    if (count > 0 && !key.failed && device_cache_read(device, KIND, key.chars, &bytes, &size))
        for (size_t i = 0; i < count && !found; i++) {
            const struct content content = content_of(candidates[i]);
            *tuning = candidates[i];
            found = size == strlen(content.chars) && memcmp(bytes, content.chars, size) == 0;
        }
    free(bytes);
    text_free(&key);
    return found;
}

bool tuned_keep(const struct plan *plan, const struct step *step, const struct device *device, struct tuning best)
{
    const struct content content = content_of(best);
    struct tuning kept;
    struct text key = tuned_key(plan, step);
    if (!key.failed)
        device_cache_write(device, KIND, key.chars, content.chars, strlen(content.chars));
    text_free(&key);
    return read_tuning(plan, step, device, &kept) && kept.tile == best.tile && kept.block == best.block;
}

void tuned_recall(struct plan *plan, const struct device *device)
{
    for (size_t s = 0; device && device_cache_on(device) && s < plan->step_count; s++) {
        struct step *step = &plan->steps[s];
        struct tuning tuning;
        step->tuned = read_tuning(plan, step, device, &tuning);
        if (step->tuned)
            step->tuning = tuning;
    }
}

/* programs.c - the programs of plans, and the one binary that may hold all of a plan's. */
#include "run/programs.h"
#include "run/fit.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *left, const void *right)
{
    const struct program_kernel *a = left, *b = right;
    int order = strcmp(a->stem, b->stem);
    if (!order)
        order = strcmp(a->options, b->options);
    return order ? order : strcmp(a->kernel, b->kernel);
}

static bool add(struct program_list *list, const struct launch *launch)
{
    struct program_kernel added = {.stem = launch->program, .kernel = launch->kernel};
    memcpy(added.options, launch->options, sizeof added.options);
    for (size_t i = 0; i < list->count; i++)
        if (compare(&list->kernels[i], &added) == 0)
            return true;
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 16;
        struct program_kernel *grown = realloc(list->kernels, capacity * sizeof *grown);
        if (!grown)
            return false;
        list->kernels = grown;
        list->capacity = capacity;
    }
    list->kernels[list->count++] = added;
    return true;
}

vitcl_status programs_add(struct program_list *list, const struct plan *plan, const struct facts *facts,
                          vitcl_error *err)
{
    for (size_t s = 0; s < plan->step_count; s++) {
        struct launch launches[MAX_LAUNCHES] = {0};
        const size_t count = step_launches(plan, &plan->steps[s], facts, launches);
        for (size_t i = 0; i < count; i++)
            if (launches[i].kernel && !add(list, &launches[i]))
                return fail_memory(err, 2 * list->capacity * sizeof *list->kernels);
    }
    if (list->count)
        qsort(list->kernels, list->count, sizeof *list->kernels, compare);
    return VITCL_OK;
}

void programs_free(struct program_list *list)
{
    free(list->kernels);
    memset(list, 0, sizeof *list);
}

size_t program_end(const struct program_list *list, size_t first)
{
    size_t end = first + 1;
    while (end < list->count && strcmp(list->kernels[end].stem, list->kernels[first].stem) == 0 &&
           strcmp(list->kernels[end].options, list->kernels[first].options) == 0)
        end++;
    return end;
}

/* Options hold for a whole file, and no two kernels of one may have the same name. */
static bool fit_one_file(const struct program_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(list->kernels[i].options, list->kernels[k].options) != 0 ||
                strcmp(list->kernels[i].kernel, list->kernels[k].kernel) == 0)
                return false;
    return list->count > 0;
}

vitcl_status programs_whole(const struct program_list *list, struct text *text, char name[PROGRAM_NAME_SIZE],
                            vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const char **stems;
    size_t count = 0;
    *name = '\0';
    if (!fit_one_file(list))
        return VITCL_OK;
    stems = calloc(list->count, sizeof *stems);
    if (!stems)
        return fail_memory(err, list->count * sizeof *stems);
    for (size_t i = 0; i < list->count; i = program_end(list, i))
        stems[count++] = list->kernels[i].stem;
    status = program_text(text, list->kernels[0].options, stems, count, err);
    if (status == VITCL_OK)
        program_name(name, "kernels", text);
    free(stems);
    return status;
}

/* All that the model has. */
static unsigned outputs_of(const struct config *config)
{
    switch (config->head) {
    case HEAD_INFER:
    case HEAD_NONE:
        return VITCL_OUTPUT_HIDDEN;
    case HEAD_POOLED:
    case HEAD_POOLER:
    case HEAD_PROJECTION:
        return VITCL_OUTPUT_HIDDEN | VITCL_OUTPUT_EMBEDDING;
    case HEAD_CLASSIFIER:
        return VITCL_OUTPUT_HIDDEN | VITCL_OUTPUT_EMBEDDING | VITCL_OUTPUT_LOGITS;
    case HEAD_TWO_CLASSIFIERS:
        break;
    }
    return VITCL_OUTPUT_HIDDEN | VITCL_OUTPUT_LOGITS;
}

vitcl_status programs_add_request(struct program_list *list, const struct request *request, const struct facts *facts,
                                  vitcl_error *err)
{
    const unsigned all = outputs_of(request->config);
    for (unsigned outputs = 1; outputs <= all; outputs++) {
        struct request one = *request;
        struct plan plan;
        vitcl_status status;
        if (outputs & ~all)
            continue;
        one.outputs = outputs;
        status = plan_for(&plan, &one, facts, err);
        if (status == VITCL_OK) {
            status = programs_add(list, &plan, facts, err);
            plan_free(&plan);
        }
        if (status != VITCL_OK)
            return status;
    }
    return VITCL_OK;
}

vitcl_status programs_load(struct device *device, const struct request *request, vitcl_error *err)
{
    struct program_list list = {0};
    struct text text = {0};
    char name[PROGRAM_NAME_SIZE];
    vitcl_status status;
    TRY(programs_add_request(&list, request, device_facts(device), err));
    TRY(programs_whole(&list, &text, name, err));
    TRY(prebuilt_load_whole(device, *name ? name : NULL, err));
done:
    text_free(&text);
    programs_free(&list);
    return status;
}

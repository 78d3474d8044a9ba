/* memory.c - lays all activations of a plan into one arena.
 *
 * Two tensors may share bytes when no step needs both. The largest tensor is placed first, each at the lowest offset
 * where it meets no tensor that lives at the same time: the greedy-by-size rule of Pisarchyk and Lee, "Efficient
 * Memory Management for Deep Neural Net Inference". A tensor may also take the very place of one that its producer
 * reads for the last time, element by element (`reuse`): then both are placed as one.
 */
#include "base/size.h"
#include "plan/plan.h"

#include <stdlib.h>

/* Tensors that share one place: the first of a reuse chain stands for all. */
struct block {
    int tensor;
    int first, last; /* steps during which the place is taken, inclusive */
    size_t bytes, offset;
};

static void find_lifetimes(struct plan *plan)
{
    for (size_t t = 0; t < plan->tensor_count; t++)
        plan->tensors[t].last_use = plan->tensors[t].keep ? (int)plan->step_count : plan->tensors[t].producer;
    for (size_t s = 0; s < plan->step_count; s++) {
        for (size_t i = 0; i < STEP_INPUTS; i++) {
            int input = plan->steps[s].input[i];
            if (input != NO_TENSOR && plan->tensors[input].last_use < (int)s)
                plan->tensors[input].last_use = (int)s;
        }
    }
}

/* The tensor whose place t takes, itself where it has its own. */
static int root_of(const struct plan *plan, int t)
{
    for (;;) {
        const struct tensor *tensor = &plan->tensors[t];
        int from = tensor->reuse;
        if (from == NO_TENSOR || plan->tensors[from].last_use != tensor->producer ||
            plan->tensors[from].bytes != tensor->bytes)
            return t;
        t = from;
    }
}

static int larger_first(const void *left, const void *right)
{
    const struct block *a = left, *b = right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a->tensor - b->tensor; /* qsort is not stable; plans must be reproducible */
}

/* One block per place, covering the lives of all tensors that share it. Returns the count. */
static size_t collect(const struct plan *plan, struct block *blocks, size_t align)
{
    size_t count = 0;
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        int root;
        if (tensor->weight)
            continue;
        root = root_of(plan, (int)t);
        if (root == (int)t) {
            blocks[count++] = (struct block){.tensor = root,
                                             .first = tensor->producer,
                                             .last = tensor->last_use,
                                             .bytes = size_round_up(tensor->bytes, align)};
            continue;
        }
        for (size_t i = 0; i < count; i++) /* a root comes before those that reuse it */
            if (blocks[i].tensor == root && blocks[i].last < tensor->last_use)
                blocks[i].last = tensor->last_use;
    }
    return count;
}

/* The lowest offset at which a block meets none of the `placed` ones, which are sorted by offset. */
static size_t lowest_gap(struct block *const *placed, size_t count, const struct block *block)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (placed[i]->last < block->first || block->last < placed[i]->first)
            continue;
        if (placed[i]->offset >= offset + block->bytes)
            break;
        offset = size_max(offset, placed[i]->offset + placed[i]->bytes);
    }
    return offset;
}

static void insert_sorted(struct block **placed, size_t count, struct block *block)
{
    size_t i = count;
    for (; i > 0 && placed[i - 1]->offset > block->offset; i--)
        placed[i] = placed[i - 1];
    placed[i] = block;
}

vitcl_status plan_place(struct plan *plan, size_t align, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    struct block *blocks = calloc(plan->tensor_count + 1, sizeof *blocks);
    struct block **placed = calloc(plan->tensor_count + 1, sizeof(struct block *));
    size_t count;

    if (!blocks || !placed)
        TRY(fail_memory(err, plan->tensor_count * sizeof *blocks));
    find_lifetimes(plan);
    count = collect(plan, blocks, align);
    qsort(blocks, count, sizeof *blocks, larger_first);
    plan->arena_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        size_t end;
        blocks[i].offset = lowest_gap(placed, i, &blocks[i]);
        if (!size_add(blocks[i].offset, blocks[i].bytes, &end))
            TRY(fail(err, VITCL_ERROR_MEMORY, "the plan's activations do not fit into this machine's address space"));
        insert_sorted(placed, i, &blocks[i]);
        plan->tensors[blocks[i].tensor].offset = blocks[i].offset;
        plan->arena_bytes = size_max(plan->arena_bytes, end);
    }
    for (size_t t = 0; t < plan->tensor_count; t++)
        if (!plan->tensors[t].weight)
            plan->tensors[t].offset = plan->tensors[root_of(plan, (int)t)].offset;
done:
    free(blocks);
    free(placed);
    return status;
}

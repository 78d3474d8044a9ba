/* memory.c - lays all activations of a plan into one arena, which may have to be several buffers.
 *
 * Two tensors may share bytes when no step needs both. The largest tensor is placed first, each at the lowest offset
 * where it meets no tensor that lives at the same time: the greedy-by-size rule of Pisarchyk and Lee, "Efficient
 * Memory Management for Deep Neural Net Inference". A tensor may also take the very place of one that its producer
 * reads for the last time, element by element (`reuse`): then both are placed as one.
 *
 * Where a buffer has a largest size, offsets are first given as if the arena were so many buffers of that size in a
 * row, none of whose borders a tensor may cross; then each buffer ends where its last tensor ends.
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

struct segment plan_segment(const struct plan *plan, size_t number)
{
    struct segment segment = {.first = SIZE_MAX};
    size_t end = 0;
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *tensor = &plan->tensors[t];
        if (tensor->weight || tensor->segment != number)
            continue;
        segment.first = size_min(segment.first, tensor->offset);
        end = size_max(end, tensor->offset + tensor->bytes);
    }
    segment.bytes = end - segment.first;
    return segment;
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

/* The offset, or the next one at which so many bytes cross no border between segments of `most` bytes. */
static size_t inside_segment(size_t offset, size_t bytes, size_t most)
{
    return most && offset % most + bytes > most ? size_round_up(offset, most) : offset;
}

/* The lowest offset at which a block meets none of the `placed` ones, which are sorted by offset. */
static size_t lowest_gap(struct block *const *placed, size_t count, const struct block *block, size_t most)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (placed[i]->last < block->first || block->last < placed[i]->first)
            continue;
        if (placed[i]->offset >= offset + block->bytes)
            break;
        offset = inside_segment(size_max(offset, placed[i]->offset + placed[i]->bytes), block->bytes, most);
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

/* Gives each block's tensor its place; the blocks are sorted by offset. */
static void close_segments(struct plan *plan, struct block *const *placed, size_t count, size_t most)
{
    size_t first = 0; /* of this segment */
    plan->arena_bytes = plan->segment_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct block *block = placed[i];
        struct tensor *tensor = &plan->tensors[block->tensor];
        if (i == 0 || (most && block->offset / most != placed[i - 1]->offset / most)) {
            first = plan->arena_bytes;
            plan->segment_count++;
        }
        tensor->segment = plan->segment_count - 1;
        tensor->offset = first + (most ? block->offset % most : block->offset);
        plan->arena_bytes = size_max(plan->arena_bytes, tensor->offset + block->bytes);
    }
}

static vitcl_status fail_too_large(const struct plan *plan, const struct block *block, size_t most, vitcl_error *err)
{
    return fail(err, VITCL_ERROR_MEMORY,
                "%s has %zu bytes in a batch of %zu; the device takes at most %zu in one buffer",
                plan->tensors[block->tensor].name, block->bytes, plan->geometry.batch, most);
}

vitcl_status plan_place(struct plan *plan, size_t align, size_t most, vitcl_error *err)
{
    vitcl_status status = VITCL_OK;
    const size_t segment = most / align * align;
    struct block *blocks = calloc(plan->tensor_count + 1, sizeof *blocks);
    struct block **placed = calloc(plan->tensor_count + 1, sizeof(struct block *));
    size_t count;

    if (!blocks || !placed)
        TRY(fail_memory(err, plan->tensor_count * sizeof *blocks));
    find_lifetimes(plan);
    count = collect(plan, blocks, align);
    qsort(blocks, count, sizeof *blocks, larger_first);
    for (size_t i = 0; i < count; i++) {
        size_t end;
        if (most && blocks[i].bytes > segment)
            TRY(fail_too_large(plan, &blocks[i], most, err));
        blocks[i].offset = lowest_gap(placed, i, &blocks[i], segment);
        if (!size_add(blocks[i].offset, blocks[i].bytes, &end))
            TRY(fail(err, VITCL_ERROR_MEMORY, "the plan's activations do not fit into this machine's address space"));
        insert_sorted(placed, i, &blocks[i]);
    }
    close_segments(plan, placed, count, segment);
    for (size_t t = 0; t < plan->tensor_count; t++) {
        const struct tensor *root = &plan->tensors[root_of(plan, (int)t)];
        if (plan->tensors[t].weight)
            continue;
        plan->tensors[t].offset = root->offset;
        plan->tensors[t].segment = root->segment;
    }
done:
    free(blocks);
    free(placed);
    return status;
}

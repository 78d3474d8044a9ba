/* pack.c - lays weights out for kernels, on all cores: a model's gigabyte is read, converted and written once. */
#include "run/pack.h"
#include "base/parallel.h"
#include "base/size.h"
#include "run/number.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Rows that are transposed together where no panel says how many: their columns fill a cache line of the result. */
#define BLOCK 16

/* Rows that a thread works on before it lets go of their pages of the file. */
#define RELEASE 128

struct job {
    const struct tensor *tensor;
    void *packed;
    size_t block; /* rows transposed together */
    atomic_bool out_of_memory, overflow;
};

static void copy_rows(void *context, size_t first, size_t last)
{
    struct job *job = context;
    const struct weight *weight = job->tensor->weight;
    for (size_t row = first; row < last; row++)
        weight_read_row(weight, row, (float *)job->packed + row * weight->cols);
}

/* packed[c * stride + r] = rows[r][c] for `count` rows of `cols`. */
static void store_transposed(const float *rows, size_t count, size_t cols, float *packed, size_t stride)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < count; r++)
            packed[c * stride + r] = rows[r * cols + c];
}

/* The same in 16 bits. */
static void store_transposed_narrow(enum number number, const float *rows, size_t count, size_t cols, uint16_t *packed,
                                    size_t stride)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < count; r++)
            packed[c * stride + r] = number_from_float(number, rows[r * cols + c]);
}

/* packed [cols/2][count][2]; behind an odd number of columns a zero. */
static void store_pairs(enum number number, const float *rows, size_t count, size_t cols, uint16_t *packed)
{
    for (size_t c = 0; c < cols; c += 2)
        for (size_t r = 0; r < count; r++) {
            *packed++ = number_from_float(number, rows[r * cols + c]);
            *packed++ = c + 1 < cols ? number_from_float(number, rows[r * cols + c + 1]) : 0;
        }
}

/* A block of `block` rows, beginning with row number `first` of the weight. */
static void pack_panel(const struct tensor *tensor, const float *rows, size_t first, size_t block, void *packed)
{
    const size_t cols = tensor->weight->cols;
    if (plan_in_pairs(tensor))
        store_pairs(tensor->number, rows, block, cols, (uint16_t *)packed + first * size_round_up(cols, 2));
    else if (tensor->number == NUMBER_F16)
        store_transposed_narrow(NUMBER_F16, rows, block, cols, (uint16_t *)packed + first * cols, block);
    else
        store_transposed(rows, block, cols, (float *)packed + first * cols, block);
}

static bool all_held(enum number number, const float *values, size_t count)
{
    bool held = true;
    for (size_t i = 0; number == NUMBER_F16 && i < count; i++)
        held &= number_holds(number, values[i]);
    return held;
}

/* Rows [first, first + block) of the weight; those it does not have are zeros, which fill a panel. */
static void pack_block(struct job *job, size_t first, float *rows)
{
    const struct tensor *tensor = job->tensor;
    const struct weight *weight = tensor->weight;
    size_t count = size_min(job->block, weight->rows - first), cols = weight->cols;
    for (size_t r = 0; r < count; r++)
        weight_read_row(weight, first + r, rows + r * cols);
    if (!all_held(tensor->number, rows, count * cols))
        atomic_store(&job->overflow, true);
    memset(rows + count * cols, 0, (job->block - count) * cols * sizeof *rows);
    if (plan_in_panels(tensor))
        pack_panel(tensor, rows, first, job->block, job->packed);
    else if (tensor->number == NUMBER_F32)
        store_transposed(rows, count, cols, (float *)job->packed + first, weight->rows);
    else
        store_transposed_narrow(tensor->number, rows, count, cols, (uint16_t *)job->packed + first, weight->rows);
}

/* Blocks [first,last). */
static void pack_blocks(void *context, size_t first, size_t last)
{
    struct job *job = context;
    const struct weight *weight = job->tensor->weight;
    float *rows = malloc(job->block * weight->cols * sizeof *rows);
    size_t kept = first * job->block; /* the first row whose pages are still held */
    if (!rows) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    for (size_t row = first * job->block; row < size_min(last * job->block, weight->rows); row += job->block) {
        pack_block(job, row, rows);
        if (row - kept >= RELEASE) { /* or the model would be in memory twice */
            weight_release(weight, kept, row);
            kept = row;
        }
    }
    free(rows);
}

vitcl_status fail_weight_overflow(const struct tensor *tensor, vitcl_error *err)
{
    return fail(err, VITCL_ERROR_OVERFLOW,
                "%s: a weight is too large for f16, whose largest number is 65504: f32 and bf16 hold it", tensor->name);
}

vitcl_status pack_weight(const struct tensor *tensor, void *packed, vitcl_error *err)
{
    const struct weight *weight = tensor->weight;
    struct job job = {.tensor = tensor, .packed = packed, .block = plan_in_panels(tensor) ? tensor->panel : BLOCK};
    if (tensor->layout == LAYOUT_ROWS)
        parallel_for(weight->rows, copy_rows, &job);
    else
        parallel_for(size_ceil_div(weight->rows, job.block), pack_blocks, &job);
    if (job.out_of_memory)
        return fail_memory(err, job.block * weight->cols * sizeof(float));
    return job.overflow ? fail_weight_overflow(tensor, err) : VITCL_OK;
}

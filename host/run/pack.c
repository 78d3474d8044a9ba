/* pack.c - lays weights out for kernels, on all cores: a model's gigabyte is read, converted and written once. */
#include "run/pack.h"
#include "base/parallel.h"
#include "base/size.h"
#include "model/half.h"

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
    atomic_bool out_of_memory;
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

/* The same in bf16. */
static void store_transposed_bf16(const float *rows, size_t count, size_t cols, uint16_t *packed, size_t stride)
{
    for (size_t c = 0; c < cols; c++)
        for (size_t r = 0; r < count; r++)
            packed[c * stride + r] = float_to_bf16(rows[r * cols + c]);
}

/* packed [cols/2][count][2]; behind an odd number of columns a zero. */
static void store_pairs(const float *rows, size_t count, size_t cols, uint16_t *packed)
{
    for (size_t c = 0; c < cols; c += 2)
        for (size_t r = 0; r < count; r++) {
            *packed++ = float_to_bf16(rows[r * cols + c]);
            *packed++ = c + 1 < cols ? float_to_bf16(rows[r * cols + c + 1]) : 0;
        }
}

/* Rows [first, first + block) of the weight; those it does not have are zeros, which fill a panel. */
static void pack_block(const struct job *job, size_t first, float *rows)
{
    const struct tensor *tensor = job->tensor;
    const struct weight *weight = tensor->weight;
    const bool bf16 = tensor->number == NUMBER_BF16;
    size_t count = size_min(job->block, weight->rows - first), cols = weight->cols;
    for (size_t r = 0; r < count; r++)
        weight_read_row(weight, first + r, rows + r * cols);
    if (tensor->layout == LAYOUT_TRANSPOSED) {
        if (bf16)
            store_transposed_bf16(rows, count, cols, (uint16_t *)job->packed + first, weight->rows);
        else
            store_transposed(rows, count, cols, (float *)job->packed + first, weight->rows);
        return;
    }
    memset(rows + count * cols, 0, (job->block - count) * cols * sizeof *rows);
    if (bf16)
        store_pairs(rows, job->block, cols, (uint16_t *)job->packed + first * size_round_up(cols, 2));
    else
        store_transposed(rows, job->block, cols, (float *)job->packed + first * cols, job->block);
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

vitcl_status pack_weight(const struct tensor *tensor, void *packed, vitcl_error *err)
{
    const struct weight *weight = tensor->weight;
    struct job job = {
        .tensor = tensor, .packed = packed, .block = tensor->layout == LAYOUT_PANELS ? tensor->panel : BLOCK};
    if (tensor->layout == LAYOUT_ROWS)
        parallel_for(weight->rows, copy_rows, &job);
    else
        parallel_for(size_ceil_div(weight->rows, job.block), pack_blocks, &job);
    return job.out_of_memory ? fail_memory(err, job.block * weight->cols * sizeof(float)) : VITCL_OK;
}

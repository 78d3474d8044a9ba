/* pack.c - lays weights out for kernels, on all cores: a model's gigabyte is read, converted and written once. */
#include "run/pack.h"
#include "base/parallel.h"
#include "base/size.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Rows that are transposed together: their columns fill a cache line of the result. */
#define BLOCK 16

/* Blocks that a thread works on before it lets go of their pages of the file. */
#define RELEASE 8

struct job {
    const struct weight *weight;
    float *packed;
    atomic_bool out_of_memory;
};

static void copy_rows(void *context, size_t first, size_t last)
{
    struct job *job = context;
    for (size_t row = first; row < last; row++)
        weight_read_row(job->weight, row, job->packed + row * job->weight->cols);
}

static void store_transposed(const float *rows, size_t first, size_t count, const struct weight *weight, float *packed)
{
    for (size_t c = 0; c < weight->cols; c++)
        for (size_t r = 0; r < count; r++)
            packed[c * weight->rows + first + r] = rows[r * weight->cols + c];
}

/* Blocks [first,last) of BLOCK rows. */
static void transpose_blocks(void *context, size_t first, size_t last)
{
    struct job *job = context;
    const struct weight *weight = job->weight;
    float *rows = malloc(BLOCK * weight->cols * sizeof *rows);
    if (!rows) {
        atomic_store(&job->out_of_memory, true);
        return;
    }
    for (size_t row = first * BLOCK; row < size_min(last * BLOCK, weight->rows); row += BLOCK) {
        size_t count = size_min(BLOCK, weight->rows - row);
        for (size_t r = 0; r < count; r++)
            weight_read_row(weight, row + r, rows + r * weight->cols);
        store_transposed(rows, row, count, weight, job->packed);
        if (row / BLOCK % RELEASE == RELEASE - 1) /* or the model would be in memory twice */
            weight_release(weight, row - (RELEASE - 1) * BLOCK, row + BLOCK);
    }
    free(rows);
}

vitcl_status pack_weight(const struct weight *weight, enum layout layout, float *packed, vitcl_error *err)
{
    struct job job = {.weight = weight, .packed = packed};
    if (layout == LAYOUT_TRANSPOSED)
        parallel_for(size_ceil_div(weight->rows, BLOCK), transpose_blocks, &job);
    else
        parallel_for(weight->rows, copy_rows, &job);
    return job.out_of_memory ? fail_memory(err, BLOCK * weight->cols * sizeof(float)) : VITCL_OK;
}

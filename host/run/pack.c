/* pack.c - lays weights out for kernels. */
#include "run/pack.h"
#include "base/size.h"

#include <stdlib.h>

/* Rows that are transposed together: their columns fill a cache line of the result. */
#define BLOCK 16

static void store_transposed(const float *rows, size_t first, size_t count, const struct weight *weight, float *packed)
{
    for (size_t c = 0; c < weight->cols; c++)
        for (size_t r = 0; r < count; r++)
            packed[c * weight->rows + first + r] = rows[r * weight->cols + c];
}

static vitcl_status pack_transposed(const struct weight *weight, float *packed, vitcl_error *err)
{
    float *rows = malloc(BLOCK * weight->cols * sizeof *rows);
    if (!rows)
        return fail_memory(err, BLOCK * weight->cols * sizeof *rows);
    for (size_t first = 0; first < weight->rows; first += BLOCK) {
        size_t count = size_min(BLOCK, weight->rows - first);
        for (size_t r = 0; r < count; r++)
            weight_read_row(weight, first + r, rows + r * weight->cols);
        store_transposed(rows, first, count, weight, packed);
    }
    free(rows);
    return VITCL_OK;
}

vitcl_status pack_weight(const struct weight *weight, enum layout layout, float *packed, vitcl_error *err)
{
    if (layout == LAYOUT_TRANSPOSED)
        return pack_transposed(weight, packed, err);
    for (size_t row = 0; row < weight->rows; row++)
        weight_read_row(weight, row, packed + row * weight->cols);
    return VITCL_OK;
}

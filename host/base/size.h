/* size.h - checked arithmetic on sizes. Every number that comes from a file passes through here before it becomes a
 * size or an offset. */
#ifndef VITCL_BASE_SIZE_H
#define VITCL_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b (a + b); false when that does not fit. *out is then not to be used. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    *out = a * b;
    return b == 0 || a <= SIZE_MAX / b;
}

static inline bool size_add(size_t a, size_t b, size_t *out)
{
    *out = a + b;
    return a <= SIZE_MAX - b;
}

/* a / b and a up to the next multiple of b, for b > 0; the caller knows that a + b fits. */
static inline size_t size_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static inline size_t size_round_up(size_t a, size_t b)
{
    return size_ceil_div(a, b) * b;
}

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif

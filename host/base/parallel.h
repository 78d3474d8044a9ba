/* parallel.h - splits a range of independent items among threads. */
#ifndef VITCL_BASE_PARALLEL_H
#define VITCL_BASE_PARALLEL_H

#include <stddef.h>

/* Calls work(context, first, last) on parts that cover 0..count once, at the same time on as many threads as the
 * machine has cores, and returns when all are done. Without threads it calls work once. */
void parallel_for(size_t count, void (*work)(void *context, size_t first, size_t last), void *context);

#endif

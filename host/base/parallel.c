/* parallel.c - one POSIX thread per core, started and joined per call: for work that takes milliseconds or more. */
#include "base/parallel.h"
#include "base/size.h"

#include <pthread.h>
#include <unistd.h>

#define MAX_THREADS 64

struct part {
    void (*work)(void *context, size_t first, size_t last);
    void *context;
    size_t first, last;
};

static void *run_part(void *argument)
{
    struct part *part = argument;
    part->work(part->context, part->first, part->last);
    return NULL;
}

void parallel_for(size_t count, void (*work)(void *context, size_t first, size_t last), void *context)
{
    pthread_t threads[MAX_THREADS];
    struct part parts[MAX_THREADS];
    bool started[MAX_THREADS] = {false};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = size_min(cores > 0 ? (size_t)cores : 1, size_min(count, MAX_THREADS));

    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct part){work, context, count * i / n, count * (i + 1) / n};
        if (i + 1 < n)
            started[i] = pthread_create(&threads[i], NULL, run_part, &parts[i]) == 0;
        if (!started[i]) /* the last part, or no thread to be had: done here */
            run_part(&parts[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (started[i])
            pthread_join(threads[i], NULL);
}

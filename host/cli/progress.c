/* progress.c - a thread that wakes up when a phase has lasted too long for silence. The one place in vitcl with state
 * of the process: stderr is one, too. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#define FIRST_LINE 2 /* seconds */
#define NEXT_LINE  10

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, active;
    char text[256];
    time_t started, next;
} watch = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void wait_for_change(void)
{
    struct timespec until = {.tv_sec = watch.next};
    if (watch.active)
        pthread_cond_timedwait(&watch.changed, &watch.mutex, &until);
    else
        pthread_cond_wait(&watch.changed, &watch.mutex);
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&watch.mutex);
    while (watch.running) {
        wait_for_change();
        if (watch.running && watch.active && time(NULL) >= watch.next) {
            fprintf(stderr, "vitcl_run: %s (%ld s so far)\n", watch.text, (long)(time(NULL) - watch.started));
            watch.next = time(NULL) + NEXT_LINE;
        }
    }
    pthread_mutex_unlock(&watch.mutex);
    return NULL;
}

void progress_start(void)
{
    watch.running = true;
    if (pthread_create(&watch.thread, NULL, run, NULL) != 0)
        watch.running = false; /* then waits stay silent, and nothing else is lost */
}

static void set(const char *text, bool active)
{
    pthread_mutex_lock(&watch.mutex);
    if (text)
        snprintf(watch.text, sizeof watch.text, "%s", text);
    watch.active = active;
    watch.started = time(NULL);
    watch.next = watch.started + FIRST_LINE;
    pthread_cond_signal(&watch.changed);
    pthread_mutex_unlock(&watch.mutex);
}

void progress_phase(const char *text)
{
    set(text, true);
}

void progress_idle(void)
{
    set(NULL, false);
}

void progress_stop(void)
{
    pthread_mutex_lock(&watch.mutex);
    if (!watch.running) {
        pthread_mutex_unlock(&watch.mutex);
        return;
    }
    watch.running = false;
    pthread_cond_signal(&watch.changed);
    pthread_mutex_unlock(&watch.mutex);
    pthread_join(watch.thread, NULL);
}

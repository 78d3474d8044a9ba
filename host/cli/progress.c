/* progress.c - a thread that wakes up when a phase has lasted too long for silence, and a bar that is drawn when images
 * are done. The one place in vitcl with state of the process: stderr is one, too. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LINE 2 /* seconds */
#define NEXT_LINE  10
#define NEXT_BAR   0.1
#define BAR_WIDTH  20

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, active;
    char text[256];
    time_t started, next;
    bool has_bar;           /* in stderr's last line */
    double counting, drawn; /* when the first count came, and when the last bar was drawn; seconds */
} watch = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the bar ---- */

void progress_format(char bar[PROGRESS_BAR_SIZE], size_t done, size_t total, double seconds)
{
    const double rate = (double)done / seconds;
    const unsigned long left = (unsigned long)((double)(total - done) / rate + 0.5);
    char marks[BAR_WIDTH + 1], hours[32] = "";
    for (size_t i = 0; i < BAR_WIDTH; i++)
        marks[i] = (double)i < BAR_WIDTH * ((double)done / (double)total) ? '#' : ' ';
    marks[BAR_WIDTH] = '\0';
    if (left >= 3600)
        snprintf(hours, sizeof hours, "%lu:%02lu", left / 3600, left / 60 % 60);
    else
        snprintf(hours, sizeof hours, "%lu", left / 60);
    snprintf(bar, PROGRESS_BAR_SIZE, "[%s]  %zu/%zu  %.3g images/s  %s:%02lu left", marks, done, total, rate, hours,
             left % 60);
}

/* These two under the mutex. */
static void erase(void)
{
    if (watch.has_bar)
        fputs("\r\033[K", stderr);
    watch.has_bar = false;
}

static void draw(size_t done, size_t total)
{
    char bar[PROGRESS_BAR_SIZE];
    const double at = now();
    if (at < watch.counting + FIRST_LINE || at < watch.drawn + NEXT_BAR || !isatty(2) || isatty(1))
        return;
    progress_format(bar, done, total, at - watch.counting);
    fprintf(stderr, "\r%s\033[K", bar);
    watch.drawn = at;
    watch.has_bar = true;
}

void progress_count(size_t done, size_t total)
{
    pthread_mutex_lock(&watch.mutex);
    if (done == 0)
        watch.counting = now();
    else if (watch.running && done <= total)
        draw(done, total);
    pthread_mutex_unlock(&watch.mutex);
}

void progress_clear(void)
{
    pthread_mutex_lock(&watch.mutex);
    erase();
    pthread_mutex_unlock(&watch.mutex);
}

/* ---- long phases ---- */

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
            erase();
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
    erase();
    if (!watch.running) {
        pthread_mutex_unlock(&watch.mutex);
        return;
    }
    watch.running = false;
    pthread_cond_signal(&watch.changed);
    pthread_mutex_unlock(&watch.mutex);
    pthread_join(watch.thread, NULL);
}

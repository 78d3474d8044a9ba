/* loader.c - a ring of slots between worker threads and one taker.
 *
 * Inputs are counted 0, 1, ...; input i goes through slot i % slot_count. Always taken <= begun <= taken + slot_count.
 * Slot i is its worker's from the moment that `begun` passes i until `ready` is set, then the taker's until `taken`
 * passes i: so nobody holds the mutex while a picture is decoded or copied.
 */
#include "cli/loader.h"
#include "cli/npy.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool ready;
    struct loaded loaded;
    float *pixels; /* [image_size] */
};

struct loader {
    struct loader_params params;
    pthread_mutex_t mutex; /* of all that follows but the insides of slots */
    pthread_cond_t filled; /* a slot has become ready */
    pthread_cond_t room;   /* `taken` or `stopped` has changed */
    size_t begun, taken;   /* inputs that a worker has, or has had; that the taker has had */
    bool stopped;
    struct slot *slots; /* [slot_count] */
    size_t slot_count;
    pthread_t *threads; /* [thread_count] */
    size_t thread_count;
};

/* ---- workers ---- */

static void load(const struct loader_params *p, const char *path, struct slot *slot)
{
    struct loaded *loaded = &slot->loaded;
    vitcl_image image;
    vitcl_status status;

    loaded->path = path;
    loaded->grid = (vitcl_grid){0};
    loaded->what = LOADED_NPY;
    if (npy_is_npy(path))
        return;
    status = vitcl_image_read(&image, path, p->upright, &loaded->error);
    if (status == VITCL_OK) {
        status = vitcl_model_preprocess(p->model, &image, slot->pixels, &loaded->grid, &loaded->error);
        vitcl_image_destroy(&image);
    }
    loaded->what = status == VITCL_OK ? LOADED_IMAGE : LOADED_NOTHING;
}

/* Waits for an input to be begun and room for it; false where there is nothing more to do. Under the mutex. */
static bool begin(struct loader *loader, size_t *input)
{
    while (!loader->stopped && loader->begun < loader->params.count &&
           loader->begun == loader->taken + loader->slot_count)
        pthread_cond_wait(&loader->room, &loader->mutex);
    if (loader->stopped || loader->begun == loader->params.count)
        return false;
    *input = loader->begun++;
    return true;
}

static void *work(void *argument)
{
    struct loader *loader = argument;
    size_t input;
    pthread_mutex_lock(&loader->mutex);
    while (begin(loader, &input)) {
        struct slot *slot = &loader->slots[input % loader->slot_count];
        pthread_mutex_unlock(&loader->mutex);
        load(&loader->params, loader->params.paths[input], slot);
        pthread_mutex_lock(&loader->mutex);
        slot->ready = true;
        pthread_cond_signal(&loader->filled);
    }
    pthread_mutex_unlock(&loader->mutex);
    return NULL;
}

/* ---- the taker ---- */

bool loader_next(struct loader *loader, struct loaded *loaded, float *pixels)
{
    struct slot *slot = &loader->slots[loader->taken % loader->slot_count]; /* only this thread changes `taken` */
    if (loader->taken == loader->params.count)
        return false;
    pthread_mutex_lock(&loader->mutex);
    while (!slot->ready)
        pthread_cond_wait(&loader->filled, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);

    *loaded = slot->loaded;
    if (loaded->what == LOADED_IMAGE)
        memcpy(pixels, slot->pixels, loader->params.image_size * sizeof *pixels);

    pthread_mutex_lock(&loader->mutex);
    slot->ready = false;
    loader->taken++;
    pthread_cond_signal(&loader->room);
    pthread_mutex_unlock(&loader->mutex);
    return true;
}

static bool allocate(struct loader *loader)
{
    bool fine;
    loader->slot_count = 2 * loader->params.workers; /* while a worker fills one, another one waits to be taken */
    loader->slots = calloc(loader->slot_count, sizeof *loader->slots);
    loader->threads = calloc(loader->params.workers, sizeof *loader->threads);
    fine = loader->slots && loader->threads;
    for (size_t i = 0; fine && i < loader->slot_count; i++)
        fine = (loader->slots[i].pixels = calloc(loader->params.image_size, sizeof(float))) != NULL;
    return fine;
}

struct loader *loader_start(const struct loader_params *params)
{
    struct loader *loader = calloc(1, sizeof *loader);
    bool fine;
    if (!loader)
        return NULL;
    loader->params = *params;
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->filled, NULL);
    pthread_cond_init(&loader->room, NULL);
    fine = allocate(loader);
    while (fine && loader->thread_count < params->workers &&
           pthread_create(&loader->threads[loader->thread_count], NULL, work, loader) == 0)
        loader->thread_count++;
    if (loader->thread_count > 0) /* fewer than wanted are only slower */
        return loader;
    loader_stop(loader);
    return NULL;
}

void loader_stop(struct loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stopped = true;
    pthread_cond_broadcast(&loader->room);
    pthread_mutex_unlock(&loader->mutex);
    for (size_t i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    for (size_t i = 0; loader->slots && i < loader->slot_count; i++)
        free(loader->slots[i].pixels);
    free(loader->slots);
    free(loader->threads);
    pthread_cond_destroy(&loader->room);
    pthread_cond_destroy(&loader->filled);
    pthread_mutex_destroy(&loader->mutex);
    free(loader);
}

/* feed.c - pictures come decoded and preprocessed from the loader, ready pixel values are read here from .npy files. An
 * input that can not be read is a failure of its own; the others go on.
 */
#include "cli/feed.h"
#include "cli/npy.h"

#include <stdio.h>
#include <string.h>

/* ---- .npy files ---- */

/* Images in an array: the rows of a batch, or one. */
static size_t rows_of(const struct npy_reader *npy)
{
    return npy->rank == 4 ? npy->shape[0] : 1;
}

size_t feed_count(const char *path)
{
    struct npy_reader npy;
    size_t rows = 1;
    if (npy_is_npy(path) && !npy_open(&npy, path)) {
        rows = rows_of(&npy);
        npy_close(&npy);
    }
    return rows;
}

/* NULL when the array is a batch of images for this model; else what is wrong, written into `message`. */
static const char *check_shape(const struct job *job, const struct npy_reader *npy, char message[256])
{
    const size_t *image = npy->shape + (npy->rank == 4);
    size_t height = job->info.image_height, width = job->info.image_width;
    if (job->info.max_patches)
        return "this model cuts each picture into patches of its own grid: it takes pictures, not ready pixel values";
    if ((npy->rank == 3 || npy->rank == 4) && image[0] == 3 && image[1] == height && image[2] == width)
        return NULL;
    snprintf(message, 256, "its shape does not fit: %s takes [B,3,%zu,%zu] or [3,%zu,%zu]%s",
             job->info.any_size ? "this run" : "this model", height, width, height, width,
             job->info.any_size ? "; .npy files of one size, without pictures, are run at theirs"
                                : "; --image-size interpolates its positions");
    return message;
}

/* Adds each row; *problem tells why they end early. */
static bool add_rows(struct job *job, struct npy_reader *npy, const char *path, const char **problem)
{
    const size_t rows = rows_of(npy);
    char name[NAME_SIZE];
    bool fine = true;
    job->total += rows - 1; /* the list counts the file as one */
    for (size_t row = 0; fine && row < rows; row++) {
        if (!npy_read(npy, job_next_pixels(job), job->image_size)) {
            *problem = "it can not be read to its end";
            break;
        }
        snprintf(name, sizeof name, rows > 1 ? "%s[%zu]" : "%s", path, row);
        fine = job_add(job, name, (vitcl_grid){0});
    }
    return fine;
}

static bool add_npy(struct job *job, const char *path)
{
    struct npy_reader npy;
    char message[NAME_SIZE + 300], shape[256];
    const char *problem = npy_open(&npy, path);
    bool fine = true;

    if (!problem)
        problem = check_shape(job, &npy, shape);
    if (!problem)
        fine = add_rows(job, &npy, path, &problem);
    npy_close(&npy);
    if (fine && problem) {
        snprintf(message, sizeof message, "%s: %s", path, problem);
        fine = job_add_failure(job, path, message);
    }
    return fine;
}

/* ---- all ---- */

static bool add_failure(struct job *job, const struct loaded *loaded)
{
    char message[NAME_SIZE + sizeof loaded->error.message];
    if (strncmp(loaded->error.message, loaded->path, strlen(loaded->path)) == 0) /* as messages about a file begin */
        return job_add_failure(job, loaded->path, loaded->error.message);
    snprintf(message, sizeof message, "%s: %s", loaded->path, loaded->error.message);
    return job_add_failure(job, loaded->path, message);
}

bool feed_all(struct job *job, struct loader *loader)
{
    struct loaded loaded;
    bool fine = true;
    while (fine && loader_next(loader, &loaded, job_next_pixels(job))) {
        if (loaded.what == LOADED_IMAGE)
            fine = job_add(job, loaded.path, loaded.grid);
        else if (loaded.what == LOADED_NPY)
            fine = add_npy(job, loaded.path);
        else
            fine = add_failure(job, &loaded);
    }
    return fine && job_finish(job);
}

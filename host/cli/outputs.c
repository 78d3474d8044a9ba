/* outputs.c - arrays and files of one run. */
#include "cli/outputs.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned outputs_kept(const struct options *o, const vitcl_model_info *info)
{
    unsigned printed = o->labels_embeddings ? VITCL_OUTPUT_EMBEDDING
                       : info->classes      ? VITCL_OUTPUT_LOGITS
                       : info->embedding    ? VITCL_OUTPUT_EMBEDDING
                                            : VITCL_OUTPUT_HIDDEN;
    return printed | (o->logits ? VITCL_OUTPUT_LOGITS : 0u) | (o->embedding ? VITCL_OUTPUT_EMBEDDING : 0u) |
           (o->hidden ? VITCL_OUTPUT_HIDDEN : 0u);
}

static bool complain_file(const char *path)
{
    say_about(path, errno == EINVAL ? "not a regular file" : strerror(errno));
    return false;
}

/* ---- opening ---- */

static bool allocate(float **array, bool wanted, size_t rows, size_t row)
{
    if (!wanted)
        return true;
    *array = calloc(rows, row * sizeof **array);
    if (!*array)
        fprintf(stderr, "vitcl_run: out of memory; try a smaller batch (-b)\n");
    return *array != NULL;
}

static bool open_file(struct npy_writer *file, const char *path, const size_t *shape, size_t rank)
{
    return !path || npy_create(file, path, shape, rank) || complain_file(path);
}

/* What the model is fed of one image. */
static bool open_pixels(struct npy_writer *file, const char *path, const vitcl_model_info *info)
{
    if (info->max_patches)
        return open_file(file, path, (size_t[]){info->max_patches, info->input / info->max_patches}, 2);
    return open_file(file, path, (size_t[]){3, info->image_height, info->image_width}, 3);
}

bool outputs_open(struct outputs *out, const struct options *o, const vitcl_model_info *info, size_t batch_size)
{
    out->kept = outputs_kept(o, info);
    return allocate(&out->results.logits, out->kept & VITCL_OUTPUT_LOGITS, batch_size, info->classes) &&
           allocate(&out->results.embedding, out->kept & VITCL_OUTPUT_EMBEDDING, batch_size, info->embedding) &&
           allocate(&out->results.hidden, out->kept & VITCL_OUTPUT_HIDDEN, batch_size, info->tokens * info->width) &&
           open_file(&out->logits, o->logits, (size_t[]){info->classes}, 1) &&
           open_file(&out->embedding, o->embedding, (size_t[]){info->embedding}, 1) &&
           open_file(&out->hidden, o->hidden, (size_t[]){info->tokens, info->width}, 2) &&
           open_pixels(&out->pixels, o->pixels, info);
}

/* ---- writing ---- */

static bool append(struct npy_writer *file, const float *rows, size_t count)
{
    return !file->file || npy_append(file, rows, count) || complain_file(file->path);
}

bool outputs_write(struct outputs *out, size_t count)
{
    return append(&out->logits, out->results.logits, count) && append(&out->embedding, out->results.embedding, count) &&
           append(&out->hidden, out->results.hidden, count);
}

bool outputs_write_pixels(struct outputs *out, const float *pixels, size_t count)
{
    return append(&out->pixels, pixels, count);
}

static bool finish(struct npy_writer *file)
{
    return npy_finish(file) || complain_file(file->path);
}

bool outputs_finish(struct outputs *out)
{
    bool fine = finish(&out->logits);
    fine = finish(&out->embedding) && fine;
    fine = finish(&out->hidden) && fine;
    return finish(&out->pixels) && fine;
}

void outputs_close(struct outputs *out)
{
    npy_discard(&out->logits);
    npy_discard(&out->embedding);
    npy_discard(&out->hidden);
    npy_discard(&out->pixels);
    free(out->results.logits);
    free(out->results.embedding);
    free(out->results.hidden);
    memset(out, 0, sizeof *out);
}

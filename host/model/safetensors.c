/* safetensors.c - the table of tensors over mapped files: opening one file, finding, letting go of pages, closing. */
#include "model/safetensors.h"
#include "model/safetensors_internal.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *left, const void *right)
{
    const struct tensor_entry *a = left, *b = right;
    return strcmp(a->name, b->name);
}

void safetensors_sort(struct safetensors *tensors)
{
    if (tensors->count > 0)
        qsort(tensors->entries, tensors->count, sizeof *tensors->entries, compare_names);
}

vitcl_status safetensors_open(struct safetensors *tensors, const char *path, vitcl_error *err)
{
    vitcl_status status;
    struct shard *shard = calloc(1, sizeof *shard);
    memset(tensors, 0, sizeof *tensors);
    tensors->shards = shard;
    tensors->path = strdup(path);
    if (!shard || !tensors->path)
        TRY(fail_memory(err, strlen(path) + sizeof *shard));
    tensors->shard_count = 1;
    TRY(file_map(&shard->file, path, err));
    status = safetensors_read_header(&shard->file, &shard->header, &tensors->entries, &tensors->count, err);
    if (status != VITCL_OK)
        TRY(fail_context(err, status, "%s", path));
    safetensors_sort(tensors);
done:
    if (status != VITCL_OK)
        safetensors_close(tensors);
    return status;
}

void safetensors_close(struct safetensors *tensors)
{
    for (size_t i = 0; i < tensors->shard_count; i++) {
        json_decref(tensors->shards[i].header);
        file_unmap(&tensors->shards[i].file);
    }
    free(tensors->entries);
    free(tensors->shards);
    free(tensors->path);
    memset(tensors, 0, sizeof *tensors);
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct tensor_entry *)entry)->name);
}

const struct tensor_entry *safetensors_find(const struct safetensors *tensors, const char *name)
{
    if (tensors->count == 0)
        return NULL;
    return bsearch(name, tensors->entries, tensors->count, sizeof *tensors->entries, compare_name);
}

void safetensors_release(const struct tensor_entry *entry, size_t first, size_t count)
{
    size_t size = entry->dtype == DTYPE_F32 ? 4 : 2;
    if (entry->mapped)
        file_release(entry->data + first * size, count * size);
}

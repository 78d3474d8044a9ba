/* shards.c - the weights of a model folder: one file, or several that model.safetensors.index.json lists as
 *
 *   {"metadata": ..., "weight_map": {"<tensor>": "<file>", ...}}
 *
 * as transformers and timm save models above a certain size. The map and the files must agree: each tensor of the map
 * is in its file, and no file has a tensor that the map lacks. Of a tensor that is in several files, the map's is
 * taken. The metadata, which only adds up sizes, is not read.
 */
#include "base/json.h"
#include "model/safetensors_internal.h"

#include <stdlib.h>
#include <string.h>

#define WEIGHTS "model.safetensors"
#define INDEX   "model.safetensors.index.json"

/* The index while its shards are opened. */
struct shard_index {
    const char *folder;
    const char *path; /* of the index */
    json_t *root;
    json_t *map;        /* weight_map */
    const char **files; /* [file_count], each once, sorted */
    size_t file_count;
};

/* A file beside the index, and nothing that leads elsewhere. */
static bool is_plain_name(const char *name)
{
    return name && *name && !strpbrk(name, "/\\") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int compare_strings(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static vitcl_status list_files(struct shard_index *index, vitcl_error *err)
{
    const char *tensor;
    json_t *file;
    size_t room = json_object_size(index->map) + 1, count = 0; /* at least 1: an empty list is no failed allocation */
    index->files = calloc(room, sizeof *index->files);
    if (!index->files)
        return fail_memory(err, room * sizeof *index->files);
    json_object_foreach(index->map, tensor, file) {
        index->files[count] = json_string_value(file);
        if (!is_plain_name(index->files[count++]))
            return fail_context(err,
                                json_unexpected((struct json_at){index->map, "weight_map"}, tensor,
                                                "the name of a file in the same folder", err),
                                "%s", index->path);
    }
    qsort(index->files, count, sizeof *index->files, compare_strings);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(index->files[i], index->files[i - 1]) != 0)
            index->files[index->file_count++] = index->files[i];
    return VITCL_OK;
}

static vitcl_status read_index(struct shard_index *index, vitcl_error *err)
{
    vitcl_status status = json_read(&index->root, index->path, err);
    if (status != VITCL_OK)
        return status;
    index->map = json_object_get(index->root, "weight_map");
    if (!json_is_object(index->map))
        return json_unexpected((struct json_at){index->root, index->path}, "weight_map",
                               "an object with the file of each tensor", err);
    return list_files(index, err);
}

/* The tensor for which the index names this file, for a message. */
static const char *tensor_in(const struct shard_index *index, const char *file)
{
    const char *tensor;
    json_t *other;
    json_object_foreach(index->map, tensor, other) {
        if (strcmp(json_string_value(other), file) == 0)
            return tensor;
    }
    return "";
}

/* Moves what the table of `file` owns into *tensors, and the entries which the map looks for in that file. Both tables
 * stay fit to be closed. */
static vitcl_status merge(struct safetensors *tensors, struct safetensors *shard, const struct shard_index *index,
                          const char *file, vitcl_error *err)
{
    const size_t room = tensors->count + shard->count + 1;
    struct tensor_entry *entries = realloc(tensors->entries, room * sizeof *entries);
    if (!entries)
        return fail_memory(err, room * sizeof *entries);
    tensors->entries = entries;
    for (size_t i = 0; i < shard->count; i++) {
        const char *home = json_string_value(json_object_get(index->map, shard->entries[i].name));
        if (!home)
            return fail(err, VITCL_ERROR_FORMAT, "%s: tensor '%.200s' is not in the weight_map of " INDEX, shard->path,
                        shard->entries[i].name);
        if (strcmp(home, file) == 0)
            entries[tensors->count++] = shard->entries[i];
    }
    tensors->shards[tensors->shard_count++] = shard->shards[0];
    shard->shard_count = 0;
    return VITCL_OK;
}

static vitcl_status add_shard(struct safetensors *tensors, const struct shard_index *index, const char *file,
                              vitcl_error *err)
{
    vitcl_status status;
    struct safetensors shard = {0};
    char *path = file_join(index->folder, file);
    if (!path)
        return fail_memory(err, strlen(index->folder) + strlen(file));
    if (!file_exists(path))
        TRY(fail(err, VITCL_ERROR_IO,
                 "%s: no such file, but " INDEX " says that it has tensor '%.200s'; download it too", path,
                 tensor_in(index, file)));
    TRY(safetensors_open(&shard, path, err));
    TRY(merge(tensors, &shard, index, file, err));
done:
    safetensors_close(&shard);
    free(path);
    return status;
}

static vitcl_status check_complete(const struct safetensors *tensors, const struct shard_index *index, vitcl_error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach(index->map, tensor, file) {
        if (!safetensors_find(tensors, tensor))
            return fail(err, VITCL_ERROR_FORMAT, "%s: weight_map: tensor '%.200s' should be in %.200s, which lacks it",
                        index->path, tensor, json_string_value(file));
    }
    return VITCL_OK;
}

static vitcl_status open_shards(struct safetensors *tensors, struct shard_index *index, vitcl_error *err)
{
    vitcl_status status;
    TRY(read_index(index, err));
    tensors->path = strdup(index->path);
    tensors->shards = calloc(index->file_count + 1, sizeof *tensors->shards);
    if (!tensors->path || !tensors->shards)
        TRY(fail_memory(err, (index->file_count + 1) * sizeof *tensors->shards));
    for (size_t i = 0; i < index->file_count; i++)
        TRY(add_shard(tensors, index, index->files[i], err));
    safetensors_sort(tensors);
    TRY(check_complete(tensors, index, err));
done:
    free(index->files);
    json_decref(index->root);
    if (status != VITCL_OK)
        safetensors_close(tensors);
    return status;
}

vitcl_status safetensors_open_folder(struct safetensors *tensors, const char *folder, vitcl_error *err)
{
    vitcl_status status;
    char *path = file_join(folder, WEIGHTS), *index_path = file_join(folder, INDEX);
    struct shard_index index = {.folder = folder, .path = index_path};

    memset(tensors, 0, sizeof *tensors);
    if (!path || !index_path)
        TRY(fail_memory(err, strlen(folder)));
    if (file_exists(path))
        TRY(safetensors_open(tensors, path, err));
    else if (file_exists(index_path))
        TRY(open_shards(tensors, &index, err));
    else
        TRY(fail(err, VITCL_ERROR_IO,
                 "%s: no such file, nor " INDEX ". vitcl reads weights from " WEIGHTS
                 " or the shards that the index lists, not from .bin, .h5 or .npz files",
                 path));
done:
    free(path);
    free(index_path);
    return status;
}

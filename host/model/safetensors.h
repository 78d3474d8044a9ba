/* safetensors.h - the tensors of one or several .safetensors files, mapped and checked, never copied.
 *
 * Layout of a file: u64 little-endian header length n | n bytes of JSON | data. The checks are those of the reference
 * implementation, in its order, and stricter in one point: a tensor name that occurs twice is refused.
 */
#ifndef VITCL_MODEL_SAFETENSORS_H
#define VITCL_MODEL_SAFETENSORS_H

#include "base/error.h"
#include "base/file.h"

/* Every dtype of the format parses; vitcl computes with the three floats. */
enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_OTHER };

#define TENSOR_MAX_RANK 8 /* the rank of more is reported as it is, its shape is cut */

struct tensor_entry {
    const char *name; /* lives as long as the file */
    enum dtype dtype;
    const char *dtype_name; /* "F32", "I64", ... */
    size_t rank;
    size_t shape[TENSOR_MAX_RANK];
    const unsigned char *data; /* in the mapped file; not necessarily aligned */
    size_t bytes;
    bool mapped; /* true for what comes from a file; others make entries of their own memory, too */
};

struct safetensors {
    char *path; /* of the file, or of the index of the shards: for messages */
    struct shard {
        struct mapped_file file;
        struct json_t *header; /* owns the names of the file's tensors */
    } * shards;                /* [shard_count] */
    size_t shard_count;
    struct tensor_entry *entries; /* [count], of all files, sorted by name */
    size_t count;
};

/* One file. On failure *tensors is all zero and err says which rule was broken, in which file, at which tensor. */
vitcl_status safetensors_open(struct safetensors *tensors, const char *path, vitcl_error *err);

/* The weights of a model folder: model.safetensors, or else the shards that model.safetensors.index.json lists. On
 * failure as above. */
vitcl_status safetensors_open_folder(struct safetensors *tensors, const char *folder, vitcl_error *err);

/* Accepts a zeroed or half-built table; zeroes it. */
void safetensors_close(struct safetensors *tensors);

/* The tensor of that name; NULL where there is none. */
const struct tensor_entry *safetensors_find(const struct safetensors *tensors, const char *name);

/* `count` numbers of a tensor, from number `first` on, are not needed soon: gives the memory back that they take. Read
 * again they come from the file again. */
void safetensors_release(const struct tensor_entry *entry, size_t first, size_t count);

#endif

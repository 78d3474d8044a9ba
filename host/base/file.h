/* file.h - a file mapped read-only. */
#ifndef VITCL_BASE_FILE_H
#define VITCL_BASE_FILE_H

#include "base/error.h"

struct mapped_file {
    const unsigned char *data; /* [size]; not NULL after success, even for an empty file */
    size_t size;
    void *map; /* what to unmap; NULL for an empty file */
};

/* Maps a regular file. On failure *file is all zero. */
vitcl_status file_map(struct mapped_file *file, const char *path, vitcl_error *err);

/* Accepts a zeroed or half-built file; zeroes it. */
void file_unmap(struct mapped_file *file);

/* The pages that lie wholly in these bytes of a mapped file are not needed soon: they stop taking memory, and come back
 * from the file when they are read. */
void file_release(const unsigned char *data, size_t size);

/* "folder/name" in a new string, which the caller frees; NULL when memory is out. */
char *file_join(const char *folder, const char *name);

/* True where the path names an existing regular file. */
bool file_exists(const char *path);

#endif

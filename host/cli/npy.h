/* npy.h - NumPy's .npy files: float32 in C order, read and written row by row. */
#ifndef VITCL_CLI_NPY_H
#define VITCL_CLI_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define NPY_MAX_RANK 8

/* A file being read: [shape[0], ...]. */
struct npy_reader {
    FILE *file;
    size_t rank, shape[NPY_MAX_RANK];
};

/* True where the file begins like a .npy file. */
bool npy_is_npy(const char *path);

/* NULL on success, else a static text that says what is wrong; then nothing is open. Only float32 ('<f4') in C order
 * is taken, and only a file that is as long as its shape says. */
const char *npy_open(struct npy_reader *npy, const char *path);
/* Reads the next `count` numbers; false at an early end or a read error. */
bool npy_read(struct npy_reader *npy, float *values, size_t count);
void npy_close(struct npy_reader *npy);

/* A file being written: rows of a fixed shape, their number known at the end. It is written beside its place and moved
 * there when complete, so a failed run does not destroy an older file. */
struct npy_writer {
    FILE *file;
    char *path, *temporary;
    size_t rank, shape[NPY_MAX_RANK]; /* of one row */
    size_t rows, row_size;
    bool failed; /* something was not written: the file must not be completed */
};

/* errno EINVAL, EISDIR: what has that name is no regular file, and is left alone. */
bool npy_create(struct npy_writer *npy, const char *path, const size_t *shape, size_t rank);
bool npy_append(struct npy_writer *npy, const float *values, size_t rows);
/* Completes the file. After false, errno tells, and the file at `path` is as it was. Accepts a zeroed writer. */
bool npy_finish(struct npy_writer *npy);
/* Gives up: removes what was written. Accepts a zeroed or finished writer. */
void npy_discard(struct npy_writer *npy);

#endif

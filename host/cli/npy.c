/* npy.c - the format of numpy.lib.format: magic, version, header length, a Python dict of descr, fortran_order and
 * shape, data. A little-endian machine is assumed, as in the whole of vitcl. */
#include "cli/npy.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAGIC       "\x93NUMPY"
#define MAGIC_SIZE  6
#define HEADER_SIZE 128 /* of the files written here: room for any shape, and data aligned to 64 */
#define MAX_HEADER  65536

/* ---- reading ---- */

bool npy_is_npy(const char *path)
{
    char magic[MAGIC_SIZE];
    struct stat info;
    bool regular = stat(path, &info) == 0 && S_ISREG(info.st_mode); /* a pipe would block */
    FILE *file = regular ? fopen(path, "rb") : NULL;
    bool found = file && fread(magic, 1, MAGIC_SIZE, file) == MAGIC_SIZE && memcmp(magic, MAGIC, MAGIC_SIZE) == 0;
    if (file)
        fclose(file);
    return found;
}

/* What follows "'key':" in the header; NULL where the key is missing. */
static const char *find_value(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    if (!at)
        return NULL;
    at += strlen(key);
    return at + strspn(at, " ");
}

static const char *parse_shape(struct npy_reader *npy, const char *at)
{
    if (*at++ != '(')
        return "its shape is not a tuple";
    for (at += strspn(at, " "); *at != ')'; at += strspn(at, " ")) {
        char *end;
        unsigned long long side;
        if (*at < '0' || *at > '9' || npy->rank == NPY_MAX_RANK)
            return "its shape is not understood";
        errno = 0;
        side = strtoull(at, &end, 10);
        if (errno || side > SIZE_MAX)
            return "its shape is too large";
        npy->shape[npy->rank++] = (size_t)side;
        at = end + strspn(end, " ");
        if (*at != ')' && *at++ != ',')
            return "its shape is not understood";
    }
    return NULL;
}

static const char *parse_header(struct npy_reader *npy, const char *header)
{
    const char *descr = find_value(header, "'descr':");
    const char *order = find_value(header, "'fortran_order':");
    const char *shape = find_value(header, "'shape':");
    if (!descr || !order || !shape)
        return "its header lacks descr, fortran_order or shape";
    if (strncmp(descr, "'<f4'", 5) != 0)
        return "it does not hold float32 (numpy: array.astype(numpy.float32))";
    if (strncmp(order, "False", 5) != 0)
        return "it is in Fortran order (numpy: numpy.ascontiguousarray(array))";
    return parse_shape(npy, shape);
}

/* The file must hold exactly the numbers of its shape. */
static const char *check_length(const struct npy_reader *npy, long start)
{
    uint64_t bytes = sizeof(float);
    long end;
    for (size_t i = 0; i < npy->rank; i++)
        if (__builtin_mul_overflow(bytes, npy->shape[i], &bytes))
            return "its shape is too large";
    if (fseek(npy->file, 0, SEEK_END) != 0 || (end = ftell(npy->file)) < 0 || fseek(npy->file, start, SEEK_SET) != 0)
        return "it can not be read";
    return (uint64_t)(end - start) == bytes ? NULL : "it is not as long as its shape says (truncated?)";
}

static const char *read_header(struct npy_reader *npy)
{
    unsigned char start[MAGIC_SIZE + 2], length_bytes[4] = {0};
    size_t length, length_size;
    char *header;
    const char *problem = NULL;

    if (fread(start, 1, sizeof start, npy->file) != sizeof start || memcmp(start, MAGIC, MAGIC_SIZE) != 0)
        return "it is not a .npy file";
    length_size = start[MAGIC_SIZE] == 1 ? 2 : 4;
    if (start[MAGIC_SIZE] < 1 || start[MAGIC_SIZE] > 3 || fread(length_bytes, 1, length_size, npy->file) != length_size)
        return "its header is not understood";
    length =
        length_bytes[0] | (size_t)length_bytes[1] << 8 | (size_t)length_bytes[2] << 16 | (size_t)length_bytes[3] << 24;
    header = length <= MAX_HEADER ? calloc(length + 1, 1) : NULL;
    if (!header)
        return "its header is too long";
    if (fread(header, 1, length, npy->file) != length)
        problem = "its header is cut off";
    if (!problem)
        problem = parse_header(npy, header);
    free(header);
    return problem ? problem : check_length(npy, (long)(sizeof start + length_size + length));
}

const char *npy_open(struct npy_reader *npy, const char *path)
{
    const char *problem;
    memset(npy, 0, sizeof *npy);
    npy->file = fopen(path, "rb");
    if (!npy->file)
        return strerror(errno);
    problem = read_header(npy);
    if (problem)
        npy_close(npy);
    return problem;
}

bool npy_read(struct npy_reader *npy, float *values, size_t count)
{
    return fread(values, sizeof *values, count, npy->file) == count;
}

void npy_close(struct npy_reader *npy)
{
    if (npy->file)
        fclose(npy->file);
    npy->file = NULL;
}

/* ---- writing ---- */

static bool write_header(struct npy_writer *npy)
{
    char header[HEADER_SIZE];
    int length =
        snprintf(header + 10, sizeof header - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu,", npy->rows);
    for (size_t i = 0; i < npy->rank; i++)
        length += snprintf(header + 10 + length, sizeof header - 10 - (size_t)length, " %zu,", npy->shape[i]);
    length += snprintf(header + 10 + length, sizeof header - 10 - (size_t)length, "), }");
    memcpy(header, MAGIC "\x01\x00", 8);
    header[8] = (char)(HEADER_SIZE - 10);
    header[9] = 0;
    memset(header + 10 + length, ' ', (size_t)(HEADER_SIZE - 10 - length));
    header[HEADER_SIZE - 1] = '\n';
    return fwrite(header, 1, sizeof header, npy->file) == sizeof header;
}

static bool give_up(struct npy_writer *npy)
{
    npy_discard(npy);
    return false;
}

/* A device, a pipe or a folder must not be replaced by a file; errno says why. */
static bool may_replace(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return true;
    errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
    return S_ISREG(info.st_mode);
}

bool npy_create(struct npy_writer *npy, const char *path, const size_t *shape, size_t rank)
{
    size_t size;
    memset(npy, 0, sizeof *npy);
    npy->rank = rank;
    npy->row_size = 1;
    for (size_t i = 0; i < rank; i++) {
        npy->shape[i] = shape[i];
        npy->row_size *= shape[i];
    }
    npy->path = realpath(path, NULL); /* of a link, what it points to is replaced */
    if (!npy->path)
        npy->path = strdup(path);
    if (!npy->path || !may_replace(npy->path))
        return give_up(npy);
    size = strlen(npy->path) + sizeof ".part";
    npy->temporary = malloc(size);
    if (npy->temporary) {
        snprintf(npy->temporary, size, "%s.part", npy->path);
        npy->file = fopen(npy->temporary, "wb");
    }
    return (npy->file && write_header(npy)) || give_up(npy);
}

bool npy_append(struct npy_writer *npy, const float *values, size_t rows)
{
    npy->rows += rows;
    npy->failed |= fwrite(values, npy->row_size * sizeof *values, rows, npy->file) != rows;
    return !npy->failed;
}

bool npy_finish(struct npy_writer *npy)
{
    bool written;
    if (!npy->file)
        return true;
    written = !npy->failed && fseek(npy->file, 0, SEEK_SET) == 0 && write_header(npy);
    written = fclose(npy->file) == 0 && written;
    npy->file = NULL;
    written = written && rename(npy->temporary, npy->path) == 0;
    if (written) {
        free(npy->temporary);
        npy->temporary = NULL;
    }
    return written;
}

void npy_discard(struct npy_writer *npy)
{
    int saved = errno; /* of the failure that led here */
    if (npy->file)
        fclose(npy->file);
    if (npy->temporary)
        remove(npy->temporary);
    free(npy->temporary);
    free(npy->path);
    memset(npy, 0, sizeof *npy);
    errno = saved;
}

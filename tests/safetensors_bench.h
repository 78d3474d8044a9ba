/* safetensors_bench.h - for tests: .safetensors files made byte by byte, and opened or refused. Headers are written
 * with ' for ", which JSON does not use otherwise. Included by one test at a time.
 */
#ifndef VITCL_TESTS_SAFETENSORS_BENCH_H
#define VITCL_TESTS_SAFETENSORS_BENCH_H

#include "model/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MANY         100000 /* tensors in one file */

/* One member of a header. */
#define TENSOR(name, dtype, shape, begin, end)                                                                         \
    "'" name "':{'dtype':'" dtype "','shape':[" shape "],'data_offsets':[" #begin "," #end "]}"

/* One folder with one file for all tests; the table and the error of the last call. */
struct bench {
    char folder[512], path[600];
    struct safetensors tensors;
    vitcl_error err;
};

/* ---- making files and opening them ------------------------------------------------------------------------------- */

/* Writes length | header | data_bytes bytes 0, 1, 2, ... */
static inline void write_parts(const struct bench *bench, uint64_t length, const char *header, size_t size,
                               size_t data_bytes)
{
    FILE *file = fopen(bench->path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> 8 * i & 0xff), file);
    for (size_t i = 0; i < size; i++)
        fputc(header[i] == '\'' ? '"' : header[i], file);
    for (size_t i = 0; i < data_bytes; i++)
        fputc((int)(i & 0xff), file);
    assert_int_equal(fclose(file), 0);
}

static inline void assert_all_zero(const struct safetensors *tensors)
{
    assert_null(tensors->path);
    assert_null(tensors->shards);
    assert_int_equal(tensors->shard_count, 0);
    assert_null(tensors->entries);
    assert_int_equal(tensors->count, 0);
}

/* The file as it was written is refused with a message that has `message` in it. */
static inline void assert_refused(struct bench *bench, const char *message)
{
    vitcl_status status;
    safetensors_close(&bench->tensors);
    memset(&bench->tensors, 0x5a, sizeof bench->tensors);
    status = safetensors_open(&bench->tensors, bench->path, &bench->err);
    if (status == VITCL_OK)
        fail_msg("opened, expected a refusal with \"%s\"", message);
    if (!strstr(bench->err.message, message))
        fail_msg("expected \"%s\" in: %s", message, bench->err.message);
    assert_int_equal(status, VITCL_ERROR_FORMAT);
    assert_int_equal(bench->err.status, VITCL_ERROR_FORMAT);
    assert_ptr_equal(strstr(bench->err.message, bench->path), bench->err.message);
    assert_all_zero(&bench->tensors);
}

static inline void refuse(struct bench *bench, const char *header, size_t data_bytes, const char *message)
{
    write_parts(bench, strlen(header), header, strlen(header), data_bytes);
    assert_refused(bench, message);
}

/* Opens the file with that header; the table stays open until the next call. */
static inline void accept(struct bench *bench, const char *header, size_t data_bytes, size_t count)
{
    safetensors_close(&bench->tensors);
    write_parts(bench, strlen(header), header, strlen(header), data_bytes);
    if (safetensors_open(&bench->tensors, bench->path, &bench->err) != VITCL_OK)
        fail_msg("%.200s was refused: %s", header, bench->err.message);
    assert_int_equal(bench->tensors.count, count);
}

static inline const struct tensor_entry *find(const struct bench *bench, const char *name)
{
    const struct tensor_entry *entry = safetensors_find(&bench->tensors, name);
    if (!entry)
        fail_msg("no tensor '%s'", name);
    return entry;
}

static inline int make_bench(void **state)
{
    static struct bench bench;
    const char *base = getenv("TMPDIR");
    snprintf(bench.folder, sizeof bench.folder, "%s/vitcl_safetensors_XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(bench.folder))
        return -1;
    snprintf(bench.path, sizeof bench.path, "%s/model.safetensors", bench.folder);
    *state = &bench;
    return 0;
}

static inline int remove_bench(void **state)
{
    struct bench *bench = *state;
    safetensors_close(&bench->tensors);
    unlink(bench->path);
    return rmdir(bench->folder);
}

#endif

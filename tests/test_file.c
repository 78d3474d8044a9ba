/* test_file.c - mapped files, and letting go of the memory that their pages take. */
#include "base/file.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench {
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct mapped_file file;
};

static int set_up(void **state)
{
    struct bench *bench = allocate(1, sizeof *bench);
    folder_create(bench->folder);
    path_join(bench->path, bench->folder, "file");
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    file_unmap(&bench->file);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 / 5 + i / 4096);
}

/* Maps a file of that many bytes. */
static void map_pattern(struct bench *bench, size_t size)
{
    unsigned char *bytes = allocate(size, 1);
    vitcl_error err;
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(i);
    file_write(bench->path, bytes, size);
    free(bytes);
    file_unmap(&bench->file);
    assert_ok(file_map(&bench->file, bench->path, &err), &err);
    assert_int_equal(bench->file.size, size);
}

static void assert_pattern(const struct mapped_file *file)
{
    for (size_t i = 0; i < file->size; i++)
        if (file->data[i] != byte_at(i))
            fail_msg("byte %zu of %zu is wrong", i, file->size);
}

/* Bytes of this process that are in memory; 0 where that can not be told. */
static size_t resident(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*s %zu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void empty_file(void **state)
{
    struct bench *bench = *state;
    map_pattern(bench, 0);
    assert_non_null(bench->file.data);
    file_release(bench->file.data, 0);
}

static void no_file(void **state)
{
    struct bench *bench = *state;
    vitcl_error err;
    assert_int_equal(file_map(&bench->file, bench->path, &err), VITCL_ERROR_IO);
    assert_contains(err.message, bench->path);
    assert_int_equal(file_map(&bench->file, bench->folder, &err), VITCL_ERROR_IO);
    assert_contains(err.message, "not a regular file");
    assert_null(bench->file.data);
}

/* Pieces that begin and end within pages and on their borders. */
static void released_bytes_come_back(void **state)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t places[] = {0, 1, page - 1, page, page + 1, 2 * page, 3 * page - 1, 5 * page};
    struct bench *bench = *state;
    map_pattern(bench, 5 * page + 100);
    for (size_t first = 0; first < COUNT(places); first++)
        for (size_t last = first; last < COUNT(places); last++) {
            file_release(bench->file.data + places[first], places[last] - places[first]);
            assert_pattern(&bench->file);
        }
    file_release(bench->file.data, bench->file.size);
    assert_pattern(&bench->file);
}

static void release_gives_memory_back(void **state)
{
    enum { BYTES = 16 << 20, MARGIN = 1 << 20 };
    struct bench *bench = *state;
    size_t before, full, released;
    map_pattern(bench, BYTES);
    before = resident();
    if (before == 0) {
        print_message("SKIP: no /proc/self/statm\n");
        skip();
    }
    assert_pattern(&bench->file);
    full = resident();
    assert_true(full >= before + BYTES - MARGIN);
    file_release(bench->file.data + 100, bench->file.size - 200);
    released = resident();
    if (released > before + MARGIN)
        fail_msg("%zu bytes in memory before, %zu with the file, %zu without", before, full, released);
    assert_pattern(&bench->file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(released_bytes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(release_gives_memory_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_npy.c - .npy files: what is written reads back to the bit, headers are read in all three versions as numpy
 * writes them, files of any other kind are refused with a reason, and a write that fails leaves the older file as it
 * was.
 */
#include "cli/npy.h"
#include "support.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define DICT(descr, order, shape) "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"
#define FLOATS(shape)             DICT("'<f4'", "False", shape)

/* A folder for all tests, and a file in it. */
struct bench {
    char folder[PATH_SIZE], path[PATH_SIZE];
};

static int set_up(void **state)
{
    struct bench *bench = allocate(1, sizeof *bench);
    folder_create(bench->folder);
    path_join(bench->path, bench->folder, "array.npy");
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

/* ---- reading ---- */

/* Writes magic | version | length | dict, padded to 64 bytes as numpy does | bytes of data that count up. */
static size_t write_array(const char *path, int version, const char *dict, size_t data_bytes)
{
    size_t length_size = version == 1 ? 2 : 4, start = 8 + length_size + strlen(dict) + 1, size;
    char *file;
    start = (start + 63) / 64 * 64;
    size = start + data_bytes;
    file = allocate(size, 1);
    memset(file, ' ', start);
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (char)version;
    file[7] = 0;
    for (size_t i = 0; i < length_size; i++)
        file[8 + i] = (char)((start - 8 - length_size) >> 8 * i & 0xff);
    memcpy(file + 8 + length_size, dict, strlen(dict));
    file[start - 1] = '\n';
    for (size_t i = 0; i < data_bytes; i++)
        file[start + i] = (char)i;
    file_write(path, file, size);
    free(file);
    return start;
}

static void assert_refused_with(const struct bench *bench, const char *reason)
{
    struct npy_reader npy;
    const char *problem;
    memset(&npy, 0x5a, sizeof npy);
    problem = npy_open(&npy, bench->path);
    if (!problem)
        fail_msg("opened; expected \"%s\"", reason);
    if (!strstr(problem, reason))
        fail_msg("expected \"%s\", found \"%s\"", reason, problem);
    assert_null(npy.file);
}

static void test_headers_of_numpy(void **state)
{
    static const struct {
        const char *dict;
        size_t rank, shape[4];
    } CASES[] = {
        {FLOATS("()"), 0, {0}},
        {FLOATS("(7,)"), 1, {7}},
        {FLOATS("(2, 3)"), 2, {2, 3}},
        {FLOATS("(2, 3, 4, 5)"), 4, {2, 3, 4, 5}},
        {FLOATS("(0, 3)"), 2, {0, 3}},
        {"{'shape': (3,), 'fortran_order': False, 'descr': '<f4'}", 1, {3}},
        {"{'descr':'<f4','fortran_order':False,'shape':(3,1)}", 2, {3, 1}},
    };
    const struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        for (int version = 1; version <= 3; version++) {
            struct npy_reader npy;
            size_t count = 1;
            float value, expected;
            const char *problem;
            for (size_t axis = 0; axis < CASES[i].rank; axis++)
                count *= CASES[i].shape[axis];
            write_array(bench->path, version, CASES[i].dict, count * sizeof(float));
            assert_true(npy_is_npy(bench->path));
            problem = npy_open(&npy, bench->path);
            if (problem)
                fail_msg("version %d, %s: %s", version, CASES[i].dict, problem);
            assert_int_equal(npy.rank, CASES[i].rank);
            assert_memory_equal(npy.shape, CASES[i].shape, npy.rank * sizeof *npy.shape);
            if (count > 0) {
                assert_true(npy_read(&npy, &value, 1));
                memcpy(&expected, "\0\1\2\3", sizeof expected);
                assert_memory_equal(&value, &expected, sizeof value);
            }
            for (size_t n = 1; n < count; n++)
                assert_true(npy_read(&npy, &value, 1));
            assert_false(npy_read(&npy, &value, 1)); /* behind the end */
            npy_close(&npy);
            npy_close(&npy);
        }
    }
}

static void test_other_arrays(void **state)
{
    static const struct {
        const char *dict, *reason;
    } CASES[] = {
        {DICT("'<f8'", "False", "(2,)"), "float32"},
        {DICT("'>f4'", "False", "(2,)"), "float32"},
        {DICT("'<f2'", "False", "(2,)"), "float32"},
        {DICT("'|u1'", "False", "(2,)"), "float32"},
        {DICT("[('a', '<f4')]", "False", "(2,)"), "float32"},
        {DICT("'<f4'", "True", "(2,)"), "Fortran"},
        {DICT("'<f4'", "False", "2"), "tuple"},
        {DICT("'<f4'", "False", "[2]"), "tuple"},
        {DICT("'<f4'", "False", "(-2,)"), "not understood"},
        {DICT("'<f4'", "False", "(2.5,)"), "not understood"},
        {DICT("'<f4'", "False", "(two,)"), "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': ", "tuple"},
        {FLOATS("(1, 1, 1, 1, 1, 1, 1, 1, 2)"), "not understood"},
        {FLOATS("(18446744073709551616,)"), "too large"},
        {FLOATS("(99999999999999999999999,)"), "too large"},
        {FLOATS("(4611686018427387904,)"), "too large"}, /* 2^62 floats are 2^64 bytes */
        {FLOATS("(4294967296, 4294967296, 2)"), "too large"},
        {FLOATS("(3,)"), "as long as"},
        {FLOATS("(1,)"), "as long as"},
        {FLOATS("()"), "as long as"},
        {"{'fortran_order': False, 'shape': (2,)}", "lacks"},
        {"{'descr': '<f4', 'shape': (2,)}", "lacks"},
        {"{'descr': '<f4', 'fortran_order': False}", "lacks"},
        {"", "lacks"},
    };
    const struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        write_array(bench->path, 1, CASES[i].dict, 2 * sizeof(float));
        assert_refused_with(bench, CASES[i].reason);
    }
}

/* A good file, cut off at every byte and one byte too long. */
static void test_cut_off(void **state)
{
    const struct bench *bench = *state;
    size_t start = write_array(bench->path, 2, FLOATS("(2,)"), 2 * sizeof(float));
    size_t size;
    char *whole = file_read(bench->path, &size);
    struct npy_reader npy;
    assert_int_equal(size, start + 2 * sizeof(float));
    for (size_t cut = 0; cut < size; cut++) {
        file_write(bench->path, whole, cut);
        assert_refused_with(bench, cut < 8       ? "not a .npy file"
                                   : cut < 12    ? "not understood"
                                   : cut < start ? "cut off"
                                                 : "as long as");
    }
    file_write(bench->path, whole, size + 1); /* file_read leaves a 0 behind */
    assert_refused_with(bench, "as long as");
    file_write(bench->path, whole, size);
    assert_null(npy_open(&npy, bench->path));
    npy_close(&npy);
    free(whole);
}

static void test_other_files(void **state)
{
    static const char MAGICS[][9] = {"\x93NUMPZ\x01", "\x92NUMPY\x01", "PK\3\4\0\0\0\0", "\x89PNG\r\n\x1a\n"};
    static const int VERSIONS[] = {0, 4, 255};
    const struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(MAGICS); i++) {
        file_write(bench->path, MAGICS[i], 8);
        assert_false(npy_is_npy(bench->path));
        assert_refused_with(bench, "not a .npy file");
    }
    for (size_t i = 0; i < COUNT(VERSIONS); i++) {
        write_array(bench->path, VERSIONS[i], FLOATS("(2,)"), 8);
        assert_refused_with(bench, "not understood");
    }
    file_write(bench->path, "\x93NUMPY\x02\0\xff\xff\xff\xff{", 13); /* a header of 4 GB */
    assert_refused_with(bench, "too long");
    file_write(bench->path, "\x93NUMPY\x01\0\xff\xff{", 11);
    assert_refused_with(bench, "cut off");
    unlink(bench->path);
    assert_false(npy_is_npy(bench->path));
    assert_refused_with(bench, strerror(ENOENT));
}

/* ---- writing ---- */

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* Only the file itself is in the folder, or nothing: no temporary one is left. */
static void assert_tidy(const struct bench *bench)
{
    char part[PATH_SIZE];
    path_join(part, bench->folder, "array.npy.part");
    assert_false(exists(part));
}

static void test_round_trip(void **state)
{
    static const float VALUES[] = {0, -0.0f, 1.5f, -1e-42f, 3e38f, INFINITY, NAN, 7, 8, 9, 10, 11};
    const struct bench *bench = *state;
    for (size_t rank = 0; rank <= 3; rank++) {
        const size_t shape[] = {1, 3, 2}, row = rank == 0 ? 1 : rank == 1 ? 1 : rank == 2 ? 3 : 6, rows = 12 / row;
        struct npy_writer writer;
        struct npy_reader reader;
        float read[12];
        assert_true(npy_create(&writer, bench->path, shape, rank));
        assert_true(npy_append(&writer, VALUES, 1));
        assert_true(npy_append(&writer, VALUES + row, 0));
        assert_true(npy_append(&writer, VALUES + row, rows - 1));
        assert_true(npy_finish(&writer));
        npy_discard(&writer);
        assert_tidy(bench);
        assert_null(npy_open(&reader, bench->path));
        assert_int_equal(reader.rank, rank + 1);
        assert_int_equal(reader.shape[0], rows);
        assert_memory_equal(reader.shape + 1, shape, rank * sizeof *shape);
        assert_true(npy_read(&reader, read, 12));
        assert_memory_equal(read, VALUES, sizeof read);
        npy_close(&reader);
    }
}

/* The bytes that numpy.save documents: version 1.0, data at a multiple of 64, a dict literal that ends in a newline. */
static void test_written_header(void **state)
{
    const struct bench *bench = *state;
    const float values[2][3] = {{1, 2, 3}, {4, 5, 6}};
    struct npy_writer writer;
    size_t size, start;
    char *file;
    assert_true(npy_create(&writer, bench->path, (size_t[]){3}, 1));
    assert_true(npy_append(&writer, values[0], 2));
    assert_true(npy_finish(&writer));
    npy_discard(&writer);
    file = file_read(bench->path, &size);
    start = size - sizeof values;
    assert_memory_equal(file, "\x93NUMPY\x01\x00", 8);
    assert_int_equal(10 + (unsigned char)file[8] + 256 * (unsigned char)file[9], start);
    assert_int_equal(start % 64, 0);
    assert_int_equal(file[start - 1], '\n');
    assert_memory_equal(file + start, values, sizeof values);
    file[start] = '\0';
    assert_non_null(strstr(file + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3"));
    free(file);
}

/* The older file holds "old". */
static void assert_old(const struct bench *bench)
{
    size_t size;
    char *file = file_read(bench->path, &size);
    assert_string_equal(file, "old");
    free(file);
    assert_tidy(bench);
}

static void test_interrupted(void **state)
{
    const struct bench *bench = *state;
    const float values[1000] = {0};
    struct npy_writer writer;
    file_write(bench->path, "old", 3);
    assert_true(npy_create(&writer, bench->path, (size_t[]){10}, 1));
    assert_true(npy_append(&writer, values, 100));
    npy_discard(&writer);
    assert_old(bench);
    npy_discard(&writer);
    assert_true(npy_finish(&writer)); /* nothing to finish */
    assert_old(bench);
}

/* The file system takes only 4096 bytes, as a full disk would. */
static void test_disk_full(void **state)
{
    const struct bench *bench = *state;
    const float values[10000] = {0};
    struct npy_writer writer;
    struct rlimit before, limit;
    bool appended, finished;
    file_write(bench->path, "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    appended = npy_create(&writer, bench->path, (size_t[]){10}, 1) && npy_append(&writer, values, 1000);
    finished = npy_finish(&writer); /* must not make a file of what was not written */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(appended);
    assert_false(finished);
    npy_discard(&writer);
    assert_old(bench);
}

static void test_no_such_folder(void **state)
{
    struct bench bench = *(struct bench *)*state;
    struct npy_writer writer;
    path_join(bench.path, bench.folder, "none/array.npy");
    errno = 0;
    assert_false(npy_create(&writer, bench.path, (size_t[]){10}, 1));
    assert_int_equal(errno, ENOENT);
    npy_discard(&writer);
}

/* Only files are replaced: never a folder, a device or a pipe. */
static void test_no_file_in_the_way(void **state)
{
    struct bench bench = *(struct bench *)*state;
    struct npy_writer writer;
    path_join(bench.path, bench.folder, "folder");
    assert_int_equal(mkdir(bench.path, 0700), 0);
    assert_false(npy_create(&writer, bench.path, (size_t[]){10}, 1));
    assert_int_equal(errno, EISDIR);
    path_join(bench.path, bench.folder, "pipe");
    assert_int_equal(mkfifo(bench.path, 0700), 0);
    assert_false(npy_create(&writer, bench.path, (size_t[]){10}, 1));
    assert_false(npy_is_npy(bench.path)); /* and nothing waits for its other end */
    assert_false(npy_create(&writer, "/dev/null", (size_t[]){10}, 1));
}

/* Of a link, the file that it points to is replaced. */
static void test_link(void **state)
{
    struct bench bench = *(struct bench *)*state;
    const float values[10] = {0};
    char link_path[PATH_SIZE];
    struct stat info;
    struct npy_writer writer;
    path_join(bench.path, bench.folder, "target.npy");
    path_join(link_path, bench.folder, "link.npy");
    file_write(bench.path, "old", 3);
    assert_int_equal(symlink(bench.path, link_path), 0);
    assert_true(npy_create(&writer, link_path, (size_t[]){10}, 1));
    assert_true(npy_append(&writer, values, 1));
    assert_true(npy_finish(&writer));
    npy_discard(&writer);
    assert_int_equal(lstat(link_path, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_true(npy_is_npy(bench.path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_of_numpy),
        cmocka_unit_test(test_other_arrays),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_written_header),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_no_such_folder),
        cmocka_unit_test(test_no_file_in_the_way),
        cmocka_unit_test(test_link),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

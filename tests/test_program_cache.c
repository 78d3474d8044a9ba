/* test_program_cache.c - programs from the cache: a second context compiles nothing and gives the same numbers; a cache
 * that is damaged or can not be used costs time and nothing else.
 *
 * Whether this driver's programs are kept is decided here, not by the time that it takes.
 */
#include "device/device_cl.h"
#include "session_run.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MODEL "vit/cls"

/* One context's life: what it compiled and loaded, and what the model answered. */
struct life {
    size_t compiled, loaded;
    struct answer answer;
};

struct bench {
    char folder[PATH_SIZE]; /* of the cache */
    struct run reference;   /* for the sizes of answers */
    struct life first;
};

static void count_line(void *user, vitcl_log_level level, const char *line)
{
    struct life *life = user;
    if (strncmp(line, "compiling ", strlen("compiling ")) == 0) {
        assert_int_equal(level, VITCL_LOG_PROGRESS);
        life->compiled++;
    }
    if (strncmp(line, "loaded ", strlen("loaded ")) == 0) {
        assert_int_equal(level, VITCL_LOG_DEBUG);
        life->loaded++;
    }
}

/* Opens a context with this cache, runs the model in it, closes it. verdict: what is known about the driver's binaries;
 * NULL: what the cache says. */
static struct life live(const char *folder, const char *verdict)
{
    const char *selector = getenv("VITCL_DEVICE");
    struct device *device;
    struct run run;
    struct life life = {0};
    vitcl_error err;
    setenv("VITCL_CACHE_DIR", folder, 1);
    assert_ok(device_open(&device, selector ? selector : "", &(struct logger){count_line, &life}, &err), &err);
    if (verdict)
        remember_verdict(device, verdict);
    run_open(&run, device, MODEL, 2, NULL);
    life.answer = run_ask(&run, 0, run.batch);
    run_close(&run);
    device_close(&device);
    return life;
}

/* Ends a life; fails unless it compiled and loaded so many programs and answered like the first. */
static void expect(struct bench *bench, struct life life, size_t compiled, size_t loaded)
{
    assert_same(&bench->reference, &life.answer, &bench->first.answer, bench->reference.batch);
    answer_free(&life.answer);
    assert_int_equal(life.compiled, compiled);
    assert_int_equal(life.loaded, loaded);
}

/* A cache in which all programs of the model are. */
static struct bench bench_open(void **state)
{
    struct bench bench;
    device_or_skip(state);
    folder_create(bench.folder);
    run_open(&bench.reference, NULL, MODEL, 2, NULL);
    bench.first = live(bench.folder, BINARIES_QUICK);
    assert_true(bench.first.compiled > 2);
    assert_int_equal(bench.first.loaded, 0);
    return bench;
}

static void bench_close(struct bench *bench)
{
    answer_free(&bench->first.answer);
    run_close(&bench->reference);
    folder_remove(bench->folder);
}

/* Calls work on the path of each program in the cache; returns how many there are. */
static size_t each_program(const struct bench *bench, void (*work)(const struct bench *bench, const char *path))
{
    char path[PATH_SIZE];
    size_t count = 0;
    struct dirent *entry;
    DIR *folder = opendir(bench->folder);
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        if (strncmp(entry->d_name, "program-", strlen("program-")) != 0)
            continue;
        path_join(path, bench->folder, entry->d_name);
        if (work)
            work(bench, path);
        count++;
    }
    closedir(folder);
    return count;
}

static void test_second_context_compiles_nothing(void **state)
{
    struct bench bench = bench_open(state);
    assert_int_equal(each_program(&bench, NULL), bench.first.compiled);
    expect(&bench, live(bench.folder, NULL), 0, bench.first.compiled);
    bench_close(&bench);
}

/* ---- damage ---- */

static void cut_off(const struct bench *bench, const char *path)
{
    size_t size;
    char *file = file_read(path, &size);
    (void)bench;
    file_write(path, file, size / 2);
    free(file);
}

static void flip_bit(const struct bench *bench, const char *path)
{
    size_t size;
    char *file = file_read(path, &size);
    (void)bench;
    file[size / 2] ^= 4;
    file_write(path, file, size);
    free(file);
}

static void empty(const struct bench *bench, const char *path)
{
    (void)bench;
    file_write(path, "", 0);
}

/* Sound files whose contents are no programs. The key lies behind the header: 8 bytes, three 64-bit numbers, of which
 * the first is its length. */
static void replace_content(const struct bench *bench, const char *path)
{
    struct cache cache;
    size_t size;
    uint64_t length;
    char *file = file_read(path, &size);
    memcpy(&length, file + 8, sizeof length);
    file[32 + length] = '\0';
    setenv("VITCL_CACHE_DIR", bench->folder, 1);
    cache_open(&cache, NULL);
    cache_write(&cache, "program", file + 32, "no program at all", 17);
    cache_close(&cache);
    free(file);
}

/* All are compiled again, and kept again. */
static void check_damage(void **state, void (*damage)(const struct bench *bench, const char *path))
{
    struct bench bench = bench_open(state);
    size_t count = each_program(&bench, damage);
    assert_int_equal(count, bench.first.compiled);
    expect(&bench, live(bench.folder, NULL), count, 0);
    expect(&bench, live(bench.folder, NULL), 0, count);
    bench_close(&bench);
}

static void test_cut_off(void **state)
{
    check_damage(state, cut_off);
}

static void test_flipped_bit(void **state)
{
    check_damage(state, flip_bit);
}

static void test_empty(void **state)
{
    check_damage(state, empty);
}

/* Mesa's rusticl 22.3 ends the process that brings it no program: found out with another process than this. */
static void skip_where_driver_aborts(void **state)
{
    const char *const argv[] = {VITCL_RUN, "-m", FIXTURES "/digits", FIXTURES "/digits/images/000_six.png", NULL};
    struct bench bench = bench_open(state);
    char cache[PATH_SIZE + 20];
    int code = 0;
    snprintf(cache, sizeof cache, "VITCL_CACHE_DIR=%s", bench.folder);
    for (int i = 0; i < 2; i++) {
        struct output output;
        program_run(&output, argv, (const char *const[]){cache, NULL}, NULL);
        code = output.code;
        output_free(&output);
        each_program(&bench, replace_content);
    }
    bench_close(&bench);
    if (code >= 128) {
        print_message("SKIP: the driver ends a process that brings it a binary which is no program\n");
        skip();
    }
    assert_int_equal(code, 0);
}

static void test_driver_refuses(void **state)
{
    skip_where_driver_aborts(state);
    check_damage(state, replace_content);
}

/* ---- caches that are not used ---- */

static void test_without_cache(void **state)
{
    struct bench bench = bench_open(state);
    char path[PATH_SIZE];
    expect(&bench, live("off", NULL), bench.first.compiled, 0);
    path_join(path, bench.folder, "file");
    file_write(path, "", 0);
    expect(&bench, live(path, NULL), bench.first.compiled, 0);
    chmod(bench.folder, 0777);
    expect(&bench, live(bench.folder, NULL), bench.first.compiled, 0);
    bench_close(&bench);
}

/* A driver that takes long to hand out a program is not asked. */
static void test_slow_driver(void **state)
{
    struct bench bench = bench_open(state);
    char fresh[PATH_SIZE];
    path_join(fresh, bench.folder, "fresh");
    expect(&bench, live(fresh, BINARIES_SLOW), bench.first.compiled, 0);
    expect(&bench, live(fresh, NULL), bench.first.compiled, 0);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_context_compiles_nothing),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_flipped_bit),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_driver_refuses),
        cmocka_unit_test(test_without_cache),
        cmocka_unit_test(test_slow_driver),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

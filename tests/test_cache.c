/* test_cache.c - the store of the cache: what is written is read, and nothing else ever is. */
#include "device/cache.h"
#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY     "vitcl 1\ndevice A\n"
#define CONTENT "what was compiled"

struct bench {
    char folder[PATH_SIZE], place[PATH_SIZE]; /* the cache is in folder/place */
    struct cache cache;
    char last_line[256]; /* of the log */
};

static void note_line(void *user, vitcl_log_level level, const char *line)
{
    struct bench *bench = user;
    assert_int_equal(level, VITCL_LOG_DEBUG);
    snprintf(bench->last_line, sizeof bench->last_line, "%s", line);
}

static void open_cache(struct bench *bench, const char *path)
{
    cache_close(&bench->cache);
    setenv("VITCL_CACHE_DIR", path, 1);
    cache_open(&bench->cache, &(struct logger){note_line, bench});
}

static int set_up(void **state)
{
    struct bench *bench = allocate(1, sizeof *bench);
    folder_create(bench->folder);
    path_join(bench->place, bench->folder, "cache");
    open_cache(bench, bench->place);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    cache_close(&bench->cache);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

static void put(const struct bench *bench, const char *key, const char *content)
{
    cache_write(&bench->cache, "program", key, content, strlen(content));
}

/* Fails unless the key's content is this; NULL: unless there is none. */
static void assert_content(const struct bench *bench, const char *kind, const char *key, const char *content)
{
    unsigned char *bytes;
    size_t size = 0;
    bool found = cache_read(&bench->cache, kind, key, &bytes, &size);
    assert_int_equal(found, content != NULL);
    assert_int_equal(bytes != NULL, found);
    if (content) {
        assert_int_equal(size, strlen(content));
        assert_memory_equal(bytes, content, size);
    }
    free(bytes);
}

/* How many files the cache's folder holds; the path of the last one. */
static size_t list_files(const struct bench *bench, char path[PATH_SIZE])
{
    size_t count = 0;
    struct dirent *entry;
    DIR *folder = opendir(bench->place);
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        path_join(path, bench->place, entry->d_name);
        count++;
    }
    closedir(folder);
    return count;
}

/* ---- what it is for ---- */

static void test_reads_what_was_written(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    assert_content(bench, "program", KEY, NULL);
    put(bench, KEY, CONTENT);
    put(bench, "another key", "");
    assert_content(bench, "program", KEY, CONTENT);
    assert_content(bench, "program", "another key", "");
    assert_content(bench, "verdict", KEY, NULL);
    assert_content(bench, "program", KEY "more", NULL);
    put(bench, KEY, "replaced");
    open_cache(bench, bench->place);
    assert_content(bench, "program", KEY, "replaced");
    assert_int_equal(list_files(bench, path), 2);
}

static void test_off_holds_nothing(void **state)
{
    struct bench *bench = *state;
    cache_close(&bench->cache);
    put(bench, KEY, CONTENT);
    assert_content(bench, "program", KEY, NULL);
}

/* ---- files that are not what was written ---- */

static void test_cut_off_anywhere(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    char *file;
    size_t size;
    put(bench, KEY, CONTENT);
    list_files(bench, path);
    file = file_read(path, &size);
    for (size_t length = 0; length < size; length++) {
        file_write(path, file, length);
        assert_content(bench, "program", KEY, NULL);
    }
    file_write(path, file, size + 1); /* and the NUL behind it */
    assert_content(bench, "program", KEY, NULL);
    file_write(path, file, size);
    assert_content(bench, "program", KEY, CONTENT);
    free(file);
}

static void test_any_bit_flipped(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    char *file;
    size_t size;
    put(bench, KEY, CONTENT);
    list_files(bench, path);
    file = file_read(path, &size);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
        file_write(path, file, size);
        assert_content(bench, "program", KEY, NULL);
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    }
    put(bench, KEY, CONTENT);
    assert_content(bench, "program", KEY, CONTENT);
    free(file);
}

static void test_file_of_another_key(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE], aside[PATH_SIZE];
    path_join(aside, bench->folder, "aside");
    put(bench, "vitcl 1\ndevice B\n", "for another device");
    list_files(bench, path);
    assert_int_equal(rename(path, aside), 0);
    put(bench, KEY, CONTENT);
    list_files(bench, path);
    assert_int_equal(rename(aside, path), 0);
    assert_content(bench, "program", KEY, NULL);
    assert_contains(bench->last_line, "something else");
}

static void test_too_large(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    char *large = allocate(CACHE_MAX_FILE, 1);
    cache_write(&bench->cache, "program", KEY, large, CACHE_MAX_FILE);
    assert_int_equal(list_files(bench, path), 0);
    free(large);
    put(bench, KEY, CONTENT);
    list_files(bench, path);
    assert_int_equal(truncate(path, (off_t)CACHE_MAX_FILE + 1), 0);
    assert_content(bench, "program", KEY, NULL);
    assert_contains(bench->last_line, "size");
}

static void test_things_that_are_no_files(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE], elsewhere[PATH_SIZE];
    put(bench, KEY, CONTENT);
    list_files(bench, path);
    assert_int_equal(chmod(path, 0622), 0);
    assert_content(bench, "program", KEY, NULL);
    chmod(path, 0600);
    assert_content(bench, "program", KEY, CONTENT);

    path_join(elsewhere, bench->folder, "elsewhere");
    assert_int_equal(rename(path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, path), 0);
    assert_content(bench, "program", KEY, NULL);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_content(bench, "program", KEY, NULL);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_content(bench, "program", KEY, NULL);
    put(bench, KEY, CONTENT); /* can not take the place of a folder */
    assert_contains(bench->last_line, "can not be written");
    assert_content(bench, "program", KEY, NULL);
    assert_int_equal(list_files(bench, path), 1);
}

/* ---- folders ---- */

static void assert_unused(struct bench *bench, const char *path, const char *why)
{
    bench->last_line[0] = '\0';
    open_cache(bench, path);
    assert_false(bench->cache.on);
    assert_contains(bench->last_line, why);
    put(bench, KEY, CONTENT);
    assert_content(bench, "program", KEY, NULL);
}

static void test_makes_folders(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    struct stat info;
    path_join(path, bench->folder, "a/b/c///");
    open_cache(bench, path);
    put(bench, KEY, CONTENT);
    assert_content(bench, "program", KEY, CONTENT);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void test_folders_of_doubt(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    put(bench, KEY, CONTENT);
    path_join(path, bench->folder, "link/");
    path[strlen(path) - 1] = '\0';
    assert_int_equal(symlink(bench->place, path), 0);
    assert_unused(bench, path, "not used");
    strcat(path, "/");
    assert_unused(bench, path, "not used");
    chmod(bench->place, 0770);
    assert_unused(bench, bench->place, "other users may write");
    chmod(bench->place, 0702);
    assert_unused(bench, bench->place, "other users may write");
    chmod(bench->place, 0755);
    open_cache(bench, bench->place);
    assert_content(bench, "program", KEY, CONTENT);
    if (geteuid() == 0) {
        assert_int_equal(chown(bench->place, 12345, 12345), 0);
        assert_unused(bench, bench->place, "another user");
    } else {
        assert_unused(bench, "/", "another user");
    }
    path_join(path, bench->folder, "file");
    file_write(path, "", 0);
    assert_unused(bench, path, "not used");
}

/* What is there is read; what can not be written does no harm. /proc takes no files, not even from root. */
static void test_read_only(void **state)
{
    struct bench *bench = *state;
    put(bench, KEY, CONTENT);
    if (geteuid() == 0) {
        open_cache(bench, "/proc");
        put(bench, KEY, CONTENT);
        assert_contains(bench->last_line, "can not be written");
        assert_content(bench, "program", KEY, NULL);
        return;
    }
    chmod(bench->place, 0500);
    put(bench, KEY, "replaced");
    assert_contains(bench->last_line, "can not be written");
    assert_content(bench, "program", KEY, CONTENT);
    chmod(bench->place, 0700);
}

/* Fails unless the cache that these variables choose is folder/<expected>; NULL: is off. */
static void check_choice(struct bench *bench, const char *own, const char *caches, const char *home,
                         const char *expected)
{
    char path[PATH_SIZE];
    cache_close(&bench->cache);
    setenv("VITCL_CACHE_DIR", own, 1);
    setenv("XDG_CACHE_HOME", caches, 1);
    setenv("HOME", home, 1);
    cache_open(&bench->cache, &(struct logger){note_line, bench});
    assert_int_equal(bench->cache.on, expected != NULL);
    if (expected) {
        path_join(path, bench->folder, expected);
        assert_contains(bench->last_line, path);
    }
}

static void test_choice_of_the_folder(void **state)
{
    struct bench *bench = *state;
    char own[PATH_SIZE], caches[PATH_SIZE], home[PATH_SIZE];
    path_join(own, bench->folder, "own");
    path_join(caches, bench->folder, "caches");
    path_join(home, bench->folder, "home");
    check_choice(bench, own, caches, home, "own");
    check_choice(bench, "", caches, home, "caches/vitcl");
    check_choice(bench, "", "relative", home, "home/.cache/vitcl");
    check_choice(bench, "", "", home, "home/.cache/vitcl");
    check_choice(bench, "", "", "", NULL);
    check_choice(bench, "off", caches, home, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_reads_what_was_written),   TEST(test_off_holds_nothing),
        TEST(test_cut_off_anywhere),         TEST(test_any_bit_flipped),
        TEST(test_file_of_another_key),      TEST(test_too_large),
        TEST(test_things_that_are_no_files), TEST(test_makes_folders),
        TEST(test_folders_of_doubt),         TEST(test_read_only),
        TEST(test_choice_of_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

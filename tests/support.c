/* support.c - see support.h. */
#include "support.h"
#include "base/file.h"

#include <dirent.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- errors ---- */

void assert_ok(vitcl_status status, const vitcl_error *error)
{
    if (status != VITCL_OK)
        fail_msg("%s: %s", vitcl_status_name(status), error->message);
}

void check_refused(const char *call, vitcl_status status, vitcl_error *error)
{
    if (status != VITCL_ERROR_ARGUMENT || error->status != status || !*error->message)
        fail_msg("%s: %s, error.status %s, message \"%s\"", call, vitcl_status_name(status),
                 vitcl_status_name(error->status), error->message);
    memset(error, 0, sizeof *error);
}

void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in: %s", part, text);
}

/* ---- random numbers ---- */

/* 0 <= x < 1: xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"). */
static double next_random(struct random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (double)(random->state * 2685821657736338717u >> 11) * 0x1p-53;
}

double random_uniform(struct random *random, double low, double high)
{
    return low + (high - low) * next_random(random);
}

void random_fill(struct random *random, float *values, size_t count, double mean, double deviation)
{
    for (size_t i = 0; i < count; i++) {
        double sum = -6; /* twelve uniform numbers have variance 1 */
        for (int n = 0; n < 12; n++)
            sum += next_random(random);
        values[i] = (float)(mean + deviation * sum);
    }
}

vitcl_image random_image(struct random *random, size_t width, size_t height)
{
    uint8_t *pixels = allocate(width * height, 3);
    for (size_t i = 0; i < width * height * 3; i++)
        pixels[i] = (uint8_t)random_uniform(random, 0, 256);
    return (vitcl_image){.pixels = pixels, .width = width, .height = height};
}

void free_pixels(vitcl_image *image)
{
    free((void *)(uintptr_t)image->pixels);
    image->pixels = NULL;
}

/* ---- memory and files ---- */

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    assert_non_null(memory);
    return memory;
}

void path_join(char path[PATH_SIZE], const char *folder, const char *name)
{
    assert_true(snprintf(path, PATH_SIZE, "%s/%s", folder, name) < PATH_SIZE);
}

void folder_create(char path[PATH_SIZE])
{
    const char *parent = getenv("TMPDIR");
    path_join(path, parent && *parent ? parent : "/tmp", "vitcl-test-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

void folder_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void file_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s can not be written", path);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* From its current position to its end. */
static char *read_rest(FILE *file, size_t *size)
{
    size_t length = 0, capacity = 4096;
    char *bytes = allocate(capacity, 1);
    for (size_t got; (got = fread(bytes + length, 1, capacity - 1 - length, file)) > 0;) {
        length += got;
        capacity *= 2;
        bytes = realloc(bytes, capacity);
        assert_non_null(bytes);
    }
    bytes[length] = '\0';
    if (size)
        *size = length;
    return bytes;
}

char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *bytes;
    if (!file)
        fail_msg("%s can not be read", path);
    bytes = read_rest(file, size);
    fclose(file);
    return bytes;
}

void folder_copy(const char *from, const char *to)
{
    DIR *folder = opendir(from);
    struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        char source[PATH_SIZE], target[PATH_SIZE];
        size_t size;
        char *bytes;
        path_join(source, from, entry->d_name);
        path_join(target, to, entry->d_name);
        if (!file_exists(source))
            continue;
        bytes = file_read(source, &size);
        file_write(target, bytes, size);
        free(bytes);
    }
    closedir(folder);
}

void json_change(const char *path, const char *key, json_t *value)
{
    json_t *object = json_load_file(path, 0, NULL);
    assert_non_null(object);
    assert_int_equal(json_object_set_new(object, key, value), 0);
    assert_int_equal(json_dump_file(object, path, 0), 0);
    json_decref(object);
}

static size_t numbers_in(const size_t *shape, size_t rank)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= shape[i];
    return count;
}

void npy_save(const char *path, const float *values, const size_t *shape, size_t rank)
{
    char header[118];
    size_t count = numbers_in(shape, rank);
    int length = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < rank; i++)
        length += snprintf(header + length, sizeof header - (size_t)length, "%s%zu", i ? ", " : "", shape[i]);
    snprintf(header + length, sizeof header - (size_t)length, "%s), }", rank == 1 ? "," : "");
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fprintf(file, "%-117s\n", header);
    assert_int_equal(fwrite(values, sizeof *values, count, file), count);
    assert_int_equal(fclose(file), 0);
}

static void check_shape(const char *path, const char *header, const size_t *shape, size_t rank)
{
    const char *at = strstr(header, "'shape': (");
    assert_non_null(at);
    at += strlen("'shape': (");
    for (size_t i = 0; i < rank; i++) {
        char *end;
        if (strtoul(at, &end, 10) != shape[i])
            fail_msg("%s: axis %zu: expected %zu, found %.60s", path, i, shape[i], header + 50);
        at = end + strspn(end, ", ");
    }
    assert_int_equal(*at, ')');
}

float *npy_load(const char *path, const size_t *shape, size_t rank)
{
    size_t size, start, bytes = numbers_in(shape, rank) * sizeof(float);
    char *file = file_read(path, &size);
    float *values = allocate(bytes, 1);

    assert_true(size > 10 && memcmp(file, "\x93NUMPY\x01\x00", 8) == 0);
    start = 10 + (size_t)(unsigned char)file[8] + 256 * (size_t)(unsigned char)file[9];
    assert_int_equal(start % 64, 0); /* numpy maps such files */
    assert_int_equal(size, start + bytes);
    file[start - 1] = '\0';
    assert_non_null(strstr(file + 10, "'descr': '<f4'"));
    assert_non_null(strstr(file + 10, "'fortran_order': False"));
    check_shape(path, file + 10, shape, rank);
    memcpy(values, file + start, bytes);
    free(file);
    return values;
}

/* ---- programs ---- */

/* The length of NAME in "NAME=value" and "NAME". */
static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

static bool is_changed(const char *variable, const char *const *changes)
{
    size_t length = name_length(variable);
    for (; *changes; changes++)
        if (name_length(*changes) == length && strncmp(*changes, variable, length) == 0)
            return true;
    return false;
}

/* The environment with the changes, of borrowed strings; the caller frees the list. */
static char **make_environment(const char *const *changes)
{
    size_t count = 0, kept = 0;
    char **list;
    for (char **v = environ; *v; v++)
        count++;
    for (const char *const *v = changes; *v; v++)
        count++;
    list = allocate(count + 1, sizeof *list);
    for (char **v = environ; *v; v++)
        if (!is_changed(*v, changes))
            list[kept++] = *v;
    for (; *changes; changes++)
        if (strchr(*changes, '='))
            list[kept++] = (char *)(uintptr_t)*changes;
    return list;
}

static FILE *temporary_file(const char *text)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fputs(text, file);
    rewind(file);
    return file;
}

void program_run(struct output *output, const char *const *argv, const char *const *changes, const char *input)
{
    const char *const nothing[] = {NULL};
    char **environment = make_environment(changes ? changes : nothing);
    FILE *streams[3];
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;

    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++) {
        streams[i] = temporary_file(i == 0 && input ? input : "");
        posix_spawn_file_actions_adddup2(&actions, fileno(streams[i]), i);
    }
    status = posix_spawn(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environment);
    if (status != 0)
        fail_msg("%s: %s", argv[0], strerror(status));
    assert_int_equal(waitpid(child, &status, 0), child);
    output->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    rewind(streams[1]);
    rewind(streams[2]);
    output->out = read_rest(streams[1], NULL);
    output->err = read_rest(streams[2], NULL);
    for (int i = 0; i < 3; i++)
        fclose(streams[i]);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
}

void output_free(struct output *output)
{
    free(output->out);
    free(output->err);
    memset(output, 0, sizeof *output);
}

/* ---- the OpenCL device ---- */

/* True where this machine has an OpenCL device; else says why not. */
static bool device_exists(void)
{
    vitcl_device_info *list = NULL;
    size_t count;
    vitcl_error err;
    vitcl_status status = vitcl_device_list_create(&list, &count, &err);
    vitcl_device_list_destroy(&list);
    if (status == VITCL_ERROR_DEVICE)
        print_message("SKIP: %.*s\n", (int)strcspn(err.message, "\n"), err.message);
    else
        assert_ok(status, &err);
    return status == VITCL_OK;
}

int device_set_up(void **state)
{
    struct device *device = NULL;
    const char *selector = getenv("VITCL_DEVICE");
    vitcl_error err;
    vitcl_status status = VITCL_OK;
    if (device_exists())
        status = device_open(&device, selector ? selector : "", NULL, &err);
    if (status != VITCL_OK)
        print_error("%s\n", err.message);
    *state = device;
    return status == VITCL_OK ? 0 : -1;
}

int device_tear_down(void **state)
{
    struct device *device = *state;
    device_close(&device);
    return 0;
}

struct device *device_or_skip(void **state)
{
    if (!*state)
        skip();
    return *state;
}

int device_exit_code(int failed)
{
    return failed == 0 && !device_exists() ? EXIT_SKIPPED : failed;
}

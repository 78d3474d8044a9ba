/* cache.c - the files of the cache: a header, the key, the content. A file is trusted only where it belongs to the
 * user, its header fits its length, its checksum is right and its key is the one that was asked for, byte for byte. */
#include "device/cache.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "vitcl01" /* and a NUL; the number counts the layouts that this file has had */

struct header {
    char magic[8];
    uint64_t key_length, size; /* bytes, in this machine's order: elsewhere they do not fit the file */
    uint64_t checksum;         /* of all that follows */
};

struct name {
    char chars[64];
};

/* ---- the folder ---- */

/* In a new string; NULL where no variable names one. */
static char *folder_path(void)
{
    const char *own = getenv("VITCL_CACHE_DIR"), *caches = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own)
        return strdup(own);
    if (caches && *caches == '/')
        return file_join(caches, "vitcl");
    return home && *home == '/' ? file_join(home, ".cache/vitcl") : NULL;
}

/* Makes every folder of the path that is missing; whether that worked is seen when it is opened. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    mkdir(path, 0700);
}

/* NULL where only this user can have written what is there. */
static const char *distrust(const struct stat *info)
{
    if (info->st_uid != geteuid())
        return "it belongs to another user";
    return info->st_mode & (S_IWGRP | S_IWOTH) ? "other users may write to it" : NULL;
}

/* NULL on success, else why not. */
static const char *open_folder(struct cache *cache, char *path)
{
    struct stat info;
    const char *obstacle;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') /* behind a link, a slash would follow it */
        path[--length] = '\0';
    make_folders(path);
    cache->folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (cache->folder < 0)
        return strerror(errno);
    obstacle = fstat(cache->folder, &info) == 0 ? distrust(&info) : strerror(errno);
    if (obstacle)
        close(cache->folder);
    return obstacle;
}

void cache_open(struct cache *cache, const struct logger *log)
{
    char *path = getuid() == geteuid() && getgid() == getegid() ? folder_path() : NULL;
    const char *obstacle;
    *cache = (struct cache){.log = log ? *log : (struct logger){0}};
    if (path && strcmp(path, "off") != 0) {
        obstacle = open_folder(cache, path);
        cache->on = !obstacle;
        log_line(log, VITCL_LOG_DEBUG, "cache: %s%s%s", path, obstacle ? " is not used: " : "",
                 obstacle ? obstacle : "");
    }
    free(path);
}

void cache_close(struct cache *cache)
{
    if (cache->on)
        close(cache->folder);
    *cache = (struct cache){0};
}

/* ---- files ---- */

static struct name name_of(const char *kind, const char *key)
{
    const XXH128_hash_t hash = XXH3_128bits(key, strlen(key));
    struct name name;
    snprintf(name.chars, sizeof name.chars, "%.24s-%016llx%016llx", kind, (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    return name;
}

static bool read_all(int fd, unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t got = read(fd, bytes, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
    const unsigned char *from = bytes;
    while (size > 0) {
        ssize_t put = write(fd, from, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        from += put;
        size -= (size_t)put;
    }
    return true;
}

/* The whole file, in new memory. NULL on success, else why not. */
static const char *read_file(int fd, unsigned char **file, size_t *size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return strerror(errno);
    if (!S_ISREG(info.st_mode))
        return "not a regular file";
    if (distrust(&info))
        return distrust(&info);
    if ((uintmax_t)info.st_size < sizeof(struct header) || (uintmax_t)info.st_size > CACHE_MAX_FILE)
        return "not of a size that vitcl writes";
    *size = (size_t)info.st_size;
    *file = malloc(*size);
    if (!*file)
        return "out of memory";
    return read_all(fd, *file, *size) ? NULL : "it can not be read";
}

/* NULL where the file holds the content of this key, whose size is then set; else why not. */
static const char *check_file(const unsigned char *file, size_t file_size, const char *key, size_t *size)
{
    struct header header;
    const unsigned char *body = file + sizeof header;
    size_t rest = file_size - sizeof header, key_length = strlen(key);
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, MAGIC, sizeof header.magic) != 0)
        return "not a file of this version's cache";
    if (header.key_length > rest || header.size != rest - header.key_length)
        return "it is incomplete";
    if (header.checksum != XXH3_64bits(body, rest))
        return "its checksum is wrong";
    if (header.key_length != key_length || memcmp(body, key, key_length) != 0)
        return "it belongs to something else";
    *size = (size_t)header.size;
    return NULL;
}

bool cache_read(const struct cache *cache, const char *kind, const char *key, unsigned char **bytes, size_t *size)
{
    const struct name name = name_of(kind, key);
    const char *obstacle;
    size_t file_size = 0;
    int fd;

    *bytes = NULL;
    if (!cache->on)
        return false;
    fd = openat(cache->folder, name.chars, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return false;
    obstacle = fd < 0 ? strerror(errno) : read_file(fd, bytes, &file_size);
    if (!obstacle)
        obstacle = check_file(*bytes, file_size, key, size);
    if (fd >= 0)
        close(fd);
    if (!obstacle) {
        memmove(*bytes, *bytes + (file_size - *size), *size);
        return true;
    }
    log_line(&cache->log, VITCL_LOG_DEBUG, "cache: %s is not used: %s", name.chars, obstacle);
    free(*bytes);
    *bytes = NULL;
    return false;
}

static bool write_file(int fd, const char *key, const void *bytes, size_t size)
{
    struct header header = {.magic = MAGIC, .key_length = strlen(key), .size = size};
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return false;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, key, strlen(key));
    XXH3_64bits_update(state, bytes, size);
    header.checksum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return write_all(fd, &header, sizeof header) && write_all(fd, key, strlen(key)) && write_all(fd, bytes, size);
}

/* Written under a name of its own, then renamed. */
void cache_write(const struct cache *cache, const char *kind, const char *key, const void *bytes, size_t size)
{
    const struct name name = name_of(kind, key);
    struct timespec now = {0};
    char temporary[128];
    bool written;
    int fd;

    if (!cache->on || size > CACHE_MAX_FILE - sizeof(struct header) - strlen(key))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(temporary, sizeof temporary, "%s.%ld.%ld", name.chars, (long)getpid(), now.tv_nsec);
    fd = openat(cache->folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    written = fd >= 0 && write_file(fd, key, bytes, size);
    if (fd >= 0 && close(fd) != 0)
        written = false;
    if (written && renameat(cache->folder, temporary, cache->folder, name.chars) == 0)
        return;
    log_line(&cache->log, VITCL_LOG_DEBUG, "cache: %s can not be written: %s", name.chars, strerror(errno));
    if (fd >= 0)
        unlinkat(cache->folder, temporary, 0);
}

/* file.c - maps files with POSIX mmap. A file that is shortened by another process while it is mapped can still kill
 * the process (SIGBUS): that is the price of not copying gigabytes of weights. */
#define _DEFAULT_SOURCE /* madvise; what POSIX has instead does nothing in glibc */
#include "base/file.h"
#include "base/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

vitcl_status file_map(struct mapped_file *file, const char *path, vitcl_error *err)
{
    static const unsigned char nothing[1];
    vitcl_status status = VITCL_OK;
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    memset(file, 0, sizeof *file);
    if (fd < 0)
        return fail(err, VITCL_ERROR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0)
        TRY(fail(err, VITCL_ERROR_IO, "%s: %s", path, strerror(errno)));
    if (!S_ISREG(info.st_mode))
        TRY(fail(err, VITCL_ERROR_IO, "%s: not a regular file", path));
    if ((uintmax_t)info.st_size > SIZE_MAX)
        TRY(fail(err, VITCL_ERROR_IO, "%s: too large for this machine's address space", path));
    file->data = nothing;
    file->size = (size_t)info.st_size;
    if (file->size > 0) {
        void *map = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            TRY(fail(err, VITCL_ERROR_IO, "%s: can not be mapped: %s", path, strerror(errno)));
        file->map = map;
        file->data = map;
    }
done:
    close(fd);
    if (status != VITCL_OK)
        memset(file, 0, sizeof *file);
    return status;
}

void file_unmap(struct mapped_file *file)
{
    if (file->map)
        munmap(file->map, file->size);
    memset(file, 0, sizeof *file);
}

void file_release(const unsigned char *data, size_t size)
{
#ifdef MADV_DONTNEED
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = size_round_up((uintptr_t)data, page) - (uintptr_t)data;
    if (skip < size && size - skip >= page) /* a hint: what goes wrong does not matter */
        madvise((void *)(uintptr_t)(data + skip), (size - skip) / page * page, MADV_DONTNEED);
#else
    (void)data, (void)size;
#endif
}

char *file_join(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, name);
    return path;
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

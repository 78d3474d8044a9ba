/* host_pages.c - host memory in large pages for devices that compute in host memory. */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "base/size.h"
#include "device/device_cl.h"

#include <sys/mman.h>

#define ALIGN    4096        /* at such addresses drivers use host memory without a copy */
#define SMALLEST (64u << 10) /* smaller buffers are not worth a place */

size_t host_pages_size_of(size_t bytes)
{
    return bytes < SMALLEST ? 0 : size_round_up(bytes, ALIGN);
}

void host_pages_open(struct host_pages *pages, const struct device *device, size_t bytes)
{
    *pages = (struct host_pages){0};
#if defined(MAP_ANONYMOUS) && defined(MADV_HUGEPAGE)
    if (device->facts.is_cpu && bytes > 0) {
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return;
        madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: without it the pages are small ones */
        *pages = (struct host_pages){.memory = memory, .size = bytes};
    }
#else
    (void)device, (void)bytes;
#endif
}

void host_pages_close(struct host_pages *pages)
{
    if (pages->memory)
        munmap(pages->memory, pages->size);
    *pages = (struct host_pages){0};
}

void *host_pages_take(struct host_pages *pages, size_t bytes)
{
    size_t size = host_pages_size_of(bytes);
    unsigned char *memory = pages->memory + pages->used;
    if (size == 0 || size > pages->size - pages->used)
        return NULL;
    pages->used += size;
    return memory;
}

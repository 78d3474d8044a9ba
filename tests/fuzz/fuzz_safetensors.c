/* fuzz_safetensors.c - a libFuzzer target: any bytes as a .safetensors file.
 *
 * A file that opens must keep what the table promises: sorted names that are found, and data inside the mapped file,
 * of which every byte is read. Build with clang -fsanitize=fuzzer,address; the input lives in a memfd (Linux).
 */
#define _GNU_SOURCE
#include "model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool promise)
{
    if (!promise)
        abort();
}

static void check_table(const struct safetensors *tensors)
{
    volatile unsigned char sink = 0;
    size_t total = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct tensor_entry *entry = &tensors->entries[i];
        require(safetensors_find(tensors, entry->name) == entry);
        require(entry->data >= tensors->shards[0].file.data);
        for (size_t k = 0; k < entry->bytes; k++)
            sink = entry->data[k];
        total += entry->bytes;
    }
    (void)sink;
    require(total <= tensors->shards[0].file.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct safetensors tensors;
    vitcl_error err;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    require(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (safetensors_open(&tensors, path, &err) == VITCL_OK)
        check_table(&tensors);
    safetensors_close(&tensors);
    close(fd);
    return 0;
}

/* device.h - one OpenCL device behind plain C: its queue, buffers, kernels and CLBlast. Everything outside host/device
 * works through this header and never sees an OpenCL type.
 *
 * The queue is in order: what is enqueued first is done first, so nothing here takes events.
 */
#ifndef VITCL_DEVICE_DEVICE_H
#define VITCL_DEVICE_DEVICE_H

#include "base/facts.h"
#include "base/log.h"

struct device;
struct buffer;
struct kernel;

/* ---- device.c ---- */

/* Opens the device that `selector` names (see select.h; "" is automatic). Logs which one runs and why. */
vitcl_status device_open(struct device **device, const char *selector, const struct logger *log, vitcl_error *err);
/* The same for one that compiles nothing: its programs come from a folder of binaries, or from one file of them. */
vitcl_status device_open_prebuilt(struct device **device, const char *selector, const char *binaries,
                                  const struct logger *log, vitcl_error *err);
void device_close(struct device **device);
const struct facts *device_facts(const struct device *device);

/* probe.c: finds out about instructions for bf16, and of GPUs for f16, too, once; it compiles and runs a small kernel.
 * What can not be found out is not there. */
void device_probe_bf16(struct device *device);
/* Whether the device's instructions of that kind, of bf16 and of f16, or what emulates them, give the products that
 * they should; else err says why not. */
bool device_try_matrix(struct device *device, enum matrix_unit unit, bool emulated, vitcl_error *err);
const char *device_description(const struct device *device); /* "platform / vendor / name" */
const struct logger *device_log(const struct device *device);

/* cache.h, for what is known of this device: the key needs no word of it. */
bool device_cache_on(const struct device *device);
bool device_cache_read(const struct device *device, const char *kind, const char *key, unsigned char **bytes,
                       size_t *size);
void device_cache_write(const struct device *device, const char *kind, const char *key, const void *bytes, size_t size);

/* Waits until everything enqueued is done. */
vitcl_status device_finish(struct device *device, vitcl_error *err);

/* list.c: for vitcl_device_list_create. The caller frees *list. */
vitcl_status device_list(vitcl_device_info **list, size_t *count, vitcl_error *err);

/* ---- buffer.c: device memory. `what` names it in messages. ---- */

vitcl_status buffer_create(struct buffer **buffer, struct device *device, size_t bytes, const char *what,
                           vitcl_error *err);
/* Host memory in large pages, for devices that compute in host memory: a gigabyte of weights costs a few hundred page
 * faults instead of hundreds of thousands, and fewer look-ups of addresses ever after. For other devices, and where
 * there is none to be had, it stays empty. */
struct host_pages {
    unsigned char *memory;
    size_t size, used;
};
void host_pages_open(struct host_pages *pages, const struct device *device, size_t bytes);
void host_pages_close(struct host_pages *pages);
/* What a buffer takes of them. */
size_t host_pages_size_of(size_t bytes);
/* Memory for a buffer; NULL where there is none, or the buffer is too small to be worth it. */
void *host_pages_take(struct host_pages *pages, size_t bytes);

/* A buffer over host memory that holds its contents already, and must outlive it. */
vitcl_status buffer_create_over(struct buffer **buffer, struct device *device, void *memory, size_t bytes,
                                const char *what, vitcl_error *err);

/* A part of another buffer, which must outlive it. offset is a multiple of facts.buffer_align. */
vitcl_status buffer_slice(struct buffer **slice, struct buffer *whole, size_t offset, size_t bytes, const char *what,
                          vitcl_error *err);
/* The same memory under another name. */
vitcl_status buffer_share(struct buffer **alias, struct buffer *buffer, const char *what, vitcl_error *err);
void buffer_destroy(struct buffer **buffer);

/* Maps a whole buffer for writing; its old contents are lost. Blocks. */
vitcl_status buffer_map(struct buffer *buffer, void **memory, vitcl_error *err);
vitcl_status buffer_unmap(struct buffer *buffer, void *memory, vitcl_error *err);

/* Enqueue transfers of the first `bytes`; the host memory must live until the queue has come past them. */
vitcl_status buffer_write(struct buffer *buffer, const void *memory, size_t bytes, vitcl_error *err);
vitcl_status buffer_read(struct buffer *buffer, void *memory, size_t bytes, vitcl_error *err);

/* A point in the queue: mark_create notes it and sends the queue on its way, mark_wait waits until the device has come
 * past it and destroys the mark, whatever it returns. */
struct mark;
vitcl_status mark_create(struct mark **mark, struct device *device, vitcl_error *err);
vitcl_status mark_wait(struct mark **mark, vitcl_error *err);

/* Enqueues filling a whole buffer with zero bytes. */
vitcl_status buffer_clear(struct buffer *buffer, vitcl_error *err);

/* ---- program.c: kernels. A program, a file of cl/ with its options (" -D NAME=VALUE"...; "" for none), is compiled
 * when its first kernel is made. ---- */

vitcl_status kernel_create(struct kernel **kernel, struct device *device, const char *program, const char *options,
                           const char *name, vitcl_error *err);
void kernel_destroy(struct kernel **kernel);
vitcl_status kernel_set_buffer(struct kernel *kernel, size_t index, const struct buffer *buffer, vitcl_error *err);
vitcl_status kernel_set_int(struct kernel *kernel, size_t index, int value, vitcl_error *err);
vitcl_status kernel_set_float(struct kernel *kernel, size_t index, float value, vitcl_error *err);
vitcl_status kernel_enqueue(struct kernel *kernel, const size_t global[3], const size_t local[3], vitcl_error *err);
/* The largest work-group this kernel can run in on its device; 0 where it takes more local memory than there is. */
vitcl_status kernel_max_group(const struct kernel *kernel, size_t *max_group, vitcl_error *err);

/* prebuilt.c: whether the device was opened by device_open_prebuilt. */
bool device_is_prebuilt(const struct device *device);

/* prebuilt.c: looks for the binary of the file `name` (program_name), which has all the kernels that are made next;
 * NULL: no file could have them. In a folder it may be missing, then each program has its own. */
vitcl_status prebuilt_load_whole(struct device *device, const char *name, vitcl_error *err);

/* ---- profile.c: what the device does when. While a profile is open, the device keeps a time for each launch of a
 * kernel and each gemm, at most `capacity` of them between two readings. One profile may be open at a time. ---- */

struct profile;
struct span {
    double start, end; /* seconds of the device's own clock */
};

vitcl_status profile_open(struct profile **profile, struct device *device, size_t capacity, vitcl_error *err);
void profile_close(struct profile **profile);
/* Waits for the device, writes the spans [capacity] of what was enqueued since the last reading, in order, and forgets
 * them. *count is how many there are. */
vitcl_status profile_read(struct profile *profile, struct span *spans, size_t *count, vitcl_error *err);

/* ---- clblast.c: y [m,n] = x [m,k] w [k,n], all row-major, each at the start of its buffer ---- */

/* Bytes of device memory that gemm_enqueue needs as `temp` for this shape; may be 0. */
vitcl_status gemm_temp_bytes(struct device *device, size_t m, size_t n, size_t k, size_t *bytes, vitcl_error *err);

/* temp may be NULL where gemm_temp_bytes said 0. */
vitcl_status gemm_enqueue(struct device *device, size_t m, size_t n, size_t k, const struct buffer *x,
                          const struct buffer *w, struct buffer *y, struct buffer *temp, vitcl_error *err);

/* The device closes: the last one that used CLBlast frees what it keeps for the whole process. */
void gemm_forget(struct device *device);

#endif

/* clblast.c - CLBlast's sgemm, the only file that knows CLBlast.
 *
 * CLBlast's fast path is column-major. A row-major matrix [m,k] is the column-major [k,m], so the row-major product
 * y = x w is the column-major y' = w' x': the operands change places and nothing is transposed. Offsets are always
 * zero, because buffers are slices of the arena that begin where the tensor does.
 */
#include "device/device_cl.h"

#include <clblast_c.h>
#include <pthread.h>

static vitcl_status fail_gemm(vitcl_error *err, CLBlastStatusCode code, const char *call, size_t m, size_t n, size_t k)
{
    return fail_cl(err, (cl_int)code, call,
                   "matmul of [%zu,%zu] x [%zu,%zu] by CLBlast; VITCL_VARIANT=matmul=portable "
                   "runs without CLBlast",
                   m, k, k, n);
}

/* CLBlast keeps its kernels per process, and version 1.5 does not guard that store against threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t users; /* devices that have used CLBlast and are open */

vitcl_status gemm_temp_bytes(struct device *device, size_t m, size_t n, size_t k, size_t *bytes, vitcl_error *err)
{
    CLBlastStatusCode code;
    pthread_mutex_lock(&lock);
    code = CLBlastSGemmTempBufferSize(CLBlastLayoutColMajor, CLBlastTransposeNo, CLBlastTransposeNo, n, m, k, 0, n, 0,
                                      k, 0, n, &device->queue, bytes);
    pthread_mutex_unlock(&lock);
    return code == CLBlastSuccess ? VITCL_OK : fail_gemm(err, code, "CLBlastSGemmTempBufferSize", m, n, k);
}

vitcl_status gemm_enqueue(struct device *device, size_t m, size_t n, size_t k, const struct buffer *x,
                          const struct buffer *w, struct buffer *y, struct buffer *temp, vitcl_error *err)
{
    CLBlastStatusCode code;
    if (!device->gemm_used)
        log_line(&device->log, VITCL_LOG_PROGRESS, "CLBlast compiles its kernels for %s (the first time may take 10 s)",
                 device->description);
    pthread_mutex_lock(&lock);
    users += !device->gemm_used;
    device->gemm_used = true;
    code = CLBlastSgemmWithTempBuffer(CLBlastLayoutColMajor, CLBlastTransposeNo, CLBlastTransposeNo, n, m, k, 1.0f,
                                      w->memory, 0, n, x->memory, 0, k, 0.0f, y->memory, 0, n, &device->queue,
                                      profile_note(device, true), temp ? temp->memory : NULL);
    pthread_mutex_unlock(&lock);
    return code == CLBlastSuccess ? VITCL_OK : fail_gemm(err, code, "CLBlastSgemmWithTempBuffer", m, n, k);
}

void gemm_forget(struct device *device)
{
    if (!device->gemm_used)
        return;
    pthread_mutex_lock(&lock);
    if (--users == 0)
        CLBlastClearCache();
    pthread_mutex_unlock(&lock);
}

/* mesa_prefetch.cl - Mesa 22.3 (rusticl) ends the process that builds this program, at exit status 8:
 * "InvalidFunctionCall: Unexpected llvm intrinsic: llvm.prefetch.p0i8". Nothing a probe could survive: cl/prelude.cl asks
 * for __builtin_prefetch only where the compiler makes instructions of a CPU.
 */
__kernel void k(__global const float *x, __global float *y)
{
    __builtin_prefetch((const void *)(size_t)(x + 64));
    y[get_global_id(0)] = x[get_global_id(0)];
}

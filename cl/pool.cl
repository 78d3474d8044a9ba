/* pool.cl - pooled [B,D] = the class token of x [B,T,D]. One work-item per number. */
__kernel void pool_cls(__global const float *x, __global float *pooled, int T, int D)
{
    const int i = get_global_id(0), image = get_global_id(1);
    if (i < D)
        pooled[image * D + i] = x[image * T * D + i];
}

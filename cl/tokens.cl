/* tokens.cl - x [B,T,D] = (cls [D]; patches [B,N,D]) + position [T,D], with T = N + 1: the class token goes before the
 * patches of each image. One work-item per number. */
__kernel void tokens(__global const float *patches, __global const float *cls, __global const float *position,
                     __global float *x, int T, int D)
{
    const int i = get_global_id(0), token = get_global_id(1), image = get_global_id(2);
    if (i >= D)
        return;
    const float value = token == 0 ? cls[i] : patches[(image * (T - 1) + token - 1) * D + i];
    x[(image * T + token) * D + i] = value + position[token * D + i];
}

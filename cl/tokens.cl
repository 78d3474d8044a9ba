/* tokens.cl - x [B,T,D] = (prefix [P,D]; patches [B,N,D]) + position [T,D], with T = P + N: class, distillation and
 * register tokens go before the patches of each image. One work-item per number. Images lie `position_step` numbers
 * apart in position: 0 where they share one. */
__kernel GROUP(64) void tokens(__global const float *restrict patches, __global const float *restrict prefix,
                               __global const float *restrict position, __global float *restrict x, int T, int D, int P,
                               int position_step)
{
    const int i = get_global_id(0), token = get_global_id(1), image = get_global_id(2);
    if (i >= D)
        return;
    const float value = token < P ? prefix[token * D + i] : patches[(image * (T - P) + token - P) * D + i];
    x[(image * T + token) * D + i] = value + position[image * position_step + token * D + i];
}

/* rope.cl - rotary position embedding (Su et al., "RoFormer"): turns each pair of a query's and a key's numbers by the
 * pair's angle at the patch. qkv [B,T,3,H,d] -> rotated, of the same shape, which may be qkv itself; values and the P
 * tokens before the patches stay. table [N,d]: cosines of the d/2 angles, then sines. One work-item per pair; its two
 * numbers lie `apart` from each other: d/2 (halves) or 1 (neighbours). */
__kernel void rope(__global const float *qkv, __global const float *table, __global float *rotated, int T, int H, int d,
                   int P, int apart)
{
    const int pair = get_global_id(0), token = get_global_id(1), image = get_global_id(2);
    const int half_size = d / 2;
    if (pair >= 3 * H * half_size)
        return;
    const int angle = pair % half_size;
    const int first = (image * T + token) * 3 * H * d + pair / half_size * d + (apart == 1 ? 2 * angle : angle);
    const int second = first + apart;
    const float a = qkv[first], b = qkv[second];
    float cosine = 1.0f, sine = 0.0f;
    if (pair < 2 * H * half_size && token >= P) {
        cosine = table[(token - P) * d + angle];
        sine = table[(token - P) * d + half_size + angle];
    }
    rotated[first] = a * cosine - b * sine;
    rotated[second] = b * cosine + a * sine;
}

/* probe.cl - which instructions for bf16 the CPU has that runs the kernels: it is asked, and then tried on numbers
 * whose products are known. A compiler that does not know them stops at this file: then there are none. */

#if defined(__x86_64__) && defined(__linux__) && defined(__AVX512F__)

/* Small whole numbers, of which bf16 makes no others. */
static inline float number(int i, int k)
{
    return (float)((3 * i + 5 * k) % 7 - 3);
}

static inline uint4 cpuid(uint leaf, uint subleaf)
{
    uint a = leaf, b, c = subleaf, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return (uint4)(a, b, c, d);
}

/* ---- AVX512_BF16: 16 sums of two products ---- */

static inline int has_dot(void)
{
    uint x[16], w[16]; /* pairs */
    int right = 1;
    if (!(cpuid(7, 1).x >> 5 & 1))
        return 0;
    for (int i = 0; i < 16; i++) {
        x[i] = to_bf16(number(2 * i, 1)) | (uint)to_bf16(number(2 * i + 1, 1)) << 16;
        w[i] = to_bf16(number(2 * i, 2)) | (uint)to_bf16(number(2 * i + 1, 2)) << 16;
    }
    float16 sum = 1.0f;
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(vload16(0, x)), "v"(vload16(0, w)));
    float sums[16];
    vstore16(sum, 0, sums);
    for (int i = 0; i < 32; i += 2)
        right &= sums[i / 2] == 1.0f + number(i, 1) * number(i, 2) + number(i + 1, 1) * number(i + 1, 2);
    return right;
}

/* ---- AMX: 16 rows times 16 columns, 16 pairs long ---- */

/* Linux gives a process the tile registers when it asks for them: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA),
 * see its Documentation/x86/xstate.rst. */
static inline int may_use_tiles(void)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(158L), "D"(0x1023L), "S"(18L) : "rcx", "r11", "memory");
    return result == 0;
}

static inline int has_tiles(void)
{
    const uint features = cpuid(7, 0).w;
    ushort x[16][32], w[16][16][2]; /* [row][k], [pair][column][of pair] */
    float sums[16][16];
    int right = 1;
    struct {
        uchar palette, start_row, reserved[14];
        ushort row_bytes[16];
        uchar rows[16];
    } shapes = {.palette = 1, .row_bytes = {64, 64, 64}, .rows = {16, 16, 16}};

    if (!(features >> 22 & 1) || !(features >> 24 & 1) || !may_use_tiles())
        return 0;
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 32; k++) {
            x[i][k] = to_bf16(number(i, k));
            w[k / 2][i][k % 2] = to_bf16(number(2 * i, k));
        }
    __asm__ volatile("ldtilecfg %0\n\ttilezero %%tmm0\n\t"
                     "tileloadd (%1,%4,1), %%tmm1\n\ttileloadd (%2,%4,1), %%tmm2\n\t"
                     "tdpbf16ps %%tmm2, %%tmm1, %%tmm0\n\ttilestored %%tmm0, (%3,%4,1)\n\ttilerelease"
                     :
                     : "m"(shapes), "r"(x), "r"(w), "r"(sums), "r"(64L)
                     : "memory");
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float sum = 0.0f;
            for (int k = 0; k < 32; k++)
                sum += number(i, k) * number(2 * j, k);
            right &= sums[i][j] == sum;
        }
    return right;
}

#else

static inline int has_dot(void)
{
    return 0;
}

static inline int has_tiles(void)
{
    return 0;
}

#endif

/* found [2] */
__kernel void probe_bf16(__global int *found)
{
    found[0] = has_dot();
    found[1] = has_tiles();
}

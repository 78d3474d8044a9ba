/* facts.h - what a device can do, as plain numbers. Variants are chosen from these, never from names. Made up freely
 * in tests; filled from a real device by host/device/facts.c. */
#ifndef VITCL_BASE_FACTS_H
#define VITCL_BASE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which instructions of a GPU multiply matrices of bf16 and f16; each is described in cl/matrix.cl, by these numbers.
 */
enum matrix_unit {
    MATRIX_NONE,
    MATRIX_MMA,  /* NVIDIA's mma.sync, inline PTX */
    MATRIX_MFMA, /* AMD's, waves of 64 work-items */
    MATRIX_WMMA  /* AMD's, waves of 32 */
};

struct facts {
    bool is_cpu;
    bool has_compiler;
    size_t units;            /* cores that run work-groups side by side */
    size_t clock_mhz;        /* of these; 0 unknown */
    size_t max_work_group;   /* work-items */
    size_t local_memory;     /* bytes that a work-group shares on the chip; 0: they lie in global memory, as on CPUs */
    size_t vector_width;     /* floats in one of its vector registers; 0 or 1: it has none, as most GPUs */
    bool bf16_dot;           /* a CPU's vdpbf16ps works; known after device_probe_bf16 */
    bool bf16_tiles;         /* its tdpbf16ps, likewise */
    enum matrix_unit matrix; /* works; known after device_probe_bf16 */
    size_t buffer_align;     /* bytes: where a part of a buffer may begin */
    uint64_t memory;         /* bytes of global memory; 0 unknown */
    uint64_t max_alloc;      /* bytes of the largest buffer; 0 unknown */
};

#endif

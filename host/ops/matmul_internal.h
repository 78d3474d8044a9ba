/* matmul_internal.h - what the files of matmul share. */
#ifndef VITCL_OPS_MATMUL_INTERNAL_H
#define VITCL_OPS_MATMUL_INTERNAL_H

#include "ops/ops.h"

/* y [rows,n] = x [rows,k] W^T */
struct matmul_shape {
    size_t rows, n, k;
};

struct matmul_shape matmul_shape(const struct plan *plan, const struct step *step);

/* matmul_panel.c */
extern const struct variant MATMUL_AMX, MATMUL_BF16_DOT, MATMUL_PANEL;

#endif

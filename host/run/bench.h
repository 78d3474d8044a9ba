/* bench.h - how long whole forward passes take, told only where their results are right. */
#ifndef VITCL_RUN_BENCH_H
#define VITCL_RUN_BENCH_H

#include "run/session.h"

/* See vitcl_model_bench. */
vitcl_status bench_request(struct device *device, const struct request *request, double seconds, vitcl_timing *timing,
                           vitcl_error *err);

/* Compares one output [images,size] with what it should be, image by image. An image deviates by deviation_of, at most
 * `tolerance`; `name` is for the message. */
vitcl_status bench_compare(const char *name, const float *found, const float *expected, size_t images, size_t size,
                           double tolerance, vitcl_error *err);

#endif

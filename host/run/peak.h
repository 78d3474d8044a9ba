/* peak.h - what a device can do at most, by the fastest runs of two kernels that do nothing else (cl/peak.cl). */
#ifndef VITCL_RUN_PEAK_H
#define VITCL_RUN_PEAK_H

#include "device/device.h"

/* See vitcl_context_measure_peak. */
vitcl_status peak_measure(struct device *device, vitcl_peak *peak, vitcl_error *err);

#endif

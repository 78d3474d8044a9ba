/* number.h - the plan's 16-bit numbers on the host: stored and read back as kernels do it (cl/prelude.cl). */
#ifndef VITCL_RUN_NUMBER_H
#define VITCL_RUN_NUMBER_H

#include "model/half.h"
#include "plan/plan.h"

#include <math.h>

/* Whether a float can be stored; NaN and what is infinite can not be in f16, where they stand for overflow. */
static inline bool number_holds(enum number number, float value)
{
    return number != NUMBER_F16 || fabsf(value) < HALF_LIMIT;
}

/* Of NUMBER_BF16 or NUMBER_F16. */
static inline uint16_t number_from_float(enum number number, float value)
{
    if (number == NUMBER_BF16)
        return float_to_bf16(value);
    return float_to_half(number_holds(number, value) ? value : NAN);
}

static inline float number_to_float(enum number number, uint16_t bits)
{
    return number == NUMBER_BF16 ? bf16_to_float(bits) : half_to_float(bits);
}

/* The float that is left of another one once it has been stored. */
static inline float number_round(enum number number, float value)
{
    return number == NUMBER_F32 ? value : number_to_float(number, number_from_float(number, value));
}

#endif

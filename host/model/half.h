/* half.h - the two 16-bit floats of weight files as 32-bit floats, by integer arithmetic on their bits; and back, where
 * a plan stores numbers so.
 *
 * half: 1 sign, 5 exponent, 10 fraction bits (IEEE 754 binary16). bf16: the upper half of a float. Every value of both
 * is a float, so these conversions are exact; infinities, signed zeros and the payload of a NaN stay what they are.
 */
#ifndef VITCL_MODEL_HALF_H
#define VITCL_MODEL_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float bf16_to_float(uint16_t bits)
{
    return float_from_bits((uint32_t)bits << 16);
}

/* Rounds to the nearest, ties to even; NaN stays NaN. */
static inline uint16_t float_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40); /* quiet: a NaN whose payload is cut off must not become infinity */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline float half_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits >> 15) << 31;
    uint32_t exponent = bits >> 10 & 0x1f;
    uint32_t fraction = bits & 0x3ff;

    if (exponent == 0) { /* zero or subnormal; as a float it is normal, so that no device mode flushes it */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    exponent += exponent == 0x1f ? 0xff - 0x1f : 127 - 15; /* infinity and NaN, or the difference of the biases */
    return float_from_bits(sign | exponent << 23 | fraction << 13);
}

/* What this is or more, is no half: it rounds to infinity. The largest half is 65504. */
#define HALF_LIMIT 65520.0f

/* Rounds to the nearest, ties to even; NaN stays NaN. */
static inline uint16_t float_to_half(float value)
{
    uint32_t bits, sign, magnitude;
    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000;
    magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff)); /* quiet, with what fits of its payload */
    if (magnitude >= 0x477ff000)                                      /* HALF_LIMIT */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* under 2^-14: the sum with 1/2 has what is left of the fraction as its last bits */
        float sum = float_from_bits(magnitude) + 0.5f;
        memcpy(&magnitude, &sum, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | (magnitude - 0x38000000) >> 13); /* the difference of the biases, 112 */
}

#endif

/* test_half.c - every 16-bit pattern against the definition of the format: sign, exponent and fraction through ldexp in
 * double precision. */
#include "model/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The value of a 16-bit pattern with 1 sign bit, `exponent_bits` and the rest fraction. */
static double value_of(unsigned pattern, int exponent_bits)
{
    int fraction_bits = 15 - exponent_bits;
    int top = (1 << exponent_bits) - 1, bias = top / 2;
    int exponent = (int)(pattern >> fraction_bits) & top;
    int fraction = (int)pattern & ((1 << fraction_bits) - 1);
    double sign = pattern & 0x8000 ? -1.0 : 1.0;

    if (exponent == top)
        return copysign(fraction ? NAN : INFINITY, sign);
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - bias - fraction_bits);
    return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

static void assert_all_equal(float (*convert)(uint16_t), int exponent_bits)
{
    for (unsigned pattern = 0; pattern <= 0xffff; pattern++) {
        double expected = value_of(pattern, exponent_bits);
        double found = (double)convert((uint16_t)pattern);
        int same = isnan(expected) ? isnan(found) : found == expected;
        if (!same || !signbit(found) != !signbit(expected))
            fail_msg("0x%04x: expected %a, found %a", pattern, expected, found);
    }
}

static void test_half_all_patterns(void **state)
{
    (void)state;
    assert_all_equal(half_to_float, 5);
}

static void test_bf16_all_patterns(void **state)
{
    (void)state;
    assert_all_equal(bf16_to_float, 8);
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void test_known_values(void **state)
{
    (void)state;
    assert_int_equal(bits_of(half_to_float(0x3c00)), 0x3f800000); /* 1 */
    assert_int_equal(bits_of(half_to_float(0x7bff)), 0x477fe000); /* 65504, the largest */
    assert_int_equal(bits_of(half_to_float(0x0001)), 0x33800000); /* 2^-24, the smallest */
    assert_int_equal(bits_of(half_to_float(0x8000)), 0x80000000); /* -0 */
    assert_int_equal(bits_of(half_to_float(0xfe01)), 0xffc02000); /* a NaN keeps sign and payload */
    assert_int_equal(bits_of(bf16_to_float(0x3fc0)), 0x3fc00000); /* 1.5 */
    assert_int_equal(bits_of(bf16_to_float(0x0001)), 0x00010000); /* a subnormal of both formats */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_all_patterns),
        cmocka_unit_test(test_bf16_all_patterns),
        cmocka_unit_test(test_known_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

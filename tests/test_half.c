/* test_half.c - every 16-bit pattern against the definition of the format: sign, exponent and fraction through ldexp in
 * double precision; and back from each, and from the floats between two of them. */
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

static void assert_half(float value, unsigned expected)
{
    const unsigned found = float_to_half(value);
    if (found != expected)
        fail_msg("%a: expected 0x%04x, found 0x%04x", (double)value, expected, found);
}

/* Each half, the float in the middle between it and the next larger one, and that float's neighbours; also negative. */
static void test_float_to_half(void **state)
{
    (void)state;
    for (unsigned pattern = 0; pattern < 0x7c00; pattern++) {
        const double next = pattern == 0x7bff ? 65536 : value_of(pattern + 1, 5);
        const float middle = (float)((value_of(pattern, 5) + next) / 2);
        for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
            const float factor = sign ? -1.0f : 1.0f;
            assert_half(factor * (float)value_of(pattern, 5), sign | pattern);
            assert_half(factor * middle, sign | (pattern + pattern % 2)); /* ties to even */
            assert_half(factor * nextafterf(middle, 0), sign | pattern);
            assert_half(factor * nextafterf(middle, INFINITY), sign | (pattern + 1));
        }
    }
    assert_true(HALF_LIMIT == (float)((value_of(0x7bff, 5) + 65536) / 2));
}

static void test_no_halves(void **state)
{
    (void)state;
    assert_half(INFINITY, 0x7c00);
    assert_half(-INFINITY, 0xfc00);
    assert_half(1e30f, 0x7c00);
    assert_half(-1e30f, 0xfc00);
    assert_half(1e-30f, 0);
    assert_half(-1e-30f, 0x8000);
    for (unsigned pattern = 0x7c01; pattern < 0x8000; pattern++)
        assert_half(half_to_float((uint16_t)pattern), pattern | 0x200); /* NaN stays NaN, and becomes quiet */
    assert_half(float_from_bits(0x7f800001), 0x7e00); /* also where half has no room for its payload */
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
        cmocka_unit_test(test_half_all_patterns), cmocka_unit_test(test_bf16_all_patterns),
        cmocka_unit_test(test_float_to_half),     cmocka_unit_test(test_no_halves),
        cmocka_unit_test(test_known_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

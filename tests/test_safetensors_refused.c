/* test_safetensors_refused.c - what safetensors_open refuses: each rule of the format with the known attacks on it. A
 * refusal must have the right status and a message that begins with the file and names the rule; the caller's table
 * must then be all zero.
 */
#include "safetensors_bench.h"

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static void test_no_file(void **state)
{
    struct bench *bench = *state;
    unlink(bench->path);
    assert_int_equal(safetensors_open(&bench->tensors, bench->path, &bench->err), VITCL_ERROR_IO);
    assert_non_null(strstr(bench->err.message, bench->path));
    assert_all_zero(&bench->tensors);
}

static void test_header_too_small(void **state)
{
    struct bench *bench = *state;
    for (off_t size = 0; size < 8; size++) {
        write_parts(bench, 2, "{}", 2, 0);
        assert_int_equal(truncate(bench->path, size), 0);
        assert_refused(bench, "header too small");
    }
}

static void test_header_lengths(void **state)
{
    static const uint64_t too_large[] = {100000001, UINT32_MAX, INT64_MAX, UINT64_MAX - 7, UINT64_MAX};
    static const uint64_t too_long[] = {3, 1000, 100000000};
    for (size_t i = 0; i < COUNT(too_large); i++) {
        write_parts(*state, too_large[i], "{}", 2, 0);
        assert_refused(*state, "header too large");
    }
    for (size_t i = 0; i < COUNT(too_long); i++) {
        write_parts(*state, too_long[i], "{}", 2, 0);
        assert_refused(*state, "invalid header length");
    }
}

static void test_not_utf8(void **state)
{
    refuse(*state, "\xff", 0, "unable to decode byte 0xff");
    refuse(*state, "{" TENSOR("\xff", "U8", "1", 0, 1) "}", 1, "unable to decode byte 0xff");
    refuse(*state, "{" TENSOR("\xc0\x80", "U8", "1", 0, 1) "}", 1, "unable to decode byte 0xc0");
    refuse(*state, "{" TENSOR("\xed\xa0\x80", "U8", "1", 0, 1) "}", 1, "unable to decode byte 0xed");
    refuse(*state, "{'__metadata__':{'a':'\xf0\x9f'}}", 0, "unable to decode byte 0xf0");
}

static void test_not_json(void **state)
{
    static const char *const headers[] = {"",      "   ", "{", "{'a'}", "{'a':{},}", "null", "'a'", "\xef\xbb\xbf{}",
                                          "{}/**/"};
    for (size_t i = 0; i < COUNT(headers); i++)
        refuse(*state, headers[i], 0, "header: not valid JSON");
    refuse(*state, "{}{}", 0, "end of file expected");
    refuse(*state, "{} x", 0, "end of file expected");
    refuse(*state, "[]", 0, "expected a JSON object");
}

static void test_strange_strings(void **state)
{
    refuse(*state, "{" TENSOR("a\\u0000b", "U8", "1", 0, 1) "}", 1, "NUL byte in object key");
    refuse(*state, "{" TENSOR("a", "U8\\u0000", "1", 0, 1) "}", 1, "\\u0000 is not allowed");
    refuse(*state, "{" TENSOR("\\ud800", "U8", "1", 0, 1) "}", 1, "invalid Unicode '\\uD800'");
    refuse(*state, "{" TENSOR("\\udc00x", "U8", "1", 0, 1) "}", 1, "invalid Unicode '\\uDC00'");
    refuse(*state, "{" TENSOR("a\x01", "U8", "1", 0, 1) "}", 1, "control character");
}

/* jansson alone takes the last two. */
static void test_zero_bytes(void **state)
{
    static const char padding[] = "{}\0\0\0", after_number[] = "{'a':{'data_offsets':[0,1\0]}}",
                      after_literal[] = "{'__metadata__':null\0}";
    write_parts(*state, sizeof padding, padding, sizeof padding, 0);
    assert_refused(*state, "zero byte");
    write_parts(*state, sizeof after_number - 1, after_number, sizeof after_number - 1, 1);
    assert_refused(*state, "zero byte");
    write_parts(*state, sizeof after_literal - 1, after_literal, sizeof after_literal - 1, 0);
    assert_refused(*state, "zero byte");
}

/* The header of a tensor with an extra member of that many nested arrays. */
static char *nested_header(size_t arrays)
{
    static const char start[] = "{'a':{'dtype':'U8','shape':[],'data_offsets':[0,1],'more':";
    char *header = malloc(sizeof start + 2 * arrays + 2), *end = header;
    assert_non_null(header);
    end = (char *)memcpy(end, start, sizeof start - 1) + sizeof start - 1;
    end = (char *)memset(end, '[', arrays) + arrays;
    end = (char *)memset(end, ']', arrays) + arrays;
    memcpy(end, "}}", 3);
    return header;
}

static void test_nesting(void **state)
{
    char *deepest = nested_header(126), *too_deep = nested_header(127), *endless = nested_header(100000);
    accept(*state, deepest, 1, 1);
    refuse(*state, too_deep, 1, "nested deeper than 128 levels");
    refuse(*state, endless, 1, "maximum parsing depth");
    refuse(*state, "[[[[", 0, "not valid JSON");
    free(deepest);
    free(too_deep);
    free(endless);
}

static void test_duplicates(void **state)
{
    refuse(*state, "{" TENSOR("a", "U8", "1", 0, 1) "," TENSOR("a", "U8", "1", 0, 1) "}", 1, "duplicate object key");
    refuse(*state, "{" TENSOR("a", "U8", "", 0, 1) "," TENSOR("\\u0061", "U8", "", 1, 2) "}", 2,
           "key near '\"\\u0061\"'");
    refuse(*state, "{'a':{'dtype':'U8','dtype':'U8','shape':[1],'data_offsets':[0,1]}}", 1, "duplicate object key");
    refuse(*state, "{'__metadata__':{},'__metadata__':{}}", 0, "duplicate object key");
}

static void test_members(void **state)
{
    refuse(*state, "{'a':1}", 1, "tensor 'a': header: expected an object");
    refuse(*state, "{'a':null}", 1, "expected an object");
    refuse(*state, "{'a':['U8',[1],[0,1]]}", 1, "expected an object");
    refuse(*state, "{'a':{'shape':[1],'data_offsets':[0,1]}}", 1, "tensor 'a': header: dtype: expected a dtype");
    refuse(*state, "{'a':{'dtype':'U8','data_offsets':[0,1]}}", 1,
           "shape: expected an array of integers from 0, found");
    refuse(*state, "{'a':{'dtype':'U8','shape':[1]}}", 1, "data_offsets: expected two integers from 0");
    refuse(*state, "{'a':{'dtype':8,'shape':[1],'data_offsets':[0,1]}}", 1, "dtype: expected a dtype");
    refuse(*state, "{" TENSOR("a", "u8", "1", 0, 1) "}", 1, "found \"u8\"");
    refuse(*state, "{" TENSOR("a", "Q4_0", "1", 0, 1) "}", 1, "found \"Q4_0\"");
}

static void test_integers(void **state)
{
    static const char *const shapes[] = {"1",     "null",  "{}",    "'1'",   "[-1]",
                                         "[1.0]", "[1e0]", "['1']", "[[1]]", "[null]"};
    static const char *const offsets[] = {"1", "{}", "[]", "[0]", "[0,1,2]", "[-1,0]", "[0,1.0]", "[0.5,1]", "[0,'1']"};
    char header[128];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        snprintf(header, sizeof header, "{'a':{'dtype':'U8','shape':%s,'data_offsets':[0,1]}}", shapes[i]);
        refuse(*state, header, 1, "tensor 'a': header: shape: expected an array of integers");
    }
    for (size_t i = 0; i < COUNT(offsets); i++) {
        snprintf(header, sizeof header, "{'a':{'dtype':'U8','shape':[1],'data_offsets':%s}}", offsets[i]);
        refuse(*state, header, 1, "tensor 'a': header: data_offsets: expected two integers");
    }
    refuse(*state, "{" TENSOR("a", "U8", "18446744073709551616", 0, 1) "}", 1, "too big integer");
    refuse(*state, "{" TENSOR("a", "U8", "1", 0, 18446744073709551617) "}", 1, "too big integer");
}

static void test_metadata_values(void **state)
{
    refuse(*state, "{'__metadata__':{'format':1}}", 0, "__metadata__: expected an object of strings");
    refuse(*state, "{'__metadata__':{'format':null}}", 0, "__metadata__: expected an object of strings");
    refuse(*state, "{'__metadata__':'pt'}", 0, "__metadata__: expected an object of strings");
    refuse(*state, "{'__metadata__':[]}", 0, "__metadata__: expected an object of strings");
    refuse(*state, "{" TENSOR("__metadata__", "U8", "1", 0, 1) "}", 1, "__metadata__: expected an object of strings");
}

static void test_invalid_offset(void **state)
{
    /* the first does not begin at 0; ends before it begins, twice; a hole; an overlap; two names for the same bytes */
    refuse(*state, "{" TENSOR("a", "U8", "4", 4, 8) "}", 8, "tensor 'a': invalid offset");
    refuse(*state, "{" TENSOR("a", "U8", "0", 4, 0) "}", 4, "tensor 'a': invalid offset");
    refuse(*state, "{" TENSOR("a", "U8", "4", 0, 4) "," TENSOR("b", "U8", "4", 4, 0) "}", 4,
           "tensor 'b': invalid offset: data_offsets are [4,0]");
    refuse(*state, "{" TENSOR("b", "U8", "4", 5, 9) "," TENSOR("a", "U8", "4", 0, 4) "}", 9,
           "tensor 'b': invalid offset: data_offsets are [5,9], expected to begin at 4");
    refuse(*state, "{" TENSOR("a", "U8", "4", 0, 4) "," TENSOR("b", "U8", "4", 3, 7) "}", 7,
           "tensor 'b': invalid offset: data_offsets are [3,7], expected to begin at 4");
    refuse(*state, "{" TENSOR("a", "U8", "4", 0, 4) "," TENSOR("b", "U8", "4", 0, 4) "}", 4,
           "invalid offset: data_offsets are [0,4], expected to begin at 4");
}

static void test_overflow(void **state)
{
    refuse(*state, "{" TENSOR("a", "F32", "2,18446744073709551614", 0, 16) "}", 16, "too big integer");
    refuse(*state, "{" TENSOR("a", "F32", "2,9223372036854775807", 0, 16) "}", 16,
           "tensor 'a': overflow: shape: expected a size that can be counted in bits, found [2,9223372036854775807]");
    refuse(*state, "{" TENSOR("a", "U8", "4294967296,4294967296", 0, 0) "}", 0, "overflow");
    refuse(*state, "{" TENSOR("a", "F32", "576460752303423488", 0, 0) "}", 0, "overflow");
    refuse(*state, "{" TENSOR("a", "U8", "4294967296,4294967296,0", 0, 0) "}", 0, "overflow");
}

static void test_misaligned_slice(void **state)
{
    refuse(*state, "{" TENSOR("a", "F4", "", 0, 1) "}", 1, "tensor 'a': misaligned slice");
    refuse(*state, "{" TENSOR("a", "F4", "3", 0, 1) "}", 1, "misaligned slice: 3 elements of F4 are 12 bits");
    refuse(*state, "{" TENSOR("a", "F6_E2M3", "1,2", 0, 1) "}", 1, "misaligned slice");
    refuse(*state, "{" TENSOR("a", "F6_E3M2", "5", 0, 3) "}", 3, "misaligned slice");
}

static void test_invalid_info(void **state)
{
    refuse(*state, "{" TENSOR("a", "F32", "2,2", 0, 15) "}", 15, "tensor 'a': invalid info: 4 elements of F32");
    refuse(*state, "{" TENSOR("a", "F32", "2,2", 0, 17) "}", 17, "invalid info");
    refuse(*state, "{" TENSOR("a", "F32", "", 0, 0) "}", 0, "invalid info");
    refuse(*state, "{" TENSOR("a", "F32", "0", 0, 4) "}", 4, "invalid info");
    refuse(*state, "{" TENSOR("a", "U8", "1", 0, 9223372036854775807) "}", 1, "invalid info");
}

static void test_incomplete_buffer(void **state)
{
    static const size_t sizes[] = {0, 14, 15, 17, 20, 1000}; /* a cut download; another file hidden behind */
    for (size_t i = 0; i < COUNT(sizes); i++)
        refuse(*state, "{" TENSOR("a", "F32", "2,2", 0, 16) "}", sizes[i],
               "incomplete buffer: the tensors end at byte 16 of the data");
    refuse(*state, "{}", 1, "incomplete buffer");
    refuse(*state, "{" TENSOR("a", "U8", "1152921504606846976", 0, 1152921504606846976) "}", 1, "incomplete buffer");
}

/* A broken rule is reported before the later ones that the same file breaks. */
static void test_order_of_rules(void **state)
{
    write_parts(*state, 100000001, "{", 1, 0);
    assert_refused(*state, "header too large");
    write_parts(*state, 9, "{", 1, 0);
    assert_refused(*state, "invalid header length");
    refuse(*state, "{" TENSOR("a", "U9", "-1", 4, 0) "}", 0, "dtype: expected a dtype");
    refuse(*state, "{" TENSOR("a", "F4", "4294967296,4294967296", 1, 2) "}", 0, "invalid offset");
    refuse(*state, "{" TENSOR("a", "F4", "9223372036854775807", 0, 1) "}", 0, "overflow");
    refuse(*state, "{" TENSOR("a", "F4", "3", 0, 9) "}", 0, "misaligned slice");
    refuse(*state, "{" TENSOR("a", "F4", "4", 0, 9) "}", 0, "invalid info");
    /* tensor by tensor in the order of the data, not rule by rule */
    refuse(*state, "{" TENSOR("b", "U8", "4", 5, 9) "," TENSOR("a", "U8", "3", 0, 4) "}", 9,
           "tensor 'a': invalid info");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file),           cmocka_unit_test(test_header_too_small),
        cmocka_unit_test(test_header_lengths),    cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_not_json),          cmocka_unit_test(test_strange_strings),
        cmocka_unit_test(test_zero_bytes),        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_duplicates),        cmocka_unit_test(test_members),
        cmocka_unit_test(test_integers),          cmocka_unit_test(test_metadata_values),
        cmocka_unit_test(test_invalid_offset),    cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_misaligned_slice),  cmocka_unit_test(test_invalid_info),
        cmocka_unit_test(test_incomplete_buffer), cmocka_unit_test(test_order_of_rules),
    };
    return cmocka_run_group_tests(tests, make_bench, remove_bench);
}

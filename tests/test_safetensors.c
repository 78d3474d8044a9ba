/* test_safetensors.c - what safetensors_open accepts and refuses: each rule of the format with the known attacks on it.
 *
 * Every case is a file made here, byte by byte. Headers are written with ' for ", which JSON does not use otherwise.
 * A refusal must have the right status and a message that begins with the file and names the rule; the caller's table
 * must then be all zero.
 */
#define _XOPEN_SOURCE 700
#include "model/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MANY         100000 /* tensors in one file */

/* One member of a header. */
#define TENSOR(name, dtype, shape, begin, end)                                                                         \
    "'" name "':{'dtype':'" dtype "','shape':[" shape "],'data_offsets':[" #begin "," #end "]}"

/* One folder with one file for all tests; the table and the error of the last call. */
struct bench {
    char folder[512], path[600];
    struct safetensors tensors;
    vitcl_error err;
};

/* ---- making files and opening them ------------------------------------------------------------------------------- */

/* Writes length | header | data_bytes bytes 0, 1, 2, ... */
static void write_parts(const struct bench *bench, uint64_t length, const char *header, size_t size, size_t data_bytes)
{
    FILE *file = fopen(bench->path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> 8 * i & 0xff), file);
    for (size_t i = 0; i < size; i++)
        fputc(header[i] == '\'' ? '"' : header[i], file);
    for (size_t i = 0; i < data_bytes; i++)
        fputc((int)(i & 0xff), file);
    assert_int_equal(fclose(file), 0);
}

static void assert_all_zero(const struct safetensors *tensors)
{
    assert_null(tensors->file.data);
    assert_null(tensors->file.map);
    assert_int_equal(tensors->file.size, 0);
    assert_null(tensors->entries);
    assert_int_equal(tensors->count, 0);
    assert_null(tensors->header);
}

/* The file as it was written is refused with a message that has `message` in it. */
static void assert_refused(struct bench *bench, const char *message)
{
    vitcl_status status;
    safetensors_close(&bench->tensors);
    memset(&bench->tensors, 0x5a, sizeof bench->tensors);
    status = safetensors_open(&bench->tensors, bench->path, &bench->err);
    if (status == VITCL_OK)
        fail_msg("opened, expected a refusal with \"%s\"", message);
    if (!strstr(bench->err.message, message))
        fail_msg("expected \"%s\" in: %s", message, bench->err.message);
    assert_int_equal(status, VITCL_ERROR_FORMAT);
    assert_int_equal(bench->err.status, VITCL_ERROR_FORMAT);
    assert_ptr_equal(strstr(bench->err.message, bench->path), bench->err.message);
    assert_all_zero(&bench->tensors);
}

static void refuse(struct bench *bench, const char *header, size_t data_bytes, const char *message)
{
    write_parts(bench, strlen(header), header, strlen(header), data_bytes);
    assert_refused(bench, message);
}

/* Opens the file with that header; the table stays open until the next call. */
static void accept(struct bench *bench, const char *header, size_t data_bytes, size_t count)
{
    safetensors_close(&bench->tensors);
    write_parts(bench, strlen(header), header, strlen(header), data_bytes);
    if (safetensors_open(&bench->tensors, bench->path, &bench->err) != VITCL_OK)
        fail_msg("%.200s was refused: %s", header, bench->err.message);
    assert_int_equal(bench->tensors.count, count);
}

static const struct tensor_entry *find(const struct bench *bench, const char *name)
{
    const struct tensor_entry *entry = safetensors_find(&bench->tensors, name);
    if (!entry)
        fail_msg("no tensor '%s'", name);
    return entry;
}

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

/* ---- accepted ---------------------------------------------------------------------------------------------------- */

static void test_no_tensors(void **state)
{
    struct bench *bench = *state;
    accept(bench, "{}", 0, 0);
    assert_null(safetensors_find(&bench->tensors, "a"));
    accept(bench, "{'__metadata__':null}", 0, 0);
    accept(bench, "{'__metadata__':{}}", 0, 0);
    accept(bench, "{'__metadata__':{'format':'unheard of','\\u00e9':''}}", 0, 0);
}

static void test_entries(void **state)
{
    struct bench *bench = *state;
    const struct tensor_entry *b, *w;
    accept(bench,
           "{" TENSOR("w", "F16", "2,3", 4, 16) ",'__metadata__':{'format':'pt'}," TENSOR("b", "F32", "1", 0, 4) "}",
           16, 2);
    b = find(bench, "b");
    w = find(bench, "w");
    assert_ptr_equal(b, bench->tensors.entries);
    assert_ptr_equal(w, bench->tensors.entries + 1);
    assert_string_equal(w->name, "w");
    assert_int_equal(w->dtype, DTYPE_F16);
    assert_string_equal(w->dtype_name, "F16");
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->shape[0], 2);
    assert_int_equal(w->shape[1], 3);
    assert_int_equal(w->bytes, 12);
    assert_ptr_equal(w->data + w->bytes, bench->tensors.file.data + bench->tensors.file.size);
    assert_ptr_equal(b->data + b->bytes, w->data);
}

static void test_names(void **state)
{
    static const char *const absent[] = {"a", "c", "__metadata__", "aa", "\xf0\x9f\x98"};
    struct bench *bench = *state;
    accept(bench,
           "{'b':{'dtype':'U8','shape':[1],'data_offsets':[2,3]},"
           "'\\ud83d\\ude00':{'dtype':'U8','shape':[1],'data_offsets':[1,2]},'__metadata__':{},"
           "'a\\u001b/..':{'dtype':'U8','shape':[1],'data_offsets':[3,4]},"
           "'':{'dtype':'U8','shape':[1],'data_offsets':[0,1]}}",
           4, 4);
    assert_int_equal(find(bench, "")->data[0], 0);
    assert_int_equal(find(bench, "\xf0\x9f\x98\x80")->data[0], 1);
    assert_int_equal(find(bench, "b")->data[0], 2);
    assert_int_equal(find(bench, "a\x1b/..")->data[0], 3);
    for (size_t i = 0; i < COUNT(absent); i++)
        assert_null(safetensors_find(&bench->tensors, absent[i]));
}

static void test_free_form(void **state)
{
    struct bench *bench = *state;
    accept(bench, " \t\r\n{ } \n\r\t  ", 0, 0);
    accept(bench, "\n  { 'a' :\t{'dtype':'U8', 'shape':[ 2 ],\r\n'data_offsets':[0 , 2]} }        ", 2, 1);
    assert_int_equal(find(bench, "a")->data[1], 1);
    accept(bench, "{'a':{'note':{'by':['x',1.5e3,null]},'data_offsets':[0,2],'shape':[1],'-':-1,'dtype':'BF16'}}", 2,
           1);
    assert_int_equal(find(bench, "a")->dtype, DTYPE_BF16);
}

static void test_ranks(void **state)
{
    struct bench *bench = *state;
    accept(bench, "{" TENSOR("a", "F32", "", 0, 4) "}", 4, 1);
    assert_int_equal(find(bench, "a")->rank, 0);
    assert_int_equal(find(bench, "a")->bytes, 4);
    accept(bench, "{" TENSOR("a", "U8", "1,1,1,1,1,1,1,2,3", 0, 6) "}", 6, 1);
    assert_int_equal(find(bench, "a")->rank, 9);
    assert_int_equal(find(bench, "a")->shape[7], 2);
    assert_int_equal(find(bench, "a")->bytes, 6);
}

static void test_zero_sizes(void **state)
{
    struct bench *bench = *state;
    accept(
        bench,
        "{'y':{'dtype':'F32','shape':[0],'data_offsets':[4,4]},'a':{'dtype':'U8','shape':[4],'data_offsets':[0,4]},"
        "'z':{'dtype':'F32','shape':[2,0,3],'data_offsets':[4,4]},'x':{'dtype':'F4','shape':[0],'data_offsets':[0,0]},"
        "'b':{'dtype':'U8','shape':[2],'data_offsets':[4,6]},'w':{'dtype':'I8','shape':[0],'data_offsets':[6,6]}}",
        6, 6);
    assert_int_equal(find(bench, "z")->bytes, 0);
    assert_int_equal(find(bench, "z")->shape[2], 3);
    assert_int_equal(find(bench, "b")->data[0], 4);
    accept(bench, "{" TENSOR("a", "U8", "0,4294967296,4294967296", 0, 0) "}", 0, 1);
}

static void test_every_dtype(void **state)
{
    static const struct {
        const char *name;
        size_t bits;
    } rows[] = {{"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
                {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
                {"I32", 32},        {"U32", 32},        {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64},
                {"U64", 64},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}};
    struct bench *bench = *state;
    for (size_t i = 0; i < COUNT(rows); i++) { /* 8 elements have as many bytes as one has bits */
        char header[128];
        const char *name = rows[i].name;
        snprintf(header, sizeof header, "{'a':{'dtype':'%s','shape':[2,4],'data_offsets':[0,%zu]}}", name,
                 rows[i].bits);
        accept(bench, header, rows[i].bits, 1);
        assert_string_equal(find(bench, "a")->dtype_name, name);
        assert_int_equal(find(bench, "a")->bytes, rows[i].bits);
        assert_int_equal(find(bench, "a")->dtype == DTYPE_F32, strcmp(name, "F32") == 0);
        assert_int_equal(find(bench, "a")->dtype == DTYPE_F16, strcmp(name, "F16") == 0);
        assert_int_equal(find(bench, "a")->dtype == DTYPE_BF16, strcmp(name, "BF16") == 0);
    }
}

static void test_unaligned_data(void **state)
{
    struct bench *bench = *state;
    uint32_t bits;
    accept(bench, "{" TENSOR("a", "U8", "1", 0, 1) "," TENSOR("b", "F32", "1", 1, 5) "}", 5, 2);
    assert_int_not_equal((uintptr_t)find(bench, "b")->data % 2, (uintptr_t)find(bench, "a")->data % 2);
    memcpy(&bits, find(bench, "b")->data, sizeof bits);
    assert_int_equal(bits, 0x04030201);
}

/* ---- many tensors, and the calls themselves ---------------------------------------------------------------------- */

/* A header of MANY one-byte tensors in reverse order, or all at the same place. */
static char *many_tensors(bool same_place)
{
    size_t room = (size_t)MANY * 80, used = 1;
    char *header = malloc(room);
    assert_non_null(header);
    header[0] = '{';
    for (int i = MANY - 1; i >= 0; i--) {
        int begin = same_place ? 0 : i;
        used +=
            (size_t)snprintf(header + used, room - used, "'t%d':{'dtype':'U8','shape':[1],'data_offsets':[%d,%d]}%c", i,
                             begin, begin + 1, i > 0 ? ',' : '}');
    }
    return header;
}

static void test_many_tensors(void **state)
{
    char *header = many_tensors(false);
    accept(*state, header, MANY, MANY);
    free(header);
    for (int i = 0; i < MANY; i += 77) {
        char name[32];
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(find(*state, name)->data[0], i & 0xff);
    }
}

static void test_many_in_one_place(void **state)
{
    char *header = many_tensors(true);
    refuse(*state, header, 1, "invalid offset");
    free(header);
}

static void test_close_twice(void **state)
{
    struct bench *bench = *state;
    accept(bench, "{" TENSOR("a", "U8", "1", 0, 1) "}", 1, 1);
    safetensors_close(&bench->tensors);
    assert_all_zero(&bench->tensors);
    safetensors_close(&bench->tensors);
    assert_null(safetensors_find(&bench->tensors, "a"));
}

static void test_no_error_wanted(void **state)
{
    struct bench *bench = *state;
    refuse(bench, "{'a':1}", 1, "expected an object");
    assert_int_equal(safetensors_open(&bench->tensors, bench->path, NULL), VITCL_ERROR_FORMAT);
}

static int make_bench(void **state)
{
    static struct bench bench;
    const char *base = getenv("TMPDIR");
    snprintf(bench.folder, sizeof bench.folder, "%s/vitcl_safetensors_XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(bench.folder))
        return -1;
    snprintf(bench.path, sizeof bench.path, "%s/model.safetensors", bench.folder);
    *state = &bench;
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;
    safetensors_close(&bench->tensors);
    unlink(bench->path);
    return rmdir(bench->folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_header_too_small),
        cmocka_unit_test(test_header_lengths),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_strange_strings),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_metadata_values),
        cmocka_unit_test(test_invalid_offset),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_misaligned_slice),
        cmocka_unit_test(test_invalid_info),
        cmocka_unit_test(test_incomplete_buffer),
        cmocka_unit_test(test_order_of_rules),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_free_form),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_zero_sizes),
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_unaligned_data),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_many_in_one_place),
        cmocka_unit_test(test_close_twice),
        cmocka_unit_test(test_no_error_wanted),
    };
    return cmocka_run_group_tests(tests, make_bench, remove_bench);
}

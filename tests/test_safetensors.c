/* test_safetensors.c - what safetensors_open accepts, and what the table then holds. What it refuses is tested in
 * test_safetensors_refused.c.
 */
#include "safetensors_bench.h"

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
    assert_ptr_equal(w->data + w->bytes, bench->tensors.shards[0].file.data + bench->tensors.shards[0].file.size);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_tensors),   cmocka_unit_test(test_entries),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_free_form),
        cmocka_unit_test(test_ranks),        cmocka_unit_test(test_zero_sizes),
        cmocka_unit_test(test_every_dtype),  cmocka_unit_test(test_unaligned_data),
        cmocka_unit_test(test_many_tensors), cmocka_unit_test(test_many_in_one_place),
        cmocka_unit_test(test_close_twice),  cmocka_unit_test(test_no_error_wanted),
    };
    return cmocka_run_group_tests(tests, make_bench, remove_bench);
}

/* test_select.c - the grammar of VITCL_DEVICE on made-up devices: each form selects what it says or nothing, with the
 * list of what there is; the automatic choice takes the fastest usable GPU, else CPU, and nothing else; and the
 * selector that is shown for a device selects that device.
 */
#include "base/text.h"
#include "device/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define KIND_ALL     (KIND_CPU | KIND_GPU | KIND_ACCELERATOR | KIND_CUSTOM)

/* Names of platform, vendor and device, and whether it can be used. */
#define NAMED(p, v, n)                                                                                                 \
    .info = {.platform = p, .vendor = v, .name = n, .units = 4, .available = true, .compiler_works = true}

/* A workstation with everything. The first name has "-1" and "0" in it. */
enum { POCL, RTX_4090, RTX_3060, UHD, SIMULATOR, FPGA, UNICODE, BROKEN, DEVICES };

static void make_workstation(struct candidate list[DEVICES])
{
    const struct candidate devices[DEVICES] = {
        [POCL] = {NAMED("Portable Computing Language", "GenuineIntel", "pthread-13th Gen Intel(R) Core(TM) i7-1370P"),
                  .kinds = KIND_CPU, .clock = 4800, .vector_width = 8},
        [RTX_4090] = {NAMED("NVIDIA CUDA", "NVIDIA Corporation", "NVIDIA GeForce RTX 4090"), .kinds = KIND_GPU,
                      .platform = 1, .clock = 2520, .pci = "01:00.0", .uuid = "0123456789abcdef0123456789abcdef"},
        [RTX_3060] = {NAMED("NVIDIA CUDA", "NVIDIA Corporation", "NVIDIA GeForce RTX 3060"), .kinds = KIND_GPU,
                      .platform = 1, .index = 1, .clock = 1777, .pci = "4a:00.0",
                      .uuid = "ffffffffffffffffffffffffffffffff"},
        [UHD] = {NAMED("Intel(R) OpenCL Graphics", "Intel(R) Corporation", "Intel(R) UHD Graphics 770"),
                 .kinds = KIND_GPU, .platform = 2, .clock = 1550},
        [SIMULATOR] = {NAMED("Oclgrind", "University of Bristol", "Oclgrind Simulator"), .kinds = KIND_ALL,
                       .platform = 3, .clock = 100000},
        [FPGA] = {NAMED("Xilinx", "Xilinx", "xilinx_u250"), .kinds = KIND_ACCELERATOR, .platform = 4, .clock = 90000},
        [UNICODE] = {NAMED("M\xc3\xbcller", "\xe7\x8a\xac", "\xe2\x98\x83 2000"), .kinds = KIND_CPU, .platform = 5},
        [BROKEN] = {NAMED("AMD", "AMD", "gfx1100"), .kinds = KIND_GPU, .platform = 6, .clock = 90000},
    };
    memcpy(list, devices, sizeof devices);
    list[FPGA].info.compiler_works = false;
    list[BROKEN].info.available = false;
    candidates_finish(list, DEVICES);
}

static size_t select_or_fail(const struct candidate *list, size_t count, const char *selector, char why[160])
{
    size_t index = count;
    vitcl_error err;
    memset(why, 'x', 160);
    if (select_device(list, count, selector, &index, why, &err) != VITCL_OK)
        fail_msg("\"%.80s\": %s", selector, err.message);
    assert_true(index < count);
    assert_non_null(memchr(why, '\0', 160));
    return index;
}

static void assert_selects(const char *selector, size_t expected)
{
    struct candidate list[DEVICES];
    char why[160];
    make_workstation(list);
    if (select_or_fail(list, DEVICES, selector, why) != expected)
        fail_msg("\"%.80s\" does not select %s", selector, list[expected].info.name);
}

/* The selector is refused for `cause`, and every device is listed with what selects it. */
static void assert_refused(const char *selector, const char *cause)
{
    struct candidate list[DEVICES];
    vitcl_error err;
    char why[160];
    size_t index;
    make_workstation(list);
    if (select_device(list, DEVICES, selector, &index, why, &err) == VITCL_OK)
        fail_msg("\"%.80s\" selects %s", selector, list[index].info.name);
    assert_int_equal(err.status, VITCL_ERROR_DEVICE);
    if (!strstr(err.message, cause))
        fail_msg("expected \"%s\" in: %s", cause, err.message);
    for (size_t i = 0; i < DEVICES; i++) {
        struct text row = {0};
        text_add(&row, "\n  %zu  %s / %s  (VITCL_DEVICE=\"%s\")%s", i, list[i].info.platform, list[i].info.name,
                 list[i].info.selector,
                 i == BROKEN ? "  not available"
                 : i == FPGA ? "  its compiler does not work"
                             : "");
        assert_non_null(strstr(err.message, row.chars));
        text_free(&row);
    }
}

static void refuse_all(const char *const *selectors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_refused(selectors[i], "no OpenCL device matches \"");
}

/* ---- each form --------------------------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    static const char *const bad[] = {"8", "1000", "999999", "1000000", "4294967296", "18446744073709551617"};
    (void)state;
    assert_selects("0", POCL);
    assert_selects("2", RTX_3060);
    assert_selects("6", UNICODE);
    refuse_all(bad, COUNT(bad));
}

static void test_positions(void **state)
{
    static const char *const bad[] = {"0:", ":0", ":", "0:1", "1:2", "9:0", "0:0:0", "0:x", "x:0", "0:-1", "0 :0"};
    static const char *const huge[] = {"99999999999999999999", "1:18446744073709551617", "18446744073709551617:0",
                                       "4294967297:0"};
    (void)state;
    assert_selects("0:0", POCL);
    assert_selects("1:0", RTX_4090);
    assert_selects("1:1", RTX_3060);
    assert_selects("5:0", UNICODE);
    refuse_all(bad, COUNT(bad));
    refuse_all(huge, COUNT(huge));
}

static void test_kinds(void **state)
{
    static const char *const bad[] = {
        "gpu:", "gpu:x", "gpu:-1",        "gpu:1x",   "gpu: 1", "gpu:1:0", "gpu:9",  "gpu:18446744073709551617",
        "cpu:", "cpu:9", "accelerator:9", "custom:1", "gpu:8",  "gpus",    "gpu,cpu"};
    (void)state;
    assert_selects("gpu", RTX_4090);
    assert_selects("GPU", RTX_4090);
    assert_selects("gpu:0", RTX_4090);
    assert_selects("Gpu:2", UHD);
    assert_selects("cpu", POCL);
    refuse_all(bad, COUNT(bad));
}

static void test_addresses(void **state)
{
    static const char *const bad[] = {"pci:", "pci:02:00.0", "pci:01:00", "pci:01:00.00",
                                      "pci",  "uuid",        "uuid:",     "uuid:-"};
    static const char *const no_uuid[] = {
        "uuid:0123456789abcdef0123456789abcde",  "uuid:0123456789abcdef0123456789abcdef0",
        "uuid:0123456789abcdef0123456789abcdeg", "uuid:00000000000000000000000000000000",
        "uuid 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"};
    (void)state;
    assert_selects("pci:01:00.0", RTX_4090);
    assert_selects("PCI:4A:00.0", RTX_3060);
    assert_selects("uuid:0123456789abcdef0123456789abcdef", RTX_4090);
    assert_selects("UUID:01234567-89AB-CDEF-0123-456789abcdef", RTX_4090);
    assert_selects("uuid:ffffffff-ffff-ffff-ffff-ffffffffffff", RTX_3060);
    refuse_all(bad, COUNT(bad));
    refuse_all(no_uuid, COUNT(no_uuid));
}

static void test_names(void **state)
{
    static const char *const bad[] = {"name:",     "name:gpu",   "name:name:RTX",  "RTX 5090",
                                      "RTX  4090", "NVIDIACUDA", "M\xc3\xbcllers", "\xe7\x8a\xad"};
    (void)state;
    assert_selects("rtx 3060", RTX_3060);
    assert_selects("nvidia cuda / NVIDIA CORPORATION / nvidia geforce rtx 3060", RTX_3060);
    assert_selects("cuda / nvidia", RTX_4090);
    assert_selects("uhd", UHD);
    assert_selects("simulator", SIMULATOR);
    assert_selects("name:RTX 3060", RTX_3060);
    assert_selects("NAME:pthread", POCL);
    assert_selects("name:-1", POCL);
    assert_selects("name:2000", UNICODE);
    assert_selects("m\xc3\xbcller", UNICODE);
    assert_selects("\xe2\x98\x83", UNICODE);
    refuse_all(bad, COUNT(bad));
}

/* "-1" is a part of a name here, but who writes it means something else: no device, or the last one. */
static void test_mistyped_numbers(void **state)
{
    static const char *const texts[] = {"-1", "+1", "-0", "-1:0", "1.0"};
    (void)state;
    refuse_all(texts, COUNT(texts));
}

static void test_hostile_texts(void **state)
{
    static const char *const texts[] = {"%s%n%x", "\n", "gpu\n", "\x01", "\xff\xfe", "*", "../..", "none", "\"", "1,2"};
    static const char *const starts[] = {"", "name:", "gpu:", "0:", "pci:", "uuid:"};
    static const char fills[] = {'9', 'x', ':', '-', 'a'};
    enum { LONG = 1000000 };
    char *text = malloc(LONG + 1);
    (void)state;
    refuse_all(texts, COUNT(texts));
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(starts) * COUNT(fills); i++) {
        const char *start = starts[i / COUNT(fills)];
        memset(text, fills[i % COUNT(fills)], LONG);
        memcpy(text, start, strlen(start));
        text[LONG] = '\0';
        refuse_all((const char *const[]){text}, 1);
    }
    free(text);
}

static void test_reasons(void **state)
{
    struct candidate list[DEVICES];
    char why[160];
    (void)state;
    make_workstation(list);
    select_or_fail(list, DEVICES, "gpu:1", why);
    assert_string_equal(why, "selected by \"gpu:1\"");
    assert_int_equal(select_or_fail(list, DEVICES, "geforce", why), RTX_4090);
    assert_string_equal(why, "the first of 2 that match \"geforce\"");
}

/* ---- devices that can not be used -------------------------------------------------------------------------------- */

static void test_unusable(void **state)
{
    (void)state;
    assert_refused("7", "AMD / gfx1100 is not available");
    assert_refused("6:0", "AMD / gfx1100 is not available");
    assert_refused("gfx", "AMD / gfx1100 is not available");
    assert_refused("5", "Xilinx / xilinx_u250 has no OpenCL compiler that works");
    assert_refused("u250", "Xilinx / xilinx_u250 has no OpenCL compiler that works");
}

/* ---- the automatic choice ---------------------------------------------------------------------------------------- */

static void test_automatic(void **state)
{
    struct candidate list[DEVICES];
    char why[160];
    static const char *const texts[] = {"", " ", "\t", "  \t "};
    (void)state;
    make_workstation(list);
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(select_or_fail(list, DEVICES, texts[i], why), RTX_4090);
    assert_string_equal(why, "the fastest GPU by compute units x clock");

    list[RTX_3060].info.units *= 2; /* more units make up for the lower clock */
    assert_int_equal(select_or_fail(list, DEVICES, "", why), RTX_3060);
    list[RTX_3060].info.compiler_works = false;
    assert_int_equal(select_or_fail(list, DEVICES, "", why), RTX_4090);
    list[RTX_4090].info.available = false;
    assert_int_equal(select_or_fail(list, DEVICES, "", why), UHD); /* slower than the CPU by that measure, but a GPU */
    assert_string_equal(why, "the only GPU");
    list[UHD].info.available = false;
    assert_int_equal(select_or_fail(list, DEVICES, "", why), POCL);
    assert_string_equal(why, "no GPU here; the fastest CPU device by compute units x clock x vector width");
    list[UNICODE].clock = 4800;
    list[UNICODE].vector_width = 16;
    assert_int_equal(select_or_fail(list, DEVICES, "", why), UNICODE);
    list[POCL].info.available = false;
    assert_int_equal(select_or_fail(list, DEVICES, "", why), UNICODE);
    assert_string_equal(why, "no GPU here; the only CPU device");
}

/* Neither simulators nor accelerators, even where there is nothing else. */
static void test_nothing_automatic(void **state)
{
    struct candidate list[DEVICES];
    vitcl_error err;
    char why[160];
    size_t index;
    (void)state;
    make_workstation(list);
    list[FPGA].info.compiler_works = true;
    assert_int_equal(select_device(list + SIMULATOR, 2, "", &index, why, &err), VITCL_ERROR_DEVICE);
    assert_non_null(strstr(err.message, "no usable GPU or CPU"));
    assert_non_null(strstr(err.message, "xilinx_u250"));
    assert_int_equal(select_device(list, 0, "", &index, why, &err), VITCL_ERROR_DEVICE);
    assert_int_equal(select_device(list, 0, "gpu", &index, why, &err), VITCL_ERROR_DEVICE);
    assert_int_equal(select_device(list, 0, "0", &index, why, NULL), VITCL_ERROR_DEVICE);
}

/* ---- selectors that are shown ------------------------------------------------------------------------------------ */

/* Every usable device is selected by what is shown for it, and one at most is marked as automatic: the one that is. */
static void check_selectors(struct candidate *list, size_t count)
{
    size_t chosen = count;
    char why[160];
    candidates_finish(list, count);
    if (select_device(list, count, "", &chosen, why, NULL) != VITCL_OK)
        chosen = count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].info.automatic, i == chosen);
        assert_true(list[i].info.selector[0] != '\0');
        if (list[i].info.available && list[i].info.compiler_works &&
            select_or_fail(list, count, list[i].info.selector, why) != i)
            fail_msg("\"%s\" does not select device %zu of %zu", list[i].info.selector, i, count);
    }
}

static void test_selectors(void **state)
{
    struct candidate list[DEVICES], twins[2];
    (void)state;
    make_workstation(list);
    check_selectors(list, DEVICES);
    check_selectors(list, 1);
    assert_string_equal(list[0].info.selector, "cpu");
    check_selectors(list, 2);
    assert_string_equal(list[0].info.selector, "cpu");
    assert_string_equal(list[1].info.selector, "gpu");
    twins[0] = twins[1] = list[RTX_4090];
    snprintf(twins[1].pci, sizeof twins[1].pci, "02:00.0");
    check_selectors(twins, 2);
    assert_string_equal(twins[0].info.selector, "pci:01:00.0");
    assert_string_equal(twins[1].info.selector, "pci:02:00.0");
    twins[0].pci[0] = twins[1].pci[0] = '\0';
    check_selectors(twins, 2);
    assert_string_equal(twins[0].info.selector, "0");
    assert_string_equal(twins[1].info.selector, "1");
}

static size_t draw(uint32_t *random, size_t below)
{
    *random = *random * 1664525u + 1013904223u;
    return (size_t)(*random >> 8) % below;
}

/* Three words, some of which are forms of the grammar themselves. */
static void draw_name(uint32_t *random, char name[128])
{
    static const char *const words[] = {
        "GPU",      "cpu",   "any",   "Intel(R)", "NVIDIA", "RTX",         "4090",
        "0:1",      "gpu:1", "cpu:0", "name:x",   "name:",  "pci:01:00.0", "uuid:",
        "-1",       "-100",  "x",     "xyz",      "Xyzzy",  "1",           "\xe2\x98\x83\xe2\x98\x83",
        "i7-1370P", "@",     "%s%n"};
    snprintf(name, 128, "%s %s %s", words[draw(random, COUNT(words))], words[draw(random, COUNT(words))],
             words[draw(random, COUNT(words))]);
}

static void test_random_selectors(void **state)
{
    static const unsigned kinds[] = {KIND_CPU, KIND_GPU, KIND_GPU, KIND_ACCELERATOR, KIND_CUSTOM, KIND_ALL};
    uint32_t random = 1;
    (void)state;
    for (int round = 0; round < 5000; round++) {
        struct candidate list[8];
        size_t count = 1 + draw(&random, COUNT(list));
        memset(list, 0, sizeof list);
        for (size_t i = 0; i < count; i++) {
            draw_name(&random, list[i].info.platform);
            draw_name(&random, list[i].info.vendor);
            draw_name(&random, list[i].info.name);
            list[i].kinds = kinds[draw(&random, COUNT(kinds))];
            list[i].platform = (unsigned)i;
            list[i].clock = (unsigned)draw(&random, 4);
            list[i].info.units = (unsigned)draw(&random, 4);
            list[i].info.available = draw(&random, 5) > 0;
            list[i].info.compiler_works = draw(&random, 5) > 0;
        }
        check_selectors(list, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_mistyped_numbers),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_unusable),
        cmocka_unit_test(test_automatic),
        cmocka_unit_test(test_nothing_automatic),
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_random_selectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_cli_speed.c - vitcl_run --profile and --bench, and bench_model: tables, JSON, and what they refuse. How long
 * anything takes does not matter here.
 */
#include "cli_program.h"

#include <unistd.h>

static void test_profile(void **state)
{
    struct output output;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--profile", SIX);
    assert_contains(output.out, "\nqkv                      4  "); /* one line for the four blocks */
    assert_contains(output.out, "\nhead                     1  ");
    assert_contains(output.out, "Peak of this device");
    check_and_free(&output, "wall time of one run of 1 image (", NULL);
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    if (!json_is_number(number))
        fail_msg("%s is no number", key);
    return json_number_value(number);
}

static void test_profile_in_json(void **state)
{
    struct output output;
    json_t *list;
    const json_t *profile, *steps;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--profile", "--json", "-b", "2", SIX, ZERO);
    list = json_loads(output.out, 0, NULL);
    assert_int_equal(json_array_size(list), 1);
    profile = json_array_get(list, 0);
    steps = json_object_get(profile, "steps");
    assert_int_equal(json_array_size(steps), 13);
    assert_int_equal(number_of(profile, "batch"), 2);
    for (size_t i = 0; i < 13; i++)
        assert_true(number_of(json_array_get(steps, i), "ms") >= 0);
    assert_true(number_of(profile, "wall_ms") > 0);
    assert_true(number_of(profile, "explained") > 0 && number_of(profile, "explained") <= 1.001);
    json_decref(list);
    output_free(&output);
}

static void test_bench(void **state)
{
    struct output output;
    struct device *device = device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--bench", "-b", "auto");
    assert_contains(output.out, device_facts(device)->is_cpu ? "batch 8," : "batch 64,");
    assert_contains(output.out, "GFLOP/s");
    check_and_free(&output, "ms per image", NULL);
    output = RUN(0, "-q", "-m", DIGITS, "--bench", "-b", "3", "--precision", "f16");
    check_and_free(&output, "ms per image", NULL);
}

/* What looks into the device does so in every precision. */
static void test_precisions(void **state)
{
    static const char *const PRECISIONS[] = {"bf16", "f16"};
    device_or_skip(state);
    for (size_t i = 0; i < COUNT(PRECISIONS); i++) {
        struct output output = RUN(0, "-q", "-m", DIGITS, "--precision", PRECISIONS[i], "--verify", SIX);
        check_and_free(&output, "every step is within tolerance", NULL);
        output = RUN(0, "-q", "-m", DIGITS, "--precision", PRECISIONS[i], "--profile", SIX);
        check_and_free(&output, "wall time of one run of 1 image (", NULL);
    }
}

static void test_bench_in_json(void **state)
{
    struct output output;
    json_t *bench;
    double product;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--bench", "--json", "-b", "2");
    bench = json_loads(output.out, 0, NULL);
    assert_int_equal(number_of(bench, "batch"), 2);
    assert_true(number_of(bench, "runs") >= 3);
    product = number_of(bench, "images_per_second") * number_of(json_object_get(bench, "ms_per_image"), "median");
    assert_true(product > 999 && product < 1001);
    assert_true(number_of(bench, "share_of_peak") > 0);
    json_decref(bench);
    output_free(&output);
}

/* ---- bench/bench_model ---- */

#define BENCH(code, ...) run_with(code, NULL, NULL, (const char *const[]){BENCH_MODEL, __VA_ARGS__, NULL})

static void bench_or_skip(void **state)
{
    device_or_skip(state);
    if (access(BENCH_MODEL, X_OK) != 0)
        skip(); /* VITCL_BUILD_BENCH is off */
}

static void test_bench_model(void **state)
{
    struct output output;
    json_t *list;
    bench_or_skip(state);
    output = BENCH(0, "-s", "0.01", "--json", "--profile", "vit_tiny_patch16_32:1", "vit_tiny_patch16_32:2:f32");
    list = json_loads(output.out, 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *answer = json_array_get(list, i);
        assert_int_equal(number_of(answer, "batch"), i + 1);
        assert_true(number_of(json_object_get(answer, "ms_per_image"), "median") > 0);
        assert_int_equal(json_array_size(json_object_get(json_object_get(answer, "profile"), "steps")), 13);
    }
    json_decref(list);
    output_free(&output);
    output = BENCH(0, "-s", "0.01", "vit_tiny_patch16_32:1");
    check_and_free(&output, "vit_tiny_patch16_32              1 f32", NULL);
}

static void test_bench_model_refuses(void **state)
{
    static const char *const WRONG[] = {"vit_tiny_patch16_32",
                                        "vit_tiny_patch16_32:0",
                                        "vit_tiny_patch16_32:1:",
                                        "vit_tiny_patch16_32:1x",
                                        "vit_tiny_patch16_32:-1",
                                        ":1",
                                        "",
                                        "vit_tiny_patch16_32:1:f99"};
    struct output output;
    bench_or_skip(state);
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        output = BENCH(2, "-s", "0.01", WRONG[i]);
        check_and_free(&output, NULL, WRONG[i]);
    }
    output = BENCH(1, "-s", "0.01", "nope_tiny_patch16_32:1");
    assert_contains(output.err, "no such model");
    output_free(&output);
    output = BENCH(2, "--json");
    check_and_free(&output, NULL, "usage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_profile_in_json),
        cmocka_unit_test(test_bench),
        cmocka_unit_test(test_bench_in_json),
        cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_bench_model),
        cmocka_unit_test(test_bench_model_refuses),
    };
    return device_exit_code(cmocka_run_group_tests(tests, device_set_up, device_tear_down));
}

/* test_cli.c - vitcl_run as a user meets it: what it says where, its exit status, and which inputs it takes. Results go
 * to stdout and everything else to stderr; one bad input does not cost the others their answers. Its options are in
 * test_cli_usage.c, the files it writes in test_cli_files.c.
 */
#include "cli_program.h"

#include <math.h>
#include <sys/stat.h>

/* ---- choosing devices and variants ---- */

static void test_list_devices(void **state)
{
    vitcl_device_info *list;
    size_t count;
    vitcl_error error;
    struct output output;
    device_or_skip(state);
    assert_ok(vitcl_device_list_create(&list, &count, &error), &error);
    output = RUN(0, "--list-devices");
    assert_int_equal(count_of(output.out, "VITCL_DEVICE="), count);
    for (size_t i = 0; i < count; i++) {
        assert_contains(output.out, list[i].selector);
        assert_contains(output.out, list[i].name);
    }
    output_free(&output);
    vitcl_device_list_destroy(&list);
}

/* The option wins over the variable, and neither falls back to another device. */
static void test_device_that_is_not_there(void **state)
{
    struct output output;
    device_or_skip(state);
    output = run_with(1, CHANGES("VITCL_DEVICE=name:magic"), NULL, ARGUMENTS("-m", DIGITS, SIX));
    assert_contains(output.err, "\"name:magic\"");
    check_and_free(&output, NULL, "VITCL_DEVICE="); /* what would select one */
    output = RUN(1, "-m", DIGITS, "-d", "999", SIX);
    check_and_free(&output, NULL, "\"999\"");
    output = run_with(0, CHANGES("VITCL_DEVICE=name:magic"), NULL, ARGUMENTS("-m", DIGITS, "-d", "0", SIX));
    check_and_free(&output, "six", "running on");
}

static void test_variants(void **state)
{
    struct output output;
    device_or_skip(state);
    output = run_with(1, CHANGES("VITCL_VARIANT=magic"), NULL, ARGUMENTS("-m", DIGITS, SIX));
    assert_contains(output.err, "\"magic\"");
    assert_contains(output.err, "matmul=portable");
    check_and_free(&output, NULL, "attention=portable");
    output = run_with(0, CHANGES("VITCL_VARIANT=matmul=portable"), NULL, ARGUMENTS("-m", DIGITS, "--plan"));
    check_and_free(&output, "asked for", "running on");
}

static void test_plan(void **state)
{
    struct output output;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--plan", "-b", "4");
    assert_contains(output.out, "batch 4");
    assert_contains(output.out, "block 3 fc2");
    assert_contains(output.out, "[4,65,192]");
    check_and_free(&output, "GFLOP", NULL);
}

/* What is chosen is told by --plan; the answers are the same. */
static void test_batch_auto(void **state)
{
    struct device *device = device_or_skip(state);
    struct output output = RUN(0, "-q", "-m", DIGITS, "--plan", "-b", "auto"), one, chosen;
    check_and_free(&output, device_facts(device)->is_cpu ? "batch 8:" : "batch 64:", NULL);
    one = RUN(0, "-q", "-m", DIGITS, SIX, ZERO);
    chosen = RUN(0, "-q", "-m", DIGITS, "--batch-size", "auto", SIX, ZERO);
    assert_string_equal(one.out, chosen.out);
    output_free(&one);
    output_free(&chosen);
}

static void test_verify(void **state)
{
    struct output output;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "--verify", SIX);
    assert_int_equal(count_of(output.out, " ok\n"), 34); /* 3 steps, 4 blocks of 7, norm, pool, head */
    check_and_free(&output, "within tolerance", NULL);
}

/* ---- inputs ---- */

static void test_tune(void **state)
{
    char folder[PATH_SIZE], cache[PATH_SIZE + 32];
    struct output output;
    bool tuned;
    device_or_skip(state);
    output = RUN(1, "-q", "-m", DIGITS, "--tune"); /* VITCL_CACHE_DIR is "off" in tests */
    check_and_free(&output, NULL, "VITCL_CACHE_DIR");
    folder_create(folder);
    snprintf(cache, sizeof cache, "VITCL_CACHE_DIR=%s", folder);
    output = run_with(0, CHANGES(cache, "VITCL_VARIANT=attention=portable"), NULL,
                      ARGUMENTS("-q", "-m", DIGITS, "--tune", "--tune-seconds", "600"));
    tuned = strstr(output.out, "block 0 fc1") != NULL;
    check_and_free(&output, tuned ? "measured" : "nothing was tuned", NULL);
    output = run_with(0, CHANGES(cache), NULL, ARGUMENTS("-q", "-m", DIGITS, "--plan"));
    assert_int_equal(count_of(output.out, "tuned: ") > 4, tuned);
    check_and_free(&output, "block 3 fc1", NULL);
    folder_remove(folder);
}

static void test_model_from_the_environment(void **state)
{
    struct output output;
    device_or_skip(state);
    output = run_with(0, CHANGES("VITCL_MODEL=" DIGITS), NULL, ARGUMENTS(SIX));
    check_and_free(&output, "six", "running on");
    output = run_with(0, CHANGES("VITCL_MODEL=nowhere"), NULL, ARGUMENTS("-m", DIGITS, SIX));
    check_and_free(&output, "six", "running on");
}

/* -k lines of labels, the best first; all of them where there are fewer. */
static void test_topk(void **state)
{
    struct output output;
    device_or_skip(state);
    output = RUN(0, "-q", "-m", DIGITS, "-k", "2", SIX);
    assert_int_equal(count_of(output.out, "%"), 2);
    check_and_free(&output, SIX "\n", NULL);
    output = RUN(0, "-q", "-m", DIGITS, "-k", "100", SIX);
    assert_int_equal(count_of(output.out, "%"), 10);
    output_free(&output);
}

/* The others are answered, in order, and the exit status tells. */
static void test_bad_inputs_among_good_ones(void **state)
{
    static const char *const BAD[] = {DIGITS "/images/none.png", FIXTURES "/images/bad/truncated.png", DIGITS,
                                      DIGITS "/config.json"};
    struct output output;
    device_or_skip(state);
    output = RUN(1, "-m", DIGITS, "-b", "2", BAD[0], SIX, BAD[1], BAD[2], ZERO, BAD[3]);
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_contains(output.err, BAD[i]);
    assert_int_equal(count_of(output.out, ".png\n"), 2);
    assert_contains(output.out, SIX);
    assert_contains(strstr(output.out, SIX), ZERO);
    output_free(&output);
}

/* What the model turns into NaN is no answer; the image beside it is answered. */
static void test_nan(void **state)
{
    static float pixels[2 * 3 * 32 * 32] = {NAN};
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct output output;
    device_or_skip(state);
    folder_create(folder);
    path_join(path, folder, "two.npy");
    npy_save(path, pixels, (size_t[]){2, 3, 32, 32}, 4);
    output = RUN(1, "-q", "-m", DIGITS, path);
    assert_null(strstr(output.out, "two.npy[0]"));
    assert_contains(output.out, "two.npy[1]");
    assert_contains(output.err, "two.npy[0]: the model gave NaN");
    output_free(&output);
    folder_remove(folder);
}

static void test_bad_inputs_in_json(void **state)
{
    static const char *const BAD = FIXTURES "/images/bad/truncated.png";
    struct output output;
    json_t *answers;
    device_or_skip(state);
    output = RUN(1, "-m", DIGITS, "--json", SIX, BAD, ZERO);
    answers = json_loads(output.out, 0, NULL);
    assert_int_equal(json_array_size(answers), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *answer = json_array_get(answers, i);
        bool bad = strcmp(json_string_value(json_object_get(answer, "file")), BAD) == 0;
        assert_int_equal(bad, json_object_get(answer, "error") != NULL);
        assert_int_equal(!bad, json_object_get(answer, "predictions") != NULL);
    }
    json_decref(answers);
    output_free(&output);
}

/* ---- folders and lists ---- */

static void copy_file(const char *from, const char *folder, const char *name)
{
    char to[PATH_SIZE];
    size_t size;
    char *bytes = file_read(from, &size);
    path_join(to, folder, name);
    file_write(to, bytes, size);
    free(bytes);
}

static void test_folders(void **state)
{
    char folder[PATH_SIZE], inner[PATH_SIZE];
    struct output output;
    device_or_skip(state);
    folder_create(folder);
    path_join(inner, folder, "inner");
    assert_int_equal(mkdir(inner, 0700), 0);
    output = RUN(1, "-m", DIGITS, folder);
    check_and_free(&output, NULL, "no images in this folder");
    copy_file(SIX, folder, "b.png");
    copy_file(ZERO, folder, "a.PNG");
    copy_file(DIGITS "/config.json", folder, "notes.txt");
    copy_file(SIX, folder, ".hidden.png");
    copy_file(SIX, inner, "c.png");
    output = RUN(0, "-q", "-m", DIGITS, "-k", "1", folder);
    assert_int_equal(count_of(output.out, folder), 2);
    assert_contains(strstr(output.out, "/a.PNG\n"), "/b.png\n");
    output_free(&output);
    output = RUN(0, "-q", "-m", DIGITS, "-k", "1", "-r", folder);
    assert_int_equal(count_of(output.out, folder), 3);
    check_and_free(&output, "/inner/c.png\n", NULL);
    folder_remove(folder);
}

/* The scores of a regression are its logits, and no percentages. */
static void test_regression(void **state)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct output output;
    device_or_skip(state);
    folder_create(folder);
    folder_copy(DIGITS, folder);
    path_join(path, folder, "config.json");
    json_change(path, "problem_type", json_string("regression"));
    output = RUN(0, "-q", "-k", "1", "-m", folder, SIX);
    assert_null(strchr(output.out, '%'));
    assert_contains(output.out, "4.11"); /* the logit of `six` */
    output_free(&output);
    folder_remove(folder);
}

/* What is no list of paths, and what is no file, is said: nothing waits, nothing is passed over in silence. */
static void test_no_inputs(void **state)
{
    char folder[PATH_SIZE], pipe[PATH_SIZE];
    struct output output;
    device_or_skip(state);
    output = run_with(1, NULL, "", ARGUMENTS("-q", "-m", DIGITS, "-"));
    check_and_free(&output, NULL, "no paths on stdin");
    folder_create(folder);
    path_join(pipe, folder, "pipe");
    assert_int_equal(mkfifo(pipe, 0600), 0);
    output = RUN(1, "-q", "-m", DIGITS, pipe);
    check_and_free(&output, NULL, "not a regular file");
    folder_remove(folder);
}

static void test_paths_on_stdin(void **state)
{
    struct output output;
    device_or_skip(state);
    output = run_with(0, NULL, SIX "\n\n" ZERO "\r\n", ARGUMENTS("-q", "-m", DIGITS, "-k", "1", "-"));
    assert_int_equal(count_of(output.out, "%"), 2);
    assert_contains(strstr(output.out, SIX "\n"), ZERO "\n");
    output_free(&output);
    output = run_with(1, NULL, "no such file\n" SIX, ARGUMENTS("-m", DIGITS, "-")); /* the last line lacks its end */
    check_and_free(&output, SIX "\n", "no such file");
}

/* ---- what a terminal must not get ---- */

static void assert_no_control(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if ((*at < 0x20 && *at != '\n') || *at == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
            fail_msg("a control character (0x%02x) in: %s", *at, text);
}

/* Labels come from files of strangers: escape sequences, also those that begin with U+009B. */
static void test_labels_with_control_characters(void **state)
{
    static const char LABEL[] = "\x1b]0;title\x07\x1b[31m\xc2\x9b"
                                "31mred\x7f\n";
    char folder[PATH_SIZE], path[PATH_SIZE];
    struct output output;
    json_t *answers, *prediction;
    json_t *names = json_object();
    for (char key[] = "0"; *key <= '9'; ++*key)
        json_object_set_new(names, key, json_string(LABEL));
    folder_create(folder);
    folder_copy(DIGITS, folder);
    path_join(path, folder, "config.json");
    json_change(path, "id2label", names);

    output = RUN(0, "-m", folder, "--info");
    assert_no_control(output.out);
    output_free(&output);
    device_or_skip(state);
    output = RUN(0, "-m", folder, SIX);
    assert_no_control(output.out);
    output_free(&output);
    output = RUN(0, "-m", folder, "--json", SIX);
    assert_null(strchr(output.out, 0x1b)); /* JSON has escapes of its own */
    answers = json_loads(output.out, 0, NULL);
    prediction = json_array_get(json_object_get(json_array_get(answers, 0), "predictions"), 0);
    assert_string_equal(json_string_value(json_object_get(prediction, "label")), LABEL);
    json_decref(answers);
    output_free(&output);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_devices),
        cmocka_unit_test(test_device_that_is_not_there),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_batch_auto),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_tune),
        cmocka_unit_test(test_model_from_the_environment),
        cmocka_unit_test(test_topk),
        cmocka_unit_test(test_bad_inputs_among_good_ones),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_bad_inputs_in_json),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_regression),
        cmocka_unit_test(test_no_inputs),
        cmocka_unit_test(test_paths_on_stdin),
        cmocka_unit_test(test_labels_with_control_characters),
    };
    return cmocka_run_group_tests(tests, device_set_up, device_tear_down);
}

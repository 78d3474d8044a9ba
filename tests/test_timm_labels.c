/* test_timm_labels.c - the names of classes in config.json of a timm folder: a list, an object or none at all; and how
 * many classes there are. JSON is written with ' for ".
 */
#include "timm_bench.h"

static void assert_labels(const struct config *c, const char *a, const char *b, const char *last)
{
    assert_int_equal(c->labels.count, CLASSES);
    assert_int_equal(c->labels.scores, SCORES_SOFTMAX);
    assert_string_equal(c->labels.names[0], a);
    assert_string_equal(c->labels.names[1], b);
    assert_string_equal(c->labels.names[2], last);
}

static void test_labels(void **state)
{
    static const char *const root[] = {
        "'label_names': ['a', '', '\xc3\xa9'],",
        "'label_names': {'0': 'a', '2': '\xc3\xa9', '1': ''},",
        "'labels': ['a', '', '\xc3\xa9'], ",
        "'labels': {'2': '\xc3\xa9', '1': '', '0': 'a'},",
        "'label_names': ['a', '', '\xc3\xa9'], 'label_descriptions': {'a': 'what a is'}, 'problem_type': 'regression',",
    };
    for (size_t i = 0; i < COUNT(root); i++)
        assert_labels(accept_with(*state, VIT, root[i], SMALL), "a", "", "\xc3\xa9");
    assert_labels(accept(*state, VIT, ""), "0", "1", "2");
    assert_labels(accept_with(*state, VIT, "'label_names': null,", SMALL), "0", "1", "2");
}

static void test_wrong_labels(void **state)
{
    static const struct {
        const char *root, *message;
    } rows[] = {
        {"'label_names': 'a',", "label_names: expected a list of names, found \"a\""},
        {"'label_names': 3,", "label_names: expected a list of names, found 3"},
        {"'labels': true,", "labels: expected a list of names, found true"},
        {"'label_names': ['a', 1, 'c'],", "label_names: expected a list of strings, found "},
        {"'label_names': ['a', null, 'c'],", "label_names: expected a list of strings, found "},
        {"'label_names': {'0': 'a', '1': 'b', '3': 'c'},",
         "label_names: expected the keys \"0\" to \"2\", found \"3\""},
        {"'label_names': {'0': 'a', '1': 'b', '01': 'c'},", "label_names: class 1 is named twice"},
        {"'label_names': {'0': 'a', '1': 'b', '2': 7},", "label_names: 2: expected a string"},
        {"'label_names': ['a', 'b'],", "\"head.weight\" has 3 classes, config.json names 2"},
        {"'label_names': ['a', 'b', 'c', 'd'],", "\"head.weight\" has 3 classes, config.json names 4"},
        {"'label_names': [],", "\"head.weight\" has 3 classes, config.json names 0"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        refuse_with(*state, VIT, rows[i].root, SMALL, VITCL_ERROR_FORMAT, rows[i].message);
}

/* num_classes of the file itself counts before that of pretrained_cfg. */
static void test_class_count(void **state)
{
    static const struct {
        const char *members;
        size_t count;
    } rows[] = {{"", 1000},
                {", 'num_classes': 7", 7},
                {", 'pretrained_cfg': {'num_classes': 9}", 9},
                {", 'num_classes': 7, 'pretrained_cfg': {'num_classes': 9}", 7},
                {", 'num_classes': 0, 'pretrained_cfg': {'num_classes': 9}", 0}};
    static const char *const wrong[] = {"-1", "1000001", "'3'", "2.5"};
    struct timm_bench *bench = *state;
    char text[200];
    vitcl_error err;
    timm_close(bench);
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(text, sizeof text, "{'architecture': 'vit_tiny_patch16_224'%s}", rows[i].members);
        timm_write_config(bench, text);
        assert_ok(config_read(&bench->config, bench->folder, &err), &err);
        assert_int_equal(bench->config.labels.count, rows[i].count);
        if (rows[i].count == 1000)
            assert_string_equal(bench->config.labels.names[999], "999");
        config_free(&bench->config);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        snprintf(text, sizeof text, "{'architecture': 'vit_tiny_patch16_224', 'num_classes': %s}", wrong[i]);
        timm_write_config(bench, text);
        assert_int_equal(config_read(&bench->config, bench->folder, &err), VITCL_ERROR_FORMAT);
        assert_contains(err.message, "num_classes: expected an integer from 0 to 1000000");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_wrong_labels),
        cmocka_unit_test(test_class_count),
    };
    return cmocka_run_group_tests(tests, timm_set_up, timm_tear_down);
}

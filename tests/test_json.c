/* test_json.c - json_read and json_parse take one JSON object and refuse everything else; each getter takes exactly its
 * type and range, leaves the value alone where the key is missing, null or wrong, and says file, key, expected and
 * found. JSON is written with ' for ".
 */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define KEPT         77 /* what a value holds before a getter that must not touch it */

/* text with " for ', which the caller frees. */
static char *quoted(const char *text)
{
    char *json = strdup(text);
    assert_non_null(json);
    for (char *at = json; *at; at++)
        if (*at == '\'')
            *at = '"';
    return json;
}

static json_t *parse(const char *text)
{
    vitcl_error err;
    json_t *root;
    char *json = quoted(text);
    if (json_parse(&root, json, strlen(json), "some.json", &err) != VITCL_OK)
        fail_msg("%s was refused: %s", text, err.message);
    free(json);
    return root;
}

static void assert_message(const vitcl_error *err, vitcl_status status, const char *message)
{
    assert_int_equal(err->status, status);
    if (!strstr(err->message, message))
        fail_msg("expected \"%s\" in: %s", message, err->message);
}

static void refuse(const char *text, size_t size, const char *message)
{
    vitcl_error err = {0};
    json_t *root = (json_t *)&err;
    assert_int_equal(json_parse(&root, text, size, "some.json", &err), VITCL_ERROR_FORMAT);
    assert_message(&err, VITCL_ERROR_FORMAT, message);
    assert_ptr_equal(strstr(err.message, "some.json: "), err.message);
    assert_null(root);
    assert_int_equal(json_parse(&root, text, size, "some.json", NULL), VITCL_ERROR_FORMAT);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static void test_not_json(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "{\"a\":1}}",
        "{\"a\":1,}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1}//",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":tru}",
        "\xef\xbb\xbf{}",
        "{\"\xff\":1}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":9223372036854775808}",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        refuse(texts[i], strlen(texts[i]), "not valid JSON: line 1, column ");
    refuse("{\"a\":1,\n \"a\":2}", 15, "not valid JSON: line 2, column ");
    refuse("{\"a\":1\0}", 8, "it contains a zero byte");
    refuse("{}\0", 3, "it contains a zero byte");
}

static void test_not_an_object(void **state)
{
    static const char *const texts[] = {"[]", "[{}]"};
    static const char *const bare[] = {"1", "null", "\"text\""};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        refuse(texts[i], strlen(texts[i]), "expected a JSON object at the top level");
    for (size_t i = 0; i < COUNT(bare); i++)
        refuse(bare[i], strlen(bare[i]), "not valid JSON");
}

static void test_deep_nesting(void **state)
{
    enum { LEVELS = 100000 };
    char *text = malloc(LEVELS + 5);
    (void)state;
    assert_non_null(text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', LEVELS);
    refuse(text, LEVELS + 5, "not valid JSON");
    free(text);
}

static void test_files(void **state)
{
    char folder[512], path[600];
    const char *base = getenv("TMPDIR");
    vitcl_error err;
    json_t *root = (json_t *)&err;
    FILE *file;

    (void)state;
    snprintf(folder, sizeof folder, "%s/test_json_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.json", folder);
    assert_int_equal(json_read(&root, path, &err), VITCL_ERROR_IO);
    assert_message(&err, VITCL_ERROR_IO, path);
    assert_null(root);

    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(json_read(&root, path, &err), VITCL_ERROR_FORMAT); /* empty so far */
    assert_message(&err, VITCL_ERROR_FORMAT, path);
    fputs("{\"a\": {\"b\": 1}}\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(json_read(&root, path, &err), VITCL_OK);
    assert_true(json_is_object(json_object_get(root, "a")));
    json_decref(root);
    unlink(path);
    rmdir(folder);
}

/* ---- getters ----------------------------------------------------------------------------------------------------- */

/* One key "k" of one text, and what a getter makes of it. */
struct reading {
    const char *text;
    double value;      /* what is read; KEPT: the value stays */
    const char *found; /* in the message; NULL: accepted */
};

static void assert_refusal(vitcl_status status, const vitcl_error *err, const struct reading *reading,
                           const char *expected)
{
    char message[256];
    if (!reading->found) {
        assert_int_equal(status, VITCL_OK);
        return;
    }
    snprintf(message, sizeof message, "some.json: k: expected %s, found %s", expected, reading->found);
    if (status == VITCL_OK)
        fail_msg("%s was accepted, expected: %s", reading->text, message);
    assert_int_equal(status, VITCL_ERROR_FORMAT);
    assert_int_equal(err->status, VITCL_ERROR_FORMAT);
    assert_string_equal(err->message, message);
}

static void test_get_size(void **state)
{
    static const struct reading readings[] = {
        {"{}", KEPT, NULL},
        {"{'k':null}", KEPT, NULL},
        {"{'k':2}", 2, NULL},
        {"{'k':9}", 9, NULL},
        {"{'k':1}", KEPT, "1"},
        {"{'k':10}", KEPT, "10"},
        {"{'k':-3}", KEPT, "-3"},
        {"{'k':9223372036854775807}", KEPT, "9223372036854775807"},
        {"{'k':-9223372036854775808}", KEPT, "-9223372036854775808"},
        {"{'k':3.0}", KEPT, "3.0"},
        {"{'k':3.5}", KEPT, "3.5"},
        {"{'k':'3'}", KEPT, "\"3\""},
        {"{'k':true}", KEPT, "true"},
        {"{'k':[3]}", KEPT, "[3]"},
        {"{'k':{'a':3}}", KEPT, "{\"a\":3}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        size_t value = KEPT;
        vitcl_error err;
        json_t *root = parse(readings[i].text);
        vitcl_status status = json_get_size((struct json_at){root, "some.json"}, "k", 2, 9, &value, &err);
        assert_refusal(status, &err, &readings[i], "an integer from 2 to 9");
        assert_int_equal(value, readings[i].value);
        json_decref(root);
    }
}

/* Where every size is in range a negative number still is not. */
static void test_negative_size(void **state)
{
    size_t value = KEPT;
    json_t *root = parse("{'k':-1}");
    (void)state;
    assert_int_equal(json_get_size((struct json_at){root, "some.json"}, "k", 0, SIZE_MAX, &value, NULL),
                     VITCL_ERROR_FORMAT);
    assert_int_equal(value, KEPT);
    json_decref(root);
}

static void test_get_number(void **state)
{
    static const struct reading readings[] = {
        {"{}", KEPT, NULL},
        {"{'k':null}", KEPT, NULL},
        {"{'k':-0.5}", -0.5, NULL},
        {"{'k':1e-12}", 1e-12, NULL},
        {"{'k':0}", 0, NULL},
        {"{'k':1}", 1, NULL},
        {"{'k':1.25}", KEPT, "1.25"},
        {"{'k':-1}", KEPT, "-1"},
        {"{'k':1e22}", KEPT, "1e22"},
        {"{'k':'0.5'}", KEPT, "\"0.5\""},
        {"{'k':false}", KEPT, "false"},
        {"{'k':[]}", KEPT, "[]"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        double value = KEPT;
        vitcl_error err;
        json_t *root = parse(readings[i].text);
        vitcl_status status = json_get_number((struct json_at){root, "some.json"}, "k", -0.5, 1, &value, &err);
        assert_refusal(status, &err, &readings[i], "a number from -0.5 to 1");
        assert_true(value == readings[i].value);
        json_decref(root);
    }
}

static void test_get_bool(void **state)
{
    static const struct reading readings[] = {
        {"{}", 1, NULL},
        {"{'k':null}", 1, NULL},
        {"{'k':true}", 1, NULL},
        {"{'k':false}", 0, NULL},
        {"{'k':0}", 1, "0"},
        {"{'k':'false'}", 1, "\"false\""},
        {"{'k':[false]}", 1, "[false]"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        bool value = true;
        vitcl_error err;
        json_t *root = parse(readings[i].text);
        vitcl_status status = json_get_bool((struct json_at){root, "some.json"}, "k", &value, &err);
        assert_refusal(status, &err, &readings[i], "true or false");
        assert_int_equal(value, readings[i].value);
        json_decref(root);
    }
}

static void test_get_string(void **state)
{
    static const struct {
        struct reading reading;
        const char *value;
    } cases[] = {
        {{"{}", KEPT, NULL}, "kept"},
        {{"{'k':null}", KEPT, NULL}, "kept"},
        {{"{'k':''}", KEPT, NULL}, ""},
        {{"{'k':'caf\xc3\xa9'}", KEPT, NULL}, "caf\xc3\xa9"},
        {{"{'k':1}", KEPT, "1"}, "kept"},
        {{"{'k':true}", KEPT, "true"}, "kept"},
        {{"{'k':['a']}", KEPT, "[\"a\"]"}, "kept"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *value = "kept";
        vitcl_error err;
        json_t *root = parse(cases[i].reading.text);
        vitcl_status status = json_get_string((struct json_at){root, "some.json"}, "k", &value, &err);
        assert_refusal(status, &err, &cases[i].reading, "a string");
        assert_string_equal(value, cases[i].value);
        json_decref(root);
    }
}

static void test_unexpected(void **state)
{
    enum { LONG = 10000 };
    vitcl_error err = {0};
    json_t *root = parse("{'a':1}");
    struct json_at at = {root, "some.json: vision"};
    char *text = malloc(LONG + 1);

    (void)state;
    assert_int_equal(json_unexpected(at, "b", "a thing", &err), VITCL_ERROR_FORMAT);
    assert_string_equal(err.message, "some.json: vision: b: expected a thing, found nothing");
    assert_int_equal(json_unexpected(at, "a", "a thing", NULL), VITCL_ERROR_FORMAT);

    assert_non_null(text); /* a value of any length leaves room for what was expected */
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    json_object_set_new(root, "long", json_string(text));
    json_unexpected(at, "long", "a thing", &err);
    assert_message(&err, VITCL_ERROR_FORMAT, "some.json: vision: long: expected a thing, found \"xxx");
    assert_true(strlen(err.message) < 300);
    free(text);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_json),   cmocka_unit_test(test_not_an_object), cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_get_size),      cmocka_unit_test(test_negative_size),
        cmocka_unit_test(test_get_number), cmocka_unit_test(test_get_bool),      cmocka_unit_test(test_get_string),
        cmocka_unit_test(test_unexpected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

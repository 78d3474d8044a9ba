/* test_shards.c - the weights of a model folder in one file or in several: what safetensors_open_folder takes from
 * which file, what it refuses, and what letting go of a tensor's memory does. Each test writes its own folder. JSON is
 * written with ' for ".
 */
#include "fixture.h"
#include "run/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INDEX "model.safetensors.index.json"
#define FIRST "model-00001-of-00002.safetensors"
#define LAST  "model-00002-of-00002.safetensors"

struct bench {
    char folder[PATH_SIZE];
    struct safetensors tensors;
    vitcl_error err;
};

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static int set_up(void **state)
{
    struct bench *bench = allocate(1, sizeof *bench);
    folder_create(bench->folder);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    safetensors_close(&bench->tensors);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

/* ---- writing folders --------------------------------------------------------------------------------------------- */

static void write_text(const struct bench *bench, const char *name, const char *text)
{
    char path[PATH_SIZE], *json = strdup(text);
    assert_non_null(json);
    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    path_join(path, bench->folder, name);
    file_write(path, json, strlen(json));
    free(json);
}

/* Writes a .safetensors file of these tensors. */
static void write_tensors(const struct bench *bench, const char *name, const struct tensor_entry *entries, size_t count)
{
    char path[PATH_SIZE];
    json_t *header = json_object();
    size_t end = 0;
    char *text;
    FILE *file;
    for (size_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (size_t k = 0; k < entries[i].rank; k++)
            json_array_append_new(shape, json_integer((json_int_t)entries[i].shape[k]));
        json_object_set_new(header, entries[i].name,
                            json_pack("{sssos[II]}", "dtype", entries[i].dtype_name, "shape", shape, "data_offsets",
                                      (json_int_t)end, (json_int_t)(end + entries[i].bytes)));
        end += entries[i].bytes;
    }
    text = json_dumps(header, JSON_COMPACT);
    path_join(path, bench->folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(strlen(text) >> 8 * i & 0xff), file);
    fputs(text, file);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fwrite(entries[i].data, 1, entries[i].bytes, file), entries[i].bytes);
    assert_int_equal(fclose(file), 0);
    free(text);
    json_decref(header);
}

/* Writes a file with a tensor of one byte for each letter of `letters`: `mark` and the letter's place are its value. */
static void write_letters(const struct bench *bench, const char *name, const char *letters, unsigned char mark)
{
    struct tensor_entry entries[8];
    char names[COUNT(entries)][2];
    unsigned char bytes[COUNT(entries)];
    const size_t count = strlen(letters);
    assert_true(count <= COUNT(entries));
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%c", letters[i]);
        bytes[i] = (unsigned char)(mark + i);
        entries[i] = (struct tensor_entry){
            .name = names[i], .dtype_name = "U8", .rank = 1, .shape = {1}, .data = &bytes[i], .bytes = 1};
    }
    write_tensors(bench, name, entries, count);
}

/* ---- opening them ------------------------------------------------------------------------------------------------ */

static void accept(struct bench *bench, size_t shards, size_t count)
{
    safetensors_close(&bench->tensors);
    assert_ok(safetensors_open_folder(&bench->tensors, bench->folder, &bench->err), &bench->err);
    assert_int_equal(bench->tensors.shard_count, shards);
    assert_int_equal(bench->tensors.count, count);
}

static void assert_tensor(const struct bench *bench, const char *name, unsigned char value)
{
    const struct tensor_entry *entry = safetensors_find(&bench->tensors, name);
    if (!entry)
        fail_msg("no tensor '%s'", name);
    assert_int_equal(entry->bytes, 1);
    assert_int_equal(entry->data[0], value);
}

/* Refused with a message that begins with that file of the folder and has `message` in it. */
static void refuse(struct bench *bench, vitcl_status expected, const char *file, const char *message)
{
    char path[PATH_SIZE];
    vitcl_status status;
    path_join(path, bench->folder, file);
    safetensors_close(&bench->tensors);
    memset(&bench->tensors, 0x5a, sizeof bench->tensors);
    status = safetensors_open_folder(&bench->tensors, bench->folder, &bench->err);
    if (status == VITCL_OK)
        fail_msg("opened, expected a refusal with \"%s\"", message);
    assert_contains(bench->err.message, message);
    if (strncmp(bench->err.message, path, strlen(path)) != 0)
        fail_msg("expected \"%s\" at the start of: %s", path, bench->err.message);
    assert_int_equal(status, expected);
    assert_int_equal(bench->err.status, expected);
    assert_memory_equal(&bench->tensors, &(struct safetensors){0}, sizeof bench->tensors);
}

/* ---- accepted ---------------------------------------------------------------------------------------------------- */

static void one_file(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    write_letters(bench, "model.safetensors", "ab", 10);
    accept(bench, 1, 2);
    assert_tensor(bench, "b", 11);
    path_join(path, bench->folder, "model.safetensors");
    assert_string_equal(bench->tensors.path, path);
}

/* As in transformers. */
static void one_file_before_its_shards(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, "model.safetensors", "a", 10);
    write_letters(bench, FIRST, "a", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "'}}");
    accept(bench, 1, 1);
    assert_tensor(bench, "a", 10);
    write_text(bench, INDEX, "nonsense");
    accept(bench, 1, 1);
}

static void shards_are_one_table(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    write_letters(bench, FIRST, "dax", 10);
    write_letters(bench, LAST, "cyb", 20);
    write_letters(bench, "model-00003.safetensors", "z", 30); /* the index does not name it */
    write_text(bench, INDEX,
               "{'metadata':{'total_size':6},'weight_map':{'a':'" FIRST "','b':'" LAST "','c':'" LAST "','d':'" FIRST
               "','y':'" LAST "','x':'" FIRST "'}}");
    accept(bench, 2, 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(bench->tensors.entries[i].name[0], "abcdxy"[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_tensor(bench, (const char *[]){"d", "a", "x"}[i], (unsigned char)(10 + i));
        assert_tensor(bench, (const char *[]){"c", "y", "b"}[i], (unsigned char)(20 + i));
    }
    assert_null(safetensors_find(&bench->tensors, "z"));
    path_join(path, bench->folder, INDEX);
    assert_string_equal(bench->tensors.path, path);
}

static void metadata_does_not_matter(void **state)
{
    static const char *const members[] = {"", "'metadata':null,", "'metadata':{'total_size':-1.5,'x':[]},",
                                          "'metadata':'?','more':{},"};
    struct bench *bench = *state;
    char index[256];
    write_letters(bench, FIRST, "a", 10);
    for (size_t i = 0; i < COUNT(members); i++) {
        snprintf(index, sizeof index, "{%s'weight_map':{'a':'" FIRST "'}}", members[i]);
        write_text(bench, INDEX, index);
        accept(bench, 1, 1);
    }
}

static void no_tensors_at_all(void **state)
{
    struct bench *bench = *state;
    write_text(bench, INDEX, "{'weight_map':{}}");
    accept(bench, 0, 0);
    assert_null(safetensors_find(&bench->tensors, "a"));
}

static void unusual_names(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, "..a", "a", 10);
    write_letters(bench, "\xc3\xa9 b", "b", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'..a','b':'\\u00e9 b'}}");
    accept(bench, 2, 2);
    assert_tensor(bench, "a", 10);
    assert_tensor(bench, "b", 20);
}

/* Whichever file comes first. */
static void map_decides_between_copies(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, FIRST, "abc", 10);
    write_letters(bench, LAST, "bcd", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','b':'" LAST "','c':'" FIRST "','d':'" LAST "'}}");
    accept(bench, 2, 4);
    assert_tensor(bench, "a", 10);
    assert_tensor(bench, "b", 20);
    assert_tensor(bench, "c", 12);
    assert_tensor(bench, "d", 22);
}

/* ---- refused ----------------------------------------------------------------------------------------------------- */

static void nothing_there(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, FIRST, "a", 10);
    write_text(bench, "pytorch_model.bin", "?");
    refuse(bench, VITCL_ERROR_IO, "model.safetensors", "no such file, nor " INDEX);
}

static void missing_shard(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, FIRST, "a", 10);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','the.b':'" LAST "'}}");
    refuse(bench, VITCL_ERROR_IO, LAST, "no such file, but " INDEX " says that it has tensor 'the.b'");
}

static void tensor_not_in_its_shard(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, FIRST, "a", 10);
    write_letters(bench, LAST, "b", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','the.c':'" FIRST "','b':'" LAST "'}}");
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "tensor 'the.c' should be in " FIRST);
    write_text(bench, INDEX, "{'weight_map':{'a':'" LAST "','b':'" LAST "'}}"); /* FIRST is never looked into */
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "tensor 'a' should be in " LAST);
    write_letters(bench, LAST, "bc", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" LAST "','b':'" LAST "','c':'" FIRST "'}}"); /* each in the other */
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "tensor 'a' should be in " LAST);
}

static void tensor_not_in_the_map(void **state)
{
    struct bench *bench = *state;
    write_letters(bench, FIRST, "ax", 10);
    write_letters(bench, LAST, "xb", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','b':'" LAST "','x':'" FIRST "'}}");
    accept(bench, 2, 3);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','b':'" LAST "'}}");
    refuse(bench, VITCL_ERROR_FORMAT, FIRST, "tensor 'x' is not in the weight_map");
    write_letters(bench, FIRST, "a", 10);
    refuse(bench, VITCL_ERROR_FORMAT, LAST, "tensor 'x' is not in the weight_map");
}

static void names_that_lead_elsewhere(void **state)
{
    static const char *const names[] = {"'../a'", "'/a'", "'b/a'", "'./a'", "'..\\\\a'", "'..'", "'.'",
                                        "''",     "3",    "null",  "[]",    "{}",        "true"};
    struct bench *bench = *state;
    char index[256];
    write_letters(bench, "a", "a", 10);
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(index, sizeof index, "{'weight_map':{'b':'a','the.a':%s}}", names[i]);
        write_text(bench, INDEX, index);
        refuse(bench, VITCL_ERROR_FORMAT, INDEX, "weight_map: the.a: expected the name of a file in the same folder");
    }
}

static void damaged_index(void **state)
{
    static const char *const maps[] = {"{}", "{'weight_map':null}", "{'weight_map':['a']}", "{'weight_map':'a'}"};
    struct bench *bench = *state;
    write_letters(bench, "a", "a", 10);
    for (size_t i = 0; i < COUNT(maps); i++) {
        write_text(bench, INDEX, maps[i]);
        refuse(bench, VITCL_ERROR_FORMAT, INDEX, "weight_map: expected an object with the file of each tensor");
    }
    write_text(bench, INDEX, "{'weight_map':{'a':'a'}");
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "not valid JSON");
    write_text(bench, INDEX, "{'weight_map':{'a':'a','a':'a'}}");
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "duplicate object key");
    write_text(bench, INDEX, "");
    refuse(bench, VITCL_ERROR_FORMAT, INDEX, "not valid JSON");
}

static void damaged_shard(void **state)
{
    struct bench *bench = *state;
    char path[PATH_SIZE];
    write_letters(bench, FIRST, "a", 10);
    write_letters(bench, LAST, "b", 20);
    write_text(bench, INDEX, "{'weight_map':{'a':'" FIRST "','b':'" LAST "'}}");
    accept(bench, 2, 2);
    safetensors_close(&bench->tensors);
    path_join(path, bench->folder, LAST);
    assert_int_equal(truncate(path, 8 + 53), 0); /* the header is left */
    refuse(bench, VITCL_ERROR_FORMAT, LAST, "incomplete buffer");
}

/* ---- a model in shards ------------------------------------------------------------------------------------------- */

/* Copies a fixture, its tensors dealt out to two files in turn. */
static void deal_out(const struct bench *bench, const char *fixture)
{
    struct tensor_entry dealt[2][64];
    struct safetensors whole;
    json_t *map = json_object(), *index;
    char path[PATH_SIZE];
    folder_copy(fixture, bench->folder);
    path_join(path, bench->folder, "model.safetensors");
    assert_int_equal(unlink(path), 0);
    path_join(path, fixture, "model.safetensors");
    assert_ok(safetensors_open(&whole, path, NULL), &bench->err);
    assert_in_range(whole.count, 10, 2 * 64);
    for (size_t i = 0; i < whole.count; i++) {
        dealt[i % 2][i / 2] = whole.entries[i];
        json_object_set_new(map, whole.entries[i].name, json_string(i % 2 ? LAST : FIRST));
    }
    write_tensors(bench, FIRST, dealt[0], (whole.count + 1) / 2);
    write_tensors(bench, LAST, dealt[1], whole.count / 2);
    index = json_pack("{so}", "weight_map", map);
    path_join(path, bench->folder, INDEX);
    assert_int_equal(json_dump_file(index, path, 0), 0);
    json_decref(index);
    safetensors_close(&whole);
}

static void assert_same_weight(const struct weight *found, const struct weight *expected)
{
    float a[512], b[512];
    assert_int_equal(found->rows, expected->rows);
    assert_int_equal(found->cols, expected->cols);
    assert_in_range(found->cols, 1, 512);
    for (size_t row = 0; row < found->rows; row++) {
        weight_read_row(found, row, a);
        weight_read_row(expected, row, b);
        assert_memory_equal(a, b, found->cols * sizeof *a);
    }
}

static void model_in_shards(void **state)
{
    struct bench *bench = *state;
    struct model found, expected;
    deal_out(bench, FIXTURES "/vit/cls");
    assert_ok(model_open(&found, bench->folder, NULL, &bench->err), &bench->err);
    assert_ok(model_open(&expected, FIXTURES "/vit/cls", NULL, &bench->err), &bench->err);
    assert_int_equal(found.file.shard_count, 2);
    assert_int_equal(found.weights.parameters, expected.weights.parameters);
    for (size_t i = 0; i < expected.config.layers; i++) { /* query, key and value come from both files */
        assert_same_weight(&found.weights.blocks[i].qkv.weight, &expected.weights.blocks[i].qkv.weight);
        assert_same_weight(&found.weights.blocks[i].qkv.bias, &expected.weights.blocks[i].qkv.bias);
        assert_same_weight(&found.weights.blocks[i].norm2.bias, &expected.weights.blocks[i].norm2.bias);
    }
    assert_same_weight(&found.weights.position, &expected.weights.position);
    assert_same_weight(&found.weights.classifier.weight, &expected.weights.classifier.weight);
    model_close(&found);
    model_close(&expected);
}

/* What the model lacks is told with the index's name. */
static void model_that_lacks_a_tensor(void **state)
{
    struct bench *bench = *state;
    struct model model;
    char path[PATH_SIZE];
    deal_out(bench, FIXTURES "/vit/cls");
    path_join(path, bench->folder, "config.json");
    json_change(path, "num_hidden_layers", json_integer(3));
    assert_int_equal(model_open(&model, bench->folder, NULL, &bench->err), VITCL_ERROR_FORMAT);
    assert_contains(bench->err.message, INDEX ": the weights lack the tensor");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void released_data_comes_back(void **state)
{
    struct bench *bench = *state;
    struct safetensors expected;
    deal_out(bench, FIXTURES "/vit/cls");
    assert_ok(safetensors_open(&expected, FIXTURES "/vit/cls/model.safetensors", &bench->err), &bench->err);
    accept(bench, 2, expected.count);
    for (size_t i = 0; i < expected.count; i++)
        safetensors_release(&bench->tensors.entries[i], 0, bench->tensors.entries[i].bytes / 4);
    for (size_t i = 0; i < expected.count; i++)
        assert_memory_equal(bench->tensors.entries[i].data, expected.entries[i].data, expected.entries[i].bytes);
    safetensors_close(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_file),
        TEST(one_file_before_its_shards),
        TEST(shards_are_one_table),
        TEST(metadata_does_not_matter),
        TEST(no_tensors_at_all),
        TEST(unusual_names),
        TEST(map_decides_between_copies),
        TEST(nothing_there),
        TEST(missing_shard),
        TEST(tensor_not_in_its_shard),
        TEST(tensor_not_in_the_map),
        TEST(names_that_lead_elsewhere),
        TEST(damaged_index),
        TEST(damaged_shard),
        TEST(model_in_shards),
        TEST(model_that_lacks_a_tensor),
        TEST(released_data_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

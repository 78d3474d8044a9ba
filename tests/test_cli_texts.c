/* test_cli_texts.c - vitcl_run --labels and --labels-embeddings: names from a text file however its lines end, scores
 * of texts as the library gives them, and files that do not fit the model.
 */
#include "cli_bench.h"

#include <math.h>
#include <sys/stat.h>

#define DIGITS FIXTURES "/digits"
#define SIX    DIGITS "/images/000_six.png"
#define CLIP   FIXTURES "/models/clip_full"
#define SIGLIP FIXTURES "/models/siglip_full"
#define JPEG   FIXTURES "/images/jpeg_420.jpg"

static void write_text(const char *path, const char *text)
{
    file_write(path, text, strlen(text));
}

/* ---- names of classes -------------------------------------------------------------------------------------------- */

/* The seventh line is what a six is called. */
static void test_names(void **state)
{
    static const char *const files[] = {
        "null\nein\nzwei\ndrei\nvier\nf\xc3\xbcnf\nsechs, sex\nsieben\nacht\nneun\n",
        "null\r\nein\r\nzwei\r\ndrei\r\nvier\r\nf\xc3\xbcnf\r\nsechs, sex\r\nsieben\r\nacht\r\nneun\r\n",
        "null\nein\nzwei\ndrei\nvier\nf\xc3\xbcnf\nsechs, sex\nsieben\nacht\nneun", /* no newline at the end */
        "\n\n\n\n\n\nsechs, sex\n\n\n\n",                                           /* a name may be empty */
    };
    char labels[PATH_SIZE];
    file_in(state, "labels.txt", labels);
    for (size_t i = 0; i < COUNT(files); i++) {
        struct output output;
        json_t *answers;
        const json_t *first;
        write_text(labels, files[i]);
        output = RUN(0, "-m", DIGITS, "--labels", labels, "-k", "1", SIX);
        assert_contains(output.out, "%  sechs, sex\n");
        output_free(&output);
        output = RUN(0, "-m", DIGITS, "--labels", labels, "--json", SIX);
        answers = json_loads(output.out, 0, NULL);
        first = json_array_get(json_object_get(json_array_get(answers, 0), "predictions"), 0);
        assert_string_equal(json_string_value(json_object_get(first, "label")), "sechs, sex");
        json_decref(answers);
        output_free(&output);
    }
}

/* A label is a stranger's text here, too. */
static void test_control_characters(void **state)
{
    char labels[PATH_SIZE];
    struct output output;
    write_text(file_in(state, "labels.txt", labels), "0\n1\n2\n3\n4\n5\n\x1b[31msix\xc2\x9b\x07\n7\n8\n9\n");
    output = RUN(0, "-m", DIGITS, "--labels", labels, "-k", "1", SIX);
    assert_contains(output.out, "%  ?[31msix??\n");
    output_free(&output);
}

static void test_wrong_names(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {{"", "labels.txt: 0 lines; 10 are needed, one for each class of the model"},
                {"\n", "labels.txt: 1 lines; 10 are needed"},
                {"a\nb\nc", "labels.txt: 3 lines; 10 are needed"},
                {"a\nb\nc\n", "labels.txt: 3 lines; 10 are needed"},
                {"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n\n", "labels.txt: 11 lines; 10 are needed"},
                {"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10", "labels.txt: 11 lines; 10 are needed"}};
    char labels[PATH_SIZE];
    struct output output;
    file_in(state, "labels.txt", labels);
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_text(labels, rows[i].text);
        output = RUN(1, "-m", DIGITS, "--labels", labels, SIX);
        assert_contains(output.err, rows[i].message);
        assert_string_equal(output.out, "");
        output_free(&output);
    }
    file_write(labels, "0\n1\n2\n3\n\0\n5\n6\n7\n8\n9\n", 20); /* a zero ends what C calls a text */
    output = RUN(1, "-m", DIGITS, "--labels", labels, SIX);
    assert_contains(output.err, "lines; 10 are needed");
    output_free(&output);
}

static void test_no_names(void **state)
{
    char labels[PATH_SIZE], folder[PATH_SIZE];
    struct output output = RUN(1, "-m", DIGITS, "--labels", file_in(state, "none.txt", labels), SIX);
    assert_contains(output.err, "none.txt: No such file or directory");
    assert_string_equal(output.out, "");
    output_free(&output);
    assert_int_equal(mkdir(file_in(state, "a folder", folder), 0700), 0);
    output = RUN(1, "-m", DIGITS, "--labels", folder, SIX);
    assert_contains(output.err, "a folder: Is a directory");
    output_free(&output);
    output = RUN(1, "-m", FIXTURES "/vit/pooler", "--labels", labels, SIX);
    assert_contains(output.err, "--labels: this model has no classes; texts need --labels-embeddings, too");
    output_free(&output);
}

/* ---- scores of texts --------------------------------------------------------------------------------------------- */

/* Writes a stored tensor as a .npy file; returns it. */
static const struct tensor_entry *save(const struct safetensors *file, const char *name, const char *path)
{
    const struct tensor_entry *entry = safetensors_find(file, name);
    assert_non_null(entry);
    npy_save(path, (const float *)(uintptr_t)entry->data, entry->shape, entry->rank);
    return entry;
}

static double score_of(const json_t *predictions, const char *label)
{
    size_t i;
    const json_t *prediction;
    json_array_foreach(predictions, i, prediction) {
        if (strcmp(json_string_value(json_object_get(prediction, "label")), label) == 0)
            return json_real_value(json_object_get(prediction, "score"));
    }
    fail_msg("no label %s", label);
    return 0;
}

/* The stored pixel values and text embeddings have the stored probabilities, under numbers or names. */
static void check_probabilities(void **state, const char *folder, const char *name, const char *labels)
{
    char path[PATH_SIZE], pixels[PATH_SIZE], texts[PATH_SIZE];
    struct safetensors expected;
    const float *probabilities;
    struct output output;
    json_t *answers;
    vitcl_error err;

    path_join(path, folder, "expected.safetensors");
    assert_ok(safetensors_open(&expected, path, &err), &err);
    assert_int_equal(save(&expected, "pixel_values", file_in(state, "pixels.npy", pixels))->shape[0], 2);
    assert_int_equal(save(&expected, "text_embeds", file_in(state, "texts.npy", texts))->shape[0], 5);
    probabilities = (const float *)(uintptr_t)safetensors_find(&expected, "probabilities")->data;
    output = labels ? RUN(0, "-m", folder, "--json", "--labels-embeddings", texts, "--labels", labels, pixels)
                    : RUN(0, "-m", folder, "--json", "--labels-embeddings", texts, pixels);
    answers = json_loads(output.out, 0, NULL);
    assert_int_equal(json_array_size(answers), 2);
    for (size_t i = 0; i < 10; i++) {
        const json_t *predictions = json_object_get(json_array_get(answers, i / 5), "predictions");
        char label[32];
        snprintf(label, sizeof label, "%s %zu", name, i % 5);
        assert_int_equal(json_array_size(predictions), 5);
        if (!(fabs(score_of(predictions, label) - (double)probabilities[i]) < 1e-5))
            fail_msg("%s: image %zu, %s: %g, expected %g", folder, i / 5, label, score_of(predictions, label),
                     (double)probabilities[i]);
    }
    json_decref(answers);
    output_free(&output);
    safetensors_close(&expected);
}

static void test_probabilities(void **state)
{
    char labels[PATH_SIZE];
    write_text(file_in(state, "labels.txt", labels), "name 0\nname 1\nname 2\nname 3\nname 4\n");
    check_probabilities(state, CLIP, "text", NULL);
    check_probabilities(state, CLIP, "name", labels);
    check_probabilities(state, SIGLIP, "text", NULL);
    check_probabilities(state, SIGLIP, "name", labels);
}

/* Embeddings can be written beside the scores; a classifier's are not asked for texts. */
static void test_with_other_outputs(void **state)
{
    float texts[2 * 24] = {1};
    char path[PATH_SIZE], embed[PATH_SIZE];
    struct output output;
    file_in(state, "texts.npy", path);
    texts[47] = -1;
    npy_save(path, texts, (size_t[]){2, 24}, 2);
    output =
        RUN(0, "-m", SIGLIP, "--labels-embeddings", path, "-k", "1", "--embed", file_in(state, "e.npy", embed), JPEG);
    assert_contains(output.out, "%  text ");
    assert_null(strstr(strstr(output.out, "text ") + 1, "text "));
    output_free(&output);
    free(npy_load(embed, (size_t[]){1, 24}, 2));
    output = RUN(0, "-m", FIXTURES "/models/siglip2_full", "--labels-embeddings", path, JPEG);
    assert_contains(output.out, "%  text 1\n");
    output_free(&output);
}

static void refuse_texts(const char *folder, const char *texts, const char *message)
{
    struct output output = RUN(1, "-m", folder, "--labels-embeddings", texts, JPEG);
    assert_contains(output.err, message);
    assert_string_equal(output.out, "");
    output_free(&output);
}

static void test_wrong_texts(void **state)
{
    static const struct {
        size_t shape[3], rank;
    } shapes[] = {{{5, 19}, 2}, {{5, 21}, 2}, {{20}, 1}, {{1, 5, 20}, 3}, {{5, 20, 1}, 3}, {{0, 20}, 2}, {{100, 0}, 2}};
    static float texts[105] = {1};
    char path[PATH_SIZE], labels[PATH_SIZE];
    struct output output;
    file_in(state, "texts.npy", path);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        npy_save(path, texts, shapes[i].shape, shapes[i].rank);
        refuse_texts(CLIP, path, "texts.npy: its shape does not fit: this model's embeddings need [C,20], C texts");
    }
    refuse_texts(CLIP, JPEG, JPEG ": ");
    refuse_texts(CLIP, file_in(state, "none.npy", labels), "none.npy: ");
    for (size_t i = 0; i < 100; i++)
        texts[i] = 1;
    npy_save(path, texts, (size_t[]){5, 20}, 2);
    write_text(file_in(state, "labels.txt", labels), "a\nb\n");
    output = RUN(1, "-m", CLIP, "--labels-embeddings", path, "--labels", labels, JPEG);
    assert_contains(output.err, "labels.txt: 2 lines; 5 are needed, one for each text of --labels-embeddings");
    output_free(&output);
    texts[3 * 20 + 7] = NAN;
    npy_save(path, texts, (size_t[]){5, 20}, 2);
    refuse_texts(CLIP, path, "texts.npy: text 3 has no direction");
    texts[3 * 20 + 7] = INFINITY;
    npy_save(path, texts, (size_t[]){5, 20}, 2);
    refuse_texts(CLIP, path, "texts.npy: text 3 has no direction");
    memset(&texts[3 * 20], 0, 20 * sizeof *texts);
    npy_save(path, texts, (size_t[]){5, 20}, 2);
    refuse_texts(CLIP, path, "texts.npy: text 3 has no direction");
}

static void test_models_without_texts(void **state)
{
    static const char *const folders[] = {DIGITS, FIXTURES "/models/clip_projection",
                                          FIXTURES "/models/siglip_classifier", FIXTURES "/models/timm_clip",
                                          FIXTURES "/vit/no_pooler"};
    static const float texts[20] = {1};
    char path[PATH_SIZE];
    npy_save(file_in(state, "texts.npy", path), texts, (size_t[]){1, 20}, 2);
    for (size_t i = 0; i < COUNT(folders); i++)
        refuse_texts(folders[i], path, "--labels-embeddings: this folder can not score texts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_wrong_names),   cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_with_other_outputs),
        cmocka_unit_test(test_wrong_texts),   cmocka_unit_test(test_models_without_texts),
    };
    return device_exit_code(cmocka_run_group_tests(tests, set_up, tear_down));
}

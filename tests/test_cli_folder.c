/* test_cli_folder.c - many inputs in one call, with damaged ones between them: whatever the size of a batch, answers
 * and errors come in the order of the inputs, and each answer is the one that the image gets alone.
 */
#include "cli_bench.h"

#include <stdio.h>

#define DIGITS FIXTURES "/digits"
#define SIX    DIGITS "/images/000_six.png"
#define ZERO   DIGITS "/images/001_zero.png"
#define BAD    FIXTURES "/images/bad/truncated.png"
#define PIXELS (3 * 32 * 32) /* of one image */
#define FILES  45            /* more than are read ahead */
#define GOOD   38            /* of them */

static const char *const PICTURES[] = {SIX, ZERO, DIGITS "/images/002_two.png", DIGITS "/images/003_eight.png",
                                       DIGITS "/images/004_nine.png"};

static bool is_bad(size_t i)
{
    return i % 6 == 3;
}

/* What each picture gets in a run of its own. */
struct alone {
    float logits[COUNT(PICTURES)][10], pixels[COUNT(PICTURES)][PIXELS];
};

static void run_alone(void **state, struct alone *alone)
{
    char logits[PATH_SIZE], pixels[PATH_SIZE];
    file_in(state, "alone_logits.npy", logits);
    file_in(state, "alone_pixels.npy", pixels);
    for (size_t i = 0; i < COUNT(PICTURES); i++) {
        float *row, *picture;
        run_quietly(RUN(0, "-m", DIGITS, "--logits", logits, "--pixels", pixels, PICTURES[i]));
        row = npy_load(logits, (size_t[]){1, 10}, 2);
        picture = npy_load(pixels, (size_t[]){1, 3, 32, 32}, 4);
        memcpy(alone->logits[i], row, sizeof alone->logits[i]);
        memcpy(alone->pixels[i], picture, sizeof alone->pixels[i]);
        free(row);
        free(picture);
    }
}

static void fill_folder(const char *folder)
{
    for (size_t i = 0; i < FILES; i++) {
        char name[32], path[PATH_SIZE];
        size_t size;
        char *bytes = file_read(is_bad(i) ? BAD : PICTURES[i % COUNT(PICTURES)], &size);
        snprintf(name, sizeof name, "%02zu.png", i);
        path_join(path, folder, name);
        file_write(path, bytes, size);
        free(bytes);
    }
}

/* Fails unless the text names the damaged files, in order, once each. */
static void assert_errors_in_order(const char *text)
{
    for (size_t i = 0; i < FILES; i++) {
        char name[32];
        snprintf(name, sizeof name, "/%02zu.png:", i);
        if (is_bad(i)) {
            text = strstr(text, name);
            assert_non_null(text);
            text += strlen(name);
        }
        assert_null(strstr(text, name));
    }
}

/* The array's entries are the files in order. */
static void assert_answers_in_order(const char *text)
{
    json_t *answers = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(answers), FILES);
    for (size_t i = 0; i < FILES; i++) {
        const json_t *answer = json_array_get(answers, i);
        char name[32];
        snprintf(name, sizeof name, "/%02zu.png", i);
        assert_contains(json_string_value(json_object_get(answer, "file")), name);
        assert_int_equal(is_bad(i), json_object_get(answer, "error") != NULL);
        assert_int_equal(!is_bad(i), json_object_get(answer, "predictions") != NULL);
    }
    json_decref(answers);
}

static void test_many_files(void **state)
{
    static const char *const BATCHES[] = {"1", "3", "8"};
    static struct alone alone;
    char folder[PATH_SIZE], logits[PATH_SIZE], pixels[PATH_SIZE];
    file_in(state, "logits.npy", logits);
    file_in(state, "pixels.npy", pixels);
    run_alone(state, &alone);
    folder_create(folder);
    fill_folder(folder);
    for (size_t b = 0; b < COUNT(BATCHES); b++) {
        struct output output =
            RUN(1, "-m", DIGITS, "-b", BATCHES[b], "--json", "--logits", logits, "--pixels", pixels, folder);
        float *rows = npy_load(logits, (size_t[]){GOOD, 10}, 2);
        float *pictures = npy_load(pixels, (size_t[]){GOOD, 3, 32, 32}, 4);
        assert_errors_in_order(output.err);
        assert_answers_in_order(output.out);
        for (size_t i = 0, row = 0; i < FILES; i++) {
            const size_t picture = i % COUNT(PICTURES);
            if (is_bad(i))
                continue;
            assert_memory_equal(pictures + row * PIXELS, alone.pixels[picture], sizeof alone.pixels[picture]);
            assert_close("logits", rows + row * 10, alone.logits[picture], 10, TOLERANCE);
            row++;
        }
        output_free(&output);
        free(rows);
        free(pictures);
    }
    folder_remove(folder);
}

/* Arrays have their place in the order, too, with all of their rows; and what fails behind the last image is said. */
static void test_arrays_between_pictures(void **state)
{
    static const char *const BATCHES[] = {"1", "3", "8"};
    char two[PATH_SIZE];
    run_quietly(RUN(0, "-m", DIGITS, "--pixels", file_in(state, "two.npy", two), ZERO, SIX));
    for (size_t b = 0; b < COUNT(BATCHES); b++) {
        static const char *const ORDER[] = {BAD, SIX, BAD, "two.npy[0]", "two.npy[1]", ZERO, BAD, BAD};
        struct output output = RUN(1, "-m", DIGITS, "-b", BATCHES[b], "--json", BAD, SIX, BAD, two, ZERO, BAD, BAD);
        json_t *answers = json_loads(output.out, 0, NULL);
        assert_int_equal(json_array_size(answers), COUNT(ORDER));
        for (size_t i = 0; i < COUNT(ORDER); i++)
            assert_contains(json_string_value(json_object_get(json_array_get(answers, i), "file")), ORDER[i]);
        json_decref(answers);
        output_free(&output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_arrays_between_pictures),
    };
    return device_exit_code(cmocka_run_group_tests(tests, set_up, tear_down));
}

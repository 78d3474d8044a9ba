/* test_cli_files.c - the .npy files that vitcl_run writes and reads: their shapes, their numbers against transformers',
 * whatever the batch size; and what is left on disk when something fails.
 */
#include "cli_bench.h"

#include <unistd.h>

#define DIGITS FIXTURES "/digits"
#define SIX    DIGITS "/images/000_six.png"
#define ZERO   DIGITS "/images/001_zero.png"
#define BAD    FIXTURES "/images/bad/truncated.png"
#define PIXELS (3 * 32 * 32) /* of one image */

/* ---- what is written ---- */

/* The stored pixel values as input: logits, hidden states and embeddings are the stored ones, in any batch size. */
static void test_classifier(void **state)
{
    static const char *const BATCHES[] = {"1", "2", "3", "50"};
    char input[PATH_SIZE], logits[PATH_SIZE], hidden[PATH_SIZE], embed[PATH_SIZE], pixels[PATH_SIZE];
    struct fixture f;
    file_in(state, "input.npy", input);
    file_in(state, "logits.npy", logits);
    file_in(state, "hidden.npy", hidden);
    file_in(state, "embed.npy", embed);
    file_in(state, "pixels.npy", pixels);
    fixture_open(&f, "vit/cls");
    npy_save(input, fixture_get(&f, "pixel_values", NULL), (size_t[]){3, 3, 32, 32}, 4);
    for (size_t i = 0; i < COUNT(BATCHES); i++) {
        float *vectors, *states;
        run_quietly(RUN(0, "-m", FIXTURES "/vit/cls", "-b", BATCHES[i], "--logits", logits, "--hidden", hidden,
                        "--embed", embed, "--pixels", pixels, input));
        assert_file_close(logits, (size_t[]){3, 10}, 2, &f, "logits");
        assert_file_close(hidden, (size_t[]){3, 17, 48}, 3, &f, "last_hidden_state");
        assert_file_close(pixels, (size_t[]){3, 3, 32, 32}, 4, &f, "pixel_values");
        vectors = npy_load(embed, (size_t[]){3, 48}, 2);
        states = npy_load(hidden, (size_t[]){3, 17, 48}, 3);
        for (size_t image = 0; image < 3; image++) /* what the classifier reads: the class token */
            assert_memory_equal(vectors + image * 48, states + image * 17 * 48, 48 * sizeof(float));
        free(vectors);
        free(states);
    }
    fixture_close(&f);
}

static void test_models_without_classifier(void **state)
{
    char input[PATH_SIZE], embed[PATH_SIZE], hidden[PATH_SIZE];
    struct fixture f;
    struct output output;
    file_in(state, "input.npy", input);
    file_in(state, "embed.npy", embed);
    file_in(state, "hidden.npy", hidden);
    fixture_open(&f, "vit/pooler");
    npy_save(input, fixture_get(&f, "pixel_values", NULL), (size_t[]){2, 3, 16, 16}, 4);
    run_quietly(RUN(0, "-m", FIXTURES "/vit/pooler", "--embed", embed, input));
    assert_file_close(embed, (size_t[]){2, 40}, 2, &f, "pooler_output");
    output = RUN(1, "-m", FIXTURES "/vit/pooler", "--logits", hidden, input);
    assert_contains(output.err, "no classifier");
    output_free(&output);
    fixture_close(&f);

    fixture_open(&f, "vit/no_pooler");
    npy_save(input, fixture_get(&f, "pixel_values", NULL), (size_t[]){3, 8, 8}, 3); /* one image needs no batch axis */
    run_quietly(RUN(0, "-m", FIXTURES "/vit/no_pooler", "--hidden", hidden, input));
    assert_file_close(hidden, (size_t[]){1, 5, 80}, 3, &f, "last_hidden_state");
    output = RUN(1, "-m", FIXTURES "/vit/no_pooler", "--embed", embed, input);
    assert_contains(output.err, "does not pool its tokens");
    output_free(&output);
    fixture_close(&f);
}

/* ---- what is read ---- */

/* The saved pixels of images, given as input, have the images' logits to the bit; each row is an image of its own. */
static void test_pixels_go_in_again(void **state)
{
    char pixels[PATH_SIZE], of_images[PATH_SIZE], of_pixels[PATH_SIZE];
    struct output output;
    float *a, *b;
    file_in(state, "pixels.npy", pixels);
    file_in(state, "of_images.npy", of_images);
    file_in(state, "of_pixels.npy", of_pixels);
    run_quietly(RUN(0, "-m", DIGITS, "-b", "2", "--pixels", pixels, "--logits", of_images, SIX, ZERO, SIX));
    output = RUN(0, "-m", DIGITS, "-b", "2", "--logits", of_pixels, "-k", "1", pixels);
    assert_contains(output.out, "pixels.npy[0]\n");
    assert_contains(strstr(output.out, "pixels.npy[1]\n"), "zero");
    assert_contains(output.out, "pixels.npy[2]\n");
    output_free(&output);
    a = npy_load(of_images, (size_t[]){3, 10}, 2);
    b = npy_load(of_pixels, (size_t[]){3, 10}, 2);
    assert_memory_equal(a, b, 30 * sizeof *a);
    assert_memory_equal(a, a + 20, 10 * sizeof *a);
    assert_memory_not_equal(a, a + 10, 10 * sizeof *a);
    free(a);
    free(b);
}

/* Arrays that are not for this model, and one that is cut off, cost only themselves. */
static void test_bad_arrays(void **state)
{
    static const size_t SHAPES[][4] = {{2, 3, 32, 31}, {2, 1, 32, 32}, {2, 32, 32, 3},
                                       {2, 3, 16, 64}, {6, 32, 32, 0}, {6144, 0, 0, 0}};
    static const size_t RANKS[] = {4, 4, 4, 4, 3, 1};
    float *values = allocate(2 * PIXELS, sizeof *values);
    char array[PATH_SIZE];
    struct output output;
    file_in(state, "array.npy", array);
    for (size_t i = 0; i < COUNT(SHAPES); i++) {
        npy_save(array, values, SHAPES[i], RANKS[i]);
        output = RUN(1, "-m", DIGITS, array, SIX);
        assert_contains(output.err, array);
        assert_contains(output.err, "[B,3,32,32]");
        assert_contains(output.out, "six");
        output_free(&output);
    }
    npy_save(array, values, (size_t[]){2, 3, 32, 32}, 4);
    assert_int_equal(truncate(array, 128 + PIXELS * sizeof *values), 0);
    output = RUN(1, "-m", DIGITS, array, SIX);
    assert_contains(output.err, array);
    assert_contains(output.out, "six");
    output_free(&output);
    free(values);
}

/* ---- when something fails ---- */

/* Files have a row for each image that was answered, and no other. */
static void test_rows_of_the_good_ones(void **state)
{
    char logits[PATH_SIZE];
    struct output output;
    float *three, *two;
    run_quietly(RUN(0, "-m", DIGITS, "--logits", file_in(state, "three.npy", logits), SIX, SIX, ZERO));
    three = npy_load(logits, (size_t[]){3, 10}, 2);
    output = RUN(1, "-m", DIGITS, "--logits", file_in(state, "two.npy", logits), BAD, SIX, BAD, ZERO, BAD);
    two = npy_load(logits, (size_t[]){2, 10}, 2);
    assert_memory_equal(two, three, 10 * sizeof *two);
    assert_memory_equal(two + 10, three + 20, 10 * sizeof *two);
    output_free(&output);
    free(three);
    free(two);
}

static void test_missing_folder(void **state)
{
    char logits[PATH_SIZE];
    struct output output = RUN(1, "-m", DIGITS, "--logits", file_in(state, "none/logits.npy", logits), SIX);
    assert_contains(output.err, logits);
    assert_contains(output.err, "No such file or directory");
    assert_string_equal(output.out, ""); /* found out before anything is computed */
    output_free(&output);
}

/* A run that can not start leaves an older file as it was, and no other file. */
static void test_older_file_stays(void **state)
{
    char logits[PATH_SIZE], part[PATH_SIZE], none[PATH_SIZE], *old;
    struct output output;
    file_in(state, "old.npy", logits);
    file_in(state, "old.npy.part", part);
    file_in(state, "none/hidden.npy", none);
    file_write(logits, "old", 3);
    output = RUN(1, "-m", DIGITS, "--logits", logits, "--hidden", none, SIX);
    output_free(&output);
    old = file_read(logits, NULL);
    assert_string_equal(old, "old");
    assert_int_equal(access(part, F_OK), -1);
    free(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classifier),
        cmocka_unit_test(test_models_without_classifier),
        cmocka_unit_test(test_pixels_go_in_again),
        cmocka_unit_test(test_bad_arrays),
        cmocka_unit_test(test_rows_of_the_good_ones),
        cmocka_unit_test(test_missing_folder),
        cmocka_unit_test(test_older_file_stays),
    };
    return device_exit_code(cmocka_run_group_tests(tests, set_up, tear_down));
}

/* test_digits.c - the program on 120 pictures of handwritten digits, from PNG files to labels, with the logits and the
 * accuracy that the model has in transformers in float64 (tests/fixtures/digits/make_digits.py). Also the shape of
 * --json.
 */
#include "fixture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS    FIXTURES "/digits"
#define IMAGES    120
#define CLASSES   10
#define TOLERANCE 1e-4 /* of a logit, absolute; they are about 5 */

/* What transformers gives, and what the program gave. */
struct digits {
    struct fixture fixture;
    const float *expected;  /* [IMAGES,CLASSES] */
    int64_t labels[IMAGES]; /* the true ones */
    float *logits;          /* [IMAGES,CLASSES], owned */
    json_t *answers;        /* owned */
};

static void read_expected(struct digits *d)
{
    const struct tensor_entry *labels;
    size_t count;
    fixture_open(&d->fixture, "digits");
    d->expected = fixture_get(&d->fixture, "logits", &count);
    assert_int_equal(count, IMAGES * CLASSES);
    labels = safetensors_find(&d->fixture.expected, "labels");
    assert_non_null(labels);
    assert_string_equal(labels->dtype_name, "I64");
    assert_int_equal(labels->bytes, sizeof d->labels);
    memcpy(d->labels, labels->data, sizeof d->labels);
}

static void run_program(struct digits *d)
{
    char folder[PATH_SIZE], file[PATH_SIZE];
    struct output output;
    json_error_t problem;
    folder_create(folder);
    path_join(file, folder, "logits.npy");
    program_run(
        &output,
        (const char *const[]){VITCL_RUN, "-m", DIGITS, "-b", "16", "--json", "--logits", file, DIGITS "/images", NULL},
        NULL, NULL);
    if (output.code != 0)
        fail_msg("exit status %d: %s", output.code, output.err);
    d->logits = npy_load(file, (size_t[]){IMAGES, CLASSES}, 2);
    d->answers = json_loads(output.out, JSON_REJECT_DUPLICATES, &problem);
    if (!d->answers)
        fail_msg("stdout is no JSON: line %d: %s", problem.line, problem.text);
    folder_remove(folder);
    output_free(&output);
}

static int set_up(void **state)
{
    struct digits *digits = allocate(1, sizeof *digits);
    void *device;
    *state = digits;
    if (device_set_up(&device) != 0)
        return -1;
    if (device) {
        read_expected(digits);
        run_program(digits);
    }
    return device_tear_down(&device);
}

static int tear_down(void **state)
{
    struct digits *digits = *state;
    fixture_close(&digits->fixture);
    json_decref(digits->answers);
    free(digits->logits);
    free(digits);
    return 0;
}

static const struct digits *digits_or_skip(void **state)
{
    const struct digits *digits = *state;
    if (!digits->answers)
        skip();
    return digits;
}

static size_t best(const float *values)
{
    size_t index = 0;
    for (size_t i = 1; i < CLASSES; i++)
        if (values[i] > values[index])
            index = i;
    return index;
}

static size_t correct(const struct digits *d, const float *logits)
{
    size_t count = 0;
    for (size_t i = 0; i < IMAGES; i++)
        count += (int64_t)best(logits + i * CLASSES) == d->labels[i];
    return count;
}

/* ---- tests ---- */

static void test_logits(void **state)
{
    const struct digits *d = digits_or_skip(state);
    double largest = 0;
    for (size_t i = 0; i < IMAGES * CLASSES; i++) {
        double difference = fabs((double)d->logits[i] - (double)d->expected[i]);
        if (!(difference <= TOLERANCE))
            fail_msg("image %zu, class %zu: %.7g, expected %.7g", i / CLASSES, i % CLASSES, (double)d->logits[i],
                     (double)d->expected[i]);
        largest = fmax(largest, difference);
    }
    print_message("largest difference of a logit: %.2g\n", largest);
}

static void test_accuracy(void **state)
{
    const struct digits *d = digits_or_skip(state);
    assert_int_equal(correct(d, d->expected), IMAGES); /* all of these pictures, as make_digits.py saved them */
    assert_int_equal(correct(d, d->logits), IMAGES);
}

/* What softmax makes of the logits of image i. */
static double expected_score(const struct digits *d, size_t i, size_t class)
{
    double sum = 0;
    for (size_t c = 0; c < CLASSES; c++)
        sum += exp((double)d->logits[i * CLASSES + c]);
    return exp((double)d->logits[i * CLASSES + class]) / sum;
}

static size_t class_of(const struct digits *d, const char *label)
{
    size_t class = 0;
    while (class < CLASSES && strcmp(d->fixture.config.labels.names[class], label) != 0)
        class ++;
    assert_true(class < CLASSES);
    return class;
}

/* [{"label", "score"}, ...]: the five best, best first, with the scores of the logits. */
static void check_predictions(const struct digits *d, size_t i, const json_t *predictions)
{
    double last = 1;
    assert_int_equal(json_array_size(predictions), 5);
    for (size_t rank = 0; rank < 5; rank++) {
        const json_t *prediction = json_array_get(predictions, rank);
        const char *label = json_string_value(json_object_get(prediction, "label"));
        double score = json_real_value(json_object_get(prediction, "score"));
        assert_non_null(label);
        assert_int_equal(json_object_size(prediction), 2);
        assert_true(fabs(score - expected_score(d, i, class_of(d, label))) < 1e-6);
        assert_true(score <= last);
        last = score;
        if (rank == 0)
            assert_int_equal(class_of(d, label), d->labels[i]);
    }
}

/* Files in the order of their names, which end in what they show: "000_six.png". */
static void test_json(void **state)
{
    const struct digits *d = digits_or_skip(state);
    assert_true(json_is_array(d->answers));
    assert_int_equal(json_array_size(d->answers), IMAGES);
    for (size_t i = 0; i < IMAGES; i++) {
        const json_t *answer = json_array_get(d->answers, i);
        const char *file = json_string_value(json_object_get(answer, "file")), *word;
        assert_non_null(file);
        word = strrchr(file, '_');
        assert_non_null(word);
        assert_int_equal(strtoul(strrchr(file, '/') + 1, NULL, 10), i);
        assert_int_equal(strncmp(word + 1, d->fixture.config.labels.names[d->labels[i]], strcspn(word + 1, ".")), 0);
        assert_true(json_string_length(json_object_get(answer, "device")) > 0);
        check_predictions(d, i, json_object_get(answer, "predictions"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_json),
    };
    return device_exit_code(cmocka_run_group_tests(tests, set_up, tear_down));
}

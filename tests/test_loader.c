/* test_loader.c - inputs that are read ahead come in the order of the list, each as if read alone, by any number of
 * threads; and the threads end wherever they are. Needs no device: a place for ThreadSanitizer.
 */
#include "cli/loader.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS FIXTURES "/digits"
#define INPUTS 40
#define PIXELS (3 * 32 * 32) /* of one image */

static const char *const PICTURES[] = {DIGITS "/images/000_six.png", DIGITS "/images/001_zero.png",
                                       DIGITS "/images/002_two.png", DIGITS "/images/003_eight.png",
                                       DIGITS "/images/004_nine.png"};

struct inputs {
    vitcl_model *model;
    char folder[PATH_SIZE], array[PATH_SIZE];
    char *paths[INPUTS]; /* pictures, but every 7th is damaged, and one is an array */
    float pixels[COUNT(PICTURES)][PIXELS];
};

static int set_up(void **state)
{
    static float one[PIXELS];
    struct inputs *inputs = *state = allocate(1, sizeof *inputs);
    vitcl_error error;
    assert_ok(vitcl_model_create(&inputs->model, DIGITS, NULL, &error), &error);
    folder_create(inputs->folder);
    path_join(inputs->array, inputs->folder, "array.npy");
    npy_save(inputs->array, one, (size_t[]){3, 32, 32}, 3);
    for (size_t i = 0; i < COUNT(PICTURES); i++) {
        vitcl_image image;
        assert_ok(vitcl_image_read(&image, PICTURES[i], true, &error), &error);
        assert_ok(vitcl_model_preprocess(inputs->model, &image, inputs->pixels[i], NULL, &error), &error);
        vitcl_image_destroy(&image);
    }
    for (size_t i = 0; i < INPUTS; i++)
        inputs->paths[i] = strdup(i == 10      ? inputs->array
                                  : i % 7 == 3 ? FIXTURES "/images/bad/truncated.png"
                                               : PICTURES[i % COUNT(PICTURES)]);
    return 0;
}

static int tear_down(void **state)
{
    struct inputs *inputs = *state;
    for (size_t i = 0; i < INPUTS; i++)
        free(inputs->paths[i]);
    vitcl_model_destroy(&inputs->model);
    folder_remove(inputs->folder);
    free(inputs);
    return 0;
}

static struct loader *start(const struct inputs *inputs, size_t workers)
{
    const struct loader_params params = {inputs->model, inputs->paths, INPUTS, true, PIXELS, workers};
    struct loader *loader = loader_start(&params);
    assert_non_null(loader);
    return loader;
}

static void check_next(const struct inputs *inputs, struct loader *loader, size_t i)
{
    float pixels[PIXELS] = {0};
    struct loaded loaded;
    assert_true(loader_next(loader, &loaded, pixels));
    assert_ptr_equal(loaded.path, inputs->paths[i]);
    if (i == 10) {
        assert_int_equal(loaded.what, LOADED_NPY);
    } else if (i % 7 == 3) {
        assert_int_equal(loaded.what, LOADED_NOTHING);
        assert_contains(loaded.error.message, "truncated.png");
    } else {
        assert_int_equal(loaded.what, LOADED_IMAGE);
        assert_memory_equal(pixels, inputs->pixels[i % COUNT(PICTURES)], sizeof pixels);
    }
}

static const size_t WORKERS[] = {1, 2, 5, 2 * INPUTS};

static void test_in_order(void **state)
{
    const struct inputs *inputs = *state;
    for (size_t w = 0; w < COUNT(WORKERS); w++) {
        struct loader *loader = start(inputs, WORKERS[w]);
        struct loaded loaded;
        for (size_t i = 0; i < INPUTS; i++)
            check_next(inputs, loader, i);
        for (size_t i = 0; i < 2; i++)
            assert_false(loader_next(loader, &loaded, NULL));
        loader_stop(loader);
    }
}

/* As after a failure of the device: before the first input, among them, behind the last one. */
static void test_stopped_early(void **state)
{
    static const size_t AFTER[] = {0, 1, 12, INPUTS};
    const struct inputs *inputs = *state;
    for (size_t w = 0; w < COUNT(WORKERS); w++)
        for (size_t k = 0; k < COUNT(AFTER); k++) {
            struct loader *loader = start(inputs, WORKERS[w]);
            for (size_t i = 0; i < AFTER[k]; i++)
                check_next(inputs, loader, i);
            loader_stop(loader);
        }
    loader_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_stopped_early),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* test_progress.c - what the bar of a long job says. When it is drawn depends on a clock and a terminal: not tested. */
#include "cli/progress.h"
#include "support.h"

#include <string.h>

static void assert_bar(size_t done, size_t total, double seconds, const char *expected)
{
    char bar[PROGRESS_BAR_SIZE];
    progress_format(bar, done, total, seconds);
    assert_string_equal(bar, expected);
}

static void test_bar(void **state)
{
    (void)state;
    assert_bar(1, 200, 2, "[#                   ]  1/200  0.5 images/s  6:38 left");
    assert_bar(50, 200, 6, "[#####               ]  50/200  8.33 images/s  0:18 left");
    assert_bar(200, 200, 10, "[####################]  200/200  20 images/s  0:00 left");
    assert_bar(1000, 100000, 100, "[#                   ]  1000/100000  10 images/s  2:45:00 left");
}

/* The longest there can be still fits. */
static void test_long_bar(void **state)
{
    char bar[PROGRESS_BAR_SIZE];
    (void)state;
    progress_format(bar, 1, (size_t)1 << 50, 1e6);
    assert_contains(bar, " left");
    assert_in_range(strlen(bar), 1, PROGRESS_BAR_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar),
        cmocka_unit_test(test_long_bar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

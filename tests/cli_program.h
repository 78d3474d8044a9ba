/* cli_program.h - for tests of vitcl_run: runs it, and looks at what it says where. Included by one test at a time.
 */
#ifndef VITCL_TESTS_CLI_PROGRAM_H
#define VITCL_TESTS_CLI_PROGRAM_H

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS FIXTURES "/digits"
#define SIX    DIGITS "/images/000_six.png"
#define ZERO   DIGITS "/images/001_zero.png"

/* Runs vitcl_run; fails unless it exits with `code`. The caller frees the output. */
static inline struct output run_with(int code, const char *const *changes, const char *input, const char *const *argv)
{
    struct output output;
    program_run(&output, argv, changes, input);
    if (output.code != code)
        fail_msg("vitcl_run %s: exit status %d, expected %d: %s", argv[1], output.code, code, output.err);
    return output;
}

#define ARGUMENTS(...) ((const char *const[]){VITCL_RUN, __VA_ARGS__, NULL})
#define CHANGES(...)   ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(code, ...) run_with(code, NULL, NULL, ARGUMENTS(__VA_ARGS__))

/* How often `part` occurs in the text. */
static inline size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part))) {
        count++;
        text += strlen(part);
    }
    return count;
}

static inline void check_and_free(struct output *output, const char *in_out, const char *in_err)
{
    if (in_out)
        assert_contains(output->out, in_out);
    else
        assert_string_equal(output->out, "");
    if (in_err)
        assert_contains(output->err, in_err);
    else
        assert_string_equal(output->err, "");
    output_free(output);
}

#endif

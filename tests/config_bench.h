/* config_bench.h - for tests: one folder with one config.json, written with ' for ", and what config_read makes of it.
 * Included by one test at a time.
 */
#ifndef VITCL_TESTS_CONFIG_BENCH_H
#define VITCL_TESTS_CONFIG_BENCH_H

#include "model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* One folder with one config.json for all tests; what the last call left. */
struct bench {
    char folder[512], path[600];
    struct config config;
    vitcl_error err;
};

/* ---- making files and reading them ------------------------------------------------------------------------------- */

static inline void write_text(const struct bench *bench, const char *text)
{
    FILE *file = fopen(bench->path, "wb");
    assert_non_null(file);
    for (; *text; text++)
        fputc(*text == '\'' ? '"' : *text, file);
    assert_int_equal(fclose(file), 0);
}

static inline void refuse_text(struct bench *bench, const char *text, vitcl_status status, const char *message)
{
    static const struct config zero;
    config_free(&bench->config);
    memset(&bench->config, 0x5a, sizeof bench->config);
    write_text(bench, text);
    if (config_read(&bench->config, bench->folder, &bench->err) == VITCL_OK)
        fail_msg("%.200s was accepted, expected a refusal with \"%s\"", text, message);
    if (!strstr(bench->err.message, message))
        fail_msg("%.200s: expected \"%s\" in: %s", text, message, bench->err.message);
    assert_int_equal(bench->err.status, status);
    assert_ptr_equal(strstr(bench->err.message, bench->path), bench->err.message);
    assert_memory_equal(&bench->config, &zero, sizeof zero);
}

/* The members of a config.json beside model_type. */
static inline void refuse(struct bench *bench, const char *members, vitcl_status status, const char *message)
{
    char text[1024];
    snprintf(text, sizeof text, "{'model_type': 'vit', %s}", members);
    refuse_text(bench, text, status, message);
}

/* "key": value for each of the values. */
static inline void refuse_each(struct bench *bench, const char *key, const char *const *values, size_t count,
                               const char *message)
{
    for (size_t i = 0; i < count; i++) {
        char member[128], full[160];
        snprintf(member, sizeof member, "'%s': %s", key, values[i]);
        snprintf(full, sizeof full, "config.json: %s: %s", key, message);
        refuse(bench, member, VITCL_ERROR_FORMAT, full);
    }
}

static inline const struct config *accept_text(struct bench *bench, const char *text)
{
    config_free(&bench->config);
    write_text(bench, text);
    if (config_read(&bench->config, bench->folder, &bench->err) != VITCL_OK)
        fail_msg("%s was refused: %s", text, bench->err.message);
    return &bench->config;
}

static inline const struct config *accept(struct bench *bench, const char *members)
{
    char text[1024];
    snprintf(text, sizeof text, "{%s%s'model_type': 'vit'}", members, *members ? ", " : "");
    return accept_text(bench, text);
}

static inline int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const char *base = getenv("TMPDIR");
    assert_non_null(bench);
    snprintf(bench->folder, sizeof bench->folder, "%s/test_config_XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/config.json", bench->folder);
    *state = bench;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;
    config_free(&bench->config);
    unlink(bench->path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

#endif

/* program_file.c - programs as files that compile alone, for compilers that run before vitcl does. */
#include "device/program.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* " -D A=1 -D B=2" becomes lines "#define A 1". */
static vitcl_status add_defines(struct text *text, const char *options, vitcl_error *err)
{
    static const char flag[] = " -D ";
    const char *at = options;
    while (*at) {
        int name, value;
        if (strncmp(at, flag, strlen(flag)) != 0)
            return fail(err, VITCL_ERROR_UNSUPPORTED, "\"%s\" can not become #define lines", options);
        at += strlen(flag);
        name = (int)strcspn(at, "= ");
        value = at[name] == '=' ? (int)strcspn(at + name + 1, " ") : 0;
        text_add(text, "#define %.*s %.*s\n", name, at, value ? value : 1, value ? at + name + 1 : "1");
        at += name + (at[name] == '=') + value;
    }
    return VITCL_OK;
}

vitcl_status program_text(struct text *text, const char *options, const char *const *stems, size_t count,
                          vitcl_error *err)
{
    vitcl_status status;
    text_add(text, "/* vitcl %s: compile with %s */\n", VITCL_VERSION_STRING, BUILD_OPTIONS);
    TRY(add_defines(text, options, err));
    text_add(text, "%s", KERNEL_SOURCES[0].text);
    for (size_t i = 0; i < count; i++) {
        const char *source = find_source(stems[i]);
        if (!source)
            TRY(fail(err, VITCL_ERROR_ARGUMENT, "there is no kernel file cl/%s.cl", stems[i]));
        text_add(text, "%s", source);
    }
    if (text->failed)
        TRY(fail_memory(err, text->length));
done:
    return status;
}

void program_name(char name[PROGRAM_NAME_SIZE], const char *stem, const struct text *text)
{
    snprintf(name, PROGRAM_NAME_SIZE, "%s-%016llx", stem, (unsigned long long)XXH3_64bits(text->chars, text->length));
}

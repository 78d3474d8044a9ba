/* text.c - a growing string; running out of memory is remembered, and asked for once at the end. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *text, size_t more)
{
    size_t needed = text->length + more + 1;
    char *grown;
    if (needed <= text->capacity)
        return true;
    grown = realloc(text->chars, needed * 2);
    if (!grown)
        return false;
    text->chars = grown;
    text->capacity = needed * 2;
    return true;
}

void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    int length;
    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (text->failed || length < 0 || !reserve(text, (size_t)length)) {
        text->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(text->chars + text->length, (size_t)length + 1, format, args);
    va_end(args);
    text->length += (size_t)length;
}

void text_free(struct text *text)
{
    free(text->chars);
    memset(text, 0, sizeof *text);
}

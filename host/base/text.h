/* text.h - a string that grows, for descriptions and lists in messages. */
#ifndef VITCL_BASE_TEXT_H
#define VITCL_BASE_TEXT_H

#include "base/error.h"

/* All zero is the empty text. `chars` is NULL or a C string, which the owner frees. */
struct text {
    char *chars;
    size_t length, capacity;
    bool failed; /* memory ran out: the text is incomplete */
};

void text_add(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_free(struct text *text);

#endif

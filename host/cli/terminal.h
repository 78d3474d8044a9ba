/* terminal.h - text from files, made safe to print. */
#ifndef VITCL_CLI_TERMINAL_H
#define VITCL_CLI_TERMINAL_H

#include <stdio.h>

/* Prints text with a ? for every control character: labels, tensor names and file names may hold anything, and a
 * terminal obeys some of it. Newlines stay where `lines` is not 0. */
void print_clean(FILE *stream, const char *text, int lines);

/* Prints "vitcl_run: message" on stderr. */
void say(const char *message);

/* Prints "vitcl_run: subject: problem" on stderr. */
void say_about(const char *subject, const char *problem);

#endif

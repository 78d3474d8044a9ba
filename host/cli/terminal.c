/* terminal.c - filters C0 and C1 control characters out of UTF-8. */
#include "cli/terminal.h"
#include "cli/progress.h"

void print_clean(FILE *stream, const char *text, int lines)
{
    const unsigned char *at = (const unsigned char *)text;
    for (; *at; at++) {
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) { /* U+0080 to U+009F */
            fputc('?', stream);
            at++;
        } else if ((*at < 0x20 && !(*at == '\n' && lines)) || *at == 0x7f) {
            fputc('?', stream);
        } else {
            fputc(*at, stream);
        }
    }
}

void say(const char *message)
{
    progress_clear();
    fputs("vitcl_run: ", stderr);
    print_clean(stderr, message, 1);
    fputc('\n', stderr);
}

void say_about(const char *subject, const char *problem)
{
    progress_clear();
    fputs("vitcl_run: ", stderr);
    print_clean(stderr, subject, 0);
    fprintf(stderr, ": %s\n", problem);
}

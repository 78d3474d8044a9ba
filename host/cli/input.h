/* input.h - the arguments of the command line as a flat list of files. */
#ifndef VITCL_CLI_INPUT_H
#define VITCL_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

struct input_list {
    char **paths; /* [count], owned */
    size_t count, capacity;
    bool failed; /* something could not be listed; it has been said on stderr */
};

/* Expands folders (into their .jpg, .jpeg, .png, .webp and .npy files, sorted by name) and "-" (a path per line of
 * stdin). A path that is no folder is taken as it is. */
void input_expand(struct input_list *list, char *const *arguments, size_t count, bool recursive);
void input_free(struct input_list *list);

#endif

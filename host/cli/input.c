/* input.c - lists files. What a file holds is told later, by its content; only inside folders do names decide, so that
 * notes and archives beside the pictures are not errors. */
#include "cli/input.h"
#include "cli/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_DEPTH 64 /* of folders in folders: links can make circles */

static void complain(struct input_list *list, const char *path, const char *problem)
{
    say_about(path, problem);
    list->failed = true;
}

static void add(struct input_list *list, const char *path)
{
    char *copy = strdup(path);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        char **grown = realloc(list->paths, capacity * sizeof *grown);
        if (grown) {
            list->paths = grown;
            list->capacity = capacity;
        }
    }
    if (!copy || list->count == list->capacity) {
        free(copy);
        complain(list, path, "out of memory");
        return;
    }
    list->paths[list->count++] = copy;
}

static bool looks_like_input(const char *name)
{
    static const char *const ENDINGS[] = {".jpg", ".jpeg", ".png", ".webp", ".npy"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ENDINGS / sizeof *ENDINGS; i++)
        if (strcasecmp(dot, ENDINGS[i]) == 0)
            return true;
    return false;
}

static void expand_folder(struct input_list *list, const char *folder, bool recursive, int depth);

/* One entry of a folder. */
static void expand_entry(struct input_list *list, const char *path, bool recursive, int depth)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (looks_like_input(path))
            complain(list, path, strerror(errno));
    } else if (S_ISDIR(info.st_mode) && recursive && depth < MAX_DEPTH) {
        expand_folder(list, path, recursive, depth + 1);
    } else if (S_ISREG(info.st_mode) && looks_like_input(path)) {
        add(list, path);
    }
}

static void expand_folder(struct input_list *list, const char *folder, bool recursive, int depth)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        complain(list, folder, strerror(errno));
        return;
    }
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        size_t size = strlen(folder) + strlen(name) + 2;
        char *path = malloc(size);
        if (path)
            snprintf(path, size, "%s/%s", folder, name);
        if (path && name[0] != '.')
            expand_entry(list, path, recursive, depth);
        free(path);
        free(entries[i]);
    }
    free(entries);
}

static void expand_path(struct input_list *list, const char *path, bool recursive)
{
    struct stat info;
    size_t before = list->count;
    bool failed_before = list->failed;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        add(list, path);
        return;
    }
    expand_folder(list, path, recursive, 0);
    if (list->count == before && list->failed == failed_before)
        complain(list, path,
                 recursive ? "no images in this folder" : "no images in this folder (-r looks into its folders)");
}

static void expand_stdin(struct input_list *list, bool recursive)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    size_t before = list->count;
    bool failed_before = list->failed;
    while ((length = getline(&line, &size, stdin)) >= 0) {
        if (strlen(line) != (size_t)length) {
            complain(list, "-", "stdin has zero bytes; one path a line is expected (find without -print0)");
            break;
        }
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (length > 0)
            expand_path(list, line, recursive);
    }
    if (ferror(stdin))
        complain(list, "-", "stdin can not be read");
    else if (list->count == before && list->failed == failed_before)
        complain(list, "-", "no paths on stdin");
    free(line);
}

void input_expand(struct input_list *list, char *const *arguments, size_t count, bool recursive)
{
    memset(list, 0, sizeof *list);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(arguments[i], "-") == 0)
            expand_stdin(list, recursive);
        else
            expand_path(list, arguments[i], recursive);
    }
}

void input_free(struct input_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    memset(list, 0, sizeof *list);
}

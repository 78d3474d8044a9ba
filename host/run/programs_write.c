/* programs_write.c - programs as files for a compiler that runs elsewhere, and manifest.json, which lists them:
 *
 *   {"vitcl": "0.1.0", "options": "-cl-std=CL1.2",
 *    "files": {"matmul-0123456789abcdef.cl": {"kernels": ["matmul_portable"], "defines": "", "all": false}, ...}}
 *
 * With "all" a file has all kernels of a model. Files are called after what is in them, so that two models share those
 * that they both need; the manifest grows from model to model.
 */
#include "base/file.h"
#include "base/json.h"
#include "run/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANIFEST "manifest.json"

/* Where the files go. */
struct target {
    const char *folder;
    json_t *files;
};

/* ---- files ---- */

static vitcl_status write_file(const char *folder, const char *name, const char *chars, size_t length, vitcl_error *err)
{
    char *path = file_join(folder, name);
    FILE *file = path ? fopen(path, "w") : NULL;
    vitcl_status status = VITCL_OK;
    if (!path)
        return fail_memory(err, strlen(folder) + strlen(name) + 2);
    if (!file || fwrite(chars, 1, length, file) != length || fflush(file) != 0)
        status = fail(err, VITCL_ERROR_IO, "%s can not be written: %s", path, strerror(errno));
    if (file)
        fclose(file);
    free(path);
    return status;
}

/* The kernels that the manifest names in a file, and then [first,end) of the list. */
static json_t *kernels_of(const struct target *target, const char *file, const struct program_list *list, size_t first,
                          size_t end)
{
    json_t *kernels = json_deep_copy(json_object_get(json_object_get(target->files, file), "kernels"));
    if (!json_is_array(kernels)) {
        json_decref(kernels);
        kernels = json_array();
    }
    for (size_t i = first; i < end; i++) {
        json_t *kernel = json_string(list->kernels[i].kernel);
        size_t k = 0;
        while (k < json_array_size(kernels) && !json_equal(json_array_get(kernels, k), kernel))
            k++;
        if (k == json_array_size(kernels))
            json_array_append(kernels, kernel);
        json_decref(kernel);
    }
    return kernels;
}

/* Kernels [first,end) of the list, in one file. */
static vitcl_status add_file(struct target *target, const struct program_list *list, size_t first, size_t end,
                             const char *name, const struct text *text, vitcl_error *err)
{
    char file[PROGRAM_NAME_SIZE + 4];
    const bool all = first == 0 && end == list->count;
    json_t *entry;
    snprintf(file, sizeof file, "%s.cl", name);
    entry = json_pack("{s:o, s:s, s:b}", "kernels", kernels_of(target, file, list, first, end), "defines",
                      list->kernels[first].options + strspn(list->kernels[first].options, " "), "all", all);
    if (json_object_set_new(target->files, file, entry) != 0)
        return fail_memory(err, sizeof file);
    return write_file(target->folder, file, text->chars, text->length, err);
}

static vitcl_status add_files(struct target *target, const struct program_list *list, vitcl_error *err)
{
    char name[PROGRAM_NAME_SIZE];
    struct text text = {0};
    vitcl_status status = VITCL_OK;
    for (size_t i = 0, end; i < list->count; i = end) {
        end = program_end(list, i);
        TRY(program_text(&text, list->kernels[i].options, &list->kernels[i].stem, 1, err));
        program_name(name, list->kernels[i].stem, &text);
        TRY(add_file(target, list, i, end, name, &text, err));
        text_free(&text);
    }
    TRY(programs_whole(list, &text, name, err));
    if (*name)
        TRY(add_file(target, list, 0, list->count, name, &text, err));
done:
    text_free(&text);
    return status;
}

/* ---- the manifest ---- */

/* The files of an earlier manifest in the folder; {} where there is none. The caller frees *files. */
static vitcl_status read_manifest(const char *folder, json_t **files, vitcl_error *err)
{
    char *path = file_join(folder, MANIFEST);
    json_t *root = NULL;
    vitcl_status status = VITCL_OK;
    *files = json_object();
    if (!path || !*files)
        TRY(fail_memory(err, strlen(folder)));
    if (!file_exists(path))
        goto done;
    TRY(json_read(&root, path, err));
    if (!json_is_object(json_object_get(root, "files")) || !json_is_string(json_object_get(root, "vitcl")))
        TRY(fail(err, VITCL_ERROR_FORMAT, "%s: no manifest of kernels: name another folder", path));
    /* What another version has written, this one does not run. */
    if (strcmp(json_string_value(json_object_get(root, "vitcl")), VITCL_VERSION_STRING) == 0)
        json_object_update(*files, json_object_get(root, "files"));
done:
    json_decref(root);
    free(path);
    return status;
}

static vitcl_status write_manifest(const struct target *target, vitcl_error *err)
{
    json_t *root =
        json_pack("{s:s, s:s, s:O}", "vitcl", VITCL_VERSION_STRING, "options", BUILD_OPTIONS, "files", target->files);
    char *chars = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    vitcl_status status = chars ? write_file(target->folder, MANIFEST, chars, strlen(chars), err)
                                : fail_memory(err, json_object_size(target->files));
    free(chars);
    json_decref(root);
    return status;
}

vitcl_status programs_write(const struct program_list *list, const char *folder, vitcl_error *err)
{
    struct target target = {.folder = folder};
    vitcl_status status;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return fail(err, VITCL_ERROR_IO, "%s can not be made: %s", folder, strerror(errno));
    TRY(read_manifest(folder, &target.files, err));
    TRY(add_files(&target, list, err));
    TRY(write_manifest(&target, err));
done:
    json_decref(target.files);
    return status;
}

/* No variant that runs without a compiler asks for more: what differs from device to device are the sizes of groups. */
static const struct facts NO_COMPILER = {.max_work_group = 64, .buffer_align = 64};

vitcl_status programs_write_request(const struct request *request, const char *folder, vitcl_error *err)
{
    struct program_list list = {0};
    vitcl_status status;
    TRY(programs_add_request(&list, request, &NO_COMPILER, err));
    TRY(programs_write(&list, folder, err));
done:
    programs_free(&list);
    return status;
}

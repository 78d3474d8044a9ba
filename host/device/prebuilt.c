/* prebuilt.c - programs that were compiled before vitcl runs: all there is on a device without a compiler. A binary has
 * the name of its source (program_file.c), which tells what it was made of; what it was made for, the driver checks. */
#include "base/file.h"
#include "device/device_cl.h"
#include "device/program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How the compilers call what they make: OpenCL's own, Intel's for FPGAs, AMD's. */
static const char *const ENDINGS[] = {"clbin", "aocx", "xclbin"};

vitcl_status prebuilt_open(struct device *device, const char *path, vitcl_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return fail(err, VITCL_ERROR_IO, "%s: %s; it should be a folder of prebuilt kernels, or one file of them", path,
                    strerror(errno));
    device->prebuilt = strdup(path);
    if (!device->prebuilt)
        return fail_memory(err, strlen(path) + 1);
    device->prebuilt_file = !S_ISDIR(info.st_mode);
    device->facts.has_compiler = false;
    return VITCL_OK;
}

static void forget_whole(struct device *device)
{
    if (device->whole)
        clReleaseProgram(device->whole);
    device->whole = NULL;
}

/* All that is loaded; kernels keep what they were made of. */
static void forget_programs(struct device *device)
{
    for (size_t i = 0; i < device->program_count; i++)
        clReleaseProgram(device->programs[i].program);
    device->program_count = 0;
    forget_whole(device);
}

void prebuilt_close(struct device *device)
{
    forget_whole(device);
    free(device->prebuilt);
    device->prebuilt = NULL;
}

bool device_is_prebuilt(const struct device *device)
{
    return device->prebuilt != NULL;
}

/* ---- files ---- */

/* The path of a program's binary in the folder, which the caller frees; NULL where there is none. */
static char *find_binary(const struct device *device, const char *name)
{
    struct text path = {0};
    for (size_t i = 0; i < sizeof ENDINGS / sizeof *ENDINGS; i++) {
        text_free(&path);
        text_add(&path, "%s/%s.%s", device->prebuilt, name, ENDINGS[i]);
        if (!path.failed && file_exists(path.chars))
            return path.chars;
    }
    text_free(&path);
    return NULL;
}

/* Whether the file is called `name`, whatever its ending. */
static bool is_called(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    const size_t length = strlen(name);
    return strncmp(last, name, length) == 0 && (last[length] == '.' || last[length] == '\0');
}

/* ---- programs ---- */

static vitcl_status create_program(struct device *device, const struct mapped_file *file, const char *path,
                                   cl_program *program, vitcl_error *err)
{
    cl_int code, loaded = CL_SUCCESS;
    const char *call = "clCreateProgramWithBinary";
    *program = clCreateProgramWithBinary(device->context, 1, &device->id, &file->size,
                                         &(const unsigned char *){file->data}, &loaded, &code);
    if (code == CL_SUCCESS)
        code = loaded;
    if (code == CL_SUCCESS) {
        call = "clBuildProgram";
        code = clBuildProgram(*program, 1, &device->id, "", NULL, NULL);
    }
    if (code == CL_SUCCESS)
        return VITCL_OK;
    if (*program)
        clReleaseProgram(*program);
    *program = NULL;
    return fail_cl(err, code, call, "%s is no binary that %s takes: it may be damaged, or made for another device",
                   path, device->description);
}

static vitcl_status load_program(struct device *device, const char *path, cl_program *program, vitcl_error *err)
{
    struct mapped_file file;
    vitcl_status status = file_map(&file, path, err);
    if (status != VITCL_OK)
        return status;
    log_line(&device->log, VITCL_LOG_PROGRESS, "loading %s", path);
    if (file.size == 0)
        status = fail(err, VITCL_ERROR_FORMAT, "%s: the file is empty", path);
    else
        status = create_program(device, &file, path, program, err);
    file_unmap(&file);
    return status;
}

/* Checks that a file is the one that has all programs; name NULL: none could have them. */
static vitcl_status check_file(const char *path, const char *name, vitcl_error *err)
{
    if (!name)
        return fail(err, VITCL_ERROR_UNSUPPORTED,
                    "%s: one file can not hold this model's kernels, some of which are needed twice, with different "
                    "options: name a folder of binaries, or use --precision f32",
                    path);
    if (!is_called(path, name))
        return fail(err, VITCL_ERROR_ARGUMENT,
                    "%s: not made for this model by this version of vitcl, whose kernels are in %s.cl: the binary must "
                    "have that name. vitcl_run --kernels-out DIR -m MODEL writes the source",
                    path, name);
    return VITCL_OK;
}

vitcl_status prebuilt_load_whole(struct device *device, const char *name, vitcl_error *err)
{
    char *path = NULL;
    vitcl_status status = VITCL_OK;
    if (device->whole && name && strcmp(device->whole_name, name) == 0)
        return VITCL_OK;     /* loading it again would program a board again */
    forget_programs(device); /* another model's binary may lack kernels of this one's */
    if (device->prebuilt_file)
        TRY(check_file(device->prebuilt, name, err));
    else if (name)
        path = find_binary(device, name);
    if (device->prebuilt_file || path) {
        TRY(load_program(device, path ? path : device->prebuilt, &device->whole, err));
        snprintf(device->whole_name, sizeof device->whole_name, "%s", name);
    }
done:
    free(path);
    return status;
}

static vitcl_status fail_missing(const struct device *device, const char *stem, const char *options, const char *name,
                                 vitcl_error *err)
{
    return fail(
        err, VITCL_ERROR_IO,
        "%s: there is no %s.clbin, .aocx or .xclbin: cl/%s.cl%s%s must be compiled beforehand for %s. vitcl_run "
        "--kernels-out DIR -m MODEL, with this run's options, writes the source: DIR/%s.cl",
        device->prebuilt, name, stem, *options ? " with" : "", options, device->description, name);
}

vitcl_status program_prebuilt(struct device *device, const char *stem, const char *options, cl_program *program,
                              vitcl_error *err)
{
    char name[PROGRAM_NAME_SIZE], *path = NULL;
    struct text text = {0};
    vitcl_status status;
    if (device->whole) {
        clRetainProgram(device->whole);
        *program = device->whole;
        return VITCL_OK;
    }
    TRY(program_text(&text, options, &stem, 1, err));
    program_name(name, stem, &text);
    path = find_binary(device, name);
    status = path ? load_program(device, path, program, err) : fail_missing(device, stem, options, name, err);
done:
    free(path);
    text_free(&text);
    return status;
}

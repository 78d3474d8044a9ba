/* vitcl_run.c - the program: opens model and device, hands over to the mode asked for. Results go to stdout, everything
 * else to stderr. It uses the library only through vitcl.h. */
#include "cli/commands.h"
#include "cli/npy.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int complain(const vitcl_error *error)
{
    progress_idle();
    fflush(stdout);
    say(error->message);
    return EXIT_FAILED;
}

static void on_log(void *user, vitcl_log_level level, const char *line)
{
    const struct options *options = user;
    if (level == VITCL_LOG_PROGRESS)
        progress_phase(line);
    else if (level == VITCL_LOG_WARNING || (level == VITCL_LOG_INFO && !options->quiet))
        say(line);
}

static int run_mode(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    if (options->mode == MODE_PLAN)
        return print_plan(options, context, model);
    if (options->mode == MODE_BENCH)
        return run_bench(options, context, model);
    if (options->mode == MODE_TUNE)
        return tune(options, context, model);
    return run_inputs(options, context, model);
}

/* Replaces BATCH_AUTO. */
static bool choose_batch(struct options *options, vitcl_context *context, const vitcl_model *model)
{
    vitcl_error error;
    vitcl_model_info info;
    vitcl_session_params params = {.precision = options->precision};
    if (options->batch_size != BATCH_AUTO)
        return true;
    vitcl_model_get_info(model, &info);
    params.outputs = outputs_kept(options, &info);
    if (vitcl_choose_batch(context, model, &params, &options->batch_size, &error) == VITCL_OK)
        return true;
    complain(&error);
    return false;
}

static int run_on_device(const struct options *options, const vitcl_model *model)
{
    struct options chosen = *options;
    vitcl_error error;
    vitcl_context *context;
    int code;
    const vitcl_context_params params = {.device = options->device, .log = on_log, .log_user = (void *)(size_t)options};

    progress_phase("opening the OpenCL device");
    if (vitcl_context_create(&context, &params, &error) != VITCL_OK)
        return complain(&error);
    progress_idle();
    code = choose_batch(&chosen, context, model) ? run_mode(&chosen, context, model) : EXIT_FAILED;
    vitcl_context_destroy(&context);
    return code;
}

static bool all_are_ready(const struct options *options)
{
    for (size_t i = 0; i < options->input_count; i++)
        if (!npy_is_npy(options->inputs[i]))
            return false;
    return options->input_count > 0;
}

/* Where the model's library takes images of any size, ready pixel values are run at theirs: that of the first file, and
 * only where there are no pictures beside them. */
static bool ready_size(const struct options *options, const vitcl_model *model, vitcl_model_params *params)
{
    struct npy_reader npy;
    vitcl_model_info info;
    const size_t *image;
    bool other = false;

    vitcl_model_get_info(model, &info);
    if (!info.any_size || params->image_height || !all_are_ready(options) || npy_open(&npy, options->inputs[0]))
        return false;
    image = npy.shape + (npy.rank == 4);
    if ((npy.rank == 3 || npy.rank == 4) && image[0] == 3) {
        other = image[1] != info.image_height || image[2] != info.image_width;
        params->image_height = image[1];
        params->image_width = image[2];
    }
    npy_close(&npy);
    return other;
}

static bool open_model(vitcl_model **model, const struct options *options)
{
    vitcl_error error;
    vitcl_model_params params = {options->image_height, options->image_width, options->resize};
    vitcl_status status = vitcl_model_create(model, options->model, &params, &error);
    if (status == VITCL_OK && ready_size(options, *model, &params)) {
        vitcl_model_destroy(model);
        status = vitcl_model_create(model, options->model, &params, &error);
    }
    if (status != VITCL_OK)
        complain(&error);
    return status == VITCL_OK;
}

static int run(const struct options *options)
{
    vitcl_model *model;
    int code;
    if (options->mode == MODE_HELP || options->mode == MODE_VERSION) {
        if (options->mode == MODE_HELP)
            options_print_help();
        else
            printf("vitcl_run %s\n", vitcl_version());
        return 0;
    }
    if (options->mode == MODE_LIST_DEVICES)
        return list_devices();
    if (!open_model(&model, options))
        return EXIT_FAILED;
    if (options->mode == MODE_INFO)
        code = print_info(model);
    else if (options->mode == MODE_KERNELS)
        code = write_kernels(options, model);
    else
        code = run_on_device(options, model);
    vitcl_model_destroy(&model);
    return code;
}

/* A caller may have closed stdin, stdout or stderr: the next file opened would take its place, and get what is meant
 * for it. */
static bool occupy_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
    return fd > 2;
}

int main(int argc, char **argv)
{
    struct options options;
    int code;
    if (!occupy_standard_files())
        return EXIT_FAILED;
    code = options_parse(&options, argc, argv);
    if (code)
        return code;
    setenv("POCL_AFFINITY", "1", 0); /* without it PoCL leaves all but one core idle in about half of all runs */
    if (!options.quiet)
        progress_start();
    code = run(&options);
    progress_stop();
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("vitcl_run: stdout");
        return EXIT_FAILED;
    }
    return code;
}

/* vitcl_run.c - the program: opens model and device, hands over to the mode asked for. Results go to stdout, everything
 * else to stderr. It uses the library only through vitcl.h. */
#include "cli/commands.h"
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

static int run_on_device(const struct options *options, const vitcl_model *model)
{
    vitcl_error error;
    vitcl_context *context;
    int code;
    const vitcl_context_params params = {.device = options->device, .log = on_log, .log_user = (void *)(size_t)options};

    progress_phase("opening the OpenCL device");
    if (vitcl_context_create(&context, &params, &error) != VITCL_OK)
        return complain(&error);
    progress_idle();
    code = options->mode == MODE_PLAN ? print_plan(options, context, model) : run_inputs(options, context, model);
    vitcl_context_destroy(&context);
    return code;
}

static int run(const struct options *options)
{
    vitcl_error error;
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
    if (vitcl_model_create(&model, options->model, &error) != VITCL_OK)
        return complain(&error);
    code = options->mode == MODE_INFO ? print_info(model) : run_on_device(options, model);
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

/* commands.h - what vitcl_run does in each mode. Each returns the exit status, having said on stderr what failed. */
#ifndef VITCL_CLI_COMMANDS_H
#define VITCL_CLI_COMMANDS_H

#include "cli/options.h"
#include "vitcl.h"

/* classify.c: the main job, --verify and --profile. */
int run_inputs(const struct options *options, vitcl_context *context, const vitcl_model *model);

/* describe.c */
int list_devices(void);
int print_info(const vitcl_model *model);
int print_plan(const struct options *options, vitcl_context *context, const vitcl_model *model);
int write_kernels(const struct options *options, const vitcl_model *model); /* --kernels-out */

/* bench.c: --bench */
int run_bench(const struct options *options, vitcl_context *context, const vitcl_model *model);

/* tune.c: --tune */
int tune(const struct options *options, vitcl_context *context, const vitcl_model *model);

/* vitcl_run.c: prints "vitcl_run: message" on stderr and returns EXIT_FAILED. */
int complain(const vitcl_error *error);

#endif

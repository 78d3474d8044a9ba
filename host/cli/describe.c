/* describe.c - the modes that run nothing: --list-devices, --info, --plan, --kernels-out. */
#include "cli/commands.h"
#include "cli/outputs.h"
#include "cli/progress.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>

int list_devices(void)
{
    vitcl_error error;
    vitcl_device_info *list;
    size_t count;
    vitcl_status status;
    progress_phase("trying the compiler of every device");
    status = vitcl_device_list_create(&list, &count, &error);
    progress_idle();
    if (status != VITCL_OK)
        return complain(&error);
    for (size_t i = 0; i < count; i++) {
        const vitcl_device_info *d = &list[i];
        printf("%zu  %s  %s\n", i, d->kind, d->name);
        printf("     select by  VITCL_DEVICE=%s%s\n", d->selector,
               d->automatic ? "  (taken when nothing is said)" : "");
        printf("     platform   %s; vendor %s\n", d->platform, d->vendor);
        printf("     version    %s; driver %s\n", d->version, d->driver);
        printf("     memory     %.1f GB, at most %.1f GB in one buffer; %u compute units\n", (double)d->memory / 1e9,
               (double)d->max_alloc / 1e9, d->units);
        printf("     compiler   %s%s\n", d->compiler_works ? "works" : "does not work",
               d->available ? "" : "; the device is NOT available");
    }
    vitcl_device_list_destroy(&list);
    return 0;
}

static void print_image(const vitcl_model_info *info)
{
    if (info->max_patches)
        printf("image         any shape, up to %zu patches of %zux%zu pixels: %zu tokens\n", info->max_patches,
               info->patch_width, info->patch_height, info->tokens);
    else
        printf("image         %zux%zu pixels in patches of %zux%zu: %zu tokens, %zu of them before the patches%s\n",
               info->image_width, info->image_height, info->patch_width, info->patch_height, info->tokens,
               info->prefix_tokens, info->any_size ? "; other sizes are taken, too" : "");
}

static void print_labels(const vitcl_model *model, size_t classes)
{
    printf("classes       %zu, from \"", classes);
    print_clean(stdout, vitcl_model_label(model, 0), 0);
    fputs("\" to \"", stdout);
    print_clean(stdout, vitcl_model_label(model, classes - 1), 0);
    puts("\"");
}

int print_info(const vitcl_model *model)
{
    vitcl_model_info info;
    vitcl_model_get_info(model, &info);
    printf("family        %s%s%s\n", info.family, *info.architecture ? ", " : "", info.architecture);
    print_image(&info);
    printf("encoder       %zu blocks of width %zu, %zu heads of %zu, %smlp %zu, %s, LayerNorm eps %g\n", info.layers,
           info.width, info.heads, info.width / info.heads, info.gated ? "gated " : "", info.mlp_width, info.activation,
           info.eps);
    printf("pooling       %s\n", info.pooling);
    if (info.classes)
        print_labels(model, info.classes);
    if (info.embedding)
        printf("embedding     [%zu]%s\n", info.embedding,
               info.similarity ? ", comparable with those of texts (--labels-embeddings)" : "");
    printf("parameters    %llu\n", (unsigned long long)info.parameters);
    printf("computation   %.3f GFLOP per image\n", info.flops / 1e9);
    if (*info.assumed)
        printf("assumed       %s: not in config.json, so as the model's %s has them\n", info.assumed,
               info.timm ? "architecture" : "class");
    fputs("preprocessing ", stdout);
    print_clean(stdout, info.preprocessing, 0);
    putchar('\n');
    return 0;
}

int print_plan(const struct options *options, vitcl_context *context, const vitcl_model *model)
{
    vitcl_error error;
    char *text;
    vitcl_model_info info;
    vitcl_session_params params = {.batch_size = options->batch_size, .precision = options->precision};
    vitcl_model_get_info(model, &info);
    params.outputs = outputs_kept(options, &info);
    if (vitcl_plan_describe(context, model, &params, &text, &error) != VITCL_OK)
        return complain(&error);
    fputs(text, stdout);
    free(text);
    return 0;
}

int write_kernels(const struct options *options, const vitcl_model *model)
{
    vitcl_error error;
    const vitcl_session_params params = {.precision = options->precision}; /* kernels serve every batch */
    if (vitcl_kernels_write(model, &params, options->kernels_out, &error) != VITCL_OK)
        return complain(&error);
    printf("written to %s: manifest.json lists the files\n", options->kernels_out);
    return 0;
}

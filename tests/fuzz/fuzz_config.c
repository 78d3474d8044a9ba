/* fuzz_config.c - a libFuzzer target: any bytes as the config.json beside the weights of a fixture.
 *
 * A config that is read must keep what the code behind it relies on: sizes within their limits and names for all
 * classes. One that fits the weights must have rows that can be read. Build with clang -fsanitize=fuzzer,address; the
 * input lives in a memfd that a folder's config.json leads to (Linux). Seeds: tests/fixtures/models, config.json only.
 */
#define _GNU_SOURCE
#include "model/keys.h"
#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Weights that any config.json may stand beside: its length chooses. */
static const char *const FOLDERS[] = {"vit/cls",
                                      "models/beit",
                                      "models/clip_full",
                                      "models/dinov2_registers_classifier",
                                      "models/dinov3_gated",
                                      "models/siglip2_full",
                                      "models/timm_vit",
                                      "models/timm_eva02_base"};

#define FOLDER_COUNT (sizeof FOLDERS / sizeof *FOLDERS)

static struct safetensors files[FOLDER_COUNT];
static char folder[] = "/tmp/fuzz_config_XXXXXX";
static int input; /* what folder/config.json leads to */

static void require(bool promise)
{
    if (!promise)
        abort();
}

static void remove_folder(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[64], target[64];
    (void)argc, (void)argv;
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        char from[512];
        snprintf(from, sizeof from, FIXTURES "/%s", FOLDERS[i]);
        require(safetensors_open_folder(&files[i], from, NULL) == VITCL_OK);
    }
    input = memfd_create("fuzz", MFD_CLOEXEC);
    require(input >= 0 && mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    snprintf(target, sizeof target, "/proc/self/fd/%d", input);
    require(symlink(target, path) == 0);
    atexit(remove_folder);
    return 0;
}

static void check_config(const struct config *c)
{
    require(c->family && memchr(c->architecture, 0, sizeof c->architecture) &&
            memchr(c->assumed, 0, sizeof c->assumed));
    for (size_t i = 0; i < c->labels.count; i++)
        require(c->labels.names[i] != NULL);
}

/* Once the tensors have told the rest. */
static void check_complete(const struct config *c)
{
    require(c->width >= 1 && c->width <= MAX_WIDTH && c->heads >= 1 && c->width % c->heads == 0);
    require(c->layers >= 1 && c->layers <= MAX_LAYERS && c->mlp_width >= 1 && c->mlp_width <= MAX_MLP_WIDTH);
    require(c->patch_height >= 1 && c->patch_width >= 1);
    require(c->grid_height == c->image_height / c->patch_height && c->grid_width == c->image_width / c->patch_width);
    require(c->grid_height >= 1 && c->grid_width >= 1 && c->tokens <= MAX_TOKENS);
    require(c->tokens == c->prefix + c->grid_height * c->grid_width);
    require(c->head != HEAD_INFER && (c->head != HEAD_NONE || c->pool == POOL_NONE));
    require(c->eps >= 0 && c->eps <= 1);
}

static void check_weights(const struct weights *weights, const struct config *c)
{
    float *row = calloc(3 * c->width + 3 * c->patch_height * c->patch_width + c->mlp_width, sizeof *row);
    require(row != NULL);
    weight_read_row(&weights->blocks[c->layers - 1].qkv.weight, 3 * c->width - 1, row);
    weight_read_row(&weights->blocks[c->layers - 1].qkv.bias, 0, row);
    weight_read_row(&weights->blocks[0].fc2.weight, c->width - 1, row);
    weight_read_row(&weights->patch.weight, c->width - 1, row);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct safetensors *file = &files[size % FOLDER_COUNT];
    struct config config;
    struct weights weights;
    vitcl_error err;

    require(ftruncate(input, 0) == 0 && pwrite(input, bytes, size, 0) == (ssize_t)size);
    if (config_read(&config, folder, &err) != VITCL_OK)
        return 0;
    check_config(&config);
    if (config_complete(&config, file, &err) == VITCL_OK) {
        check_complete(&config);
        if (weights_find(&weights, &config, file, &err) == VITCL_OK) {
            check_weights(&weights, &config);
            weights_free(&weights);
        }
    }
    config_free(&config);
    return 0;
}

/* make_model.c - writes a Vision Transformer with random weights in the layout that Hugging Face publishes, so that
 * models of real size can be run, verified and timed without a download:
 *
 *     make_model vit_base_patch16_224 DIR
 *
 * Weights are scaled so that activations stay near 1 through all blocks, as in a trained model. The same name gives the
 * same bytes on every machine.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CLASSES     1000
#define MAX_TENSORS 1024
#define CHUNK       65536 /* numbers made and written at a time */

struct size {
    const char *name;
    size_t width, layers, heads, mlp_width;
};

static const struct size SIZES[] = {
    {"tiny", 192, 12, 3, 768},     {"small", 384, 12, 6, 1536},  {"base", 768, 12, 12, 3072},
    {"large", 1024, 24, 16, 4096}, {"huge", 1280, 32, 16, 5120},
};

struct shape {
    size_t rank, side[4];
};

struct tensor {
    char name[96];
    struct shape shape;
    double mean, deviation;
};

struct model {
    const struct size *size;
    unsigned patch, image;
    struct tensor tensors[MAX_TENSORS];
    size_t count;
};

/* ---- the tensors ---- */

static size_t numbers_in(const struct tensor *t)
{
    size_t count = 1;
    for (size_t i = 0; i < t->shape.rank; i++)
        count *= t->shape.side[i];
    return count;
}

static void add(struct model *m, const char *name, struct shape shape, double mean, double deviation)
{
    struct tensor *t = &m->tensors[m->count++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->shape = shape;
    t->mean = mean;
    t->deviation = deviation;
}

static void add_linear(struct model *m, const char *name, size_t out, size_t in)
{
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    add(m, full, (struct shape){2, {out, in}}, 0, 1 / sqrt((double)in));
    snprintf(full, sizeof full, "%s.bias", name);
    add(m, full, (struct shape){1, {out}}, 0, 0.1);
}

static void add_norm(struct model *m, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    add(m, full, (struct shape){1, {m->size->width}}, 1, 0.1);
    snprintf(full, sizeof full, "%s.bias", name);
    add(m, full, (struct shape){1, {m->size->width}}, 0, 0.1);
}

static void add_block(struct model *m, size_t i)
{
    static const struct {
        const char *name;
        bool out_is_mlp, in_is_mlp;
    } LAYERS[] = {
        {"attention.attention.query", false, false}, {"attention.attention.key", false, false},
        {"attention.attention.value", false, false}, {"attention.output.dense", false, false},
        {"intermediate.dense", true, false},         {"output.dense", false, true},
    };
    size_t width = m->size->width, mlp = m->size->mlp_width;
    char name[96];
    for (size_t k = 0; k < sizeof LAYERS / sizeof *LAYERS; k++) {
        snprintf(name, sizeof name, "vit.encoder.layer.%zu.%s", i, LAYERS[k].name);
        add_linear(m, name, LAYERS[k].out_is_mlp ? mlp : width, LAYERS[k].in_is_mlp ? mlp : width);
    }
    snprintf(name, sizeof name, "vit.encoder.layer.%zu.layernorm_before", i);
    add_norm(m, name);
    snprintf(name, sizeof name, "vit.encoder.layer.%zu.layernorm_after", i);
    add_norm(m, name);
}

static void add_all(struct model *m)
{
    size_t width = m->size->width, grid = m->image / m->patch, patch = m->patch;
    add(m, "vit.embeddings.cls_token", (struct shape){3, {1, 1, width}}, 0, 0.5);
    add(m, "vit.embeddings.position_embeddings", (struct shape){3, {1, grid * grid + 1, width}}, 0, 0.2);
    add(m, "vit.embeddings.patch_embeddings.projection.weight", (struct shape){4, {width, 3, patch, patch}}, 0,
        1 / sqrt(3.0 * (double)(patch * patch)));
    add(m, "vit.embeddings.patch_embeddings.projection.bias", (struct shape){1, {width}}, 0, 0.1);
    for (size_t i = 0; i < m->size->layers; i++)
        add_block(m, i);
    add_norm(m, "vit.layernorm");
    add_linear(m, "classifier", CLASSES, width);
}

/* ---- the files ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64 (Marsaglia) */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Nearly normal, mean 0 and deviation 1: the sum of four uniform numbers. */
static float next_normal(uint64_t *state)
{
    uint64_t r = next_random(state);
    double sum = (double)(r & 0xffff) + (double)(r >> 16 & 0xffff) + (double)(r >> 32 & 0xffff) + (double)(r >> 48);
    return (float)((sum - 2 * 65535.0) / (65536.0 * sqrt(4 / 12.0)));
}

static bool write_tensor(FILE *file, const struct tensor *t, uint64_t *state)
{
    static float values[CHUNK];
    for (size_t left = numbers_in(t); left > 0;) {
        size_t count = left < CHUNK ? left : CHUNK;
        for (size_t i = 0; i < count; i++)
            values[i] = (float)t->mean + (float)t->deviation * next_normal(state);
        if (fwrite(values, sizeof *values, count, file) != count)
            return false;
        left -= count;
    }
    return true;
}

static bool write_header(FILE *file, const struct model *m)
{
    static char header[MAX_TENSORS * 256];
    size_t length = 1, offset = 0;
    unsigned char size[8];
    header[0] = '{';
    for (size_t i = 0; i < m->count; i++) {
        const struct tensor *t = &m->tensors[i];
        length += (size_t)snprintf(header + length, sizeof header - length, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[",
                                   i ? "," : "", t->name);
        for (size_t k = 0; k < t->shape.rank; k++)
            length +=
                (size_t)snprintf(header + length, sizeof header - length, "%s%zu", k ? "," : "", t->shape.side[k]);
        length += (size_t)snprintf(header + length, sizeof header - length, "],\"data_offsets\":[%zu,%zu]}", offset,
                                   offset + 4 * numbers_in(t));
        offset += 4 * numbers_in(t);
    }
    header[length++] = '}';
    while (length % 8) /* data begins aligned, as the format's own writer has it */
        header[length++] = ' ';
    for (size_t i = 0; i < 8; i++)
        size[i] = (unsigned char)(length >> 8 * i);
    return fwrite(size, 1, 8, file) == 8 && fwrite(header, 1, length, file) == length;
}

static bool write_weights(FILE *file, const struct model *m)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    bool written = write_header(file, m);
    for (size_t i = 0; written && i < m->count; i++)
        written = write_tensor(file, &m->tensors[i], &state);
    return written;
}

static bool write_config(FILE *file, const struct model *m)
{
    fprintf(file,
            "{\n  \"architectures\": [\"ViTForImageClassification\"],\n  \"model_type\": \"vit\",\n"
            "  \"hidden_act\": \"gelu\",\n  \"hidden_size\": %zu,\n  \"image_size\": %u,\n"
            "  \"intermediate_size\": %zu,\n  \"layer_norm_eps\": 1e-12,\n  \"num_attention_heads\": %zu,\n"
            "  \"num_channels\": 3,\n  \"num_hidden_layers\": %zu,\n  \"patch_size\": %u,\n  \"qkv_bias\": true,\n"
            "  \"id2label\": {",
            m->size->width, m->image, m->size->mlp_width, m->size->heads, m->size->layers, m->patch);
    for (int i = 0; i < CLASSES; i++)
        fprintf(file, "%s\n    \"%d\": \"random class %d\"", i ? "," : "", i, i);
    return fputs("\n  }\n}\n", file) >= 0;
}

static bool write_preprocessor(FILE *file, const struct model *m)
{
    return fprintf(file,
                   "{\n  \"image_processor_type\": \"ViTImageProcessor\",\n  \"do_resize\": true,\n"
                   "  \"size\": {\"height\": %u, \"width\": %u},\n  \"resample\": 2,\n  \"do_rescale\": true,\n"
                   "  \"rescale_factor\": 0.00392156862745098,\n  \"do_normalize\": true,\n"
                   "  \"image_mean\": [0.5, 0.5, 0.5],\n  \"image_std\": [0.5, 0.5, 0.5]\n}\n",
                   m->image, m->image) > 0;
}

static bool write_file(const char *folder, const char *name, const struct model *m,
                       bool (*write)(FILE *, const struct model *))
{
    char path[4096];
    FILE *file;
    bool written;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    written = file && write(file, m);
    if (file)
        written = fclose(file) == 0 && written;
    if (!written)
        fprintf(stderr, "make_model: %s: %s\n", path, strerror(errno));
    return written;
}

/* "vit_base_patch16_224" */
static bool parse_name(const char *name, struct model *m)
{
    char size[16];
    int length = 0;
    if (sscanf(name, "vit_%15[a-z]_patch%u_%u%n", size, &m->patch, &m->image, &length) != 3 || name[length])
        return false;
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        if (strcmp(SIZES[i].name, size) == 0)
            m->size = &SIZES[i];
    return m->size && m->patch >= 1 && m->patch <= m->image && m->image <= 4096;
}

int main(int argc, char **argv)
{
    static struct model model;
    if (argc != 3 || !parse_name(argv[1], &model)) {
        fputs("usage: make_model vit_{tiny|small|base|large|huge}_patchP_S DIR\n"
              "for example: make_model vit_base_patch16_224 /tmp/vit_base\n",
              stderr);
        return 2;
    }
    if (mkdir(argv[2], 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "make_model: %s: %s\n", argv[2], strerror(errno));
        return 1;
    }
    add_all(&model);
    return write_file(argv[2], "model.safetensors", &model, write_weights) &&
                   write_file(argv[2], "config.json", &model, write_config) &&
                   write_file(argv[2], "preprocessor_config.json", &model, write_preprocessor)
               ? 0
               : 1;
}

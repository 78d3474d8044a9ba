/* random_model.c - the tensors of each family, written as safetensors, and the two .json files beside them.
 *
 * Weights are scaled so that activations stay near 1 through all blocks, as in a trained model. The same name gives the
 * same bytes on every machine.
 */
#include "random_model.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES     1000
#define MAX_TENSORS 1024
#define CHUNK       65536 /* numbers made and written at a time */

struct size {
    const char *name;
    size_t width, layers, heads, mlp_width;
};

static const struct size SIZES[] = {
    {"tiny", 192, 12, 3, 768},     {"small", 384, 12, 6, 1536},  {"base", 768, 12, 12, 3072},
    {"large", 1024, 24, 16, 4096}, {"huge", 1280, 32, 16, 5120}, {"so400m", 1152, 27, 16, 4304},
};

/* A layer, or a tensor of its own. Sides are 'D' width, 'M' mlp width, 'T' tokens, 'P' patches, 'C' classes; 0: none.
 */
struct part {
    enum kind { LINEAR, PACKED, CONVOLUTION, NORM, SCALE, TOKEN, POSITION, TABLE } kind;
    char out, in;
    const char *name; /* "#" stands for a block's number; without "#" the part is there once */
};

struct family {
    const char *name, *model_type, *architecture, *processor;
    const char *keys; /* of config.json, beside those that all have */
    size_t prefix;    /* tokens before the patches */
    bool classifies;
    struct part parts[20];
};

static const struct family FAMILIES[] = {
    {"vit",
     "vit",
     "ViTForImageClassification",
     "ViTImageProcessor",
     "\"layer_norm_eps\": 1e-12, \"hidden_act\": \"gelu\"",
     1,
     true,
     {{TOKEN, 0, 0, "vit.embeddings.cls_token"},
      {POSITION, 'T', 0, "vit.embeddings.position_embeddings"},
      {CONVOLUTION, 0, 0, "vit.embeddings.patch_embeddings.projection"},
      {LINEAR, 'D', 'D', "vit.encoder.layer.#.attention.attention.query"},
      {LINEAR, 'D', 'D', "vit.encoder.layer.#.attention.attention.key"},
      {LINEAR, 'D', 'D', "vit.encoder.layer.#.attention.attention.value"},
      {LINEAR, 'D', 'D', "vit.encoder.layer.#.attention.output.dense"},
      {LINEAR, 'M', 'D', "vit.encoder.layer.#.intermediate.dense"},
      {LINEAR, 'D', 'M', "vit.encoder.layer.#.output.dense"},
      {NORM, 0, 0, "vit.encoder.layer.#.layernorm_before"},
      {NORM, 0, 0, "vit.encoder.layer.#.layernorm_after"},
      {NORM, 0, 0, "vit.layernorm"},
      {LINEAR, 'C', 'D', "classifier"}}},
    {"dinov2",
     "dinov2",
     "Dinov2Model",
     "ViTImageProcessor",
     "\"layer_norm_eps\": 1e-6, \"hidden_act\": \"gelu\", \"mlp_ratio\": 4",
     1,
     false,
     {{TOKEN, 0, 0, "embeddings.cls_token"},
      {POSITION, 'T', 0, "embeddings.position_embeddings"},
      {CONVOLUTION, 0, 0, "embeddings.patch_embeddings.projection"},
      {LINEAR, 'D', 'D', "encoder.layer.#.attention.attention.query"},
      {LINEAR, 'D', 'D', "encoder.layer.#.attention.attention.key"},
      {LINEAR, 'D', 'D', "encoder.layer.#.attention.attention.value"},
      {LINEAR, 'D', 'D', "encoder.layer.#.attention.output.dense"},
      {LINEAR, 'M', 'D', "encoder.layer.#.mlp.fc1"},
      {LINEAR, 'D', 'M', "encoder.layer.#.mlp.fc2"},
      {NORM, 0, 0, "encoder.layer.#.norm1"},
      {NORM, 0, 0, "encoder.layer.#.norm2"},
      {SCALE, 0, 0, "encoder.layer.#.layer_scale1.lambda1"},
      {SCALE, 0, 0, "encoder.layer.#.layer_scale2.lambda1"},
      {NORM, 0, 0, "layernorm"}}},
    {"siglip",
     "siglip_vision_model",
     "SiglipVisionModel",
     "SiglipImageProcessor",
     "\"layer_norm_eps\": 1e-6, \"hidden_act\": \"gelu_pytorch_tanh\"",
     0,
     false,
     {{TABLE, 'T', 0, "embeddings.position_embedding.weight"},
      {CONVOLUTION, 0, 0, "embeddings.patch_embedding"},
      {LINEAR, 'D', 'D', "encoder.layers.#.self_attn.q_proj"},
      {LINEAR, 'D', 'D', "encoder.layers.#.self_attn.k_proj"},
      {LINEAR, 'D', 'D', "encoder.layers.#.self_attn.v_proj"},
      {LINEAR, 'D', 'D', "encoder.layers.#.self_attn.out_proj"},
      {LINEAR, 'M', 'D', "encoder.layers.#.mlp.fc1"},
      {LINEAR, 'D', 'M', "encoder.layers.#.mlp.fc2"},
      {NORM, 0, 0, "encoder.layers.#.layer_norm1"},
      {NORM, 0, 0, "encoder.layers.#.layer_norm2"},
      {NORM, 0, 0, "post_layernorm"},
      {TOKEN, 0, 0, "head.probe"},
      {PACKED, 0, 0, "head.attention.in_proj"},
      {LINEAR, 'D', 'D', "head.attention.out_proj"},
      {NORM, 0, 0, "head.layernorm"},
      {LINEAR, 'M', 'D', "head.mlp.fc1"},
      {LINEAR, 'D', 'M', "head.mlp.fc2"}}},
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
    const struct family *family;
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

/* name with the block's number for "#", then the suffix. */
static void add(struct model *m, const char *name, size_t block, const char *suffix, struct shape shape, double mean,
                double deviation)
{
    struct tensor *t = &m->tensors[m->count++];
    const char *hole = strchr(name, '#');
    if (hole)
        snprintf(t->name, sizeof t->name, "%.*s%zu%s%s", (int)(hole - name), name, block, hole + 1, suffix);
    else
        snprintf(t->name, sizeof t->name, "%s%s", name, suffix);
    t->shape = shape;
    t->mean = mean;
    t->deviation = deviation;
}

static size_t side(const struct model *m, char letter)
{
    size_t grid = m->image / m->patch;
    switch (letter) {
    case 'M':
        return m->size->mlp_width;
    case 'T':
        return m->family->prefix + grid * grid;
    case 'C':
        return CLASSES;
    default:
        return m->size->width;
    }
}

static void add_part(struct model *m, const struct part *part, size_t block)
{
    size_t width = m->size->width, out = side(m, part->out), in = side(m, part->in), p = m->patch;
    switch (part->kind) {
    case LINEAR:
        add(m, part->name, block, ".weight", (struct shape){2, {out, in}}, 0, 1 / sqrt((double)in));
        add(m, part->name, block, ".bias", (struct shape){1, {out}}, 0, 0.1);
        break;
    case PACKED: /* query, key and value below each other */
        add(m, part->name, block, "_weight", (struct shape){2, {3 * width, width}}, 0, 1 / sqrt((double)width));
        add(m, part->name, block, "_bias", (struct shape){1, {3 * width}}, 0, 0.1);
        break;
    case CONVOLUTION:
        add(m, part->name, block, ".weight", (struct shape){4, {width, 3, p, p}}, 0, 1 / sqrt(3.0 * (double)(p * p)));
        add(m, part->name, block, ".bias", (struct shape){1, {width}}, 0, 0.1);
        break;
    case NORM:
        add(m, part->name, block, ".weight", (struct shape){1, {width}}, 1, 0.1);
        add(m, part->name, block, ".bias", (struct shape){1, {width}}, 0, 0.1);
        break;
    case SCALE:
        add(m, part->name, block, "", (struct shape){1, {width}}, 0.5, 0.1);
        break;
    case TOKEN:
        add(m, part->name, block, "", (struct shape){3, {1, 1, width}}, 0, 0.5);
        break;
    case POSITION:
        add(m, part->name, block, "", (struct shape){3, {1, out, width}}, 0, 0.2);
        break;
    case TABLE: /* of positions, without the leading axis */
        add(m, part->name, block, "", (struct shape){2, {out, width}}, 0, 0.2);
        break;
    }
}

static bool is_of_block(const struct part *part)
{
    return strchr(part->name, '#') != NULL;
}

static void add_all(struct model *m)
{
    const struct part *part = m->family->parts;
    for (; part->name && !is_of_block(part); part++)
        add_part(m, part, 0);
    for (size_t i = 0; i < m->size->layers; i++)
        for (const struct part *p = part; is_of_block(p); p++)
            add_part(m, p, i);
    for (; part->name; part++)
        if (!is_of_block(part))
            add_part(m, part, 0);
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
    const struct family *f = m->family;
    fprintf(file,
            "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n  %s,\n  \"hidden_size\": %zu,\n"
            "  \"image_size\": %u,\n  \"intermediate_size\": %zu,\n  \"num_attention_heads\": %zu,\n"
            "  \"num_channels\": 3,\n  \"num_hidden_layers\": %zu,\n  \"patch_size\": %u",
            f->architecture, f->model_type, f->keys, m->size->width, m->image, m->size->mlp_width, m->size->heads,
            m->size->layers, m->patch);
    for (int i = 0; f->classifies && i < CLASSES; i++)
        fprintf(file, "%s\n    \"%d\": \"random class %d\"", i ? "," : ",\n  \"id2label\": {", i, i);
    return fputs(f->classifies ? "\n  }\n}\n" : "\n}\n", file) >= 0;
}

static bool write_preprocessor(FILE *file, const struct model *m)
{
    return fprintf(file,
                   "{\n  \"image_processor_type\": \"%s\",\n  \"do_resize\": true,\n"
                   "  \"size\": {\"height\": %u, \"width\": %u},\n  \"resample\": 2,\n  \"do_rescale\": true,\n"
                   "  \"rescale_factor\": 0.00392156862745098,\n  \"do_normalize\": true,\n"
                   "  \"image_mean\": [0.5, 0.5, 0.5],\n  \"image_std\": [0.5, 0.5, 0.5]\n}\n",
                   m->family->processor, m->image, m->image) > 0;
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
        fprintf(stderr, "random model: %s: %s\n", path, strerror(errno));
    return written;
}

/* "vit_base_patch16_224" */
static bool parse_name(const char *name, struct model *m)
{
    char family[16], size[16];
    int length = 0;
    if (sscanf(name, "%15[a-z0-9]_%15[a-z0-9]_patch%u_%u%n", family, size, &m->patch, &m->image, &length) != 4 ||
        name[length])
        return false;
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        if (strcmp(FAMILIES[i].name, family) == 0)
            m->family = &FAMILIES[i];
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        if (strcmp(SIZES[i].name, size) == 0)
            m->size = &SIZES[i];
    return m->family && m->size && m->patch >= 1 && m->patch <= m->image && m->image <= 4096;
}

bool random_model_write(const char *name, const char *folder)
{
    static struct model model;
    model = (struct model){0};
    if (!parse_name(name, &model)) {
        fprintf(stderr,
                "%s: no such model; there are {vit|dinov2|siglip}_{tiny|small|base|large|huge|so400m}_patchP_S, for "
                "example vit_base_patch16_224\n",
                name);
        return false;
    }
    add_all(&model);
    return write_file(folder, "model.safetensors", &model, write_weights) &&
           write_file(folder, "config.json", &model, write_config) &&
           write_file(folder, "preprocessor_config.json", &model, write_preprocessor);
}

/* timm_bench.h - for tests: folders as timm publishes them, from a line of tests/fixtures/timm_architectures.txt (its
 * columns are told in make_timm_architectures.py): config.json as a test writes it, and a weights file of two blocks
 * that has every tensor of such a model at its real width, with a hole in place of the numbers. Included by one test at
 * a time.
 */
#ifndef VITCL_TESTS_TIMM_BENCH_H
#define VITCL_TESTS_TIMM_BENCH_H

#include "model/weights.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASSES 3 /* of every described model */
#define LAYERS  2

enum column {
    NAME,
    CLASS,
    SUPPORTED,
    WIDTH,
    LAYER_COUNT,
    HEADS,
    MLP,
    ACT,
    GATED,
    EPS,
    FINAL_EPS,
    POOL,
    NORM,
    MAP_HEADS,
    PREFIX,
    CLS,
    REG,
    DIST,
    POS,
    QK_NORM,
    ATTN_NORM,
    MLP_NORM,
    PRE_NORM,
    QKV,
    PROJ_BIAS,
    SCALE,
    ROPE,
    THETA,
    REF,
    OFFSET,
    ORDER,
    HALF,
    IMAGE,
    PATCH,
    DYNAMIC,
    RESAMPLE,
    COLUMNS
};

/* One architecture. */
struct row {
    char text[400];
    const char *column[COLUMNS]; /* into text */
};

static inline void row_parse(struct row *row, const char *line)
{
    size_t count = 0;
    snprintf(row->text, sizeof row->text, "%s", line);
    for (char *word = strtok(row->text, " \n"); word; word = strtok(NULL, " \n")) {
        assert_true(count < COLUMNS);
        row->column[count++] = word;
    }
    assert_int_equal(count, COLUMNS);
}

static inline bool row_is(const struct row *row, enum column column, const char *value)
{
    return strcmp(row->column[column], value) == 0;
}

static inline size_t row_number(const struct row *row, enum column column)
{
    return (size_t)strtoul(row->column[column], NULL, 10);
}

/* "224x196": height, width. */
static inline struct grid row_pair(const struct row *row, enum column column)
{
    struct grid grid = {0, 0};
    assert_int_equal(sscanf(row->column[column], "%zux%zu", &grid.height, &grid.width), 2);
    return grid;
}

/* ---- a weights file ---------------------------------------------------------------------------------------------- */

struct described {
    char header[32768];
    size_t length, bytes; /* of the header, of the numbers */
};

static inline void describe(struct described *d, const char *name, size_t rank, const size_t *shape)
{
    size_t bytes = 2, left = sizeof d->header - d->length;
    d->length += (size_t)snprintf(d->header + d->length, left, "%s\"%s\":{\"dtype\":\"F16\",\"shape\":[",
                                  d->length > 1 ? "," : "", name);
    for (size_t i = 0; i < rank; i++) {
        left = sizeof d->header - d->length;
        d->length += (size_t)snprintf(d->header + d->length, left, "%s%zu", i ? "," : "", shape[i]);
        bytes *= shape[i];
    }
    left = sizeof d->header - d->length;
    d->length +=
        (size_t)snprintf(d->header + d->length, left, "],\"data_offsets\":[%zu,%zu]}", d->bytes, d->bytes + bytes);
    d->bytes += bytes;
    assert_true(d->length + 2 < sizeof d->header);
}

#define DESCRIBE(d, name, ...)                                                                                         \
    describe(d, name, sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), (size_t[]){__VA_ARGS__})

/* A layer's weight [out,in] and bias [out]; `in` 0: a norm. */
static inline void describe_layer(struct described *d, const char *name, size_t out, size_t in, bool biased)
{
    char full[112];
    snprintf(full, sizeof full, "%s.weight", name);
    describe(d, full, in ? 2 : 1, (size_t[]){out, in});
    snprintf(full, sizeof full, "%s.bias", name);
    if (biased)
        DESCRIBE(d, full, out);
}

/* Of block i, or outside of the blocks where the name has no "{i}". */
static inline const char *name_in(char name[96], const char *pattern, size_t block)
{
    const char *hole = strstr(pattern, "{i}");
    if (hole)
        snprintf(name, 96, "%.*s%zu%s", (int)(hole - pattern), pattern, block, hole + 3);
    else
        snprintf(name, 96, "%s", pattern);
    return name;
}

static inline void describe_attention(struct described *d, const struct row *row, size_t i)
{
    const size_t width = row_number(row, WIDTH), head = width / row_number(row, HEADS);
    const bool split = strncmp(row->column[QKV], "split", 5) == 0, biased = strchr(row->column[QKV], '+') != NULL;
    const bool apart = strstr(row->column[QKV], "_qv") != NULL;
    char name[96];

    describe_layer(d, name_in(name, "blocks.{i}.norm1", i), width, 0, true);
    if (split) {
        describe_layer(d, name_in(name, "blocks.{i}.attn.q_proj", i), width, width, biased);
        describe_layer(d, name_in(name, "blocks.{i}.attn.k_proj", i), width, width, biased && !apart);
        describe_layer(d, name_in(name, "blocks.{i}.attn.v_proj", i), width, width, biased);
    } else {
        describe_layer(d, name_in(name, "blocks.{i}.attn.qkv", i), 3 * width, width, biased && !apart);
    }
    if (!split && apart) {
        DESCRIBE(d, name_in(name, "blocks.{i}.attn.q_bias", i), width);
        DESCRIBE(d, name_in(name, "blocks.{i}.attn.v_bias", i), width);
    }
    if (row_number(row, QK_NORM)) {
        describe_layer(d, name_in(name, "blocks.{i}.attn.q_norm", i), head, 0, true);
        describe_layer(d, name_in(name, "blocks.{i}.attn.k_norm", i), head, 0, true);
    }
    if (row_number(row, ATTN_NORM))
        describe_layer(d, name_in(name, "blocks.{i}.attn.norm", i), width, 0, true);
    describe_layer(d, name_in(name, "blocks.{i}.attn.proj", i), width, width, row_number(row, PROJ_BIAS));
}

static inline void describe_block(struct described *d, const struct row *row, size_t i)
{
    const size_t width = row_number(row, WIDTH), mlp = row_number(row, MLP);
    char name[96];

    describe_attention(d, row, i);
    describe_layer(d, name_in(name, "blocks.{i}.norm2", i), width, 0, true);
    if (row_is(row, GATED, "split")) {
        describe_layer(d, name_in(name, "blocks.{i}.mlp.fc1_g", i), mlp, width, true);
        describe_layer(d, name_in(name, "blocks.{i}.mlp.fc1_x", i), mlp, width, true);
    } else {
        describe_layer(d, name_in(name, "blocks.{i}.mlp.fc1", i), row_is(row, GATED, "packed") ? 2 * mlp : mlp, width,
                       true);
    }
    if (row_number(row, MLP_NORM))
        describe_layer(d, name_in(name, "blocks.{i}.mlp.norm", i), mlp, 0, true);
    describe_layer(d, name_in(name, "blocks.{i}.mlp.fc2", i), width, mlp, true);
    if (!row_is(row, SCALE, "none")) {
        bool gamma = row_is(row, SCALE, "gamma");
        DESCRIBE(d, name_in(name, gamma ? "blocks.{i}.gamma_1" : "blocks.{i}.ls1.gamma", i), width);
        DESCRIBE(d, name_in(name, gamma ? "blocks.{i}.gamma_2" : "blocks.{i}.ls2.gamma", i), width);
    }
}

static inline void describe_tokens(struct described *d, const struct row *row)
{
    const struct grid image = row_pair(row, IMAGE), patch = row_pair(row, PATCH);
    const size_t width = row_number(row, WIDTH), patches = image.height / patch.height * (image.width / patch.width);
    const size_t prefix = row_number(row, CLS) + row_number(row, DIST) + row_number(row, REG);

    if (row_number(row, CLS))
        DESCRIBE(d, "cls_token", 1, 1, width);
    if (row_number(row, DIST))
        DESCRIBE(d, "dist_token", 1, 1, width);
    if (row_number(row, REG))
        DESCRIBE(d, "reg_token", 1, row_number(row, REG), width);
    if (!row_is(row, POS, "none"))
        DESCRIBE(d, "pos_embed", 1, row_is(row, POS, "all") ? prefix + patches : patches, width);
    DESCRIBE(d, "patch_embed.proj.weight", width, 3, patch.height, patch.width);
    if (row_number(row, PRE_NORM))
        describe_layer(d, "norm_pre", width, 0, true);
    else
        DESCRIBE(d, "patch_embed.proj.bias", width);
}

/* Classifiers are there where `classes` is not 0. */
static inline void describe_head(struct described *d, const struct row *row, size_t classes)
{
    const size_t width = row_number(row, WIDTH), mlp = row_number(row, MLP);

    if (!row_is(row, NORM, "none"))
        describe_layer(d, row_is(row, NORM, "all") ? "norm" : "fc_norm", width, 0, true);
    if (row_number(row, MAP_HEADS)) {
        DESCRIBE(d, "attn_pool.latent", 1, 1, width);
        describe_layer(d, "attn_pool.q", width, width, true);
        describe_layer(d, "attn_pool.kv", 2 * width, width, true);
        describe_layer(d, "attn_pool.proj", width, width, true);
        describe_layer(d, "attn_pool.norm", width, 0, true);
        describe_layer(d, "attn_pool.mlp.fc1", mlp, width, true);
        describe_layer(d, "attn_pool.mlp.fc2", width, mlp, true);
    }
    if (classes)
        describe_layer(d, "head", classes, width, true);
    if (classes && row_number(row, DIST))
        describe_layer(d, "head_dist", classes, width, true);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

/* One folder for all tests, and what the last call read from it. */
struct timm_bench {
    char folder[PATH_SIZE], config_path[PATH_SIZE], weights_path[PATH_SIZE];
    struct config config;
    struct safetensors file;
    struct weights weights;
    vitcl_error err;
};

static inline void timm_write_weights(const struct timm_bench *bench, const struct row *row, size_t classes)
{
    static struct described d;
    FILE *file = fopen(bench->weights_path, "wb");
    assert_non_null(file);
    d = (struct described){.header = "{", .length = 1};
    describe_tokens(&d, row);
    for (size_t i = 0; i < LAYERS; i++)
        describe_block(&d, row, i);
    describe_head(&d, row, classes);
    d.header[d.length++] = '}';
    for (int i = 0; i < 8; i++)
        fputc((int)(d.length >> 8 * i & 0xff), file);
    fwrite(d.header, 1, d.length, file);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(ftruncate(fileno(file), (off_t)(8 + d.length + d.bytes)), 0);
    fclose(file);
}

/* config.json, written with ' for ". */
static inline void timm_write_config(const struct timm_bench *bench, const char *text)
{
    FILE *file = fopen(bench->config_path, "wb");
    assert_non_null(file);
    for (; *text; text++)
        fputc(*text == '\'' ? '"' : *text, file);
    assert_int_equal(fclose(file), 0);
}

static inline void timm_close(struct timm_bench *bench)
{
    weights_free(&bench->weights);
    safetensors_close(&bench->file);
    config_free(&bench->config);
}

/* Reads the folder as model_open does. */
static inline vitcl_status timm_open(struct timm_bench *bench)
{
    vitcl_status status;
    timm_close(bench);
    memset(&bench->err, 0, sizeof bench->err);
    status = config_read(&bench->config, bench->folder, &bench->err);
    if (status == VITCL_OK)
        status = safetensors_open_folder(&bench->file, bench->folder, &bench->err);
    if (status == VITCL_OK)
        status = config_complete(&bench->config, &bench->file, &bench->err);
    return status == VITCL_OK ? weights_find(&bench->weights, &bench->config, &bench->file, &bench->err) : status;
}

static inline int timm_set_up(void **state)
{
    struct timm_bench *bench = allocate(1, sizeof *bench);
    folder_create(bench->folder);
    path_join(bench->config_path, bench->folder, "config.json");
    path_join(bench->weights_path, bench->folder, "model.safetensors");
    *state = bench;
    return 0;
}

static inline int timm_tear_down(void **state)
{
    struct timm_bench *bench = *state;
    timm_close(bench);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

/* ---- small models ------------------------------------------------------------------------------------------------ */

/* Of several kinds, in the columns of timm_architectures.txt. */
#define VIT                                                                                                            \
    "vit_tiny_patch16_224 vit yes 24 2 2 48 gelu no 1e-06 1e-06 token all 0 0 1 0 0 all 0 0 0 0 "                      \
    "fused+bias 1 none none - - - - - 16x16 4x4 0 bicubic_aa"
#define MAP                                                                                                            \
    "vit_base_patch16_siglip_224 vit yes 24 2 2 48 gelu no 1e-06 1e-06 map all 2 0 0 0 0 all 0 0 0 0 "                 \
    "fused+bias 1 none none - - - - - 16x16 4x4 0 bicubic_aa"
#define EVA                                                                                                            \
    "eva02_tiny_patch14_224 eva yes 24 2 2 48 silu packed 1e-06 1e-06 avg pool 0 0 1 0 0 all 0 0 0 0 "                 \
    "fused_qv+bias 1 none eva 10000 16x16 0 yx 0 16x16 4x4 0 bicubic_aa"
#define GIANT                                                                                                          \
    "eva_giant_patch14_224 eva yes 32 2 2 48 gelu no 1e-06 1e-06 avg pool 0 0 1 0 0 all 0 0 0 0 "                      \
    "fused_qv+bias 1 none none - - - - - 16x16 4x4 0 bicubic_aa"
#define DINOV3                                                                                                         \
    "vit_small_patch16_dinov3 eva yes 24 2 2 48 gelu no 1e-05 1e-05 avg all 0 0 1 4 0 none 0 0 0 0 "                   \
    "fused 1 gamma dinov3 100 - 0 yx 1 16x16 4x4 1 bicubic_aa"

/* Arguments of all models here, whose width is not that of their names. */
#define SMALL "'depth': 2, 'embed_dim': 24, 'num_heads': 2"

/* Opens a folder of that model whose config.json has these members: `root` in itself, `args` in model_args. */
static inline vitcl_status open_with(struct timm_bench *bench, const char *line, const char *root, const char *args)
{
    char text[1200];
    struct row row;
    row_parse(&row, line);
    timm_write_weights(bench, &row, CLASSES);
    snprintf(text, sizeof text,
             "{'architecture': '%s', 'num_classes': 3, %s 'pretrained_cfg': {'input_size': [3, 16, 16]}, "
             "'model_args': {%s}}",
             row.column[NAME], root, args);
    timm_write_config(bench, text);
    return timm_open(bench);
}

static inline const struct config *accept_with(struct timm_bench *bench, const char *line, const char *root,
                                               const char *args)
{
    if (open_with(bench, line, root, args) != VITCL_OK)
        fail_msg("%s {%s}: %s", root, args, bench->err.message);
    return &bench->config;
}

static inline const struct config *accept(struct timm_bench *bench, const char *line, const char *more)
{
    char args[600];
    snprintf(args, sizeof args, SMALL "%s%s", *more ? ", " : "", more);
    return accept_with(bench, line, "", args);
}

static inline void refuse_with(struct timm_bench *bench, const char *line, const char *root, const char *args,
                               vitcl_status status, const char *message)
{
    if (open_with(bench, line, root, args) == VITCL_OK)
        fail_msg("%s {%s}: accepted, expected a refusal with \"%s\"", root, args, message);
    assert_contains(bench->err.message, message);
    assert_int_equal(bench->err.status, status);
}

static inline void refuse(struct timm_bench *bench, const char *line, const char *more, vitcl_status status,
                          const char *message)
{
    char args[600];
    snprintf(args, sizeof args, SMALL "%s%s", *more ? ", " : "", more);
    refuse_with(bench, line, "", args, status, message);
}

#endif

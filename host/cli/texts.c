/* texts.c - reads --labels, one name a line, and --labels-embeddings, a .npy file [C,E]. */
#include "cli/texts.h"
#include "cli/npy.h"
#include "cli/terminal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool complain_file(const char *path, const char *problem)
{
    say_about(path, problem);
    return false;
}

/* The first row that has no cosine with anything; texts->count where all have. */
static size_t find_undirected(const struct texts *texts, size_t width)
{
    for (size_t i = 0; i < texts->count; i++) {
        double squares = 0;
        for (size_t k = 0; k < width; k++)
            squares += (double)texts->embeddings[i * width + k] * (double)texts->embeddings[i * width + k];
        if (!isfinite(squares) || squares == 0)
            return i;
    }
    return texts->count;
}

static bool read_embeddings(struct texts *texts, const char *path, size_t width)
{
    struct npy_reader npy;
    const char *problem = npy_open(&npy, path);
    char message[160];

    if (problem)
        return complain_file(path, problem);
    if (npy.rank != 2 || npy.shape[1] != width || npy.shape[0] == 0) {
        snprintf(message, sizeof message, "its shape does not fit: this model's embeddings need [C,%zu], C texts",
                 width);
        problem = message;
    } else {
        texts->count = npy.shape[0];
        texts->embeddings = malloc(texts->count * width * sizeof(float)); /* npy_open knows that the file is as long */
        if (!texts->embeddings) {
            problem = "out of memory";
        } else if (!npy_read(&npy, texts->embeddings, texts->count * width)) {
            problem = "it can not be read to its end";
        } else if (find_undirected(texts, width) < texts->count) {
            snprintf(message, sizeof message, "text %zu has no direction: it is zero, or not finite",
                     find_undirected(texts, width));
            problem = message;
        }
    }
    npy_close(&npy);
    return !problem || complain_file(path, problem);
}

/* The whole file and a 0 behind it; NULL with errno set. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t size = 0, capacity = 0, got = 1;
    while (file && got > 0) {
        if (size + 1 >= capacity) {
            char *grown = realloc(bytes, capacity = capacity ? 2 * capacity : 4096);
            if (!grown)
                break;
            bytes = grown;
        }
        got = fread(bytes + size, 1, capacity - size - 1, file);
        size += got;
    }
    if (!file || got > 0 || ferror(file)) {
        free(bytes);
        bytes = NULL;
    } else {
        bytes[size] = '\0';
    }
    if (file)
        fclose(file);
    return bytes;
}

/* Cuts the file into lines; a last empty one does not count. */
static bool cut_lines(struct texts *texts, size_t *count)
{
    size_t lines = 0;
    for (const char *c = texts->file; *c; c++)
        lines += *c == '\n' || c[1] == '\0';
    texts->names = calloc(lines ? lines : 1, sizeof *texts->names);
    if (!texts->names)
        return false;
    *count = lines;
    lines = 0;
    for (char *line = texts->file; *line; lines++) {
        size_t length = strcspn(line, "\n");
        char *end = line + length;
        texts->names[lines] = line;
        line = end + (*end == '\n');
        if (length > 0 && end[-1] == '\r')
            end--;
        *end = '\0';
    }
    return true;
}

static bool read_names(struct texts *texts, const char *path)
{
    size_t count;
    char message[160];
    texts->file = read_file(path);
    if (!texts->file)
        return complain_file(path, strerror(errno));
    if (!cut_lines(texts, &count))
        return complain_file(path, "out of memory");
    if (count == texts->count)
        return true;
    snprintf(message, sizeof message, "%zu lines; %zu are needed, one for each %s", count, texts->count,
             texts->embeddings ? "text of --labels-embeddings" : "class of the model");
    return complain_file(path, message);
}

bool texts_open(struct texts *texts, const struct options *o, const vitcl_model *model)
{
    vitcl_model_info info;
    vitcl_model_get_info(model, &info);
    *texts = (struct texts){.model = model, .count = info.classes};
    if (o->labels_embeddings && (!info.embedding || !info.similarity))
        return complain_file("--labels-embeddings",
                             "this folder can not score texts: that takes a CLIP or SigLIP model with its logit_scale, "
                             "as the folder of the full model has it");
    if (o->labels && !o->labels_embeddings && !info.classes)
        return complain_file("--labels", "this model has no classes; texts need --labels-embeddings, too");
    return (!o->labels_embeddings || read_embeddings(texts, o->labels_embeddings, info.embedding)) &&
           (!o->labels || read_names(texts, o->labels));
}

void texts_close(struct texts *texts)
{
    free(texts->embeddings);
    free(texts->names);
    free(texts->file);
    memset(texts, 0, sizeof *texts);
}

const char *texts_name(const struct texts *texts, size_t index, char number[32])
{
    if (texts->names)
        return texts->names[index];
    if (!texts->embeddings)
        return vitcl_model_label(texts->model, index);
    snprintf(number, 32, "text %zu", index);
    return number;
}

bool texts_scores(const struct texts *texts, const float *logits, const float *embedding, float *scores)
{
    if (texts->embeddings)
        return vitcl_model_similarity(texts->model, embedding, texts->embeddings, texts->count, scores, NULL) ==
               VITCL_OK;
    vitcl_model_scores(texts->model, logits, scores);
    return true;
}

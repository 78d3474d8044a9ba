/* report.c - the text table, and JSON objects {file, device, predictions: [{label, score}]} in which predictions is
 * what the Hugging Face image-classification pipeline returns. */
#include "cli/report.h"
#include "cli/terminal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define EMBEDDING_SHOWN 6 /* numbers of an embedding in text */

/* ---- top-k ---- */

struct ranked {
    size_t index;
    float score;
};

static int better_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return a->index < b->index ? -1 : 1; /* ties keep the order of the classes */
}

/* All labels, best first; the caller frees them. NULL when memory is out. */
static struct ranked *rank_labels(const struct report *report, const float *logits, const float *embedding)
{
    size_t count = report->texts->count;
    struct ranked *ranked = malloc(count * sizeof *ranked);
    float *scores = malloc(count * sizeof *scores);
    if (ranked && scores && texts_scores(report->texts, logits, embedding, scores)) {
        for (size_t i = 0; i < count; i++)
            ranked[i] = (struct ranked){i, scores[i]};
        qsort(ranked, count, sizeof *ranked, better_first);
    } else {
        free(ranked);
        ranked = NULL;
    }
    free(scores);
    return ranked;
}

static size_t shown(const struct report *report)
{
    return report->topk < report->texts->count ? report->topk : report->texts->count;
}

/* ---- text ---- */

static void print_ranked(const struct report *report, const struct ranked *ranked)
{
    char number[32];
    for (size_t i = 0; i < shown(report); i++) {
        if (report->info.regression && !report->texts->embeddings)
            printf("  %9.6g  ", (double)ranked[i].score);
        else
            printf("  %8.4f%%  ", 100.0 * (double)ranked[i].score);
        print_clean(stdout, texts_name(report->texts, ranked[i].index, number), 0);
        putchar('\n');
    }
}

static void print_embedding(const struct report *report, const float *embedding)
{
    printf("  embedding [%zu]:", report->info.embedding);
    for (size_t i = 0; i < report->info.embedding && i < EMBEDDING_SHOWN; i++)
        printf(" %.5g", (double)embedding[i]);
    puts(report->info.embedding > EMBEDDING_SHOWN ? " ..." : "");
}

/* ---- JSON ---- */

static json_t *json_ranked(const struct report *report, const struct ranked *ranked)
{
    json_t *list = json_array();
    char number[32];
    for (size_t i = 0; i < shown(report); i++) {
        json_t *name = json_string(texts_name(report->texts, ranked[i].index, number));
        json_array_append_new(list, json_pack("{s:o, s:f}", "label", name ? name : json_string("(not UTF-8)"), "score",
                                              (double)ranked[i].score));
    }
    return list;
}

static json_t *json_embedding(const struct report *report, const float *embedding)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->info.embedding; i++)
        json_array_append_new(list, json_real((double)embedding[i]));
    return list;
}

void report_object(struct report *report, json_t *object)
{
    char *text = json_dumps(object, JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII);
    if (text)
        printf("%s\n%s", report->printed ? "," : "", text);
    report->printed++;
    free(text);
    json_decref(object);
}

static void print_json(struct report *report, const char *file, const char *key, json_t *value)
{
    json_t *object = json_object();
    /* A file name need not be UTF-8; JSON must be. */
    json_t *name = json_string(file);
    json_object_set_new(object, "file", name ? name : json_string("(a file name that is not UTF-8)"));
    json_object_set_new(object, "device", json_string(report->device));
    json_object_set_new(object, key, value);
    report_object(report, object);
}

/* ---- both ---- */

void report_begin(struct report *report)
{
    if (report->json)
        putchar('[');
}

bool report_result(struct report *report, const char *file, const float *logits, const float *embedding)
{
    const bool ranks = report->texts->embeddings || logits;
    struct ranked *ranked = ranks ? rank_labels(report, logits, embedding) : NULL;
    if (ranks && !ranked)
        return false;
    if (report->json) {
        json_t *value = ranked      ? json_ranked(report, ranked)
                        : embedding ? json_embedding(report, embedding)
                                    : json_null();
        print_json(report, file, ranked ? "predictions" : "embedding", value);
    } else {
        print_clean(stdout, file, 0);
        putchar('\n');
        if (ranked)
            print_ranked(report, ranked);
        else if (embedding)
            print_embedding(report, embedding);
        else
            printf("  hidden states [%zu,%zu] (--hidden FILE.npy writes them)\n", report->info.tokens,
                   report->info.width);
    }
    free(ranked);
    return true;
}

void report_failure(struct report *report, const char *file, const char *message)
{
    json_t *text;
    if (!report->json)
        return;
    text = json_string(message);
    print_json(report, file, "error", text ? text : json_string("unreadable"));
}

void report_end(struct report *report)
{
    if (report->json)
        puts("\n]");
}

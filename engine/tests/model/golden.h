/* SPDX-License-Identifier: Apache-2.0
 *
 * golden.h - reads golden/NAME/expected.txt and pairs.txt, whose lines tools/make_golden.py and
 * tools/make_pairs.py describe.
 */
#ifndef IFD_TESTS_MODEL_GOLDEN_H
#define IFD_TESTS_MODEL_GOLDEN_H

#include <stdbool.h>

#include "test.h"

#define GOLDEN_TEXTS_MAX 32
#define GOLDEN_LABELS_MAX 8
#define GOLDEN_IDS_MAX 128

struct golden_text {
    char *text;
    size_t size;
    const char *pair; /* of pairs.txt: the second text; */
    uint32_t second;  /* tokens before it; */
    bool left;        /* where the longer text is cut */
    int32_t ids[GOLDEN_IDS_MAX];
    size_t ids_count;
    float logits[GOLDEN_LABELS_MAX];
    uint32_t label;
    float confidence;
};

struct golden {
    char *file; /* the texts point into it */
    char *labels[GOLDEN_LABELS_MAX];
    uint32_t label_count, max_length;
    bool sigmoid;
    size_t count;
    bool left;
    struct golden_text text[GOLDEN_TEXTS_MAX];
};

static const char *const golden_names[] = {
    "bert-f32",       "bert-cased-f16-5",   "bert-multilabel-bf16", "bert-one-label",
    "bert-old-names", "distilbert-h36-f16", "distilbert-sharded",   "distilbert-multilabel-bf16",
};
#define GOLDEN_COUNT (sizeof(golden_names) / sizeof(golden_names[0]))

static void golden_labels(struct golden *g, char *names)
{
    for (char *at = names; at;) {
        char *tab = strchr(at, '\t');
        if (tab)
            *tab++ = '\0';
        assert_true(g->label_count < GOLDEN_LABELS_MAX);
        g->labels[g->label_count++] = at;
        at = tab;
    }
}

static void golden_ids(struct golden_text *t, char *list)
{
    for (char *end; *list; list = end + (*end == ' ')) {
        assert_true(t->ids_count < GOLDEN_IDS_MAX);
        t->ids[t->ids_count++] = (int32_t)strtol(list, &end, 10);
        assert_true(end > list);
    }
}

static void golden_logits(struct golden *g, struct golden_text *t, char *list)
{
    uint32_t n = 0;
    for (char *end; *list; list = end + (*end == ' ')) {
        assert_true(n < GOLDEN_LABELS_MAX);
        t->logits[n++] = strtof(list, &end);
        assert_true(end > list);
    }
    assert_int_equal(n, g->label_count);
}

static void golden_line(struct golden *g, char *line)
{
    char *value = strchr(line, ' ');
    assert_non_null(value);
    *value++ = '\0';
    struct golden_text *t = g->count > 0 ? &g->text[g->count - 1] : NULL;
    if (strcmp(line, "max_length") == 0)
        g->max_length = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(line, "labels") == 0)
        golden_labels(g, value);
    else if (strcmp(line, "function") == 0)
        g->sigmoid = strcmp(value, "sigmoid") == 0;
    else if (strcmp(line, "text") == 0) {
        assert_true(g->count < GOLDEN_TEXTS_MAX);
        t = &g->text[g->count++];
        t->text = value;
        t->size = strlen(value);
        t->left = g->left;
    } else if (strcmp(line, "side") == 0)
        g->left = strcmp(value, "left") == 0;
    else if (strcmp(line, "pair") == 0 && t)
        t->pair = value;
    else if (strcmp(line, "second") == 0 && t)
        t->second = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(line, "ids") == 0 && t)
        golden_ids(t, value);
    else if (strcmp(line, "logits") == 0 && t)
        golden_logits(g, t, value);
    else if (strcmp(line, "label") == 0 && t)
        t->label = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(line, "confidence") == 0 && t)
        t->confidence = strtof(value, NULL);
    else
        fail_msg("unknown line of a golden file: %s", line);
}

/* False: there is no such file. */
static bool golden_file(const char *name, const char *file, struct golden *g)
{
    char path[256];
    snprintf(path, sizeof(path), "golden/%s/%s", name, file);
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    g->file = malloc((size_t)size + 1);
    assert_non_null(g->file);
    assert_int_equal(fread(g->file, 1, (size_t)size, f), size);
    fclose(f);
    g->file[size] = '\0';
    for (char *line = g->file, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        if (line[0] != '#')
            golden_line(g, line);
    }
    assert_true(g->count > 0);
    return true;
}

static inline void golden_read(const char *name, struct golden *g)
{
    memset(g, 0, sizeof(*g));
    if (!golden_file(name, "expected.txt", g))
        fail_msg("there is no golden/%s/expected.txt", name);
}

/* Instead of the texts the pairs; false if the model takes none. Free both. */
static inline bool golden_read_pairs(const char *name, const struct golden *of, struct golden *g)
{
    *g = (struct golden){.max_length = of->max_length, .label_count = of->label_count};
    return golden_file(name, "pairs.txt", g);
}

static void golden_free(struct golden *g)
{
    free(g->file);
}

#endif

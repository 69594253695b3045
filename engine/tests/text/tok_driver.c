/* SPDX-License-Identifier: Apache-2.0
 *
 * tok_driver.c - the tokenizer as a filter, for differential runs and timing.
 *
 *     tok_driver json  TOKENIZER_JSON              [MAX_LENGTH]
 *     tok_driver vocab VOCAB_TXT CONFIG_JSON|-     [MAX_LENGTH]
 *     tok_driver time json TOKENIZER_JSON          [MAX_LENGTH]   (texts: the lines of stdin)
 *     tok_driver pairs-right|pairs-left json TOKENIZER_JSON MAX_LENGTH
 *
 * stdin: texts, each a 32-bit little-endian size and that many bytes. stdout: per text a 32-bit
 * count and its ids, or 0xFFFFFFFF for a text that was refused. Pairs: two texts each, and in front
 * of the ids where the second text begins. A test tool, never installed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/encoding.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define TEXT_BYTES_MAX ((size_t)64 << 20)

static int fail(const inferd_error *err)
{
    fprintf(stderr, "tok_driver: %s\n", err->message);
    return 1;
}

static int filter(const struct ifd_tokenizer *t, uint32_t max_length)
{
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    int32_t *ids = ifd_alloc_array(max_length, sizeof *ids);
    char *text = ifd_alloc(TEXT_BYTES_MAX);
    int rc = 1;
    if (!s || !ids || !text)
        goto out;
    uint32_t size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        if (size > TEXT_BYTES_MAX || fread(text, 1, size, stdin) != size)
            goto out;
        inferd_error err;
        size_t count = 0;
        bool truncated;
        uint32_t said = UINT32_MAX;
        if (ifd_tokenizer_encode(t, s, text, size, max_length, ids, &count, &truncated, &err) ==
            INFERD_OK)
            said = (uint32_t)count;
        if (fwrite(&said, sizeof said, 1, stdout) != 1 ||
            fwrite(ids, sizeof *ids, count, stdout) != count)
            goto out;
    }
    rc = fflush(stdout) ? 1 : 0;
out:
    if (rc)
        fprintf(stderr, "tok_driver: bad input, output closed, or out of memory\n");
    ifd_free(text);
    ifd_free(ids);
    ifd_tokenizer_scratch_free(s);
    return rc;
}

static inferd_text pair_first(const void *pair, uint32_t i)
{
    (void)i;
    return ((const inferd_text *)pair)[0];
}

static inferd_text pair_second(const void *pair, uint32_t i)
{
    (void)i;
    return ((const inferd_text *)pair)[1];
}

static int filter_pairs(const struct ifd_tokenizer *t, uint32_t max_length, bool left)
{
    const struct ifd_encoding_rules rules = {.tokenizer = t,
                                             .max_length = max_length,
                                             .sequences_max = 1,
                                             .truncation =
                                                 left ? IFD_TRUNCATION_LEFT : IFD_TRUNCATION_RIGHT,
                                             .second = pair_second};
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    struct ifd_encoding e = {0};
    char *text[2] = {ifd_alloc(TEXT_BYTES_MAX), ifd_alloc(TEXT_BYTES_MAX)};
    int rc = 1;
    if (!s || !text[0] || !text[1] || !ifd_tokenizer_takes_pairs(t))
        goto out;
    uint32_t size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        inferd_text pair[2];
        inferd_error err;
        for (unsigned i = 0; i < 2; i++) {
            if ((i && fread(&size, sizeof size, 1, stdin) != 1) || size > TEXT_BYTES_MAX ||
                fread(text[i], 1, size, stdin) != size)
                goto out;
            pair[i] = (inferd_text){text[i], size};
        }
        if (ifd_encoding_fill(&e, &rules, s, pair_first, pair, 1, &err))
            goto out;
        if (fwrite(&e.offsets[1], sizeof(uint32_t), 1, stdout) != 1 ||
            fwrite(e.second, sizeof(uint32_t), 1, stdout) != 1 ||
            fwrite(e.ids, sizeof *e.ids, e.offsets[1], stdout) != e.offsets[1])
            goto out;
    }
    rc = fflush(stdout) ? 1 : 0;
out:
    if (rc)
        fprintf(stderr, "tok_driver: bad input, output closed, or no pairs with this tokenizer\n");
    ifd_free(text[0]);
    ifd_free(text[1]);
    ifd_encoding_fini(&e);
    ifd_tokenizer_scratch_free(s);
    return rc;
}

/* Processor time, which a busy machine does not stretch. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* All lines of stdin, best of several passes. */
static int measure(const struct ifd_tokenizer *t, uint32_t max_length)
{
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    int32_t *ids = ifd_alloc_array(max_length, sizeof *ids);
    char *text = ifd_alloc(TEXT_BYTES_MAX);
    int rc = 1;
    if (!s || !ids || !text)
        goto out;
    size_t size = fread(text, 1, TEXT_BYTES_MAX, stdin), lines = 0, tokens = 0;
    uint64_t best = UINT64_MAX;
    for (int pass = 0; pass < 9; pass++) {
        lines = tokens = 0;
        uint64_t begin = cpu_ns();
        for (size_t at = 0; at < size;) {
            const char *lf = memchr(text + at, '\n', size - at);
            size_t end = lf ? (size_t)(lf - text) : size;
            inferd_error err;
            size_t count;
            bool truncated;
            if (ifd_tokenizer_encode(t, s, text + at, end - at, max_length, ids, &count, &truncated,
                                     &err))
                goto out;
            tokens += count;
            lines++;
            at = end + 1;
        }
        uint64_t took = cpu_ns() - begin;
        best = took < best ? took : best;
    }
    printf("%zu lines, %zu bytes, %zu tokens: %.1f MB/s, %.2f M tokens/s, %.2f us a line\n", lines,
           size, tokens, (double)size * 1e3 / (double)best, (double)tokens * 1e3 / (double)best,
           (double)best / 1e3 / (double)(lines ? lines : 1));
    rc = 0;
out:
    ifd_free(text);
    ifd_free(ids);
    ifd_tokenizer_scratch_free(s);
    return rc;
}

int main(int argc, char **argv)
{
    bool timed = argc > 1 && strcmp(argv[1], "time") == 0;
    const bool pairs = argc > 1 && strncmp(argv[1], "pairs-", 6) == 0;
    const bool left = pairs && strcmp(argv[1], "pairs-left") == 0;
    argc -= timed || pairs;
    argv += timed || pairs;
    bool json = argc > 2 && strcmp(argv[1], "json") == 0;
    bool lists = argc > 3 && strcmp(argv[1], "vocab") == 0;
    if (!json && !lists) {
        fprintf(stderr, "usage: tok_driver [time] json FILE | vocab FILE CONFIG|- [MAX_LENGTH]\n");
        return 2;
    }
    int at = json ? 3 : 4;
    unsigned long max_length = argc > at ? strtoul(argv[at], NULL, 10) : 1u << 20;
    if (max_length < 3 || max_length > 1u << 26)
        return 2;
    inferd_error err = {0};
    char *a = NULL, *b = NULL;
    size_t a_size = 0, b_size = 0;
    struct ifd_tokenizer *t = NULL;
    inferd_status status = ifd_file_slurp(argv[2], FILE_BYTES_MAX, &a, &a_size, &err);
    if (!status && lists && strcmp(argv[3], "-") != 0)
        status = ifd_file_slurp(argv[3], FILE_BYTES_MAX, &b, &b_size, &err);
    if (!status)
        status = json ? ifd_tokenizer_from_json(a, a_size, &t, &err)
                      : ifd_tokenizer_from_vocab(a, a_size, b, b_size, &t, &err);
    ifd_free(a);
    ifd_free(b);
    if (status)
        return fail(&err);
    int rc = timed   ? measure(t, (uint32_t)max_length)
             : pairs ? filter_pairs(t, (uint32_t)max_length, left)
                     : filter(t, (uint32_t)max_length);
    ifd_tokenizer_free(t);
    return rc;
}

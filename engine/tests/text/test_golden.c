/* SPDX-License-Identifier: Apache-2.0
 *
 * golden/ids.tsv, made by tools/gen_golden.py with PyPI tokenizers: the same ids for each text in
 * each configuration, from tokenizer.json and from the same vocabulary as a vocab.txt.
 */
#include "text_fixture.h"

#include "base/file.h"
#include "base/mem.h"

#define CONFIGS 6
#define LINE_MAX_BYTES 8192

static char *json;
static size_t json_size;

static int load(void **state)
{
    (void)state;
    inferd_error err = {0};
    assert_ok(ifd_file_slurp("golden/tokenizer.json", 1 << 20, &json, &json_size, &err), err);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    ifd_free(json);
    return 0;
}

/* The golden tokenizer with one option of its normaliser replaced. */
static struct ifd_tokenizer *variant(const char *from, const char *to)
{
    char *changed = malloc(json_size + 64);
    const char *at = strstr(json, from);
    assert_non_null(changed);
    assert_non_null(at);
    int n = snprintf(changed, json_size + 64, "%.*s%s%s", (int)(at - json), json, to,
                     at + strlen(from));
    assert_true(n > 0 && (size_t)n < json_size + 64);
    struct ifd_tokenizer *t = json_tokenizer(changed);
    free(changed);
    return t;
}

static void open_all(struct ifd_tokenizer *t[CONFIGS])
{
    t[0] = json_tokenizer(json);
    t[1] = variant("\"lowercase\":true", "\"lowercase\":false");
    t[2] = variant("\"strip_accents\":null,\"lowercase\":true",
                   "\"strip_accents\":true,\"lowercase\":false");
    t[3] = variant("\"strip_accents\":null", "\"strip_accents\":false");
    t[4] = variant("\"clean_text\":true", "\"clean_text\":false");
    t[5] = variant("\"handle_chinese_chars\":true", "\"handle_chinese_chars\":false");
}

static size_t unescape(char *s)
{
    size_t n = 0;
    for (const char *p = s; *p; n++) {
        if (*p == '%') {
            char hex[3] = {p[1], p[2], 0};
            s[n] = (char)strtoul(hex, NULL, 16);
            p += 3;
        } else {
            s[n] = *p++;
        }
    }
    return n;
}

static bool same_ids(const struct ifd_tokenizer *t, struct ifd_tokenizer_scratch *s,
                     const char *text, size_t size, const char *want)
{
    static int32_t ids[IDS_MAX];
    size_t count = 0;
    bool truncated;
    inferd_error err = {0};
    assert_ok(ifd_tokenizer_encode(t, s, text, size, IDS_MAX, ids, &count, &truncated, &err), err);
    assert_true(count >= 2 && !truncated);
    assert_string_equal(ifd_tokenizer_token(t, ids[0]), "[CLS]");
    assert_string_equal(ifd_tokenizer_token(t, ids[count - 1]), "[SEP]");
    for (size_t i = 1; i + 1 < count; i++) {
        char *end;
        if (strtol(want, &end, 10) != ids[i] || end == want)
            return false;
        want = end + (*end == ' ');
    }
    return *want == '\0';
}

/* Texts and differences per configuration. */
static size_t compare(struct ifd_tokenizer *const t[CONFIGS], size_t wrong[CONFIGS])
{
    static char line[LINE_MAX_BYTES];
    FILE *f = fopen("golden/ids.tsv", "r");
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    size_t texts = 0;
    assert_non_null(f);
    assert_non_null(s);
    memset(wrong, 0, CONFIGS * sizeof *wrong);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        size_t length = strlen(line);
        assert_true(length > 0 && line[length - 1] == '\n');
        line[length - 1] = '\0';
        char *column[CONFIGS + 1];
        size_t columns = 0;
        for (char *p = line; p; columns++) {
            assert_true(columns <= CONFIGS);
            column[columns] = strsep(&p, "\t");
        }
        assert_int_equal(columns, CONFIGS + 1);
        size_t size = unescape(column[0]);
        for (size_t c = 0; c < CONFIGS; c++) {
            if (strcmp(column[c + 1], "=") == 0)
                column[c + 1] = column[c];
            wrong[c] += !same_ids(t[c], s, column[0], size, column[c + 1]);
        }
        texts++;
    }
    ifd_tokenizer_scratch_free(s);
    fclose(f);
    return texts;
}

static void ids_are_the_references(void **state)
{
    (void)state;
    struct ifd_tokenizer *t[CONFIGS];
    size_t wrong[CONFIGS];
    open_all(t);
    assert_true(compare(t, wrong) > 2000);
    for (size_t c = 0; c < CONFIGS; c++) {
        assert_int_equal(wrong[c], 0);
        ifd_tokenizer_free(t[c]);
    }
}

/* The control: a tokenizer that is wrong in one option must be seen, in each column. */
static void a_broken_twin_is_caught(void **state)
{
    (void)state;
    struct ifd_tokenizer *t[CONFIGS], *shifted[CONFIGS];
    size_t wrong[CONFIGS];
    open_all(t);
    for (size_t c = 0; c < CONFIGS; c++)
        shifted[c] = t[(c + 1) % CONFIGS];
    compare(shifted, wrong);
    for (size_t c = 0; c < CONFIGS; c++)
        assert_true(wrong[c] > 0);
    for (size_t c = 0; c < CONFIGS; c++)
        ifd_tokenizer_free(t[c]);
}

/* One id off in a vocabulary of thousands. */
static void one_swapped_id_is_caught(void **state)
{
    (void)state;
    struct ifd_tokenizer *t[CONFIGS], *good;
    size_t wrong[CONFIGS];
    open_all(t);
    good = t[0];
    t[0] = variant("\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"",
                   "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[MASK]\"");
    compare(t, wrong);
    assert_true(wrong[0] > 0);
    ifd_tokenizer_free(good);
    for (size_t c = 0; c < CONFIGS; c++)
        ifd_tokenizer_free(t[c]);
}

static void a_vocab_txt_gives_the_same(void **state)
{
    (void)state;
    struct ifd_tokenizer *t[CONFIGS];
    size_t wrong[CONFIGS], size = 0;
    open_all(t);
    uint32_t count = ifd_tokenizer_vocab_size(t[0]);
    char *vocab = malloc(json_size);
    assert_non_null(vocab);
    for (uint32_t id = 0; id < count; id++) {
        const char *token = ifd_tokenizer_token(t[0], (int32_t)id);
        assert_non_null(token);
        size += (size_t)snprintf(vocab + size, json_size - size, "%s\n", token);
        assert_true(size < json_size);
    }
    const char *config[CONFIGS] = {NULL,
                                   "{\"do_lower_case\":false}",
                                   "{\"do_lower_case\":false,\"strip_accents\":true}",
                                   "{\"strip_accents\":false}",
                                   NULL,
                                   "{\"tokenize_chinese_chars\":false}"};
    for (size_t c = 0; c < CONFIGS; c++) {
        if (c == 4)
            continue; /* clean-up cannot be switched off in tokenizer_config.json */
        ifd_tokenizer_free(t[c]);
        t[c] = vocab_tokenizer(vocab, config[c]);
    }
    compare(t, wrong);
    for (size_t c = 0; c < CONFIGS; c++) {
        assert_int_equal(wrong[c], 0);
        ifd_tokenizer_free(t[c]);
    }
    free(vocab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_the_references),
        cmocka_unit_test(a_broken_twin_is_caught),
        cmocka_unit_test(one_swapped_id_is_caught),
        cmocka_unit_test(a_vocab_txt_gives_the_same),
    };
    return cmocka_run_group_tests(tests, load, unload);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoding: truncation, added tokens and their flags, refusals, memory and time. The ids here were
 * taken from PyPI tokenizers 0.23.3 with the same small files.
 */
#include "text_fixture.h"

#include <pthread.h>
#include <time.h>

#include "base/mem.h"

static void plain_texts(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    assert_str_ids(t, "", "2 3");
    assert_str_ids(t, " \t\r\n", "2 3");
    assert_str_ids(t, "a b", "2 5 6 3");
    assert_str_ids(t, "A\xC3\xA9 acb foo.", "2 1 5 7 12 9 11 3");
    assert_str_ids(t, "a\xCC\x81", "2 5 3"); /* the accent goes */
    assert_str_ids(t,
                   "a\xE4\xB8\xAD"
                   "b",
                   "2 5 13 6 3"); /* CJK stands alone */
    assert_str_ids(t,
                   "a\xC2\x85"
                   "b a\xE2\x80\xA8"
                   "b",
                   "2 5 12 5 6 3"); /* NEL goes, LS splits */
    assert_ids(t, NULL, 0, "2 3");
    assert_ids(t, "a\0b", 3, "2 5 12 3"); /* NUL is data, and removed */
    assert_str_ids(t, "[SEP] [sep] a[CLS]", "2 3 15 1 16 5 2 3");
    assert_int_equal(ifd_tokenizer_vocab_size(t), 18);
    assert_true(ifd_tokenizer_lowercases(t));
    assert_string_equal(ifd_tokenizer_token(t, 17), "cls");
    assert_null(ifd_tokenizer_token(t, 18));
    assert_null(ifd_tokenizer_token(t, -1));
    ifd_tokenizer_free(t);
}

static void words_of_99_100_101_characters(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    for (unsigned n = 99; n <= 101; n++) {
        char text[128], want[1024];
        memset(text, 'c', n);
        text[n] = '\0';
        size_t at = (size_t)snprintf(want, sizeof want, "2 %d", n > 100 ? 1 : 8);
        for (unsigned i = 1; i < n && n <= 100; i++)
            at += (size_t)snprintf(want + at, sizeof want - at, " 7");
        snprintf(want + at, sizeof want - at, " 3");
        assert_str_ids(t, text, want);
    }
    ifd_tokenizer_free(t);
}

static void encode_cut(const struct ifd_tokenizer *t, const char *text, uint32_t max_length,
                       size_t want, bool want_cut)
{
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    int32_t ids[64];
    size_t count = 0;
    bool cut = !want_cut;
    inferd_error err = {0};
    assert_non_null(s);
    for (size_t i = 0; i < 64; i++)
        ids[i] = -7;
    assert_ok(ifd_tokenizer_encode(t, s, text, strlen(text), max_length, ids, &count, &cut, &err),
              err);
    assert_int_equal(count, want);
    assert_int_equal(cut, want_cut);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[count - 1], 3);
    for (size_t i = max_length; i < 64; i++)
        assert_int_equal(ids[i], -7); /* nothing is written past max_length */
    ifd_tokenizer_scratch_free(s);
}

static void truncation_at_n_minus_1_n_n_plus_1(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    encode_cut(t, "a b foo a .", 8, 7, false);
    encode_cut(t, "a b foo a .", 7, 7, false);
    encode_cut(t, "a b foo a .", 6, 6, true);
    encode_cut(t, "acb", 4, 4, true); /* in the middle of a word */
    encode_cut(t, "a[SEP]", 3, 3, true);
    encode_cut(t, "a[SEP]", 4, 4, false);
    encode_cut(t, "a    ", 3, 3, false); /* what is past the cut is only white space */
    encode_cut(t, "", 3, 2, false);
    ifd_tokenizer_free(t);
}

static void bad_arguments_and_bytes(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    int32_t ids[16];
    size_t count = 77;
    bool cut = true;
    inferd_error err = {0};
    assert_non_null(s);
    assert_fails(ifd_tokenizer_encode(t, s, "a\xFF", 2, 16, ids, &count, &cut, &err),
                 INFERD_INVALID_UTF8, err, "byte 1");
    /* also past the cut */
    assert_fails(ifd_tokenizer_encode(t, s, "a a a a a a a \xC3", 15, 4, ids, &count, &cut, &err),
                 INFERD_INVALID_UTF8, err, "byte 14");
    assert_fails(ifd_tokenizer_encode(t, s, "\xED\xA0\x80", 3, 16, ids, &count, &cut, &err),
                 INFERD_INVALID_UTF8, err, "byte 0");
    assert_fails(ifd_tokenizer_encode(t, s, "a", 1, 2, ids, &count, &cut, &err),
                 INFERD_INVALID_ARGUMENT, err, "at least 3");
    assert_int_equal(count, 77); /* untouched on failure */
    assert_true(cut);
    ifd_tokenizer_scratch_free(s);
    ifd_tokenizer_free(t);
}

static void added_tokens_and_their_flags(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(
        FILE_WITH("[" ADDED_TOKEN(18, "qq", FLAGS(true, false, false, false, false)) ","       /**/
                  ADDED_TOKEN(19, "<l>", FLAGS(false, true, false, false, false)) ","          /**/
                  ADDED_TOKEN(20, "<r>", FLAGS(false, false, true, false, false)) ","          /**/
                  ADDED_TOKEN(21, "<r>x", FLAGS(false, false, false, false, false)) ","        /**/
                  ADDED_TOKEN(22, "Na\xC3\xAFve", FLAGS(false, false, false, true, false)) "," /**/
                  ADDED_TOKEN(23, " ", FLAGS(false, false, false, false, false)) "]",
                  NORMALIZER, PRE, POST, MODEL));
    assert_str_ids(t, "qq", "2 18 3");
    assert_str_ids(t, "aqq", "2 1 3");
    assert_str_ids(t, "qq_", "2 1 1 3");
    assert_str_ids(t, ".qq.", "2 11 18 11 3");
    assert_str_ids(t, "\xE2\x92\xB6qq", "2 1 3"); /* a circled letter is a word character */
    assert_str_ids(t, "a\t\t<l>", "2 5 19 3");
    assert_str_ids(t, "<r>\t\tb", "2 20 6 3");
    assert_str_ids(t, "<r>x", "2 21 3"); /* the longest wins */
    assert_str_ids(t, "a b", "2 5 23 6 3");
    assert_str_ids(t, "<r>  <l>", "2 20 23 23 19 3"); /* matching goes on inside eaten spaces */
    assert_str_ids(t, "NAI\xCC\x88VE", "2 22 3");     /* matched in the normalised text */
    assert_str_ids(t, "anaiveb", "2 5 22 6 3");
    assert_int_equal(ifd_tokenizer_vocab_size(t), 24);
    assert_string_equal(ifd_tokenizer_token(t, 22), "Na\xC3\xAFve");
    ifd_tokenizer_free(t);
}

/* Processor time, which a busy machine does not stretch. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds_for(const struct ifd_tokenizer *t, const char *unit, size_t bytes,
                          uint32_t max_length)
{
    size_t step = strlen(unit), size = bytes / step * step;
    char *text = malloc(size);
    int32_t *ids = malloc(max_length * sizeof *ids);
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    assert_true(text && ids && s);
    for (size_t i = 0; i < size; i += step)
        memcpy(text + i, unit, step);
    size_t count;
    bool cut;
    inferd_error err = {0};
    double begin = cpu_seconds();
    assert_ok(ifd_tokenizer_encode(t, s, text, size, max_length, ids, &count, &cut, &err), err);
    double took = cpu_seconds() - begin;
    ifd_tokenizer_scratch_free(s);
    free(ids);
    free(text);
    return took;
}

/* 1 MiB of the worst: far from a second each when linear, hours when quadratic. */
static void hostile_texts_take_linear_time(void **state)
{
    (void)state;
    const char *units[] = {"c",
                           "\xCC\x81",
                           "\xE3\x80\xAE\xF0\x9D\x85\xA5",
                           "\xEF\xBF\xBD",
                           "[SEP",
                           "[",
                           "\xE4\xB8\xAD",
                           " ",
                           ".",
                           "\xCD\x84",
                           "ccccccccc ",
                           "\xEA\xB0\x81"};
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    struct ifd_tokenizer *n = json_tokenizer(FILE_WITH(
        "[" ADDED_TOKEN(18, "ccccz", FLAGS(true, true, true, true, false)) "," ADDED_TOKEN(
            19, "  z", FLAGS(true, true, true, false, false)) "]",
        NORMALIZER, PRE, POST, MODEL));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        assert_true(seconds_for(t, units[i], 1u << 20, 128) < 5);
        assert_true(seconds_for(t, units[i], 1u << 20, 3u << 20) < 5);
        assert_true(seconds_for(n, units[i], 1u << 20, 3u << 20) < 5);
    }
    ifd_tokenizer_free(n);
    ifd_tokenizer_free(t);
}

static void no_allocation_in_steady_state(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    const char *texts[] = {"a b foo. acb",
                           "\xE4\xB8\xAD\xC3\xA9 e\xCC\x81\xE3\x80\xAE\xF0\x9D\x85\xA5", "[SEP] a",
                           "cccccccccccccccccccccccccccccccccccc"};
    int32_t ids[128];
    size_t count;
    bool cut;
    inferd_error err = {0};
    uint64_t calls = 0;
    assert_non_null(s);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 4; i++)
            assert_ok(ifd_tokenizer_encode(t, s, texts[i], strlen(texts[i]), 128, ids, &count, &cut,
                                           &err),
                      err);
        if (round == 0)
            calls = ifd_mem_calls();
    }
    assert_true(ifd_mem_calls() == calls);
    ifd_tokenizer_scratch_free(s);
    ifd_tokenizer_free(t);
}

struct share {
    const struct ifd_tokenizer *t;
    size_t wrong;
};

static void *encode_many(void *arg)
{
    static const char text[] = "a b \xC3\xA9\xE4\xB8\xAD e\xCC\x81\xE3\x80\xAE [SEP] cccc foo.";
    struct share *share = arg;
    struct ifd_tokenizer_scratch *s = ifd_tokenizer_scratch_create();
    const int32_t want[] = {2, 5, 6, 14, 13, 1, 3, 8, 7, 7, 7, 9, 11, 3};
    for (int i = 0; s && i < 2000; i++) {
        int32_t ids[32];
        size_t count = 0;
        bool cut;
        inferd_error err;
        if (ifd_tokenizer_encode(share->t, s, text, sizeof text - 1, 32, ids, &count, &cut, &err) ||
            count != sizeof want / sizeof want[0] || memcmp(ids, want, sizeof want) != 0)
            share->wrong++;
    }
    share->wrong += !s;
    ifd_tokenizer_scratch_free(s);
    return NULL;
}

static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    struct ifd_tokenizer *t = json_tokenizer(SMALL);
    struct share share[3] = {{t, 0}, {t, 0}, {t, 0}};
    pthread_t thread[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, encode_many, &share[i]), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(share[i].wrong, 0);
    }
    ifd_tokenizer_free(t);
}

/* Each allocation in turn fails: an error and no leak (the sanitizer run sees leaks). */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char json[] =
        FILE_WITH("[" ADDED_TOKEN(18, "Qq", FLAGS(true, true, true, true, false)) "]", NORMALIZER,
                  PRE, POST, MODEL);
    char text[6000];
    for (size_t i = 0; i + 7 <= sizeof text; i += 7)
        memcpy(text + i, "\xE3\x80\xAE\xF0\x9D\x85\xA5", 7);
    inferd_error err = {0};
    bool done = false;
    for (uint64_t n = 0; !done; n++) {
        struct ifd_tokenizer *t = NULL;
        struct ifd_tokenizer_scratch *s = NULL;
        int32_t ids[64];
        size_t count;
        bool cut;
        assert_true(n < 10000);
        ifd_mem_fail_after(n, false);
        inferd_status status = ifd_tokenizer_from_json(json, sizeof json - 1, &t, &err);
        if (!status && !(s = ifd_tokenizer_scratch_create()))
            status = INFERD_NO_MEMORY;
        if (!status)
            status = ifd_tokenizer_encode(t, s, text, 5999 / 7 * 7, 64, ids, &count, &cut, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(status == INFERD_OK || status == INFERD_NO_MEMORY);
        done = status == INFERD_OK;
        ifd_tokenizer_scratch_free(s);
        ifd_tokenizer_free(t);
    }
    for (uint64_t n = 0, ok = 0; !ok; n++) {
        struct ifd_tokenizer *t = NULL;
        static const char vocab[] = "[UNK]\n[CLS]\n[SEP]\na\n";
        static const char config[] = "{\"additional_special_tokens\":[\"<x>\"]}";
        assert_true(n < 10000);
        ifd_mem_fail_after(n, false);
        inferd_status status =
            ifd_tokenizer_from_vocab(vocab, sizeof vocab - 1, config, sizeof config - 1, &t, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(status == INFERD_OK || status == INFERD_NO_MEMORY);
        ok = status == INFERD_OK;
        ifd_tokenizer_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_texts),
        cmocka_unit_test(words_of_99_100_101_characters),
        cmocka_unit_test(truncation_at_n_minus_1_n_n_plus_1),
        cmocka_unit_test(bad_arguments_and_bytes),
        cmocka_unit_test(added_tokens_and_their_flags),
        cmocka_unit_test(hostile_texts_take_linear_time),
        cmocka_unit_test(no_allocation_in_steady_state),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of a request to token ids: what each way of dealing with a long text keeps, where windows
 * lie, and what is refused. A vocabulary of single letters makes every token visible.
 */
#include "test.h"

#include "base/mem.h"
#include "text/encoding.h"

static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
static inferd_error err;

struct fixture {
    struct ifd_tokenizer *tokenizer;
    struct ifd_tokenizer_scratch *scratch;
    struct ifd_encoding e;
};

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    assert_ok(ifd_tokenizer_from_vocab(vocab, sizeof(vocab) - 1, NULL, 0, &f->tokenizer, &err),
              err);
    f->scratch = ifd_tokenizer_scratch_create();
    assert_non_null(f->scratch);
}

static void tear_down(struct fixture *f)
{
    ifd_encoding_fini(&f->e);
    ifd_tokenizer_scratch_free(f->scratch);
    ifd_tokenizer_free(f->tokenizer);
}

static inferd_text at(const void *texts, uint32_t i)
{
    const char *s = ((const char *const *)texts)[i];
    return (inferd_text){s, strlen(s)};
}

static inferd_status fill(struct fixture *f, uint8_t how, uint32_t max_length, uint32_t most,
                          const char *const *texts, uint32_t count)
{
    const struct ifd_encoding_rules rules = {.tokenizer = f->tokenizer,
                                             .max_length = max_length,
                                             .sequences_max = most,
                                             .truncation = how};
    return ifd_encoding_fill(&f->e, &rules, f->scratch, at, texts, count, &err);
}

/* "<abc>" is [CLS] a b c [SEP]. */
static const char *shown(const struct fixture *f, char out[512])
{
    size_t n = 0;
    for (uint32_t s = 0; s < f->e.sequences; s++)
        for (uint32_t i = f->e.offsets[s]; i < f->e.offsets[s + 1]; i++)
            out[n++] = "?!<>abcdefghijkl"[f->e.ids[i]];
    out[n] = '\0';
    return out;
}

static void each_way_keeps_what_it_says(void **state)
{
    (void)state;
    static const struct {
        uint8_t how;
        const char *text, *want;
        bool truncated;
    } rows[] = {
        /* max_length 6: four tokens of a text */
        {IFD_TRUNCATION_RIGHT, "a b c d", "<abcd>", false},
        {IFD_TRUNCATION_RIGHT, "a b c d e", "<abcd>", true},
        {IFD_TRUNCATION_LEFT, "a b c d", "<abcd>", false},
        {IFD_TRUNCATION_LEFT, "a b c d e", "<bcde>", true},
        {IFD_TRUNCATION_LEFT, "a b c d e f g h i j k l", "<ijkl>", true},
        {IFD_TRUNCATION_HEAD_TAIL, "a b c d", "<abcd>", false},
        {IFD_TRUNCATION_HEAD_TAIL, "a b c d e", "<acde>", true},
        {IFD_TRUNCATION_HEAD_TAIL, "a b c d e f g h i j k l", "<ajkl>", true},
        {IFD_TRUNCATION_NONE, "a b c d", "<abcd>", false},
        {IFD_TRUNCATION_WINDOW_MEAN, "a b c d", "<abcd>", false},
        {IFD_TRUNCATION_WINDOW_MEAN, "a b c d e", "<abcd><bcde>", false},
        {IFD_TRUNCATION_WINDOW_MAX, "a b c d e f g h", "<abcd><efgh>", false},
        {IFD_TRUNCATION_WINDOW_MAX, "a b c d e f g h i", "<abcd><efgh><fghi>", false},
    };
    struct fixture f;
    char out[512];
    set_up(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(fill(&f, rows[i].how, 6, 8, &rows[i].text, 1), err);
        assert_string_equal(shown(&f, out), rows[i].want);
        assert_int_equal(f.e.results[0].truncated, rows[i].truncated);
        assert_int_equal(f.e.results[0].tokens, strlen(rows[i].want));
        assert_int_equal(f.e.first[1], f.e.sequences);
    }
    tear_down(&f);
}

static void texts_keep_their_places_beside_windows(void **state)
{
    (void)state;
    const char *const texts[] = {"a", "a b c d e f", "b c", "l k j i h g f e d"};
    struct fixture f;
    char out[512];
    set_up(&f);
    assert_ok(fill(&f, IFD_TRUNCATION_WINDOW_MEAN, 6, 7, texts, 4), err);
    assert_string_equal(shown(&f, out), "<a><abcd><cdef><bc><lkji><hgfe><gfed>");
    const uint32_t first[] = {0, 1, 3, 4, 7};
    assert_memory_equal(f.e.first, first, sizeof(first));
    assert_int_equal(f.e.texts, 4);
    assert_int_equal(f.e.sequences, 7);
    assert_true(ifd_encoding_has_windows(&f.e));
    assert_int_equal(f.e.results[3].tokens, 18);
    /* one window more than may be */
    assert_fails(fill(&f, IFD_TRUNCATION_WINDOW_MEAN, 6, 6, texts, 4), INFERD_TOO_MANY_INPUTS, err,
                 "inputs[3] has 9 tokens, which are 3 windows");
    tear_down(&f);
}

static void long_texts_are_refused_where_asked(void **state)
{
    (void)state;
    const char *const texts[] = {"a", "a b c d e"};
    struct fixture f;
    set_up(&f);
    assert_fails(fill(&f, IFD_TRUNCATION_NONE, 6, 8, texts, 2), INFERD_TEXT_TOO_LONG, err,
                 "inputs[1] has more than 6 tokens");
    tear_down(&f);
}

/* Pairs are "a b/c d": what is before and after the slash. */
static inferd_text first_at(const void *texts, uint32_t i)
{
    const char *s = ((const char *const *)texts)[i];
    return (inferd_text){s, strcspn(s, "/")};
}

static inferd_text second_at(const void *texts, uint32_t i)
{
    const char *slash = strchr(((const char *const *)texts)[i], '/');
    return slash ? (inferd_text){slash + 1, strlen(slash + 1)} : (inferd_text){NULL, 0};
}

static inferd_status fill_pairs(struct fixture *f, uint8_t how, uint32_t max_length,
                                const char *const *texts, uint32_t count)
{
    const struct ifd_encoding_rules rules = {.tokenizer = f->tokenizer,
                                             .max_length = max_length,
                                             .sequences_max = 8,
                                             .truncation = how,
                                             .second = second_at};
    return ifd_encoding_fill(&f->e, &rules, f->scratch, first_at, texts, count, &err);
}

static void pairs_are_cut_longest_first(void **state)
{
    (void)state;
    static const struct {
        uint8_t how;
        uint32_t max_length;
        const char *text, *want;
        bool truncated;
    } rows[] = {
        {IFD_TRUNCATION_RIGHT, 9, "a b c/d e f", "<abc>def>", false},
        {IFD_TRUNCATION_RIGHT, 9, "a b/c d e f g", "<ab>cdef>", true},
        {IFD_TRUNCATION_RIGHT, 9, "a b c d e/f g", "<abcd>fg>", true},
        {IFD_TRUNCATION_RIGHT, 9, "a b c d/e f g h", "<abc>efg>", true},
        {IFD_TRUNCATION_RIGHT, 9, "/a b c d e f g h", "<>abcdef>", true},
        {IFD_TRUNCATION_RIGHT, 9, "a b c d e f g h/", "<abcdef>>", true},
        /* an odd rest goes to the longer one, to the second if they are equal; also where both are
         * longer than all that fits */
        {IFD_TRUNCATION_RIGHT, 8, "a b c d/e f g h", "<ab>efg>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d i/e f g h", "<abc>ef>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f g h/i j k l a b c", "<abc>ij>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f g/i j k l a b c d", "<ab>ijk>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f g/i j k l a b c", "<ab>ijk>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f g/i j k l a b", "<abc>ij>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f/i j k l a b c", "<ab>ijk>", true},
        {IFD_TRUNCATION_RIGHT, 8, "a b c d e f/i j k l a b", "<ab>ijk>", true},
        {IFD_TRUNCATION_LEFT, 8, "a b c d e f g h/i j k l a b c", "<fgh>bc>", true},
        {IFD_TRUNCATION_LEFT, 8, "a b c d e f g h/i j", "<fgh>ij>", true},
        {IFD_TRUNCATION_LEFT, 8, "a b/c d e f g h i j k", "<ab>ijk>", true},
        {IFD_TRUNCATION_LEFT, 8, "a b/c d e", "<ab>cde>", false},
        {IFD_TRUNCATION_HEAD_TAIL, 8, "a b/c d e f", "<ab>cde>", true},
        {IFD_TRUNCATION_WINDOW_MEAN, 8, "a b/c d e f", "<ab>cde>", true},
        {IFD_TRUNCATION_NONE, 8, "a b/c d e", "<ab>cde>", false},
        {IFD_TRUNCATION_RIGHT, 4, "a/b", "<>b>", true},
        {IFD_TRUNCATION_RIGHT, 3, "a/b", "<>>", true},
    };
    struct fixture f;
    char out[512];
    set_up(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_ok(fill_pairs(&f, rows[i].how, rows[i].max_length, &rows[i].text, 1), err);
        assert_string_equal(shown(&f, out), rows[i].want);
        assert_int_equal(f.e.results[0].truncated, rows[i].truncated);
        assert_int_equal(f.e.results[0].tokens, strlen(rows[i].want));
        assert_int_equal(f.e.second[0], strcspn(rows[i].want, ">") + 1);
    }
    const char *const too_long[] = {"a", "a b/c d e f"}, *const bad[] = {"a/\x80"};
    assert_fails(fill_pairs(&f, IFD_TRUNCATION_NONE, 8, too_long, 2), INFERD_TEXT_TOO_LONG, err,
                 "inputs[1] has more than 8 tokens");
    assert_fails(fill_pairs(&f, IFD_TRUNCATION_RIGHT, 8, bad, 1), INFERD_INVALID_UTF8, err,
                 "the second text of inputs[0]: the text is not valid UTF-8 at byte 0");
    tear_down(&f);
}

static void pairs_stand_beside_windows(void **state)
{
    (void)state;
    const char *const texts[] = {"a", "a b c d e f", "b/c", "l k j i h g f e d", "a b c d/e"};
    const uint32_t second[] = {3, 6, 6, 3, 6, 6, 6, 4};
    struct fixture f;
    char out[512];
    set_up(&f);
    for (unsigned again = 0; again < 2; again++) {
        assert_ok(fill_pairs(&f, IFD_TRUNCATION_WINDOW_MAX, 6, texts, 5), err);
        assert_string_equal(shown(&f, out), "<a><abcd><cdef><b>c><lkji><hgfe><gfed><ab>e>");
        assert_memory_equal(ifd_encoding_second(&f.e), second, sizeof(second));
    }
    assert_ok(fill(&f, IFD_TRUNCATION_RIGHT, 6, 8, texts, 1), err);
    assert_null(ifd_encoding_second(&f.e)); /* of the next request there are none */
    unsigned failed = 0;
    for (uint64_t n = 0; n < 12; n++) {
        struct fixture g;
        set_up(&g);
        ifd_mem_fail_after(n, false);
        const inferd_status st = fill_pairs(&g, IFD_TRUNCATION_WINDOW_MAX, 6, texts, 5);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(st == INFERD_OK || st == INFERD_NO_MEMORY);
        failed += st != INFERD_OK;
        assert_ok(fill_pairs(&g, IFD_TRUNCATION_WINDOW_MAX, 6, texts, 5), err);
        tear_down(&g);
    }
    assert_true(failed >= 4);
    tear_down(&f);
}

/* More tokens than half of the bytes: the room is enlarged. And a text whose end alone is kept. */
static void every_token_is_counted(void **state)
{
    (void)state;
    enum { N = 5000 };
    static char text[N + 1];
    const char *const one = text;
    struct fixture f;
    char out[512];
    for (size_t i = 0; i < N; i++)
        text[i] = '.'; /* a word of its own, unknown */
    memcpy(text + N - 8, " a b c d", 8);
    set_up(&f);
    assert_ok(fill(&f, IFD_TRUNCATION_LEFT, 6, 8, &one, 1), err);
    assert_string_equal(shown(&f, out), "<abcd>");
    assert_ok(fill(&f, IFD_TRUNCATION_WINDOW_MEAN, 102, 64, &one, 1), err);
    assert_int_equal(f.e.sequences, (N - 8 + 4 + 99) / 100);
    const uint64_t calls = ifd_mem_calls();
    assert_ok(fill(&f, IFD_TRUNCATION_WINDOW_MEAN, 102, 64, &one, 1), err);
    assert_int_equal(ifd_mem_calls(), calls); /* used again: nothing is allocated */
    tear_down(&f);
}

static void want_of_memory_is_an_error(void **state)
{
    (void)state;
    const char *const texts[] = {"a", "a b c d e f g h i j k l a b c d e f g h i j k l"};
    unsigned failed = 0;
    for (uint64_t n = 0; n < 12; n++) {
        struct fixture f;
        set_up(&f);
        ifd_mem_fail_after(n, false);
        const inferd_status st = fill(&f, IFD_TRUNCATION_WINDOW_MAX, 4, 16, texts, 2);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(st == INFERD_OK || st == INFERD_NO_MEMORY);
        failed += st != INFERD_OK;
        assert_ok(fill(&f, IFD_TRUNCATION_WINDOW_MAX, 4, 16, texts, 2), err);
        tear_down(&f);
    }
    assert_true(failed >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_keeps_what_it_says),
        cmocka_unit_test(texts_keep_their_places_beside_windows),
        cmocka_unit_test(long_texts_are_refused_where_asked),
        cmocka_unit_test(pairs_are_cut_longest_first),
        cmocka_unit_test(pairs_stand_beside_windows),
        cmocka_unit_test(every_token_is_counted),
        cmocka_unit_test(want_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

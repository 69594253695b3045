/* SPDX-License-Identifier: Apache-2.0
 *
 * The streaming normaliser against a plain one that does each step over the whole text, on random
 * texts heavy in combining marks, for every combination of options and several block sizes.
 */
#include "text_fixture.h"

#include "base/utf8.h"
#include "text/normalize.h"
#include "text/unicode.h"

#define SCALARS_MAX 64u
#define WIDE_MAX (SCALARS_MAX * 6u)
#define BYTES_MAX (WIDE_MAX * 8u)

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

static uint32_t random_scalar(void)
{
    static const uint32_t marks[] = {
        0x300,   0x301,   0x323, 0x334, 0x345, 0x5AE, 0x93C,  0x1058,  0x941,   0x302E, 0x302F,
        0x1D165, 0x1D16E, 0xE38, 0xF71, 0xF72, 0x344, 0xF73,  0x16FF0, 0x10EAB, 0xAD,   0x200D,
        0xC5,    0x130,   'a',   'B',   ' ',   0,     0x4E2D, 0xF900,  0xAC01,  0x1D160};
    if (random_below(4))
        return marks[random_below(sizeof marks / sizeof marks[0])];
    uint32_t c = random_below(0x110000);
    return c >= 0xD800 && c < 0xE000 ? 'x' : c;
}

/* The naive twin. `broken` removes marks before it sorts, which is not the same. */
static size_t naive(const struct ifd_normalize_options *o, const uint32_t *text, size_t size,
                    bool broken, char *out)
{
    uint32_t a[WIDE_MAX], b[WIDE_MAX];
    size_t n = 0, m = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned flags = ifd_unicode_flags(text[i]);
        uint32_t c = o->clean_text && (flags & IFD_U_BLANK) ? ' ' : text[i];
        if (o->clean_text && (flags & IFD_U_DROP))
            continue;
        bool cjk = o->handle_chinese_chars && (flags & IFD_U_CJK);
        if (cjk)
            a[n++] = ' ';
        a[n++] = c;
        if (cjk)
            a[n++] = ' ';
    }
    if (o->strip_accents) {
        for (size_t i = 0; i < n; i++)
            m += ifd_unicode_decompose(a[i], b + m);
        for (int pass = broken ? 0 : 1; pass < 3; pass++) {
            for (size_t i = 1; pass == 1 && i < m; i++)
                for (size_t k = i; k > 0 && ifd_unicode_ccc(b[k]) &&
                                   ifd_unicode_ccc(b[k - 1]) > ifd_unicode_ccc(b[k]);
                     k--) {
                    uint32_t swap = b[k];
                    b[k] = b[k - 1];
                    b[k - 1] = swap;
                }
            for (n = 0; pass != 1 && n < m;) {
                if (ifd_unicode_flags(b[n]) & IFD_U_MARK)
                    memmove(b + n, b + n + 1, (--m - n) * sizeof *b);
                else
                    n++;
            }
        }
        memcpy(a, b, m * sizeof *a);
        n = m;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t low[2] = {a[i]};
        size_t count = o->lowercase ? ifd_unicode_lower(a[i], low) : 1;
        for (size_t k = 0; k < count; k++)
            used += ifd_utf8_encode(low[k], out + used);
    }
    return used;
}

static size_t streamed(struct ifd_normalizer *n, const struct ifd_normalize_options *o,
                       const char *text, size_t size, size_t room, char *out)
{
    size_t have = 0, used = 0;
    inferd_error err = {0};
    ifd_normalizer_start(n, o, text, size);
    do {
        assert_true(have + room <= BYTES_MAX);
        assert_ok(ifd_normalizer_next(n, out + have, room, &used, &err), err);
        assert_true(used <= room);
        have += used;
    } while (used);
    return have;
}

static size_t differences(unsigned rounds, bool broken)
{
    static char text[SCALARS_MAX * 4], want[BYTES_MAX], got[BYTES_MAX];
    struct ifd_normalizer n;
    size_t wrong = 0;
    ifd_normalizer_init(&n);
    for (unsigned round = 0; round < rounds; round++) {
        struct ifd_normalize_options o = {(round & 1) != 0, (round & 2) != 0, (round & 4) != 0,
                                          (round & 8) != 0};
        uint32_t scalars[SCALARS_MAX];
        size_t count = random_below(SCALARS_MAX + 1), size = 0;
        for (size_t i = 0; i < count; i++) {
            scalars[i] = random_scalar();
            size += ifd_utf8_encode(scalars[i], text + size);
        }
        size_t want_size = naive(&o, scalars, count, broken, want);
        size_t room = IFD_NORMALIZE_ROOM + random_below(3) * random_below(200);
        size_t got_size = streamed(&n, &o, text, size, room, got);
        wrong += want_size != got_size || memcmp(want, got, want_size) != 0;
    }
    ifd_normalizer_fini(&n);
    return wrong;
}

static void the_stream_is_the_plain_normalizer(void **state)
{
    (void)state;
    assert_int_equal(differences(40000, false), 0);
}

static void a_broken_twin_is_caught(void **state)
{
    (void)state;
    assert_true(differences(40000, true) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_the_plain_normalizer),
        cmocka_unit_test(a_broken_twin_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

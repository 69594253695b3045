/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder against the definition: bytes are well-formed exactly when they are the encoding of a
 * scalar. The reference encodes by division, not by shifts, and knows nothing of byte ranges.
 */
#include "test.h"

#include "base/utf8.h"

static size_t ref_encode(uint32_t c, unsigned char out[4])
{
    if (c >= 0xD800 && c <= 0xDFFF)
        return 0;
    if (c < 128) {
        out[0] = (unsigned char)c;
        return 1;
    }
    size_t n = c < 2048 ? 2 : c < 65536 ? 3 : 4;
    static const unsigned lead[] = {0, 0, 192, 224, 240};
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (unsigned char)(128 + c % 64);
        c /= 64;
    }
    out[0] = (unsigned char)(lead[n] + c);
    return n;
}

/* Length of the well-formed sequence at s, at most n bytes, and its scalar. */
static size_t ref_decode(const unsigned char *s, size_t n, uint32_t *scalar)
{
    /* the only scalar that could be meant, if any */
    for (size_t k = 1; k <= 4 && k <= n; k++) {
        uint32_t c = k == 1 ? s[0] : s[0] & (0xFFu >> (k + 1));
        for (size_t i = 1; i < k; i++)
            c = c * 64 + (s[i] & 63u);
        unsigned char back[4];
        if (c <= 0x10FFFF && ref_encode(c, back) == k && memcmp(back, s, k) == 0) {
            *scalar = c;
            return k;
        }
    }
    return 0;
}

static unsigned long long well, ill;

static void compare(const unsigned char *bytes, size_t n)
{
    uint32_t want = 0, got = 0;
    size_t k = ref_decode(bytes, n, &want);
    size_t m = ifd_utf8_decode((const char *)bytes, n, &got);
    if (k != m || (k && want != got))
        fail_msg("%02X %02X %02X %02X (%zu): want %zu U+%04X, got %zu U+%04X", bytes[0],
                 n > 1 ? bytes[1] : 0u, n > 2 ? bytes[2] : 0u, n > 3 ? bytes[3] : 0u, n, k, want, m,
                 got);
    if (k)
        well++;
    else
        ill++;
}

static void all_sequences_of_one_to_three_bytes(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 0x1000000; v++) {
        const unsigned char bytes[4] = {(unsigned char)(v >> 16), (unsigned char)(v >> 8),
                                        (unsigned char)v, 0};
        compare(bytes, 3);
        if (!(v & 0xFF))
            compare(bytes, 2);
        if (!(v & 0xFFFF))
            compare(bytes, 1);
    }
    print_message("%llu well-formed, %llu ill-formed\n", well, ill);
}

static void four_byte_sequences(void **state)
{
    (void)state;
    static const unsigned char edge[] = {0x00, 0x22, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x9F,
                                         0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0, 0xFF};
    for (unsigned a = 0xE0; a <= 0xFF; a++)
        for (unsigned b = 0; b <= 0xFF; b++)
            for (size_t c = 0; c < sizeof(edge); c++)
                for (size_t d = 0; d < sizeof(edge); d++) {
                    const unsigned char bytes[4] = {(unsigned char)a, (unsigned char)b, edge[c],
                                                    edge[d]};
                    compare(bytes, 4);
                }
}

static void all_scalars_round_trip(void **state)
{
    (void)state;
    unsigned count = 0;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        unsigned char want[4];
        char got[4];
        uint32_t back;
        size_t n = ref_encode(c, want);
        if (!n)
            continue;
        assert_int_equal(ifd_utf8_encode(c, got), n);
        assert_memory_equal(got, want, n);
        assert_int_equal(ifd_utf8_decode(got, n, &back), n);
        assert_int_equal(back, c);
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(ifd_utf8_decode(got, cut, &back), 0);
        count++;
    }
    assert_int_equal(count, 1112064);
}

/* A bad byte at every place of texts around the eight-byte step, behind ASCII and other text. */
static void check_finds_the_first_bad_byte(void **state)
{
    (void)state;
    static const char *const fillers[] = {"abcdefghijklmnopqrstuvwxyz",
                                          "\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80"
                                          "a\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80"};
    for (size_t f = 0; f < 2; f++) {
        size_t n = strlen(fillers[f]);
        for (size_t size = 0; size <= n; size++) {
            size_t want = 0; /* the reference: sequence by sequence */
            uint32_t c;
            while (want < size) {
                size_t k = ref_decode((const unsigned char *)fillers[f] + want, size - want, &c);
                if (!k)
                    break;
                want += k;
            }
            char *exact = malloc(size ? size : 1);
            memcpy(exact, fillers[f], size);
            assert_int_equal(ifd_utf8_check(exact, size), want);
            for (size_t bad = 0; bad < want; bad++) {
                char keep = exact[bad];
                if ((unsigned char)keep >= 0x80 && (unsigned char)keep < 0xC0)
                    continue; /* inside a sequence: reported at its first byte */
                exact[bad] = '\xFF';
                assert_int_equal(ifd_utf8_check(exact, size), bad);
                exact[bad] = keep;
            }
            free(exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sequences_of_one_to_three_bytes),
        cmocka_unit_test(four_byte_sequences),
        cmocka_unit_test(all_scalars_round_trip),
        cmocka_unit_test(check_finds_the_first_bad_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Every Unicode scalar against the reference: golden/unicode_digest.h is computed from PyPI
 * tokenizers' own answers, so equal digests mean equal behaviour scalar by scalar.
 */
#include "test.h"

#include "golden/unicode_digest.h"
#include "text/unicode.h"

static uint64_t fnv(uint64_t h, unsigned byte)
{
    return (h ^ (byte & 0xFFu)) * UINT64_C(0x100000001B3);
}

static uint64_t fnv_scalar(uint64_t h, uint32_t c)
{
    return fnv(fnv(fnv(h, c), c >> 8), c >> 16);
}

/* `flip` is a scalar whose flags are answered wrongly, or UINT32_MAX. */
static uint64_t plane_digest(unsigned plane, uint32_t flip)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (uint32_t c = plane << 16; c < (plane + 1) << 16; c++) {
        if (c >= 0xD800 && c < 0xE000)
            continue;
        uint32_t nfd[4], lower[2];
        size_t nfd_count = ifd_unicode_decompose(c, nfd);
        size_t lower_count = ifd_unicode_lower(c, lower);
        h = fnv(h, ifd_unicode_flags(c) ^ (c == flip));
        h = fnv(h, ifd_unicode_ccc(c));
        h = fnv(h, (unsigned)nfd_count);
        h = fnv(h, (unsigned)lower_count);
        for (size_t i = 0; i < nfd_count; i++)
            h = fnv_scalar(h, nfd[i]);
        for (size_t i = 0; i < lower_count; i++)
            h = fnv_scalar(h, lower[i]);
    }
    return h;
}

static void every_scalar_is_the_references(void **state)
{
    (void)state;
    for (unsigned plane = 0; plane < 17; plane++)
        if (plane_digest(plane, UINT32_MAX) != unicode_digest[plane])
            fail_msg("plane %u differs from the reference", plane);
}

static void one_wrong_scalar_is_caught(void **state)
{
    (void)state;
    const uint32_t wrong[] = {0x61, 0x11938, 0x2FFFF, 0x10FFFF};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned plane = wrong[i] >> 16;
        assert_true(plane_digest(plane, wrong[i]) != unicode_digest[plane]);
    }
}

static void known_scalars(void **state)
{
    (void)state;
    uint32_t to[4];
    inferd_error err = {0};
    assert_ok(ifd_unicode_check(&err), err);
    assert_int_equal(ifd_unicode_lower(0x130, to), 2); /* I with dot: i and the dot */
    assert_int_equal(to[0], 'i');
    assert_int_equal(to[1], 0x307);
    assert_int_equal(ifd_unicode_lower(0x3A3, to), 1); /* sigma is never final */
    assert_int_equal(to[0], 0x3C3);
    assert_int_equal(ifd_unicode_decompose(0x390, to), 3);
    assert_int_equal(ifd_unicode_decompose(0xAC01, to), 3); /* Hangul by arithmetic */
    assert_int_equal(to[2], 0x11A8);
    assert_int_equal(ifd_unicode_ccc(0x301), 230);
    assert_int_equal(ifd_unicode_ccc('a'), 0);
    assert_true(ifd_unicode_flags(0x0B) & IFD_U_DROP); /* a control to one, a space to the other */
    assert_true(ifd_unicode_flags(0x0B) & IFD_U_SPACE);
    assert_int_equal(ifd_unicode_flags('$') & IFD_U_PUNCT, IFD_U_PUNCT);
    assert_int_equal(ifd_unicode_flags(0x4E2D) & IFD_U_CJK, IFD_U_CJK);
    for (uint32_t c = 0; c < 0x3100; c++)
        assert_int_equal(ifd_unicode_is_space(c), (ifd_unicode_flags(c) & IFD_U_SPACE) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scalar_is_the_references),
        cmocka_unit_test(one_wrong_scalar_is_caught),
        cmocka_unit_test(known_scalars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <locale.h>
#include <math.h>

#include "base/jsondoc.h"
#include "base/jsonout.h"

static void expect(const struct ifd_buf *b, const char *want)
{
    if (b->failed || b->size != strlen(want) || memcmp(b->data, want, b->size) != 0)
        fail_msg("want %s, got %.*s", want, (int)b->size, b->data ? b->data : "");
}

static void strings_are_escaped(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 1000);
    ifd_jsonout_str(&b, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f/\0z", 16);
    expect(&b, "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\\u0000z\"");
    ifd_buf_reset(&b);
    ifd_jsonout_cstr(&b, "");
    expect(&b, "\"\"");
    ifd_buf_reset(&b);
    ifd_jsonout_cstr(&b, "\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80");
    expect(&b, "\"\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80\"");
    ifd_buf_fini(&b);
}

static void every_character_reads_back(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 4096);
    for (unsigned c = 0; c < 128; c++) {
        const char text[3] = {'x', (char)c, 'y'};
        struct ifd_jsondoc *doc;
        inferd_error err;
        ifd_buf_reset(&b);
        ifd_jsonout_str(&b, text, 3);
        assert_ok(ifd_jsondoc_parse(b.data, b.size, 1 << 16, &doc, &err), err);
        assert_int_equal(ifd_jsondoc_root(doc)->size, 3);
        assert_memory_equal(ifd_jsondoc_root(doc)->text, text, 3);
        ifd_jsondoc_free(doc);
    }
    ifd_buf_fini(&b);
}

static void the_limit_is_kept(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 8; limit++) {
        struct ifd_buf b;
        ifd_buf_init(&b, limit);
        ifd_jsonout_cstr(&b, "a\nb"); /* "a\nb" takes 6 */
        assert_int_equal(b.failed, limit < 6);
        ifd_buf_fini(&b);
    }
}

/* What ifd_jsonout_float promises: reads back, and no text with fewer digits does. */
static void check_float(float v)
{
    struct ifd_buf b;
    ifd_buf_init(&b, 64);
    ifd_jsonout_float(&b, v);
    ifd_buf_add_char(&b, '\0');
    assert_false(b.failed);
    float back = strtof(b.data, NULL);
    if (memcmp(&back, &v, sizeof(v)) != 0)
        fail_msg("%.9g was written as %s", (double)v, b.data);
    char shorter[48];
    int digits = 1;
    do
        snprintf(shorter, sizeof(shorter), "%.*g", digits, (double)v);
    while (strtof(shorter, NULL) != v && digits++ < 9);
    if (strlen(b.data) != strlen(shorter))
        fail_msg("%.9g: %s, but %s does", (double)v, b.data, shorter);
    struct ifd_jsondoc *doc;
    inferd_error err;
    assert_ok(ifd_jsondoc_parse(b.data, b.size - 1, 1 << 16, &doc, &err), err);
    assert_int_equal(ifd_jsondoc_root(doc)->type, IFD_JSON_T_NUMBER);
    ifd_jsondoc_free(doc);
    ifd_buf_fini(&b);
}

static float from_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void floats_are_shortest_and_exact(void **state)
{
    (void)state;
    static const float some[] = {
        0,      -0.0f,           1,        -1,        0.1f, 0.9991f, 3.4028235e38f,
        1e-45f, 1.17549435e-38f, 16777216, 123456789, 0.3f, 1e10f,   1.5e-7f};
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
        check_float(some[i]);
    for (uint32_t exponent = 0; exponent < 255; exponent++) /* powers of two and their neighbours */
        for (int d = -2; d <= 2; d++)
            if ((exponent << 23) + (uint32_t)d < 0x7F800000u)
                check_float(from_bits((exponent << 23) + (uint32_t)d));
    uint32_t x = 12345;
    for (unsigned i = 0; i < 50000; i++) {
        x = x * 1664525u + 1013904223u;
        float v = from_bits(x ^ x >> 15);
        if (isfinite(v))
            check_float(v);
    }
}

static void what_is_no_number_is_null(void **state)
{
    (void)state;
    struct ifd_buf b;
    ifd_buf_init(&b, 100);
    ifd_jsonout_float(&b, NAN);
    ifd_jsonout_float(&b, INFINITY);
    ifd_jsonout_fixed(&b, -INFINITY, 2);
    ifd_jsonout_fixed(&b, NAN, 2);
    expect(&b, "nullnullnullnull");
    ifd_buf_fini(&b);
}

static void fixed_rounds_to_nearest(void **state)
{
    (void)state;
    static const struct {
        double v;
        int digits;
        const char *want;
    } cases[] = {
        {0.99914, 4, "0.9991"},  {0.99996, 4, "1.0000"},   {0, 0, "0"},
        {2.5, 0, "2"},           {-1.25, 1, "-1.2"},       {1e20, 2, "100000000000000000000.00"},
        {0.1, 9, "0.100000000"}, {0.5, 12, "0.500000000"}, {7.6, -1, "8"},
    };
    struct ifd_buf b;
    ifd_buf_init(&b, 1000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ifd_buf_reset(&b);
        ifd_jsonout_fixed(&b, cases[i].v, cases[i].digits);
        expect(&b, cases[i].want);
    }
    ifd_buf_reset(&b);
    ifd_jsonout_fixed(&b, -1.7976931348623157e308, 9);
    assert_false(b.failed);
    assert_int_equal(b.size, 1 + 309 + 1 + 9);
    ifd_buf_fini(&b);
}

/* A process that embeds the library may run in a locale with another decimal point. Whether one is
 * installed differs by machine, so the test says when it could not look. */
static void the_locale_does_not_matter(void **state)
{
    (void)state;
    static const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8",
                                          "ps_AF.UTF-8"};
    bool found = false;
    for (size_t i = 0; i < 4 && !found; i++)
        found = setlocale(LC_NUMERIC, locales[i]) && strcmp(localeconv()->decimal_point, ".") != 0;
    struct ifd_buf b;
    ifd_buf_init(&b, 100);
    ifd_jsonout_float(&b, 0.5f);
    ifd_buf_add_char(&b, ' ');
    ifd_jsonout_fixed(&b, -3.25, 2);
    expect(&b, "0.5 -3.25");
    struct ifd_jsondoc *doc;
    inferd_error err;
    double d;
    assert_ok(ifd_jsondoc_parse("2.75", 4, 1 << 16, &doc, &err), err);
    assert_true(ifd_json_double(ifd_jsondoc_root(doc), &d));
    assert_true(d == 2.75);
    ifd_jsondoc_free(doc);
    setlocale(LC_NUMERIC, "C");
    ifd_buf_fini(&b);
    if (!found)
        print_message("no locale with a decimal comma is installed: only C was tried\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(every_character_reads_back),
        cmocka_unit_test(the_limit_is_kept),
        cmocka_unit_test(floats_are_shortest_and_exact),
        cmocka_unit_test(what_is_no_number_is_null),
        cmocka_unit_test(fixed_rounds_to_nearest),
        cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

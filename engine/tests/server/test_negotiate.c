/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client prefers, header by header; and that the page's two forms are the same bytes.
 */
#include "test.h"

#include "server/negotiate.h"
#include "ui/ui.h"

static void weights(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int want; /* of gzip */
    } rows[] = {
        {NULL, -1},
        {"", -1},
        {"gzip", 1000},
        {"GZip", 1000},
        {"deflate, gzip", 1000},
        {"gzip;q=0", 0},
        {"gzip; q=0.5", 500},
        {"gzip ;\tQ=0.125 , br", 125},
        {"gzip;q=1.000", 1000},
        {"gzip;level=9;q=0.2", 200},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", 800},
        {"*", -1},
        {"xgzip, gzipx", -1},
        {"gzip;q=2", -1},
        {"gzip;q=1.5", -1},
        {"gzip;q=", -1},
        {"gzip;q=0,5", 0},
        {"gzip;q=0.1234", -1},
        {"gzip;q=-1", -1},
        {",,gzip", 1000},
        {"gzip;", 1000},
        {";gzip", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (ifd_negotiate_weight(rows[i].value, "gzip") != rows[i].want)
            fail_msg("%s: %d, not %d", rows[i].value ? rows[i].value : "NULL",
                     ifd_negotiate_weight(rows[i].value, "gzip"), rows[i].want);
}

static void html_is_for_who_names_it(void **state)
{
    (void)state;
    assert_true(ifd_negotiate_html(
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"));
    assert_true(ifd_negotiate_html("text/html"));
    assert_true(ifd_negotiate_html("application/json, text/html"));
    assert_false(ifd_negotiate_html("application/json, text/html;q=0.5"));
    assert_false(ifd_negotiate_html("*/*"));
    assert_false(ifd_negotiate_html("text/*"));
    assert_false(ifd_negotiate_html("text/html;q=0"));
    assert_false(ifd_negotiate_html(NULL));
}

static void tags(void **state)
{
    (void)state;
    assert_true(ifd_negotiate_has("\"abc\"", "abc"));
    assert_true(ifd_negotiate_has("W/\"abc\"", "abc"));
    assert_true(ifd_negotiate_has("\"x\", \"abc\"", "abc"));
    assert_true(ifd_negotiate_has("*", "abc"));
    assert_false(ifd_negotiate_has("\"abc-gz\"", "abc"));
    assert_false(ifd_negotiate_has("abc", "abc"));
    assert_false(ifd_negotiate_has("\"abc", "abc"));
    assert_false(ifd_negotiate_has(NULL, "abc"));
}

static void files_are_there(void **state)
{
    (void)state;
    assert_true(ifd_ui_file_count >= 5);
    for (size_t i = 0; i < ifd_ui_file_count; i++) {
        const struct ifd_ui_file *f = &ifd_ui_files[i];
        assert_int_equal(strlen(f->digest), 16);
        assert_true(f->plain_size > 0 && f->gzip_size > 18);
        assert_int_equal(f->gzip[0], 0x1F);
        assert_int_equal(f->gzip[1], 0x8B);
        /* RFC 1952 2.3.1: the last four bytes are the size of what it expands to */
        const unsigned char *end = f->gzip + f->gzip_size - 4;
        assert_int_equal(end[0] | end[1] << 8 | end[2] << 16, f->plain_size);
        /* no time of the build in it, so that the same source gives the same binary */
        assert_int_equal(f->gzip[4] | f->gzip[5] | f->gzip[6] | f->gzip[7], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights),
        cmocka_unit_test(html_is_for_who_names_it),
        cmocka_unit_test(tags),
        cmocka_unit_test(files_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

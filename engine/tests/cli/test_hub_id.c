/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of a hub: what becomes part of a path or an URL is plainly a name.
 */
#include "test.h"

#include "cli/hub_id.h"

static void ids(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       "bert-base-uncased",
                                       "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
                                       "A_1/b.c-d",
                                       "0/0",
                                       "_x/y_"};
    static const char *const bad[] = {"",      "/",      "a/",        "/a",    "a/b/c", ".",
                                      "..",    "../a",   "a/..",      "a/.b",  "-a/b",  "a-/b",
                                      "a--b",  "a..b/c", "a b/c",     "a/b?c", "a/b#c", "a/b%2e",
                                      "a\n/b", "a/b\\c", "\xC3\xA9/b"};
    char longest[IFD_HUB_PART_MOST + 2];
    inferd_error err;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_ok(ifd_hub_id_check(good[i], &err), err);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ifd_hub_id_check(bad[i], &err) != INFERD_INVALID_ARGUMENT)
            fail_msg("'%s' was taken", bad[i]);
    memset(longest, 'x', sizeof(longest));
    for (size_t n = IFD_HUB_PART_MOST - 1; n <= IFD_HUB_PART_MOST + 1; n++) {
        longest[n] = '\0';
        assert_int_equal(ifd_hub_id_check(longest, NULL) == INFERD_OK, n <= IFD_HUB_PART_MOST);
        longest[n] = 'x';
    }
}

static void revisions(void **state)
{
    (void)state;
    static const char *const good[] = {"main", "refs/pr/1", "v1.0+cpu",
                                       "0123456789abcdef0123456789abcdef01234567"};
    static const char *const bad[] = {"",   "-x",  ".",   "../x", "a..b",
                                      "/a", "a b", "a\n", "a%2F", "a?b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(ifd_hub_revision_check(good[i], NULL), INFERD_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ifd_hub_revision_check(bad[i], NULL), INFERD_INVALID_ARGUMENT);
}

static void split(void **state)
{
    (void)state;
    char id[IFD_HUB_ID_SIZE], revision[IFD_HUB_REVISION_SIZE], text[400];
    assert_true(ifd_hub_id_split("org/name", id, revision));
    assert_string_equal(id, "org/name");
    assert_string_equal(revision, "main");
    assert_true(ifd_hub_id_split("org/name@v1/x", id, revision));
    assert_string_equal(id, "org/name");
    assert_string_equal(revision, "v1/x");
    /* what could be a mistyped path is none */
    static const char *const bad[] = {"name",      "./name",      "/org/name", "org/name/", "a/b/c",
                                      "org/name@", "org/name@..", "@main",     "name@a/b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ifd_hub_id_split(bad[i], id, revision))
            fail_msg("'%s' was taken", bad[i]);
    memset(text, 'x', sizeof(text));
    text[1] = '/';
    text[sizeof(text) - 1] = '\0';
    assert_false(ifd_hub_id_split(text, id, revision));
    memcpy(text, "a/b@", 4);
    assert_false(ifd_hub_id_split(text, id, revision));
    text[4 + IFD_HUB_REVISION_SIZE - 1] = '\0';
    assert_true(ifd_hub_id_split(text, id, revision));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(revisions),
        cmocka_unit_test(split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The conformance cases of json/: each file whole, byte by byte, and cut in two at every place must
 * give its verdict, and always the same events and offset.
 */
#include "json_record.h"

#include <dirent.h>

#include "base/file.h"
#include "base/mem.h"

/* What we do where RFC 8259 leaves the choice: a number is kept as text whatever its size;
 * ill-formed UTF-8, a byte order mark, other encodings, lone surrogates and too deep nesting are
 * refused. */
static const struct {
    const char *name;
    inferd_status status;
} choices[] = {
    {"number_huge_exponent", INFERD_OK},
    {"number_too_large", INFERD_OK},
    {"number_too_large_negative", INFERD_OK},
    {"number_too_small", INFERD_OK},
    {"number_integer_very_large", INFERD_OK},
    {"number_integer_very_small", INFERD_OK},
    {"number_many_digits", INFERD_OK},
    {"object_key_lone_low_surrogate", INFERD_INVALID_JSON},
    {"string_first_surrogate_then_letter", INFERD_INVALID_JSON},
    {"string_first_surrogate_then_escape", INFERD_INVALID_JSON},
    {"string_first_surrogate_then_bmp", INFERD_INVALID_JSON},
    {"string_first_surrogate_twice", INFERD_INVALID_JSON},
    {"string_incomplete_pair", INFERD_INVALID_JSON},
    {"string_inverted_pair", INFERD_INVALID_JSON},
    {"string_lone_low_surrogate", INFERD_INVALID_JSON},
    {"string_lone_low_surrogate_text", INFERD_INVALID_JSON},
    {"string_continuation_only", INFERD_INVALID_UTF8},
    {"string_encoded_surrogate", INFERD_INVALID_UTF8},
    {"string_encoded_pair", INFERD_INVALID_UTF8},
    {"string_iso_latin_1", INFERD_INVALID_UTF8},
    {"string_overlong_two", INFERD_INVALID_UTF8},
    {"string_overlong_two_c1", INFERD_INVALID_UTF8},
    {"string_overlong_three", INFERD_INVALID_UTF8},
    {"string_overlong_four", INFERD_INVALID_UTF8},
    {"string_overlong_six", INFERD_INVALID_UTF8},
    {"string_overlong_six_nuls", INFERD_INVALID_UTF8},
    {"string_past_last_scalar", INFERD_INVALID_UTF8},
    {"string_past_last_scalar_f5", INFERD_INVALID_UTF8},
    {"string_cut_sequence", INFERD_INVALID_UTF8},
    {"string_cut_sequence_quote", INFERD_INVALID_UTF8},
    {"string_truncated_two", INFERD_INVALID_UTF8},
    {"string_utf8_ff", INFERD_INVALID_UTF8},
    {"string_utf8_then_bad", INFERD_INVALID_UTF8},
    {"string_utf16_big_endian", INFERD_INVALID_JSON},
    {"string_utf16_little_endian", INFERD_INVALID_JSON},
    {"string_utf16_bom", INFERD_INVALID_JSON},
    {"structure_bom_then_object", INFERD_INVALID_JSON},
    {"structure_depth_one_more", INFERD_INVALID_JSON},
    {"structure_depth_500", INFERD_INVALID_JSON},
};
#define CHOICES (sizeof(choices) / sizeof(choices[0]))

static void check_verdict(const char *file, const struct record *r)
{
    if (file[0] == 'y' && r->status != INFERD_OK)
        fail_msg("%s was refused: %s", file, r->err.message);
    if (file[0] == 'n' && r->status == INFERD_OK)
        fail_msg("%s was accepted", file);
    if (file[0] != 'i')
        return;
    for (size_t i = 0; i < CHOICES; i++) {
        size_t n = strlen(choices[i].name);
        if (strncmp(file + 2, choices[i].name, n) == 0 && strcmp(file + 2 + n, ".json") == 0) {
            assert_int_equal(r->status, choices[i].status);
            return;
        }
    }
    fail_msg("%s is not in the table of choices", file);
}

/* Cuts whose record differs from that of the whole input. */
static size_t split_differences(const char *data, size_t n, bool show_cuts)
{
    struct record whole, cut;
    size_t different = 0;
    record_init(&whole);
    record_init(&cut);
    whole.show_cuts = cut.show_cuts = show_cuts;
    record_run(&whole, data, n, NULL, 0);
    for (size_t at = 0; at <= n; at++) {
        record_run(&cut, data, n, &at, 1);
        different += !record_equal(&whole, &cut);
    }
    size_t *each = malloc((n + 1) * sizeof(*each));
    for (size_t i = 0; i < n; i++)
        each[i] = i;
    record_run(&cut, data, n, each, n);
    different += !record_equal(&whole, &cut);
    free(each);
    record_fini(&whole);
    record_fini(&cut);
    return different;
}

static void each_file(size_t count[3], void (*fn)(const char *name, const char *data, size_t n))
{
    DIR *dir = opendir("json");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".json"))
            continue;
        char path[512];
        char *data;
        size_t n;
        inferd_error err;
        snprintf(path, sizeof(path), "json/%s", e->d_name);
        assert_ok(ifd_file_slurp(path, (size_t)1 << 20, &data, &n, &err), err);
        fn(e->d_name, data, n);
        ifd_free(data);
        count[e->d_name[0] == 'y' ? 0 : e->d_name[0] == 'n' ? 1 : 2]++;
    }
    closedir(dir);
}

static void check_file(const char *name, const char *data, size_t n)
{
    struct record r;
    record_init(&r);
    record_run(&r, data, n, NULL, 0);
    check_verdict(name, &r);
    record_fini(&r);
    if (split_differences(data, n, false) != 0)
        fail_msg("%s: what is read depends on how the input is cut", name);
}

static void corpus_has_its_verdicts(void **state)
{
    (void)state;
    size_t count[3] = {0};
    each_file(count, check_file);
    print_message("%zu y_, %zu n_, %zu i_ files, each whole, in bytes and in two pieces\n",
                  count[0], count[1], count[2]);
    assert_int_equal(count[0], 97);
    assert_int_equal(count[1], 210);
    assert_int_equal(count[2], CHOICES);
}

static size_t caught;

static void count_caught(const char *name, const char *data, size_t n)
{
    (void)name;
    caught += split_differences(data, n, true) != 0;
}

/* The control: with a recorder that shows where pieces were cut, the comparison must object. */
static void split_test_sees_a_difference(void **state)
{
    (void)state;
    size_t count[3] = {0};
    each_file(count, count_caught);
    assert_true(caught > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corpus_has_its_verdicts),
        cmocka_unit_test(split_test_sees_a_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

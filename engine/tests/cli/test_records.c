/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <unistd.h>

#include "cli/records.h"

static inferd_error err;

/* The texts (and labels) of `data` joined by '|', then what ended it: '.' or the failure. */
static char joined[1024];
static inferd_status read_all(const struct ifd_records_options *options, const char *data, size_t n)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], data, n), n);
    close(fds[1]);
    struct ifd_records r;
    ifd_records_init(&r, fds[0], options);
    size_t used = 0;
    inferd_status s;
    for (;;) {
        struct ifd_record record;
        s = ifd_records_next(&r, &record, &err);
        if (s || !record.text)
            break;
        if (record.label) {
            memcpy(joined + used, record.label, record.label_size);
            used += record.label_size;
            joined[used++] = '=';
        }
        memcpy(joined + used, record.text, record.size);
        used += record.size;
        joined[used++] = '|';
    }
    joined[used] = '\0';
    ifd_records_fini(&r);
    close(fds[0]);
    return s;
}
#define READ(o, data) read_all(&(o), (data), sizeof(data) - 1)

static const struct ifd_records_options text = {.format = IFD_RECORDS_TEXT, .line_max = 1000};
static const struct ifd_records_options jsonl = {.format = IFD_RECORDS_JSONL, .line_max = 1000};

static struct ifd_records_options tsv(const char *column, const char *label, bool header)
{
    return (struct ifd_records_options){.format = IFD_RECORDS_TSV,
                                        .header = header,
                                        .column = column,
                                        .label_column = label,
                                        .line_max = 1000};
}

static void plain_text(void **state)
{
    (void)state;
    assert_ok(READ(text, "a\tb\r\n\n \xC2\x85\xE2\x80\xA8\nlast"), err);
    assert_string_equal(joined, "a\tb\r|| \xC2\x85\xE2\x80\xA8|last|");
    assert_fails(READ(text, "good\nb\xFF"
                            "ad\nnever\n"),
                 INFERD_INVALID_UTF8, err, "line 2 is not valid UTF-8: byte 2");
    assert_string_equal(joined, "good|");
}

static void tsv_columns(void **state)
{
    (void)state;
    struct ifd_records_options o = tsv(NULL, NULL, true);
    assert_ok(READ(o, "id\ttext\tx\n1\tone\t-\r\n2\t\t-\n"), err);
    assert_string_equal(joined, "one||");
    assert_ok(READ(o, "sentence\nonly one\r\n"), err);
    assert_string_equal(joined, "only one|");
    assert_ok(READ(o, "label\tcontent\n0\tx\n"), err);
    assert_string_equal(joined, "x|");
    assert_ok(READ(o, ""), err);
    assert_string_equal(joined, "");
    o = tsv("x", NULL, true);
    assert_ok(READ(o, "id\ttext\tx\n1\tone\tthis\n"), err);
    assert_string_equal(joined, "this|");
    o = tsv("1", NULL, true);
    assert_ok(READ(o, "id\ttext\n7\tone\n"), err);
    assert_string_equal(joined, "7|");
    o = tsv("2", NULL, false);
    assert_ok(READ(o, "7\tone\n8\ttwo"), err);
    assert_string_equal(joined, "one|two|");
    o = tsv(NULL, "label", true);
    assert_ok(READ(o, "content\tlabel\nx\t1\n\"y\"\tPOS"), err); /* nothing is quoted */
    assert_string_equal(joined, "1=x|POS=\"y\"|");
    o = tsv(NULL, "1", false);
    assert_ok(READ(o, "0\tx\n1\ty\n"), err);
    assert_string_equal(joined, "0=x|1=y|");
}

static void tsv_refusals(void **state)
{
    (void)state;
    struct ifd_records_options o = tsv(NULL, NULL, true);
    assert_fails(READ(o, "a\tb\tc\n1\t2\t3\n"), INFERD_INVALID_ARGUMENT, err,
                 "which of the 3 columns");
    assert_fails(READ(o, "text\tb\n1\xFF\n"), INFERD_INVALID_UTF8, err, "line 2");
    assert_fails(READ(o, "\xFF\tb\n"), INFERD_INVALID_UTF8, err, "line 1");
    o = tsv("text", NULL, true);
    assert_fails(READ(o, "a\tb\n1\t2\n"), INFERD_INVALID_ARGUMENT, err, "the header is: a\tb");
    o = tsv("text", NULL, false);
    assert_fails(READ(o, "a\tb\n"), INFERD_INVALID_ARGUMENT, err, "a number from 1 to 2");
    o = tsv("3", NULL, false);
    assert_fails(READ(o, "a\tb\n"), INFERD_INVALID_ARGUMENT, err, "--column 3");
    o = tsv("0", NULL, false);
    assert_fails(READ(o, "a\tb\n"), INFERD_INVALID_ARGUMENT, err, "--column 0");
    o = tsv("2", NULL, false);
    assert_fails(READ(o, "a\tb\nonly\n"), INFERD_INVALID_REQUEST, err,
                 "line 2 has 1 columns; column 2 is needed");
    assert_string_equal(joined, "b|");
    o = tsv(NULL, "label", true);
    assert_fails(READ(o, "a\tb\n"), INFERD_INVALID_ARGUMENT, err, "--label-column label");
}

static void json_lines(void **state)
{
    (void)state;
    assert_ok(READ(jsonl, "\"one\\n\"\n{\"id\":1,\"text\":\"t\\u00e9\",\"x\":[{}]}\r\n\"\""), err);
    assert_string_equal(joined, "one\n|t\xC3\xA9||");
    static const struct {
        const char *data;
        inferd_status status;
        const char *part;
    } cases[] = {
        {"\"a\"\n\n", INFERD_INVALID_JSON, "line 2: malformed JSON"},
        {"{\"text\":1}\n", INFERD_INVALID_REQUEST, "line 1 is neither"},
        {"{\"txt\":\"a\"}\n", INFERD_INVALID_REQUEST, "line 1 is neither"},
        {"[\"a\"]\n", INFERD_INVALID_REQUEST, "line 1 is neither"},
        {"{\"text\":\"a\",\"text\":\"b\"}\n", INFERD_INVALID_JSON, "line 1: an object has the key"},
        {"{\"text\":\"a\"\n", INFERD_INVALID_JSON, "line 1"},
        {"\"\xFF\"\n", INFERD_INVALID_UTF8, "line 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_fails(read_all(&jsonl, cases[i].data, strlen(cases[i].data)), cases[i].status, err,
                     cases[i].part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text),
        cmocka_unit_test(tsv_columns),
        cmocka_unit_test(tsv_refusals),
        cmocka_unit_test(json_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

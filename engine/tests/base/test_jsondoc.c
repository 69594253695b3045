/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/jsondoc.h"
#include "base/mem.h"

#define MEMORY ((size_t)1 << 30)

static struct ifd_jsondoc *parse(const char *json)
{
    struct ifd_jsondoc *doc;
    inferd_error err;
    assert_ok(ifd_jsondoc_parse(json, strlen(json), MEMORY, &doc, &err), err);
    return doc;
}

static void a_tree_is_what_was_written(void **state)
{
    (void)state;
    struct ifd_jsondoc *doc =
        parse("{\"s\":\"a\\u0000b\",\"n\":-1.5e3,\"t\":true,\"f\":false,\"z\":null,"
              "\"a\":[1,[2],{}],\"o\":{\"s\":\"\"}}");
    const struct ifd_json_node *o = ifd_jsondoc_root(doc);
    assert_int_equal(o->type, IFD_JSON_T_OBJECT);
    assert_int_equal(o->size, 7);
    const struct ifd_json_node *s = ifd_json_get(o, "s");
    assert_int_equal(s->type, IFD_JSON_T_STRING);
    assert_int_equal(s->size, 3);
    assert_memory_equal(s->text, "a\0b", 4);
    assert_string_equal(s->key, "s");
    assert_string_equal(ifd_json_get(o, "n")->text, "-1.5e3");
    assert_true(ifd_json_get(o, "t")->boolean);
    assert_int_equal(ifd_json_get(o, "f")->type, IFD_JSON_T_BOOL);
    assert_false(ifd_json_get(o, "f")->boolean);
    assert_int_equal(ifd_json_get(o, "z")->type, IFD_JSON_T_NULL);
    const struct ifd_json_node *a = ifd_json_get(o, "a");
    assert_int_equal(a->size, 3);
    assert_string_equal(a->first->text, "1");
    assert_null(a->first->key);
    assert_string_equal(a->first->next->first->text, "2");
    assert_int_equal(a->first->next->next->type, IFD_JSON_T_OBJECT);
    assert_null(a->first->next->next->first);
    assert_null(a->first->next->next->next);
    assert_true(ifd_json_is_str(ifd_json_get(ifd_json_get(o, "o"), "s"), ""));
    assert_false(ifd_json_is_str(s, "a"));
    assert_null(ifd_json_get(o, "missing"));
    assert_null(ifd_json_get(a, "s"));
    assert_null(ifd_json_get(NULL, "s"));
    ifd_jsondoc_free(doc);
    ifd_jsondoc_free(NULL);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool ok;
        uint64_t want;
    } integers[] = {
        {"0", true, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999", false, 0},
        {"-0", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        struct ifd_jsondoc *doc = parse(integers[i].json);
        uint64_t got = 42;
        assert_int_equal(ifd_json_u64(ifd_jsondoc_root(doc), &got), integers[i].ok);
        assert_int_equal(got, integers[i].ok ? integers[i].want : 42);
        ifd_jsondoc_free(doc);
    }
    uint64_t u;
    double d = 7;
    assert_false(ifd_json_u64(NULL, &u));
    assert_false(ifd_json_double(NULL, &d));
    struct ifd_jsondoc *doc = parse("[1e-12,-0.5,1e999,\"1\"]");
    const struct ifd_json_node *n = ifd_jsondoc_root(doc)->first;
    assert_true(ifd_json_double(n, &d));
    assert_true(d == 1e-12);
    assert_true(ifd_json_double(n->next, &d));
    assert_true(d == -0.5);
    assert_false(ifd_json_double(n->next->next, &d)); /* not finite */
    assert_false(ifd_json_double(n->next->next->next, &d));
    assert_true(d == -0.5);
    ifd_jsondoc_free(doc);
}

static void malformed_input_is_refused(void **state)
{
    (void)state;
    struct ifd_jsondoc *doc = NULL;
    inferd_error err;
    assert_fails(ifd_jsondoc_parse("[1,]", 4, MEMORY, &doc, &err), INFERD_INVALID_JSON, err,
                 "byte 3");
    assert_fails(ifd_jsondoc_parse("", 0, MEMORY, &doc, &err), INFERD_INVALID_JSON, err, "byte 0");
    assert_fails(ifd_jsondoc_parse("\"\xFF\"", 3, MEMORY, &doc, &err), INFERD_INVALID_UTF8, err,
                 "byte 1");
    assert_null(doc);
}

/* An object of n keys; when second is not SIZE_MAX, the key `second` is written again at the end.
 */
static void write_object(struct ifd_buf *b, size_t n, size_t second)
{
    ifd_buf_init(b, (size_t)1 << 28);
    ifd_buf_add_char(b, '{');
    for (size_t i = 0; i < n; i++)
        ifd_buf_printf(b, "%s\"token%zu\":%zu", i ? "," : "", i, i);
    if (second != SIZE_MAX)
        ifd_buf_printf(b, ",\"\\u0074oken%zu\":0", second);
    ifd_buf_add_char(b, '}');
    assert_false(b->failed);
}

static void duplicates_are_found_at_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, 8, 9, 10, 16, 17, 100, 1000, 30522};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        size_t n = sizes[s];
        struct ifd_buf b;
        struct ifd_jsondoc *doc;
        inferd_error err;
        write_object(&b, n, SIZE_MAX);
        assert_ok(ifd_jsondoc_parse(b.data, b.size, MEMORY, &doc, &err), err);
        assert_int_equal(ifd_jsondoc_root(doc)->size, n);
        ifd_jsondoc_free(doc);
        ifd_buf_fini(&b);
        const size_t which[] = {0, n / 2, n - 1};
        for (size_t w = 0; w < 3; w++) {
            char part[32];
            write_object(&b, n, which[w]);
            snprintf(part, sizeof(part), "\"token%zu\" twice", which[w]);
            assert_fails(ifd_jsondoc_parse(b.data, b.size, MEMORY, &doc, &err), INFERD_INVALID_JSON,
                         err, part);
            ifd_buf_fini(&b);
        }
    }
    /* the same key in two objects is no duplicate; an inner duplicate is one */
    ifd_jsondoc_free(parse("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}"));
    struct ifd_jsondoc *doc;
    inferd_error err;
    static const char inner[] = "[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]";
    assert_fails(ifd_jsondoc_parse(inner, sizeof(inner) - 1, MEMORY, &doc, &err),
                 INFERD_INVALID_JSON, err, "\"a\" twice");
    /* keys that differ only after a NUL, or in length, differ */
    ifd_jsondoc_free(parse("{\"a\\u0000x\":1,\"a\\u0000y\":2,\"a\":3,\"\":4}"));
}

/* A million keys in about the time of n log n: 33 times as many keys may not take 330 times as
 * long. */
static void a_million_keys(void **state)
{
    (void)state;
    uint64_t took[2];
    static const size_t sizes[] = {30000, 1000000};
    for (size_t s = 0; s < 2; s++) {
        struct ifd_buf b;
        struct ifd_jsondoc *doc;
        inferd_error err;
        write_object(&b, sizes[s], SIZE_MAX);
        uint64_t begin = ifd_clock_ns();
        assert_ok(ifd_jsondoc_parse(b.data, b.size, MEMORY, &doc, &err), err);
        took[s] = ifd_clock_ns() - begin;
        assert_int_equal(ifd_jsondoc_root(doc)->size, sizes[s]);
        ifd_jsondoc_free(doc);
        ifd_buf_fini(&b);
    }
    print_message("30,000 keys: %.1f ms; 1,000,000 keys: %.1f ms\n", (double)took[0] / 1e6,
                  (double)took[1] / 1e6);
    assert_true(took[1] < 330 * took[0]);
}

static void long_strings_in_pieces(void **state)
{
    (void)state;
    /* escapes make pieces; the text outgrows several chunks */
    struct ifd_buf b;
    ifd_buf_init(&b, (size_t)1 << 24);
    ifd_buf_add_str(&b, "{\"k\\n\":\"");
    for (unsigned i = 0; i < 200000; i++)
        ifd_buf_add_str(&b, "ab\\t");
    ifd_buf_add_str(&b, "\",\"after\":[1]}");
    struct ifd_jsondoc *doc;
    inferd_error err;
    assert_ok(ifd_jsondoc_parse(b.data, b.size, MEMORY, &doc, &err), err);
    const struct ifd_json_node *n = ifd_json_get(ifd_jsondoc_root(doc), "k\n");
    assert_int_equal(n->size, 600000);
    for (size_t i = 0; i < n->size; i++)
        assert_int_equal(n->text[i], "ab\t"[i % 3]);
    assert_int_equal(n->text[n->size], '\0');
    assert_string_equal(n->next->first->text, "1");
    ifd_jsondoc_free(doc);
    ifd_buf_fini(&b);
}

static void the_memory_bound_holds(void **state)
{
    (void)state;
    struct ifd_buf b;
    write_object(&b, 2000, SIZE_MAX);
    struct ifd_jsondoc *doc;
    inferd_error err;
    /* the least bound that does: everything below fails cleanly, everything above works */
    size_t low = 0, high = (size_t)1 << 22;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        inferd_status s = ifd_jsondoc_parse(b.data, b.size, middle, &doc, &err);
        if (s == INFERD_OK) {
            ifd_jsondoc_free(doc);
            high = middle;
        } else {
            assert_int_equal(s, INFERD_NO_MEMORY);
            low = middle;
        }
    }
    assert_fails(ifd_jsondoc_parse(b.data, b.size, low, &doc, &err), INFERD_NO_MEMORY, err,
                 "it may take");
    /* 2000 nodes, keys and numbers, and the sort: a sane bound, not ten times that */
    size_t content = 2000 * (sizeof(struct ifd_json_node) + 10 + 5 + 2 * 16);
    print_message("2000 keys need %zu bytes, content %zu\n", high, content);
    assert_true(high < 2 * content);
    assert_fails(ifd_jsondoc_parse("1", 1, 0, &doc, &err), INFERD_NO_MEMORY, err, "too few");
    ifd_buf_fini(&b);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct ifd_buf b;
    write_object(&b, 500, SIZE_MAX);
    unsigned failures = 0;
    for (uint64_t i = 0;; i++) {
        struct ifd_jsondoc *doc = NULL;
        inferd_error err;
        ifd_mem_fail_after(i, true);
        inferd_status s = ifd_jsondoc_parse(b.data, b.size, MEMORY, &doc, &err);
        ifd_mem_fail_after(UINT64_MAX, false);
        if (s == INFERD_OK) {
            ifd_jsondoc_free(doc);
            break;
        }
        assert_int_equal(s, INFERD_NO_MEMORY);
        assert_null(doc);
        failures++;
    }
    assert_true(failures >= 5);
    ifd_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_is_what_was_written),
        cmocka_unit_test(numbers),
        cmocka_unit_test(malformed_input_is_refused),
        cmocka_unit_test(duplicates_are_found_at_any_size),
        cmocka_unit_test(a_million_keys),
        cmocka_unit_test(long_strings_in_pieces),
        cmocka_unit_test(the_memory_bound_holds),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "json_record.h"

#include "base/mem.h"

static void expect_events(const char *json, size_t n, const char *events, size_t events_size)
{
    struct record r;
    record_init(&r);
    record_run(&r, json, n, NULL, 0);
    if (r.status)
        fail_msg("%.*s: %s", (int)n, json, r.err.message);
    assert_int_equal(r.offset, n);
    assert_int_equal(r.events.size, events_size);
    assert_memory_equal(r.events.data, events, events_size);
    record_fini(&r);
}
#define EXPECT_EVENTS(json, events) \
    expect_events((json), sizeof(json) - 1, (events), sizeof(events) - 1)

static void events_are_as_documented(void **state)
{
    (void)state;
    EXPECT_EVENTS("{\"a\":[1,true,false,null,\"x\"],\"b\":{}}",
                  "{Ka\xFF[N1\xFFtfnSx\xFF]Kb\xFF{}}");
    EXPECT_EVENTS(" -0.5e+07 ", "N-0.5e+07\xFF");
    EXPECT_EVENTS("\"\"", "S\xFF");
    EXPECT_EVENTS("{\"\":0}", "{K\xFFN0\xFF}");
    EXPECT_EVENTS("\"a\\n\\u0041\\\\\"", "Sa\nA\\\xFF");
    EXPECT_EVENTS("\"\\ud83d\\ude00\"", "S\xF0\x9F\x98\x80\xFF");
    EXPECT_EVENTS("\"\\u00e9\\u4e2d\"", "S\xC3\xA9\xE4\xB8\xAD\xFF");
    EXPECT_EVENTS("\"\\u0000\"", "S\0\xFF");
    EXPECT_EVENTS("[[],[]]", "[[][]]");
    EXPECT_EVENTS("[0,-1,10]", "[N0\xFFN-1\xFFN10\xFF]");
}

struct piece_log {
    unsigned calls;
    size_t sizes[8];
    bool last[8];
};

static inferd_status log_pieces(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                                bool last, inferd_error *err)
{
    (void)event, (void)data, (void)err;
    struct piece_log *l = ctx;
    assert_true(l->calls < 8);
    l->sizes[l->calls] = size;
    l->last[l->calls++] = last;
    return INFERD_OK;
}

/* The common case is worth one call: a string or number that came whole and has no escapes. */
static void plain_text_is_one_piece(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"a plain text with \xC3\xA9\xF0\x9F\x98\x80 inside\"",
                                        "-12.5e3 "};
    for (size_t i = 0; i < 2; i++) {
        struct piece_log l = {0};
        struct ifd_json p;
        inferd_error err;
        ifd_json_init(&p, 1, log_pieces, &l);
        assert_ok(ifd_json_feed(&p, texts[i], strlen(texts[i]), &err), err);
        assert_ok(ifd_json_finish(&p, &err), err);
        assert_int_equal(l.calls, 1);
        assert_true(l.last[0]);
        assert_int_equal(l.sizes[0], i == 0 ? strlen(texts[0]) - 2 : 7);
    }
}

static void errors_name_place_and_expectation(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        inferd_status status;
        uint64_t offset;
        const char *part;
    } cases[] = {
        {"", INFERD_INVALID_JSON, 0, "expected a value, found the end of input"},
        {"  ", INFERD_INVALID_JSON, 2, "at byte 2: expected a value"},
        {"[1,2", INFERD_INVALID_JSON, 4, "expected ',' or the end"},
        {"[", INFERD_INVALID_JSON, 1, "expected a value or ']'"},
        {"{", INFERD_INVALID_JSON, 1, "expected a key or '}'"},
        {"{\"a\"", INFERD_INVALID_JSON, 4, "expected ':' after a key"},
        {"{\"a\":1,}", INFERD_INVALID_JSON, 7, "expected a key in double quotes, found '}'"},
        {"{\"a\" 1}", INFERD_INVALID_JSON, 5, "expected ':' after a key, found '1'"},
        {"[1 2]", INFERD_INVALID_JSON, 3, "expected ',' or ']', found '2'"},
        {"{\"a\":1]", INFERD_INVALID_JSON, 6, "expected ',' or '}', found ']'"},
        {"[01]", INFERD_INVALID_JSON, 2, "expected ',' or ']', found '1'"},
        {"[1.]", INFERD_INVALID_JSON, 3, "expected a digit in a number, found ']'"},
        {"-", INFERD_INVALID_JSON, 1, "expected a digit in a number, found the end"},
        {"[truE]", INFERD_INVALID_JSON, 4, "expected true, false or null, found 'E'"},
        {"nul", INFERD_INVALID_JSON, 3, "expected true, false or null, found the end"},
        {"[] x", INFERD_INVALID_JSON, 3, "expected nothing after the value, found 'x'"},
        {"\"a\nb\"", INFERD_INVALID_JSON, 2,
         "control character in a string to be escaped, found byte 0x0A"},
        {"\"\\x\"", INFERD_INVALID_JSON, 2, "after '\\', found 'x'"},
        {"\"\\u12G4\"", INFERD_INVALID_JSON, 5, "four hexadecimal digits"},
        {"\"\\ud800x\"", INFERD_INVALID_JSON, 7, "expected a low surrogate after a high one"},
        {"\"\\udc00\"", INFERD_INVALID_JSON, 6, "expected a high surrogate before a low one"},
        {"\"abc", INFERD_INVALID_JSON, 4, "expected the closing '\"' of a string"},
        {"\"a\xE4\xB8\"", INFERD_INVALID_UTF8, 2, "at byte 2: the sequence that starts with 0xE4"},
        {"\"a\xFF\"", INFERD_INVALID_UTF8, 2, "at byte 2: the sequence that starts with 0xFF"},
        {"\xEF\xBB\xBF[]", INFERD_INVALID_JSON, 0, "expected a value, found byte 0xEF"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct record r;
        record_init(&r);
        record_run(&r, cases[i].json, strlen(cases[i].json), NULL, 0);
        if (r.status != cases[i].status || r.offset != cases[i].offset ||
            !strstr(r.err.message, cases[i].part))
            fail_msg("%s: got %s at %llu: %s", cases[i].json, inferd_status_type(r.status),
                     (unsigned long long)r.offset, r.err.message);
        record_fini(&r);
    }
}

static void a_failure_stays(void **state)
{
    (void)state;
    struct record r;
    struct ifd_json p;
    inferd_error first, again;
    record_init(&r);
    ifd_json_init(&p, 4, record_event, &r);
    assert_fails(ifd_json_feed(&p, "[1}", 3, &first), INFERD_INVALID_JSON, first, "found '}'");
    size_t events = r.events.size;
    assert_fails(ifd_json_feed(&p, "]", 1, &again), INFERD_INVALID_JSON, again, first.message);
    assert_fails(ifd_json_feed(&p, "", 0, &again), INFERD_INVALID_JSON, again, first.message);
    assert_fails(ifd_json_finish(&p, &again), INFERD_INVALID_JSON, again, first.message);
    assert_int_equal(r.events.size, events);
    assert_int_equal(p.offset, 2);
    record_fini(&r);
}

static void failing_without_an_error_struct(void **state)
{
    (void)state;
    struct record r;
    struct ifd_json p;
    record_init(&r);
    ifd_json_init(&p, 4, record_event, &r);
    assert_int_equal(ifd_json_feed(&p, "[}", 2, NULL), INFERD_INVALID_JSON);
    assert_int_equal(ifd_json_finish(&p, NULL), INFERD_INVALID_JSON);
    record_fini(&r);
}

/* ctx: how many events to let pass. */
static inferd_status stop_after(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                                bool last, inferd_error *err)
{
    (void)event, (void)data, (void)size, (void)last;
    unsigned *left = ctx;
    if (*left == 0)
        return ifd_fail(err, INFERD_TOO_MANY_INPUTS, "enough");
    --*left;
    return INFERD_OK;
}

static void a_callback_stops_the_parse(void **state)
{
    (void)state;
    static const char json[] = "{\"k\":[1,\"s\",true,false,null],\"l\":{\"m\":\"\\n\"}}";
    unsigned stopped = 0;
    for (unsigned events = 0;; events++) {
        unsigned left = events;
        struct ifd_json p;
        inferd_error err;
        ifd_json_init(&p, 4, stop_after, &left);
        inferd_status s = ifd_json_feed(&p, json, sizeof(json) - 1, &err);
        if (!s) {
            assert_ok(ifd_json_finish(&p, &err), err);
            break;
        }
        assert_int_equal(s, INFERD_TOO_MANY_INPUTS);
        assert_string_equal(err.message, "enough");
        assert_fails(ifd_json_feed(&p, " ", 1, &err), INFERD_TOO_MANY_INPUTS, err, "was stopped");
        assert_fails(ifd_json_finish(&p, &err), INFERD_TOO_MANY_INPUTS, err, "was stopped");
        stopped++;
    }
    assert_true(stopped >= 15);
    /* and at the very end, where the last digit of a number is only known to be the last */
    unsigned left = 1;
    struct ifd_json p;
    inferd_error err;
    ifd_json_init(&p, 4, stop_after, &left);
    assert_ok(ifd_json_feed(&p, "12", 2, &err), err);
    assert_fails(ifd_json_finish(&p, &err), INFERD_TOO_MANY_INPUTS, err, "enough");
    assert_fails(ifd_json_finish(&p, &err), INFERD_TOO_MANY_INPUTS, err, "was stopped");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    for (uint32_t limit = 1; limit <= IFD_JSON_DEPTH_MAX; limit++) {
        for (uint32_t depth = limit > 1 ? limit - 1 : 1; depth <= limit + 1; depth++) {
            char json[2 * IFD_JSON_DEPTH_MAX + 2];
            memset(json, '[', depth);
            memset(json + depth, ']', depth);
            struct record r;
            struct ifd_json p;
            inferd_error err;
            record_init(&r);
            ifd_json_init(&p, limit, record_event, &r);
            inferd_status s = ifd_json_feed(&p, json, 2 * depth, &err);
            assert_int_equal(s, depth <= limit ? INFERD_OK : INFERD_INVALID_JSON);
            if (s) {
                assert_non_null(strstr(err.message, "nesting is deeper than the limit"));
                assert_int_equal(p.offset, limit);
            }
            record_fini(&r);
        }
    }
    /* kinds are told apart at each level, the 64th included */
    char mixed[4 * IFD_JSON_DEPTH_MAX + 1];
    size_t n = 0;
    for (unsigned i = 0; i < IFD_JSON_DEPTH_MAX; i += 2)
        n += (size_t)snprintf(mixed + n, sizeof(mixed) - n, "[{\"\":");
    mixed[n++] = '0';
    for (unsigned i = 0; i < IFD_JSON_DEPTH_MAX; i += 2) {
        mixed[n++] = '}';
        mixed[n++] = ']';
    }
    struct record r;
    record_init(&r);
    record_run(&r, mixed, n, NULL, 0);
    assert_int_equal(r.status, INFERD_OK);
    record_fini(&r);
}

static inferd_status nothing(void *ctx, enum ifd_json_event event, const char *data, size_t size,
                             bool last, inferd_error *err)
{
    (void)ctx, (void)event, (void)data, (void)size, (void)last, (void)err;
    return INFERD_OK;
}

static void parsing_never_allocates(void **state)
{
    (void)state;
    static const char json[] = "{\"inputs\":[\"I love this\\u0021\",\"\xC3\xA9\",1e5,[[[]]]]}";
    uint64_t before = ifd_mem_calls();
    struct ifd_json p;
    inferd_error err;
    ifd_json_init(&p, 64, nothing, NULL);
    assert_ok(ifd_json_feed(&p, json, sizeof(json) - 1, &err), err);
    assert_ok(ifd_json_finish(&p, &err), err);
    assert_int_equal(ifd_mem_calls(), before);
    assert_true(sizeof(p) <= 96);
}

/* ---- an independent validator: recursive descent straight from the grammar of RFC 8259 --------
 */

static const char *ref_value(const char *s);

static const char *ref_space(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static const char *ref_string(const char *s)
{
    if (*s++ != '"')
        return NULL;
    for (;; s++) {
        if (*s == '"')
            return s + 1;
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s == '\\') {
            s++;
            if (*s == 'u') {
                if (strspn(s + 1, "0123456789abcdefABCDEF") < 4)
                    return NULL;
                s += 4;
            } else if (!*s || !strchr("\"\\/bfnrt", *s)) {
                return NULL;
            }
        }
    }
}

static const char *ref_digits(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n ? s + n : NULL;
}

static const char *ref_number(const char *s)
{
    s += *s == '-';
    s = *s == '0' ? s + 1 : ref_digits(s);
    if (s && *s == '.')
        s = ref_digits(s + 1);
    if (s && (*s == 'e' || *s == 'E')) {
        s++;
        s = ref_digits(s + (*s == '+' || *s == '-'));
    }
    return s;
}

static const char *ref_members(const char *s, char close, bool keys)
{
    s = ref_space(s);
    if (*s == close)
        return s + 1;
    for (;;) {
        if (keys) {
            s = ref_string(ref_space(s));
            if (!s || *(s = ref_space(s)) != ':')
                return NULL;
            s++;
        }
        s = ref_value(s);
        if (!s)
            return NULL;
        s = ref_space(s);
        if (*s == close)
            return s + 1;
        if (*s++ != ',')
            return NULL;
    }
}

static const char *ref_value(const char *s)
{
    s = ref_space(s);
    if (*s == '[')
        return ref_members(s + 1, ']', false);
    if (*s == '{')
        return ref_members(s + 1, '}', true);
    if (*s == '"')
        return ref_string(s);
    if (strncmp(s, "true", 4) == 0 || strncmp(s, "null", 4) == 0)
        return s + 4;
    if (strncmp(s, "false", 5) == 0)
        return s + 5;
    return ref_number(s);
}

static bool ref_accepts(const char *s)
{
    s = ref_value(s);
    return s && !*ref_space(s);
}

static bool ours_accepts(const char *s, size_t n)
{
    struct ifd_json p;
    ifd_json_init(&p, 64, nothing, NULL);
    return !ifd_json_feed(&p, s, n, NULL) && !ifd_json_finish(&p, NULL);
}

/* Every text of up to `longest` symbols over an alphabet in which each symbol matters. */
static unsigned compare_all(const char *const *symbols, unsigned count, unsigned longest,
                            unsigned *accepted)
{
    unsigned tried = 0;
    unsigned at[8] = {0};
    for (unsigned length = 0; length <= longest; length++) {
        memset(at, 0, sizeof(at));
        for (;;) {
            char text[64];
            size_t n = 0;
            for (unsigned i = 0; i < length; i++) {
                size_t k = strlen(symbols[at[i]]);
                memcpy(text + n, symbols[at[i]], k);
                n += k;
            }
            text[n] = '\0';
            bool want = ref_accepts(text);
            if (ours_accepts(text, n) != want)
                fail_msg("'%s' should be %s", text, want ? "accepted" : "refused");
            tried++;
            *accepted += want;
            unsigned i = 0;
            while (i < length && ++at[i] == count)
                at[i++] = 0;
            if (i == length)
                break;
        }
    }
    return tried;
}

static void agrees_with_the_grammar(void **state)
{
    (void)state;
    static const char *const structure[] = {"[", "]",     "{", "}", ",",
                                            ":", "\"a\"", "1", " ", "true"};
    static const char *const numbers[] = {"0", "1", "-", "+", ".", "e", "E", " ", "x"};
    static const char *const strings[] = {"\"", "\\", "u", "0041", "n", "a", "/", "\x01"};
    unsigned accepted = 0;
    unsigned tried = compare_all(structure, 10, 6, &accepted);
    tried += compare_all(numbers, 9, 6, &accepted);
    tried += compare_all(strings, 8, 6, &accepted);
    print_message("%u texts compared with the grammar, %u of them valid\n", tried, accepted);
    assert_true(tried > 1500000 && accepted > 1000);
    assert_false(ref_accepts("[1,]")); /* the reference itself can tell */
    assert_true(ref_accepts(" [1, {\"a\": -0.5e+1}] "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_as_documented),
        cmocka_unit_test(plain_text_is_one_piece),
        cmocka_unit_test(errors_name_place_and_expectation),
        cmocka_unit_test(a_failure_stays),
        cmocka_unit_test(failing_without_an_error_struct),
        cmocka_unit_test(a_callback_stops_the_parse),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(parsing_never_allocates),
        cmocka_unit_test(agrees_with_the_grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

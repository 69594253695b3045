/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines are caught by putting a pipe in the place of stderr. IFD_LOG_TEXT and IFD_LOG_JSON are
 * asked for by name; on a pipe IFD_LOG_AUTO means JSON.
 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/jsondoc.h"
#include "base/log.h"
#include "base/utf8.h"

static char line[65536];
static size_t line_size;

static void caught(enum ifd_log_format format, enum ifd_log_level level, const char *event,
                   const struct ifd_log_field *fields, unsigned count)
{
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    int saved = dup(2);
    dup2(pipes[1], 2);
    ifd_log_init(IFD_LOG_INFO, format);
    ifd_log_write(level, event, fields, count);
    dup2(saved, 2);
    close(saved);
    ssize_t n = read(pipes[0], line, sizeof(line) - 1);
    line_size = n > 0 ? (size_t)n : 0;
    line[line_size] = '\0';
    close(pipes[0]);
    close(pipes[1]);
}
#define CAUGHT(format, level, event, ...)                                            \
    do {                                                                             \
        const struct ifd_log_field fields_[] = {__VA_ARGS__};                        \
        caught(format, level, event, fields_, sizeof(fields_) / sizeof(fields_[0])); \
    } while (0)

static struct ifd_jsondoc *as_json(void)
{
    struct ifd_jsondoc *doc;
    inferd_error err;
    assert_true(line_size > 0 && line_size <= 4096);
    assert_int_equal(line[line_size - 1], '\n');
    assert_null(memchr(line, '\n', line_size - 1));
    assert_ok(ifd_jsondoc_parse(line, line_size - 1, 1 << 20, &doc, &err), err);
    return doc;
}

static void json_lines(void **state)
{
    (void)state;
    CAUGHT(IFD_LOG_AUTO, IFD_LOG_WARN, "an event", IFD_STR("path", "a \"b\"\n\xC3\xA9"),
           IFD_U64("n", UINT64_MAX), IFD_F64("s", 0.25), IFD_STR("none", NULL));
    struct ifd_jsondoc *doc = as_json();
    const struct ifd_json_node *o = ifd_jsondoc_root(doc);
    assert_true(ifd_json_is_str(ifd_json_get(o, "level"), "warn"));
    assert_true(ifd_json_is_str(ifd_json_get(o, "event"), "an event"));
    assert_true(ifd_json_is_str(ifd_json_get(o, "path"), "a \"b\"\n\xC3\xA9"));
    assert_true(ifd_json_is_str(ifd_json_get(o, "none"), ""));
    uint64_t n;
    double s;
    assert_true(ifd_json_u64(ifd_json_get(o, "n"), &n) && n == UINT64_MAX);
    assert_true(ifd_json_double(ifd_json_get(o, "s"), &s) && s == 0.25);
    const struct ifd_json_node *time = ifd_json_get(o, "time");
    assert_int_equal(time->size, strlen("2000-01-01T00:00:00.000Z"));
    assert_int_equal(time->text[10], 'T');
    assert_int_equal(time->text[23], 'Z');
    assert_null(ifd_json_get(o, "cut"));
    ifd_jsondoc_free(doc);
}

static void text_lines(void **state)
{
    (void)state;
    CAUGHT(IFD_LOG_TEXT, IFD_LOG_INFO, "ready", IFD_STR("url", "http://127.0.0.1:8000"),
           IFD_U64("threads", 2), IFD_STR("name", "two words\x1B[31m"), IFD_STR("empty", ""));
    assert_non_null(strstr(line, "Z info  ready url=http://127.0.0.1:8000 threads=2 "
                                 "name=\"two words\\u001b[31m\" empty=\"\"\n"));
}

static void levels_below_the_least_are_silent(void **state)
{
    (void)state;
    CAUGHT(IFD_LOG_JSON, IFD_LOG_DEBUG, "no", IFD_U64("a", 1));
    assert_int_equal(line_size, 0);
    CAUGHT(IFD_LOG_JSON, IFD_LOG_INFO, "yes", IFD_U64("a", 1));
    assert_true(line_size > 0);
}

/* Bytes of a client in a log line must not make it something that is not JSON. */
static void ill_formed_text_is_replaced(void **state)
{
    (void)state;
    CAUGHT(IFD_LOG_JSON, IFD_LOG_INFO, "x", IFD_STR("bad", "a\xFF\xE4\xB8z"));
    struct ifd_jsondoc *doc = as_json();
    assert_true(ifd_json_is_str(ifd_json_get(ifd_jsondoc_root(doc), "bad"),
                                "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"));
    ifd_jsondoc_free(doc);
}

/* Around the size where a value stops to fit, and far beyond it: one valid line of at most 4 KiB
 * that says that it was cut, with the fields after the large one still there when there is room. */
static void long_values_are_cut(void **state)
{
    (void)state;
    static char value[200000];
    unsigned lines_cut = 0;
    static const char *const units[] = {"x", "\xE4\xB8\xAD", "\n", "\xFF"};
    for (size_t u = 0; u < 4; u++) {
        for (size_t size = 300; size < sizeof(value) - 4; size += size < 4200 ? 13 : 50000) {
            size_t n = 0, k = strlen(units[u]);
            while (n + k <= size) {
                memcpy(value + n, units[u], k);
                n += k;
            }
            value[n] = '\0';
            CAUGHT(IFD_LOG_JSON, IFD_LOG_INFO, "big", IFD_STR("v", value), IFD_U64("after", 7));
            struct ifd_jsondoc *doc = as_json();
            const struct ifd_json_node *o = ifd_jsondoc_root(doc);
            const struct ifd_json_node *v = ifd_json_get(o, "v");
            bool whole = v && v->size == n && memcmp(v->text, value, n) == 0;
            if (u == 3) /* each byte became U+FFFD */
                whole = v && v->size == 3 * n;
            const struct ifd_json_node *cut = ifd_json_get(o, "cut");
            const struct ifd_json_node *after = ifd_json_get(o, "after");
            assert_int_equal(!cut, whole && after);
            lines_cut += cut != NULL;
            ifd_jsondoc_free(doc);
            CAUGHT(IFD_LOG_TEXT, IFD_LOG_INFO, "big", IFD_STR("v", value));
            assert_true(line_size <= 4096);
            assert_int_equal(line[line_size - 1], '\n');
        }
    }
    assert_true(lines_cut > 20);
}

static void *log_many(void *arg)
{
    char text[200];
    memset(text, 'a' + (int)(intptr_t)arg, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 50; i++)
        ifd_log(IFD_LOG_INFO, "line", IFD_STR("v", text));
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe2(pipes, 0), 0);
    assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20) > 0);
    int saved = dup(2);
    dup2(pipes[1], 2);
    ifd_log_init(IFD_LOG_INFO, IFD_LOG_JSON);
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_many, (void *)i);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    dup2(saved, 2);
    close(saved);
    close(pipes[1]);
    FILE *f = fdopen(pipes[0], "r");
    char *text = NULL;
    size_t room = 0;
    unsigned lines = 0;
    for (ssize_t n; (n = getline(&text, &room, f)) > 0; lines++) {
        struct ifd_jsondoc *doc;
        inferd_error err;
        assert_ok(ifd_jsondoc_parse(text, (size_t)n - 1, 1 << 20, &doc, &err), err);
        const struct ifd_json_node *v = ifd_json_get(ifd_jsondoc_root(doc), "v");
        assert_int_equal(v->size, 199);
        assert_int_equal(v->text[0], v->text[198]);
        ifd_jsondoc_free(doc);
    }
    free(text);
    fclose(f);
    assert_int_equal(lines, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_lines),
        cmocka_unit_test(text_lines),
        cmocka_unit_test(levels_below_the_least_are_silent),
        cmocka_unit_test(ill_formed_text_is_replaced),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(lines_of_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <pthread.h>
#include <unistd.h>

#include "cli/lines.h"

struct feed {
    int fd;
    const char *data;
    size_t n, piece;
};

static void *feed_main(void *arg)
{
    struct feed *f = arg;
    for (size_t at = 0; at < f->n;) {
        size_t k = f->n - at < f->piece ? f->n - at : f->piece;
        ssize_t n = write(f->fd, f->data + at, k);
        if (n < 0)
            break;
        at += (size_t)n;
    }
    close(f->fd);
    return NULL;
}

/* Every line of `data` written through a pipe in pieces, against a split done here. */
static void check(const char *data, size_t n, size_t piece, uint64_t want_lines)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct feed f = {fds[1], data, n, piece};
    pthread_t thread;
    pthread_create(&thread, NULL, feed_main, &f);
    struct ifd_lines l;
    inferd_error err;
    ifd_lines_init(&l, fds[0], 1 << 20);
    size_t at = 0;
    uint64_t lines = 0;
    for (;;) {
        const char *line;
        size_t size;
        assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
        if (!line)
            break;
        const char *lf = memchr(data + at, '\n', n - at);
        size_t want = lf ? (size_t)(lf - data) - at : n - at;
        assert_int_equal(size, want);
        assert_memory_equal(line, data + at, size);
        at += want + (lf != NULL);
        assert_int_equal(l.number, ++lines);
    }
    assert_int_equal(at, n);
    assert_int_equal(lines, want_lines);
    pthread_join(thread, NULL);
    close(fds[0]);
    ifd_lines_fini(&l);
}

static void only_lf_ends_a_line(void **state)
{
    (void)state;
    static const char data[] = "a\tb\r\n\n\xC2\x85\xE2\x80\xA8\x0B\x0C\r\0z\n\n  \nlast";
    for (size_t piece = 1; piece < sizeof(data); piece++)
        check(data, sizeof(data) - 1, piece, 6);
    check("", 0, 1, 0);
    check("\n", 1, 1, 1);
    check("\n\n", 2, 1, 2);
    check("x", 1, 1, 1);
    check("x\n", 2, 1, 1);
}

static void long_lines_cross_chunks(void **state)
{
    (void)state;
    static char data[700000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = i % 200003 == 7 || i % 70001 == 9 ? '\n' : 'x';
    uint64_t lines = 1;
    for (size_t i = 0; i < sizeof(data) - 1; i++)
        lines += data[i] == '\n';
    check(data, sizeof(data), 4096, lines);
    check(data, sizeof(data), 65536, lines);
}

/* n - 1, n, n + 1 bytes against the limit, ended by LF and by the end of the stream. */
static void the_longest_line_is_exact(void **state)
{
    (void)state;
    static char data[70003];
    static const size_t limits[] = {1, 100, 65535, 65536, 65537, 70000};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        for (size_t n = limits[i] - 1; n <= limits[i] + 1; n++) {
            for (unsigned ended = 0; ended < 2; ended++) {
                int fds[2];
                assert_int_equal(pipe(fds), 0);
                memset(data, 'x', n);
                data[n] = '\n';
                struct feed f = {fds[1], data, n + ended, 1000};
                pthread_t thread;
                pthread_create(&thread, NULL, feed_main, &f);
                struct ifd_lines l;
                inferd_error err;
                const char *line;
                size_t size;
                ifd_lines_init(&l, fds[0], limits[i]);
                if (n <= limits[i]) {
                    assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
                    assert_int_equal(size, n);
                    assert_int_equal(line != NULL, n || ended);
                } else {
                    assert_fails(ifd_lines_next(&l, &line, &size, &err), INFERD_INVALID_REQUEST,
                                 err, "line 1 is longer");
                }
                pthread_join(thread, NULL);
                close(fds[0]);
                ifd_lines_fini(&l);
            }
        }
    }
}

static void readiness(void **state)
{
    (void)state;
    int fds[2];
    struct ifd_lines l;
    inferd_error err;
    const char *line;
    size_t size;
    assert_int_equal(pipe(fds), 0);
    ifd_lines_init(&l, fds[0], 100);
    assert_false(ifd_lines_ready(&l));
    assert_int_equal(write(fds[1], "a\nb\nc", 5), 5);
    assert_true(ifd_lines_ready(&l));
    assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
    assert_true(ifd_lines_ready(&l)); /* b is here already */
    assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
    assert_false(ifd_lines_ready(&l)); /* c has no end yet */
    close(fds[1]);
    assert_true(ifd_lines_ready(&l));
    assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
    assert_int_equal(size, 1);
    assert_ok(ifd_lines_next(&l, &line, &size, &err), err);
    assert_null(line);
    assert_ok(ifd_lines_next(&l, &line, &size, &err), err); /* the end stays */
    assert_null(line);
    ifd_lines_fini(&l);
    close(fds[0]);
    ifd_lines_init(&l, -1, 100);
    assert_fails(ifd_lines_next(&l, &line, &size, &err), INFERD_IO, err, "reading line 1 failed");
    ifd_lines_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_lf_ends_a_line),
        cmocka_unit_test(long_lines_cross_chunks),
        cmocka_unit_test(the_longest_line_is_exact),
        cmocka_unit_test(readiness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/out.h"

static void *drain(void *arg)
{
    size_t *total = arg;
    static char bytes[4096];
    for (ssize_t n; (n = read((int)*total, bytes, sizeof(bytes))) != 0;) {
        if (n < 0)
            break;
        total[1] += (size_t)n;
    }
    return NULL;
}

/* More than a pipe holds, through a descriptor that does not block: all of it arrives. */
static void all_arrives(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    size_t total[2] = {(size_t)fds[0], 0};
    pthread_t thread;
    pthread_create(&thread, NULL, drain, total);
    struct ifd_out out;
    ifd_out_init(&out, fds[1]);
    for (unsigned i = 0; i < 100000; i++) {
        ifd_buf_add_str(&out.buf, "a line of output\n");
        assert_true(ifd_out_line(&out));
    }
    assert_int_equal(ifd_out_finish(&out), IFD_EXIT_OK);
    ifd_out_fini(&out);
    close(fds[1]);
    pthread_join(thread, NULL);
    close(fds[0]);
    assert_int_equal(total[1], 1700000);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    struct ifd_out out;
    ifd_out_init(&out, fd);
    ifd_buf_add_str(&out.buf, "x\n");
    assert_true(ifd_out_line(&out)); /* not sent yet */
    assert_false(ifd_out_flush(&out));
    ifd_buf_add_str(&out.buf, "dropped\n");
    assert_false(ifd_out_line(&out));
    assert_int_equal(ifd_out_finish(&out), IFD_EXIT_IO);
    ifd_out_fini(&out);
    close(fd);
}

static void a_closed_pipe_is_an_error(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    struct ifd_out out;
    ifd_out_init(&out, fds[1]);
    ifd_buf_add_str(&out.buf, "x\n");
    assert_int_equal(ifd_out_finish(&out), IFD_EXIT_IO);
    ifd_out_fini(&out);
    close(fds[1]);
}

/* Half a line must not be followed by the next one as if nothing were missing. */
static void no_memory_is_an_error(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct ifd_out out;
    ifd_out_init(&out, fds[1]);
    ifd_buf_add_str(&out.buf, "begin");
    ifd_mem_fail_after(0, true);
    for (unsigned i = 0; i < 1000; i++)
        ifd_buf_add_str(&out.buf, "more");
    ifd_mem_fail_after(UINT64_MAX, false);
    assert_false(ifd_out_line(&out));
    ifd_buf_add_str(&out.buf, "next\n");
    assert_int_equal(ifd_out_finish(&out), IFD_EXIT_INTERNAL);
    ifd_out_fini(&out);
    close(fds[1]);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 0);
    close(fds[0]);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrives),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(a_closed_pipe_is_an_error),
        cmocka_unit_test(no_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

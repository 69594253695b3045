/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole server inside the test's process, over the golden BERT: what can only be seen from
 * inside. No allocation on the hot path; memory that runs out at every single allocation of start
 * and of serving gives an error and never a crash, a hang or a leak.
 */
#include "test.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/inside.h"

static void the_hot_path_allocates_nothing(void **state)
{
    (void)state;
    struct running r;
    start(&r);
    launch(&r);
    int fd = dial_ready(&r, 60);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < 50; i++) /* buffers reach their size */
        assert_int_equal(ask(fd, infer), 200);
    uint64_t calls = ifd_mem_calls();
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(ask(fd, infer), 200);
    assert_int_equal(ifd_mem_calls(), calls);
    int other = dial(&r); /* the control: a new connection does allocate */
    assert_int_equal(ask(other, ready), 200);
    assert_true(ifd_mem_calls() > calls);
    close(other);
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

static void start_survives_want_of_memory(void **state)
{
    (void)state;
    unsigned failed = 0, served = 0;
    uint64_t step = 1;
    for (uint64_t n = 0; n < 4000 && served < 3; n += step) {
        struct running r;
        start(&r);
        ifd_mem_fail_after(n, true);
        launch(&r);
        /* not long: a server that is up but has no memory for any connection is never ready */
        int fd = dial_ready(&r, 2);
        ifd_mem_fail_after(UINT64_MAX, false);
        if (fd >= 0) {
            served++;
            close(fd);
        }
        stop(&r);
        assert_true(r.status == INFERD_OK || r.status == INFERD_NO_MEMORY);
        failed += r.status == INFERD_NO_MEMORY;
        step = n < 60 ? 1 : 17; /* the server's own first, then a sample of the model's */
    }
    assert_true(failed > 30);
}

static void serving_survives_want_of_memory(void **state)
{
    (void)state;
    struct running r;
    start(&r);
    launch(&r);
    int fd = dial_ready(&r, 60);
    assert_true(fd >= 0);
    close(fd);
    unsigned refused = 0, cut = 0;
    for (uint64_t n = 0; n < 40; n++) {
        int c = dial(&r);
        assert_true(c >= 0);
        ifd_mem_fail_after(n % 20, n >= 20);
        int status = ask(c, infer);
        ifd_mem_fail_after(UINT64_MAX, false);
        assert_true(status == 0 || status == 200 || status == 503);
        refused += status == 503;
        cut += status == 0;
        close(c);
    }
    assert_true(refused + cut > 0); /* some failures did hit */
    fd = dial_ready(&r, 60);
    assert_int_equal(ask(fd, infer), 200);
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hot_path_allocates_nothing),
        cmocka_unit_test(start_survives_want_of_memory),
        cmocka_unit_test(serving_survives_want_of_memory),
    };
    ifd_log_init(IFD_LOG_ERROR, IFD_LOG_JSON);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

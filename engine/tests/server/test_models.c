/* SPDX-License-Identifier: Apache-2.0
 *
 * Swaps and shadows from inside: memory that runs out at any allocation of a load refuses that load
 * and nothing else; mirroring allocates nothing in the steady state; what goes away is freed.
 */
#include "test.h"

#include "base/log.h"
#include "base/mem.h"
#include "server/inside.h"
#include "server/shadow_figures.h"

#define KEY "a-key-of-twenty-chars"
#define OTHER "../model/golden/distilbert-sharded"

static char key_file[] = "/tmp/inferd-test-keys-XXXXXX";

static int make_keys(void **state)
{
    (void)state;
    const int fd = mkstemp(key_file);
    if (fd < 0)
        return -1;
    const bool good = write(fd, KEY "\n", sizeof(KEY)) == sizeof(KEY);
    close(fd);
    return good ? 0 : -1;
}

static int remove_keys(void **state)
{
    (void)state;
    return unlink(key_file);
}

static int post(int fd, const char *route, const char *body)
{
    char request[1024];
    snprintf(request, sizeof(request),
             "POST /admin/models/%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " KEY
             "\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             route, strlen(body), body);
    return ask(fd, request);
}

static int begin(struct running *r)
{
    start(r);
    r->config.admin_key_file = key_file;
    r->config.load_at_full_priority = true; /* a machine that tests on all cores has no idle time */
    launch(r);
    const int fd = dial_ready(r, 60);
    assert_true(fd >= 0);
    return fd;
}

static void a_load_survives_want_of_memory(void **state)
{
    (void)state;
    struct running r;
    unsigned loaded = 0, refused = 0;
    int fd = begin(&r);
    uint64_t step = 1;
    for (uint64_t n = 0; n < 3000 && loaded < 3; n += step) {
        const bool shadow = n % 2;
        ifd_mem_fail_after(n, true);
        const int status = shadow ? post(fd, "shadow", "{\"path\":\"" OTHER "\",\"share\":1}")
                                  : post(fd, "load", "{\"path\":\"" OTHER "\"}");
        ifd_mem_fail_after(UINT64_MAX, false);
        if (status != 0 && status != 200 && status != 503)
            fail_msg("allocation %u failing: status %d", (unsigned)n, status);
        loaded += status == 200;
        refused += status == 503;
        if (status == 0) {
            close(fd);
            fd = dial_ready(&r, 60);
            assert_true(fd >= 0);
            /* the order may have come through although its answer did not: wait for its end */
            for (int s; (s = post(fd, "load", "{\"path\":\"" OTHER "\"}")) != 200;) {
                assert_int_equal(s, 409);
                (void)post(fd, "unload_candidate", "");
            }
        }
        assert_int_equal(ask(fd, infer), 200);
        if (status == 200 && shadow)
            assert_int_equal(post(fd, "unload_candidate", ""), 200);
        step = n < 60 ? 1 : 7;
    }
    assert_true(refused > 30 && loaded >= 3);
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

static void mirroring_allocates_nothing(void **state)
{
    (void)state;
    struct running r;
    const int fd = begin(&r);
    assert_int_equal(post(fd, "shadow", "{\"path\":\"" OTHER "\",\"share\":1}"), 200);
    /* How many requests are mirrored at a time is a matter of timing, and each deeper one takes its
     * buffers once: some round soon needs none. */
    uint64_t calls = 0;
    bool still = false;
    for (unsigned round = 0; round < 20 && !still; round++) {
        calls = ifd_mem_calls();
        for (unsigned i = 0; i < 300; i++)
            assert_int_equal(ask(fd, infer), 200);
        still = ifd_mem_calls() == calls;
    }
    assert_true(still);
    assert_int_equal(post(fd, "promote", ""), 200); /* the control: this does allocate */
    assert_true(ifd_mem_calls() > calls);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(ask(fd, infer), 200);
        assert_int_equal(post(fd, "rollback", ""), 200);
    }
    close(fd);
    stop(&r);
    assert_ok(r.status, r.err);
}

/* Stopped at once, wherever the loader and the shadow are. */
static void a_stop_in_the_middle_is_clean(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        struct running r;
        const int fd = begin(&r), other = dial(&r);
        if (i % 3 == 1)
            assert_int_equal(post(fd, "shadow", "{\"path\":\"" OTHER "\",\"share\":1}"), 200);
        if (i % 3 == 2) { /* nobody waits for the answer */
            static const char load[] =
                "POST /admin/models/load HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " KEY
                "\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{\"path\":\"" MODEL
                "\"}";
            assert_true(send(other, load, sizeof(load) - 1, MSG_NOSIGNAL) > 0);
        } else {
            kill(getpid(), SIGHUP);
        }
        assert_int_equal(ask(fd, infer), 200);
        usleep(200 * i);
        close(other);
        stop(&r);
        close(fd);
        assert_ok(r.status, r.err);
    }
}

/* Buckets hold their times, in order, at most 25 % wide. */
static void buckets_are_quarters_of_octaves(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (unsigned b = 1; b < IFD_SHADOW_BUCKETS - 1; b++) {
        const uint64_t most = ifd_shadow_bucket_most(b), least = ifd_shadow_bucket_most(b - 1) + 1;
        assert_int_equal(ifd_shadow_bucket(most), b);
        assert_int_equal(ifd_shadow_bucket(least), b);
        assert_int_equal(ifd_shadow_bucket(most + 1), b + 1);
        assert_true(most - least <= least / 4);
    }
    for (unsigned i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const unsigned b = ifd_shadow_bucket(seed >> (seed % 60));
        assert_true(b < IFD_SHADOW_BUCKETS);
    }
    assert_int_equal(ifd_shadow_bucket(UINT64_MAX), IFD_SHADOW_BUCKETS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_survives_want_of_memory),
        cmocka_unit_test(mirroring_allocates_nothing),
        cmocka_unit_test(a_stop_in_the_middle_is_clean),
        cmocka_unit_test(buckets_are_quarters_of_octaves),
    };
    ifd_log_init(IFD_LOG_ERROR + 1, IFD_LOG_JSON); /* refusals are expected here */
    return cmocka_run_group_tests(tests, make_keys, remove_keys);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets: the burst, the rate after it, how long to wait, and many clients in bounded
 * memory.
 */
#include "test.h"

#include "server/rate.h"

#define SECOND UINT64_C(1000000000)

static struct ifd_rate *make(uint32_t per_second, uint32_t burst)
{
    struct ifd_rate *r = NULL;
    inferd_error err;
    assert_ok(ifd_rate_create(per_second, burst, &r, &err), err);
    return r;
}

static void a_burst_and_then_the_rate(void **state)
{
    (void)state;
    struct ifd_rate *r = make(10, 5);
    uint64_t now = 100 * SECOND, wait = 0;
    for (unsigned i = 0; i < 5; i++)
        assert_true(ifd_rate_take(r, 1, now, &wait));
    assert_false(ifd_rate_take(r, 1, now, &wait));
    assert_int_equal(wait, SECOND / 10);
    assert_true(ifd_rate_take(r, 2, now, &wait)); /* another client is not held back */
    /* not a nanosecond before the wait is over */
    assert_false(ifd_rate_take(r, 1, now + wait - 1, &wait));
    assert_int_equal(wait, 1);
    assert_true(ifd_rate_take(r, 1, now + SECOND / 10, &wait));
    /* ten seconds at any speed: ten a second, and what the burst still gave */
    unsigned taken = 0;
    for (uint64_t t = now + SECOND; t < now + 11 * SECOND; t += SECOND / 997)
        taken += ifd_rate_take(r, 1, t, &wait);
    assert_in_range(taken, 100, 105);
    ifd_rate_free(r);
}

static void a_refusal_costs_nothing(void **state)
{
    (void)state;
    struct ifd_rate *r = make(1, 1);
    uint64_t wait = 0;
    assert_true(ifd_rate_take(r, 7, SECOND, &wait));
    for (unsigned i = 0; i < 100; i++) /* trying does not prolong the wait */
        assert_false(ifd_rate_take(r, 7, SECOND + SECOND / 2, &wait));
    assert_int_equal(wait, SECOND / 2);
    assert_true(ifd_rate_take(r, 7, 2 * SECOND, &wait));
    ifd_rate_free(r);
}

/* Far more clients than places: nobody is refused who has not asked before, and a client that asks
 * all the time is still held back while the others come and go. */
static void many_clients(void **state)
{
    (void)state;
    struct ifd_rate *r = make(1, 2);
    uint64_t now = SECOND, wait = 0;
    unsigned greedy = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        now += SECOND / 10000;
        assert_true(ifd_rate_take(r, 1000 + i, now, &wait));
        greedy += ifd_rate_take(r, 1, now, &wait);
    }
    assert_in_range(greedy, 11, 40); /* ten seconds; now and then its place is given away */
    ifd_rate_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(a_refusal_costs_nothing),
        cmocka_unit_test(many_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

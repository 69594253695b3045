/* SPDX-License-Identifier: Apache-2.0
 *
 * Every allocation of open, session and classify fails once, and once with all after it: each time
 * INFERD_NO_MEMORY comes out with a message, nothing leaks (the address sanitizer says) and the
 * next try works.
 */
#include "base/mem.h"
#include "test.h"

struct scenario {
    const char *dir;
    uint32_t threads;
};

/* The whole way of a program, stopping at the first failure. */
static inferd_status run(const struct scenario *sc, inferd_error *err)
{
    inferd_model *m = NULL;
    inferd_session *s = NULL;
    inferd_session_options o = {sizeof(o), sc->threads, 64};
    inferd_text texts[3] = {{"the film was good", 17}, {"b\xc3\xa9tter", 7}, {"", 0}};
    inferd_result results[3];
    int32_t ids[16];
    size_t count;
    inferd_status st = inferd_model_open(sc->dir, NULL, &m, err);
    if (!st)
        st = inferd_tokenize(m, texts[0], ids, 16, &count, NULL, err);
    if (!st)
        st = inferd_session_open(m, &o, &s, err);
    if (!st)
        st = inferd_classify(s, texts, 3, results, NULL, err);
    inferd_session_close(s);
    inferd_model_release(m);
    return st;
}

static void sweep(const struct scenario *sc)
{
    inferd_error err;
    uint64_t before = ifd_mem_calls();
    assert_ok(run(sc, &err), err);
    uint64_t calls = ifd_mem_calls() - before;
    assert_true(calls > 20);
    for (uint64_t n = 0; n < calls; n++) {
        for (int sticky = 0; sticky < 2; sticky++) {
            err.message[0] = '\0';
            ifd_mem_fail_after(n, sticky);
            inferd_status st = run(sc, &err);
            ifd_mem_fail_after(UINT64_MAX, false);
            if (st != INFERD_NO_MEMORY || err.message[0] == '\0' || err.status != st)
                fail_msg("%s: allocation %llu of %llu%s: %s (%s)", sc->dir, (unsigned long long)n,
                         (unsigned long long)calls, sticky ? " and later" : "",
                         inferd_status_type(st), err.message);
        }
    }
    assert_ok(run(sc, &err), err);
    print_message("faults: %s, %u threads: %llu allocations, each failed twice\n", sc->dir,
                  sc->threads, (unsigned long long)calls);
}

static void test_sweep(void **state)
{
    (void)state;
    static const struct scenario scenarios[] = {
        {"golden/bert-one-label", 1},
        {"golden/bert-old-names", 1},
        {"golden/distilbert-sharded", 2},
    };
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
        sweep(&scenarios[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

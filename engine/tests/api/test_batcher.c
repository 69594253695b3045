/* SPDX-License-Identifier: Apache-2.0
 *
 * The public batcher: options at their bounds, results and logits equal to a session's bit by bit,
 * the stages' times, bodies and answers of POST /infer, refusals, time-outs, cancellation, many
 * threads at once, a child after fork(), and no allocation per request.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "test.h"

#define MODEL "golden/bert-f32"

static inferd_model *open_model(void)
{
    inferd_model *m = NULL;
    inferd_error err;
    assert_ok(inferd_model_open(MODEL, NULL, &m, &err), err);
    return m;
}

static inferd_batcher *open_batcher(inferd_model *m, uint32_t threads)
{
    inferd_batcher *b = NULL;
    inferd_error err;
    inferd_batcher_options o = {.struct_size = sizeof(o), .threads = threads};
    assert_ok(inferd_batcher_open(m, &o, &b, &err), err);
    return b;
}

struct wait {
    sem_t done;
    inferd_status status;
};

static void on_done(void *arg, inferd_status status)
{
    struct wait *w = arg;
    w->status = status;
    sem_post(&w->done);
}

static inferd_status run(inferd_request *r, uint32_t timeout_ms)
{
    struct wait w = {.status = INFERD_INTERNAL};
    inferd_error err;
    sem_init(&w.done, 0, 0);
    assert_ok(inferd_request_submit(r, timeout_ms, on_done, &w, &err), err);
    while (sem_wait(&w.done) != 0)
        ;
    sem_destroy(&w.done);
    return w.status;
}

static void test_options(void **state)
{
    (void)state;
    inferd_model *m = open_model();
    inferd_batcher *b = NULL;
    inferd_error err;
    inferd_batcher_options o = {0};
    assert_fails(inferd_batcher_open(NULL, NULL, &b, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_fails(inferd_batcher_open(m, NULL, NULL, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_fails(inferd_batcher_open(m, &o, &b, &err), INFERD_INVALID_ARGUMENT, err, "struct_size");
    static const struct {
        size_t at;
        uint32_t bad[2], good[2];
        const char *name;
    } rows[] = {
        {offsetof(inferd_batcher_options, threads), {1025, UINT32_MAX}, {1, 2}, "threads"},
        {offsetof(inferd_batcher_options, max_batch_tokens),
         {2, (1u << 20) + 1},
         {3, 300},
         "max_batch_tokens"},
        {offsetof(inferd_batcher_options, max_batch_texts), {65537, 65538}, {1, 7}, "texts"},
        {offsetof(inferd_batcher_options, batch_wait_us), {1000001, UINT32_MAX}, {1, 9}, "wait_us"},
        {offsetof(inferd_batcher_options, max_queue_texts),
         {1000001, 127},
         {128, 129},
         "max_queue_texts"},
        {offsetof(inferd_batcher_options, max_queue_tokens),
         {(1u << 30) + 1, 128 * 64 - 1},
         {128 * 64, 128 * 64 + 1},
         "max_queue_tokens"},
        {offsetof(inferd_batcher_options, max_queue_wait_ms),
         {86400001, UINT32_MAX},
         {1, 86400000},
         "max_queue_wait_ms"},
        {offsetof(inferd_batcher_options, max_inputs), {65537, 1025}, {1, 1024}, "max_inputs"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (unsigned k = 0; k < 2; k++) {
            memset(&o, 0, sizeof(o));
            o.struct_size = sizeof(o);
            memcpy((char *)&o + rows[i].at, &rows[i].bad[k], sizeof(uint32_t));
            assert_fails(inferd_batcher_open(m, &o, &b, &err), INFERD_INVALID_ARGUMENT, err,
                         rows[i].name);
            memcpy((char *)&o + rows[i].at, &rows[i].good[k], sizeof(uint32_t));
            assert_ok(inferd_batcher_open(m, &o, &b, &err), err);
            inferd_batcher_close(b);
        }
    }
    inferd_batcher_close(NULL);
    inferd_request_close(NULL);
    inferd_model_release(m);
}

enum { TEXTS = 6 };
static const inferd_text texts[TEXTS] = {{"good", 4},
                                         {"a bad film", 10},
                                         {"", 0},
                                         {"the acting was great", 20},
                                         {"so very boring", 14},
                                         {"film film film film film", 24}};

/* Batcher and session agree on every bit, whatever a request is batched with. */
static void test_results(void **state)
{
    (void)state;
    inferd_model *m = open_model();
    inferd_session *s = NULL;
    inferd_request *r = NULL;
    inferd_result want[TEXTS];
    inferd_error err;
    size_t count = 0;
    inferd_batcher *b = open_batcher(m, 2);
    assert_ok(inferd_session_open(m, NULL, &s, &err), err);
    assert_ok(inferd_classify(s, texts, TEXTS, want, NULL, &err), err);
    assert_ok(inferd_request_open(b, &r, &err), err);
    for (size_t n = 1; n <= TEXTS; n++) {
        assert_ok(inferd_request_set_texts(r, texts, n, &err), err);
        assert_int_equal(run(r, 0), INFERD_OK);
        const inferd_result *got = inferd_request_results(r, &count);
        assert_int_equal(count, n);
        assert_memory_equal(got, want, n * sizeof(*want));
    }
    /* control: the results do differ from text to text */
    assert_true(want[0].confidence != want[1].confidence);
    inferd_batcher_close(b); /* before its request, which can still be read */
    assert_memory_equal(inferd_request_results(r, &count), want, sizeof(want));
    inferd_request_close(r);
    inferd_session_close(s);
    inferd_model_release(m);
}

/* Kept logits are the session's bit by bit, for texts and bodies, and only where they were asked
 * for. */
static void test_logits(void **state)
{
    (void)state;
    enum { LABELS_MAX = 8 };
    inferd_model *m = open_model();
    inferd_session *s = NULL;
    inferd_request *r = NULL;
    inferd_result want[TEXTS];
    float logits[TEXTS * LABELS_MAX], scores[LABELS_MAX];
    inferd_error err;
    size_t count = 0;
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(m, &info);
    assert_in_range(info.labels, 2, LABELS_MAX);
    inferd_batcher *b = open_batcher(m, 2);
    assert_ok(inferd_session_open(m, NULL, &s, &err), err);
    assert_ok(inferd_classify(s, texts, TEXTS, want, logits, &err), err);
    assert_ok(inferd_request_open(b, &r, &err), err);
    assert_ok(inferd_request_set_texts(r, texts, 1, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    assert_null(inferd_request_logits(r));
    inferd_request_keep_logits(r, 1);
    for (size_t n = 1; n <= TEXTS; n++) {
        assert_ok(inferd_request_set_texts(r, texts, n, &err), err);
        assert_int_equal(run(r, 0), INFERD_OK);
        const float *got = inferd_request_logits(r);
        assert_non_null(got);
        assert_memory_equal(got, logits, n * info.labels * sizeof(*got));
        const inferd_result *results = inferd_request_results(r, &count);
        for (size_t i = 0; i < n; i++) {
            inferd_scores(m, got + i * info.labels, scores);
            assert_memory_equal(&scores[results[i].label], &results[i].confidence, sizeof(float));
        }
    }
    static const char body[] = "{\"inputs\":[\"good\",\"a bad film\"]}";
    assert_ok(inferd_request_set_body(r, body, sizeof(body) - 1, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    assert_memory_equal(inferd_request_logits(r), logits, 2 * info.labels * sizeof(float));
    inferd_request_keep_logits(r, 0);
    assert_ok(inferd_request_set_texts(r, texts, 2, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    assert_null(inferd_request_logits(r));
    /* control: the texts' logits do differ */
    assert_memory_not_equal(logits, logits + info.labels, info.labels * sizeof(float));
    inferd_request_close(r);
    inferd_batcher_close(b);
    inferd_session_close(s);
    inferd_model_release(m);
}

static uint64_t sum(const inferd_request_times *t)
{
    return t->parse_ns + t->tokenize_ns + t->queue_ns + t->infer_ns + t->serialize_ns;
}

/* The stages of a request: each where it happened, none longer than the whole. */
static void test_times(void **state)
{
    (void)state;
    static const char body[] = "{\"inputs\":[\"good\",\"a bad film\"]}";
    inferd_model *m = open_model();
    inferd_batcher *b = open_batcher(m, 1);
    inferd_request *r = NULL;
    inferd_error err;
    size_t size = 0;
    struct {
        inferd_request_times times;
        uint64_t newer;
    } t = {.times = {.struct_size = sizeof(t)}, .newer = 7};
    assert_ok(inferd_request_open(b, &r, &err), err);
    const uint64_t began = ifd_clock_ns();
    assert_ok(inferd_request_set_body(r, body, sizeof(body) - 1, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    inferd_request_get_times(r, &t.times);
    assert_true(t.times.parse_ns > 0 && t.times.tokenize_ns > 0 && t.times.infer_ns > 0);
    assert_int_equal(t.times.serialize_ns, 0);
    assert_int_equal(t.newer, 0); /* a program built against a newer header */
    assert_non_null(inferd_request_answer(r, &size));
    inferd_request_get_times(r, &t.times);
    assert_true(t.times.serialize_ns > 0 && t.times.queue_ns > 0);
    assert_true(sum(&t.times) <= ifd_clock_ns() - began);
    assert_ok(inferd_request_set_texts(r, texts, TEXTS, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    inferd_request_get_times(r, &t.times);
    assert_true(t.times.parse_ns == 0 && t.times.serialize_ns == 0 && t.times.infer_ns > 0);
    /* an older header: no more than its fields are written */
    inferd_request_times old = {.struct_size = offsetof(inferd_request_times, queue_ns),
                                .queue_ns = 11};
    inferd_request_get_times(r, &old);
    assert_true(old.tokenize_ns > 0 && old.queue_ns == 11);
    inferd_request_close(r);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

static void test_body_and_answer(void **state)
{
    (void)state;
    inferd_model *m = open_model();
    inferd_batcher *b = open_batcher(m, 1);
    inferd_request *r = NULL;
    inferd_error err;
    size_t size = 0, count = 0;
    char want[256];
    assert_ok(inferd_request_open(b, &r, &err), err);
    static const char body[] = "{\"inputs\":[\"good\",\"a bad film\"]}";
    assert_ok(inferd_request_set_body(r, body, sizeof(body) - 1, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    const inferd_result *got = inferd_request_results(r, &count);
    assert_int_equal(count, 2);
    snprintf(want, sizeof(want),
             "[{\"label\":\"%s\",\"confidence\":%.6f},{\"label\":\"%s\",\"confidence\":%.6f}]\n",
             inferd_model_label(m, got[0].label), (double)got[0].confidence,
             inferd_model_label(m, got[1].label), (double)got[1].confidence);
    const char *answer = inferd_request_answer(r, &size);
    assert_non_null(answer);
    assert_int_equal(size, strlen(want));
    assert_memory_equal(answer, want, size);

    assert_fails(inferd_request_set_body(r, NULL, 0, &err), INFERD_INVALID_JSON, err, "");
    assert_fails(inferd_request_set_body(r, "[]", 2, &err), INFERD_INVALID_REQUEST, err, "object");
    assert_fails(inferd_request_set_body(r, "{\"text\":\"\xff\"}", 12, &err), INFERD_INVALID_UTF8,
                 err, "");
    inferd_request_close(r);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

static void test_refusals(void **state)
{
    (void)state;
    inferd_model *m = open_model();
    inferd_batcher *b = NULL;
    inferd_batcher_options o = {.struct_size = sizeof(o), .threads = 1, .max_inputs = 3};
    inferd_request *r = NULL;
    inferd_error err;
    struct wait w;
    assert_ok(inferd_batcher_open(m, &o, &b, &err), err);
    assert_fails(inferd_request_open(NULL, &r, &err), INFERD_INVALID_ARGUMENT, err, "NULL");
    assert_ok(inferd_request_open(b, &r, &err), err);
    assert_fails(inferd_request_submit(r, 0, on_done, &w, &err), INFERD_INVALID_ARGUMENT, err,
                 "set them first");
    assert_fails(inferd_request_set_texts(r, texts, 0, &err), INFERD_INVALID_ARGUMENT, err,
                 "at least one");
    assert_ok(inferd_request_set_texts(r, texts, 3, &err), err);
    assert_fails(inferd_request_set_texts(r, texts, 4, &err), INFERD_TOO_MANY_INPUTS, err, "3");
    assert_fails(inferd_request_submit(r, 86400001, on_done, &w, &err), INFERD_INVALID_ARGUMENT,
                 err, "86400000");
    const inferd_text bad[] = {{"ok", 2}, {"b\xff", 2}};
    assert_fails(inferd_request_set_texts(r, bad, 2, &err), INFERD_INVALID_UTF8, err, "inputs[1]");
    /* what failed to be set cannot be submitted */
    assert_fails(inferd_request_submit(r, 0, on_done, &w, &err), INFERD_INVALID_ARGUMENT, err, "");
    assert_ok(inferd_request_set_texts(r, texts, 3, &err), err);
    assert_int_equal(run(r, 0), INFERD_OK);
    inferd_request_close(r);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

/* A full queue refuses; what waits past its time is dropped; what is cancelled says so. */
static void test_overload(void **state)
{
    (void)state;
    enum { MANY = 40 };
    inferd_model *m = open_model();
    inferd_batcher *b = NULL;
    inferd_batcher_options o = {.struct_size = sizeof(o),
                                .threads = 1,
                                .max_batch_texts = 1,
                                .max_inputs = 128,
                                .max_queue_texts = 128};
    inferd_request *r[MANY];
    inferd_text many[128];
    inferd_error err;
    struct wait w;
    unsigned taken = 0, refused = 0;
    for (unsigned i = 0; i < 128; i++)
        many[i] = texts[5];
    sem_init(&w.done, 0, 0);
    assert_ok(inferd_batcher_open(m, &o, &b, &err), err);
    for (unsigned i = 0; i < MANY; i++) {
        assert_ok(inferd_request_open(b, &r[i], &err), err);
        assert_ok(inferd_request_set_texts(r[i], many, 128, &err), err);
    }
    for (unsigned i = 0; i < MANY; i++) {
        inferd_status st = inferd_request_submit(r[i], 0, on_done, &w, &err);
        if (st == INFERD_OK) {
            inferd_request_cancel(r[i]);
            taken++;
        } else {
            assert_int_equal(st, INFERD_OVERLOADED);
            assert_true(inferd_request_retry_ms(r[i]) >= 1);
            refused++;
        }
    }
    for (unsigned i = 0; i < taken; i++)
        while (sem_wait(&w.done) != 0)
            ;
    inferd_batcher_stats stats = {.struct_size = sizeof(stats)};
    inferd_batcher_get_stats(b, &stats);
    print_message("batcher: %u taken, %u refused, %llu cancelled, %llu texts computed\n", taken,
                  refused, (unsigned long long)stats.cancelled, (unsigned long long)stats.texts);
    assert_true(taken >= 1 && refused >= 1);
    assert_int_equal(stats.refused, refused);
    assert_true(stats.cancelled >= 1 && stats.cancelled <= taken);
    assert_true(stats.texts < 128u * taken);
    assert_int_equal(stats.queue_texts, 0);
    assert_true(stats.saturation_ratio >= 0);
    for (unsigned i = 0; i < MANY; i++)
        inferd_request_close(r[i]);
    sem_destroy(&w.done);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

/* The less of the call's time-out and the body's counts: behind 200 texts, 1 ms is not enough. */
static void test_body_timeout(void **state)
{
    (void)state;
    enum { AHEAD = 200 };
    inferd_model *m = open_model();
    inferd_batcher *b = NULL;
    inferd_batcher_options o = {.struct_size = sizeof(o), .threads = 1, .max_batch_texts = 1};
    inferd_request *ahead[AHEAD], *late = NULL;
    inferd_error err;
    struct wait w = {.status = INFERD_OK}, mine = {.status = INFERD_OK};
    char word[5 * 60 + 1] = "";
    sem_init(&w.done, 0, 0);
    sem_init(&mine.done, 0, 0);
    for (unsigned i = 0; i < 60; i++)
        memcpy(word + 5 * i, "good ", 6);
    const inferd_text text = {word, sizeof(word) - 1};
    static const char body[] = "{\"text\":\"good good\",\"parameters\":{\"timeout_ms\":1}}";
    assert_ok(inferd_batcher_open(m, &o, &b, &err), err);
    assert_ok(inferd_request_open(b, &late, &err), err);
    assert_ok(inferd_request_set_body(late, body, sizeof(body) - 1, &err), err);
    for (unsigned i = 0; i < AHEAD; i++) {
        assert_ok(inferd_request_open(b, &ahead[i], &err), err);
        assert_ok(inferd_request_set_texts(ahead[i], &text, 1, &err), err);
    }
    for (unsigned i = 0; i < AHEAD; i++)
        assert_ok(inferd_request_submit(ahead[i], 0, on_done, &w, &err), err);
    /* refused when the estimate knows already that it would be late, dropped when it does not */
    inferd_status st = inferd_request_submit(late, 5000, on_done, &mine, &err);
    if (st == INFERD_OK) {
        while (sem_wait(&mine.done) != 0)
            ;
        st = mine.status;
    }
    for (unsigned i = 0; i < AHEAD; i++) {
        while (sem_wait(&w.done) != 0)
            ;
        inferd_request_close(ahead[i]);
    }
    assert_true(st == INFERD_DEADLINE || st == INFERD_OVERLOADED);
    inferd_request_close(late);
    sem_destroy(&mine.done);
    sem_destroy(&w.done);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

static void *use_batcher(void *arg)
{
    inferd_batcher *b = arg;
    inferd_request *r = NULL;
    size_t failures = inferd_request_open(b, &r, NULL) != INFERD_OK, count;
    for (unsigned i = 0; i < 200 && !failures; i++) {
        const size_t n = 1 + i % TEXTS;
        failures += inferd_request_set_texts(r, texts, n, NULL) != INFERD_OK;
        failures += run(r, 0) != INFERD_OK;
        failures += inferd_request_results(r, &count)[0].tokens != 3 || count != n;
    }
    inferd_request_close(r);
    return (void *)failures;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    inferd_model *m = open_model();
    inferd_batcher *b = open_batcher(m, 2);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_batcher, b), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        void *failures = NULL;
        pthread_join(thread[i], &failures);
        assert_null(failures);
    }
    inferd_batcher_close(b);
    inferd_model_release(m);
}

/* The model survives a fork, the threads do not: the child opens a batcher of its own. */
static void test_fork(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* the sanitizer allows no threads in such a child */
#endif
    if (test_emulated())
        skip(); /* qemu-user 7.2 aborts in a child that starts threads after a fork */
    inferd_model *m = open_model();
    inferd_batcher *b = open_batcher(m, 2);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        inferd_batcher *mine = NULL;
        inferd_request *r = NULL;
        bool good = inferd_batcher_open(m, NULL, &mine, NULL) == INFERD_OK &&
                    inferd_request_open(mine, &r, NULL) == INFERD_OK &&
                    inferd_request_set_texts(r, texts, 2, NULL) == INFERD_OK &&
                    run(r, 0) == INFERD_OK;
        inferd_request_close(r);
        inferd_batcher_close(mine);
        _exit(good ? 7 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

static void test_no_allocation_per_request(void **state)
{
    (void)state;
    inferd_model *m = open_model();
    inferd_batcher *b = open_batcher(m, 1);
    inferd_request *r = NULL;
    inferd_error err;
    size_t size = 0;
    static const char body[] = "{\"inputs\":[\"good\",\"a bad film\"]}";
    uint64_t before = 0;
    assert_ok(inferd_request_open(b, &r, &err), err);
    for (unsigned i = 0; i < 110; i++) {
        if (i == 10)
            before = ifd_mem_calls();
        assert_ok(inferd_request_set_body(r, body, sizeof(body) - 1, &err), err);
        assert_int_equal(run(r, 0), INFERD_OK);
        assert_non_null(inferd_request_answer(r, &size));
    }
    assert_int_equal(ifd_mem_calls(), before);
    inferd_batcher_stats stats = {.struct_size = sizeof(stats)};
    inferd_batcher_get_stats(b, &stats);
    assert_int_equal(stats.texts, 220);
    assert_true(stats.tokens > stats.texts && stats.busy_ns > 0 && stats.batches == 110);
    inferd_request_close(r);
    inferd_batcher_close(b);
    inferd_model_release(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_body_and_answer),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_overload),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_no_allocation_per_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

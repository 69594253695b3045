/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_metrics - what counting one request costs: the calls that an answered inference makes on
 * its I/O thread, and those that a batch makes on its worker, in a loop on one thread. The least of
 * many rounds, in ns; the clock readings that only the metrics need are in the sum and beside it.
 *
 * --rounds N runs N requests and prints nothing, for an instruction count by another program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sched/batch_stats.h"
#include "server/ident.h"
#include "server/metrics.h"

#define REQUESTS 20000u
#define ROUNDS 200u

/* Made before, or the making would be most of what is timed. */
struct values {
    uint64_t stages[IFD_STAGES];
    size_t tokens;
    const char *label;
    float confidence;
};
#define VALUES 1024u

static void make_values(struct values *v)
{
    uint64_t seed = 1;
    for (unsigned i = 0; i < VALUES; i++, v++) {
        for (unsigned s = 0; s < IFD_STAGES; s++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            v->stages[s] = 2000 + (seed >> 32) % 400000;
        }
        v->tokens = 4 + (seed >> 40) % 60;
        v->label = (seed >> 50) % 3 ? "POSITIVE" : "NEGATIVE";
        v->confidence = 0.5f + (float)((seed >> 33) % 500) / 1000.0f;
    }
}

/* As outcome.c, infer.c and conn.c do it for a request of one text that is answered with 200. */
static void count_request(struct ifd_metrics_io *m, struct ifd_ident_source *ids,
                          const struct values *v)
{
    struct ifd_ident ident;
    ifd_ident_clear(&ident);
    (void)ifd_ident_id(&ident, ids);
    ifd_counter_add(&m->started, 1);
    ifd_counter_add(&m->in_flight, 1);
    const uint64_t parsed = ifd_clock_ns();
    ifd_metrics_count_input(m, v->tokens, false, false);
    ifd_metrics_count_result(m, v->label, v->confidence);
    for (unsigned s = 0; s < IFD_STAGES; s++)
        ifd_hist_add(&m->stages[s], v->stages[s]);
    const uint64_t written = ifd_clock_ns();
    ifd_metrics_count_answer(m, "/infer", 200);
    ifd_hist_add(&m->duration[IFD_OUTCOME_OK], 100000 + written - parsed);
    ifd_counter_add(&m->outcomes[IFD_OUTCOME_OK], 1);
    ifd_counter_add(&m->in_flight, UINT64_MAX);
}

/* Without the one reading of the clock at its end. */
static void count_batch(struct ifd_batch_stats *b, const struct ifd_pick *pick, uint64_t now_ns)
{
    ifd_batch_stats_add(b, pick, 64, 4096, now_ns);
    ifd_batch_stats_began(b, now_ns);
    ifd_batch_stats_ended(b, now_ns + 1000);
}

int main(int argc, char **argv)
{
    struct ifd_metrics_io *m = ifd_zalloc(sizeof(*m));
    struct ifd_batch_stats *b = ifd_zalloc(sizeof(*b));
    struct ifd_ident_source ids;
    struct ifd_job job = {.queued_ns = ifd_clock_ns()};
    struct ifd_slice slice = {.job = &job, .count = 1};
    const struct ifd_pick pick = {.slices = 1, .texts = 1, .tokens = 12, .slice = &slice};
    if (!m || !b)
        return 1;
    static struct values values[VALUES];
    make_values(values);
    ifd_metrics_io_init(m);
    ifd_batch_stats_init(b);
    ifd_ident_source_init(&ids);
    if (argc == 3 && strcmp(argv[1], "--rounds") == 0) {
        for (uint64_t i = strtoull(argv[2], NULL, 10); i > 0; i--)
            count_request(m, &ids, &values[i % VALUES]);
        return 0;
    }
    uint64_t request = UINT64_MAX, batch = UINT64_MAX, clock = UINT64_MAX, seen = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t began = ifd_clock_ns(), took;
        for (uint64_t i = 0; i < REQUESTS; i++)
            count_request(m, &ids, &values[i % VALUES]);
        request = (took = ifd_clock_ns() - began) < request ? took : request;
        began = ifd_clock_ns();
        for (unsigned i = 0; i < REQUESTS; i++)
            count_batch(b, &pick, began + i);
        batch = (took = ifd_clock_ns() - began) < batch ? took : batch;
        began = ifd_clock_ns();
        for (unsigned i = 0; i < REQUESTS; i++)
            seen += ifd_clock_ns();
        clock = (took = ifd_clock_ns() - began) < clock ? took : clock;
    }
    const double n = REQUESTS;
    printf("request %.1f ns (2 clock readings, an id made), batch %.1f ns, "
           "clock reading %.1f ns, shard %zu bytes%s\n",
           (double)request / n, (double)batch / n, (double)clock / n, sizeof(*m), seen ? "" : ".");
    ifd_free(m);
    ifd_free(b);
    return 0;
}

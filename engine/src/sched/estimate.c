/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/estimate.h"

#define MEMORY 32.0

void ifd_rate_add(struct ifd_rate *r, uint64_t ns, size_t tokens)
{
    r->ns = r->ns * (1 - 1 / MEMORY) + (double)ns;
    r->tokens = r->tokens * (1 - 1 / MEMORY) + (double)tokens;
}

double ifd_rate_ns_per_token(const struct ifd_rate *r)
{
    return r->tokens > 0 ? r->ns / r->tokens : 0;
}

uint64_t ifd_estimate_wait_ns(const struct ifd_backlog *load, enum ifd_class class)
{
    const struct ifd_line *line = load->queue->line;
    const double small = (double)line[IFD_SMALL].tokens, bulk = (double)line[IFD_BULK].tokens;
    /* what is being computed is half done on average */
    double ahead = (double)load->running_tokens / 2;
    if (class == IFD_SMALL)
        ahead += small + (small < bulk ? small : bulk); /* half of the tokens each */
    else
        ahead += small + bulk;
    return (uint64_t)(ahead * ifd_rate_ns_per_token(load->rate) / load->workers);
}

uint64_t ifd_estimate_own_ns(const struct ifd_backlog *load, enum ifd_class class, size_t tokens)
{
    const double spread = class == IFD_SMALL ? 1 : load->workers;
    return (uint64_t)((double)tokens * ifd_rate_ns_per_token(load->rate) / spread);
}

inferd_status ifd_estimate_verdict(uint64_t wait_ns, uint64_t own_ns, uint64_t left_ns,
                                   uint64_t wait_max_ns, uint64_t *retry_ns, inferd_error *err)
{
    /* a quarter to spare: a refusal costs nothing, an answer that comes too late all of its work */
    const uint64_t all = wait_ns + own_ns, spare = all / 4;
    if (left_ns != UINT64_MAX && all + spare > left_ns) {
        *retry_ns = wait_ns;
        return ifd_fail(
            err, INFERD_OVERLOADED,
            "the answer would take about %llu ms, and with a quarter to spare that is "
            "more than the %llu ms that the request allows; %s",
            (unsigned long long)(all / 1000000), (unsigned long long)((left_ns + 999999) / 1000000),
            own_ns + own_ns / 4 > left_ns ? "allow more time or send less at once" : "retry later");
    }
    if (wait_max_ns && wait_ns > wait_max_ns) {
        *retry_ns = wait_ns - wait_max_ns;
        return ifd_fail(err, INFERD_OVERLOADED,
                        "the wait would be about %llu ms, more than --max-queue-wait %llu ms; "
                        "retry later",
                        (unsigned long long)(wait_ns / 1000000),
                        (unsigned long long)(wait_max_ns / 1000000));
    }
    return INFERD_OK;
}

inferd_status ifd_estimate_admit(const struct ifd_backlog *load, struct ifd_job *job,
                                 uint64_t now_ns, uint64_t wait_max_ns, inferd_error *err)
{
    const enum ifd_class class = ifd_queue_class(job);
    if (class == IFD_BACKGROUND)
        return INFERD_OK;
    const uint64_t left = !job->deadline_ns           ? UINT64_MAX
                          : job->deadline_ns > now_ns ? job->deadline_ns - now_ns
                                                      : 0;
    return ifd_estimate_verdict(ifd_estimate_wait_ns(load, class),
                                ifd_estimate_own_ns(load, class, job->offsets[job->texts]), left,
                                wait_max_ns, &job->retry_ns, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/batch_stats.h"

#define BATCH_TOKENS_MOST (1u << 20)

void ifd_batch_stats_init(struct ifd_batch_stats *s)
{
    ifd_hist_scale_sizes(&s->size_scale, BATCH_TOKENS_MOST);
    ifd_hist_scale_times(&s->time_scale);
    ifd_hist_scale_ratios(&s->ratio_scale);
    ifd_hist_init(&s->texts, &s->size_scale);
    ifd_hist_init(&s->tokens, &s->size_scale);
    ifd_hist_init(&s->fill, &s->ratio_scale);
    ifd_hist_init(&s->wait, &s->time_scale);
}

void ifd_batch_stats_add(struct ifd_batch_stats *s, const struct ifd_pick *pick, size_t texts_max,
                         size_t tokens_max, uint64_t now_ns)
{
    uint64_t oldest = now_ns;
    for (size_t i = 0; i < pick->slices; i++)
        if (pick->slice[i].job->queued_ns < oldest)
            oldest = pick->slice[i].job->queued_ns;
    const uint64_t of_texts = pick->texts * UINT64_C(1000000) / texts_max;
    const uint64_t of_tokens = pick->tokens * UINT64_C(1000000) / tokens_max;
    ifd_hist_add(&s->texts, pick->texts);
    ifd_hist_add(&s->tokens, pick->tokens);
    ifd_hist_add(&s->fill, of_texts > of_tokens ? of_texts : of_tokens);
    ifd_hist_add(&s->wait, now_ns - oldest);
}

void ifd_batch_stats_began(struct ifd_batch_stats *s, uint64_t now_ns)
{
    atomic_store_explicit(&s->began_ns, now_ns, memory_order_relaxed);
}

void ifd_batch_stats_ended(struct ifd_batch_stats *s, uint64_t now_ns)
{
    const uint64_t began = atomic_load_explicit(&s->began_ns, memory_order_relaxed);
    const uint64_t busy = ifd_counter_get(&s->busy_ns) + (now_ns - began);
    /* cleared first: a reader in between misses a batch for an instant, and never sees it twice */
    atomic_store_explicit(&s->began_ns, 0, memory_order_relaxed);
    /* release: with the acquire below, who sees the batch in busy_ns sees it cleared */
    atomic_store_explicit(&s->busy_ns, busy, memory_order_release);
}

uint64_t ifd_batch_stats_busy_ns(const struct ifd_batch_stats *s, uint64_t now_ns)
{
    const uint64_t busy = atomic_load_explicit(&s->busy_ns, memory_order_acquire);
    const uint64_t began = ifd_counter_get(&s->began_ns);
    return began && now_ns > began ? busy + (now_ns - began) : busy;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <string.h>

#include "base/err.h"

void ifd_hist_scale_make(struct ifd_hist_scale *scale, const uint64_t *bounds, unsigned count,
                         unsigned decimals)
{
    IFD_ASSERT(count >= 1 && count <= IFD_HIST_BOUNDS_MAX);
    memset(scale, 0, sizeof(*scale));
    scale->count = count;
    scale->decimals = decimals;
    memcpy(scale->bounds, bounds, count * sizeof(*bounds));
    for (unsigned n = 0; n < 256; n++) {
        const uint64_t least = n < 8 ? UINT64_C(1) << n / 4 : (UINT64_C(4) + n % 4) << (n / 4 - 2);
        unsigned i = 0;
        while (i < count && bounds[i] < least)
            i++;
        scale->start[n] = (uint8_t)i;
    }
}

void ifd_hist_scale_times(struct ifd_hist_scale *scale)
{
    /* thirteen to the decade, so that 1 ms, 10 ms, 0.1 s and 1 s are bounds: objectives and alerts
     * are about those. The widest step is 1.70 : 1.42 = 1.198 */
    static const uint16_t decade[] = {100, 119, 142, 170, 203, 242, 289,
                                      345, 412, 492, 587, 701, 837};
    const uint64_t last = UINT64_C(30000000000);
    uint64_t bounds[IFD_HIST_BOUNDS_MAX];
    unsigned n = 0;
    for (uint64_t ns = 1000; ns * 100 < last; ns *= 10)
        for (unsigned i = 0; i < sizeof(decade) / sizeof(decade[0]) && ns * decade[i] < last; i++)
            bounds[n++] = ns * decade[i];
    bounds[n++] = last;
    ifd_hist_scale_make(scale, bounds, n, 9);
}

void ifd_hist_scale_sizes(struct ifd_hist_scale *scale, uint64_t most)
{
    uint64_t bounds[IFD_HIST_BOUNDS_MAX] = {1};
    unsigned n = 1;
    while (bounds[n - 1] < most && n < IFD_HIST_BOUNDS_MAX) {
        const uint64_t b = bounds[n - 1];
        const bool power = (b & (b - 1)) == 0;
        bounds[n++] = b == 1 ? 2 : power ? b + b / 2 : b + b / 3;
    }
    ifd_hist_scale_make(scale, bounds, n, 0);
}

void ifd_hist_scale_ratios(struct ifd_hist_scale *scale)
{
    uint64_t bounds[IFD_HIST_BOUNDS_MAX];
    unsigned n = 0;
    while (n < 19) {
        bounds[n] = 50000u * (uint64_t)(n + 1);
        n++;
    }
    static const uint32_t fine[] = {970000, 980000, 990000, 995000, 999000, 999900, 1000000};
    for (unsigned i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        bounds[n++] = fine[i];
    ifd_hist_scale_make(scale, bounds, n, 6);
}

void ifd_hist_init(struct ifd_hist *h, const struct ifd_hist_scale *scale)
{
    h->scale = scale;
}

void ifd_hist_view_add(struct ifd_hist_view *v, const struct ifd_hist *h)
{
    if (!v->scale)
        v->scale = h->scale;
    IFD_ASSERT(v->scale->count == h->scale->count);
    v->sum += ifd_counter_get(&h->sum);
    for (unsigned i = 0; i <= h->scale->count; i++) {
        const uint64_t n = ifd_counter_get(&h->counts[i]);
        v->counts[i] += n;
        v->count += n; /* of what was read: the buckets and the count always agree */
    }
}

double ifd_hist_view_quantile(const struct ifd_hist_view *v, double q)
{
    if (v->count == 0)
        return 0.0;
    const double rank = q * (double)v->count;
    double below = 0.0;
    for (unsigned i = 0; i < v->scale->count; i++) {
        const double in = (double)v->counts[i];
        const double low = i ? (double)v->scale->bounds[i - 1] : 0.0;
        const double high = (double)v->scale->bounds[i];
        if (in > 0.0 && below + in >= rank)
            return low + (high - low) * (rank > below ? (rank - below) / in : 0.0);
        below += in;
    }
    return (double)v->scale->bounds[v->scale->count - 1];
}

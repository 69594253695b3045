/* SPDX-License-Identifier: Apache-2.0 */
#include "server/metrics.h"

#include <string.h>

#include "base/err.h"

const char *const ifd_outcome_names[IFD_OUTCOMES] = {
    "ok", "client_error", "shed", "deadline", "cancelled", "drained", "fault",
};
const char *const ifd_stage_names[IFD_STAGES] = {
    "parse", "tokenize", "queue", "infer", "serialize", "write",
};
const char *const ifd_lost_names[IFD_LOSTS] = {"read", "wait", "write"};
const char *const ifd_shed_names[IFD_SHEDS] = {"queue", "connections", "loading", "memory", "rate"};

#define INPUT_TOKENS_MOST 8192u

static const struct {
    int code;
    const char *name;
} codes[] = {
    {200, "200"}, {202, "202"}, {204, "204"}, {304, "304"}, {400, "400"},
    {401, "401"}, {403, "403"}, {404, "404"}, {405, "405"}, {408, "408"},
    {409, "409"}, {411, "411"}, {413, "413"}, {414, "414"}, {415, "415"},
    {417, "417"}, {422, "422"}, {429, "429"}, {431, "431"}, {500, "500"},
    {501, "501"}, {503, "503"}, {504, "504"}, {505, "505"}, {0, "other"},
};
_Static_assert(sizeof(codes) / sizeof(codes[0]) == IFD_METRICS_CODES_MAX, "a place for each code");

const char *ifd_metrics_code_name(unsigned i)
{
    return i < IFD_METRICS_CODES_MAX ? codes[i].name : NULL;
}

void ifd_metrics_io_init(struct ifd_metrics_io *m)
{
    ifd_hist_scale_times(&m->time_scale);
    ifd_hist_scale_sizes(&m->size_scale, INPUT_TOKENS_MOST);
    ifd_hist_scale_ratios(&m->ratio_scale);
    for (unsigned i = 0; i < IFD_OUTCOMES; i++)
        ifd_hist_init(&m->duration[i], &m->time_scale);
    for (unsigned i = 0; i < IFD_STAGES; i++)
        ifd_hist_init(&m->stages[i], &m->time_scale);
    ifd_hist_init(&m->input_tokens, &m->size_scale);
    ifd_hist_init(&m->confidence, &m->ratio_scale);
}

static unsigned code_place(int code)
{
    unsigned i = 0;
    while (i < IFD_METRICS_CODES_MAX - 1 && codes[i].code != code)
        i++;
    return i;
}

/* Paths are the route table's own strings: the pointer is the name. */
static struct ifd_route_counts *route_place(struct ifd_metrics_io *m, const char *path)
{
    static const char other[] = "other";
    if (!path)
        path = other;
    for (unsigned i = 0; i < IFD_METRICS_ROUTES_MAX - 1; i++) {
        struct ifd_route_counts *r = &m->routes[i];
        const char *name = atomic_load_explicit(&r->path, memory_order_relaxed);
        if (name == path)
            return r;
        if (!name) {
            /* release: whoever sees the pointer sees the string */
            atomic_store_explicit(&r->path, path, memory_order_release);
            return r;
        }
    }
    struct ifd_route_counts *last = &m->routes[IFD_METRICS_ROUTES_MAX - 1];
    atomic_store_explicit(&last->path, other, memory_order_release);
    return last;
}

void ifd_metrics_count_answer(struct ifd_metrics_io *m, const char *path, int code)
{
    ifd_counter_add(&route_place(m, path)->codes[code_place(code)], 1);
}

void ifd_metrics_count_input(struct ifd_metrics_io *m, size_t tokens, bool truncated, bool windowed)
{
    ifd_counter_add(&m->inputs, 1);
    ifd_counter_add(&m->truncated, truncated);
    ifd_counter_add(&m->windowed, windowed);
    ifd_hist_add(&m->input_tokens, tokens);
}

/* The first bytes of a longer name, cut before a UTF-8 character that does not fit whole. */
static size_t kept_bytes(const char *name)
{
    size_t n = strnlen(name, IFD_METRICS_LABEL_BYTES);
    if (n < IFD_METRICS_LABEL_BYTES)
        return n;
    n--;
    while (n > 0 && ((unsigned char)name[n] & 0xC0u) == 0x80u)
        n--;
    return n;
}

static struct ifd_label_count *label_place(struct ifd_metrics_io *m, const char *name)
{
    const uint32_t used = atomic_load_explicit(&m->labels, memory_order_relaxed);
    const size_t n = kept_bytes(name);
    for (uint32_t i = 0; i < used; i++)
        if (memcmp(m->label[i].name, name, n) == 0 && m->label[i].name[n] == '\0')
            return &m->label[i];
    if (used == IFD_METRICS_LABELS_MAX)
        return &m->label[used - 1];
    static const char other[] = "__other__";
    struct ifd_label_count *l = &m->label[used];
    if (used == IFD_METRICS_LABELS_MAX - 1)
        memcpy(l->name, other, sizeof(other));
    else
        memcpy(l->name, name, n); /* the rest is zero */
    /* release: a reader that sees the number sees the name */
    atomic_store_explicit(&m->labels, used + 1, memory_order_release);
    return l;
}

void ifd_metrics_count_result(struct ifd_metrics_io *m, const char *label, float confidence)
{
    ifd_counter_add(&label_place(m, label)->count, 1);
    /* millionths, as the answer shows it; a comparison with NaN is false */
    const float c = confidence > 0.0f ? (confidence < 1.0f ? confidence : 1.0f) : 0.0f;
    ifd_hist_add(&m->confidence, (uint64_t)(c * 1e6f + 0.5f));
}

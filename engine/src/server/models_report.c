/* SPDX-License-Identifier: Apache-2.0
 *
 * models_report.c - the registry's state as JSON.
 */
#include <string.h>

#include "base/jsonout.h"
#include "server/io.h"
#include "server/models.h"

typedef unsigned long long ull;

static void add_generation(struct ifd_buf *b, const char *key, const struct ifd_generation *g)
{
    ifd_buf_printf(b, "\"%s\":", key);
    if (!g) {
        ifd_buf_add_str(b, "null,");
        return;
    }
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(ifd_engine_model(g->engine), &info);
    ifd_buf_add_str(b, "{\"name\":");
    ifd_jsonout_cstr(b, info.name);
    ifd_buf_add_str(b, ",\"path\":");
    ifd_jsonout_cstr(b, g->path);
    ifd_buf_printf(b, ",\"digest\":\"%s\",\"manifest\":%s,\"load_seconds\":", g->digest,
                   g->listed ? "true" : "false");
    ifd_jsonout_fixed(b, g->load_seconds, 4);
    ifd_buf_add_str(b, "},");
}

static void add_latency(struct ifd_buf *b, const char *key, const struct ifd_latency_figures *f)
{
    ifd_buf_printf(b, ",\"%s\":{\"mean\":", key);
    ifd_jsonout_fixed(b, f->mean_s, 6);
    ifd_buf_add_str(b, ",\"p50\":");
    ifd_jsonout_fixed(b, f->p50_s, 6);
    ifd_buf_add_str(b, ",\"p99\":");
    ifd_jsonout_fixed(b, f->p99_s, 6);
    ifd_buf_add_char(b, '}');
}

static void add_shadow(struct ifd_buf *b, const struct ifd_models *m)
{
    struct ifd_shadow_figures f;
    ifd_buf_add_str(b, "\"shadow\":");
    if (m->shadow_id == 0) {
        ifd_buf_add_str(b, "null,");
        return;
    }
    ifd_shadow_figures_get(m->loader.server, m->shadow_id, &f);
    ifd_buf_printf(b, "{\"digest\":\"%s\",\"running\":%s,\"share\":", m->shadow_digest,
                   m->candidate ? "true" : "false");
    ifd_jsonout_fixed(b, (double)m->share_ppm / IFD_SHARE_ONE, 6);
    ifd_buf_printf(b,
                   ",\"requests\":%llu,\"inputs\":%llu,\"skipped_inputs\":%llu,"
                   "\"disagreements\":%llu,\"disagreement_rate\":",
                   (ull)f.requests, (ull)f.inputs, (ull)f.skipped, (ull)f.disagreements);
    ifd_jsonout_fixed(b, f.inputs ? (double)f.disagreements / (double)f.inputs : 0.0, 6);
    ifd_buf_add_str(b, ",\"largest_confidence_difference\":");
    ifd_jsonout_fixed(b, f.largest_difference, 6);
    ifd_buf_add_str(b, ",\"compute_seconds\":{\"requests\":");
    ifd_buf_printf(b, "%llu", (ull)f.candidate.count);
    add_latency(b, "active", &f.active);
    add_latency(b, "candidate", &f.candidate);
    ifd_buf_add_str(b, "}},");
}

void ifd_models_report(struct ifd_models *m, struct ifd_buf *b)
{
    pthread_mutex_lock(&m->lock);
    ifd_buf_add_char(b, '{');
    add_generation(b, "active", m->active);
    add_generation(b, "candidate", m->candidate);
    add_generation(b, "previous", m->previous);
    add_shadow(b, m);
    ifd_buf_printf(b, "\"loading\":%s,\"loads\":%llu,\"refused\":%llu,\"last_error\":",
                   m->busy ? "true" : "false", (ull)m->loads, (ull)m->refusals);
    if (m->last_error.status) {
        ifd_buf_printf(b, "{\"type\":\"%s\",\"path\":", inferd_status_type(m->last_error.status));
        ifd_jsonout_cstr(b, m->last_error_path);
        ifd_buf_add_str(b, ",\"message\":");
        ifd_jsonout_cstr(b, m->last_error.message);
        ifd_buf_add_str(b, "}}\n");
    } else {
        ifd_buf_add_str(b, "null}\n");
    }
    pthread_mutex_unlock(&m->lock);
}

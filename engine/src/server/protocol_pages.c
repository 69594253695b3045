/* SPDX-License-Identifier: Apache-2.0 */
#include "server/protocol_pages.h"

#include <string.h>
#include <time.h>

#include "base/jsonout.h"
#include "server/metrics_page.h"
#include "server/server_state.h"

bool ifd_page_is_ready(struct ifd_io *io)
{
    return ifd_server_phase(io->server) == IFD_SERVING &&
           ifd_server_readiness(io->server) == IFD_READY && io->engine;
}

static int ready_status(struct ifd_io *io)
{
    return ifd_page_is_ready(io) ? 200 : 503;
}

static const char *boolean(bool b)
{
    return b ? "true" : "false";
}

static void add_name(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_jsonout_cstr(body, ifd_server_model_name(io->server));
}

/* --- probes --- */

int ifd_page_probe(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_printf(body, "{\"status\":\"%s\"}\n", ifd_page_is_ready(io) ? "ok" : "not ready");
    return ready_status(io);
}

int ifd_page_ray_healthz(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, ifd_page_is_ready(io) ? "success" : "not ready");
    return ready_status(io);
}

int ifd_page_ray_routes(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "{\"/\":\"inferd\"}\n");
    return ready_status(io);
}

/* --- Open Inference Protocol --- */

int ifd_page_oip_server(struct ifd_io *io, struct ifd_buf *body)
{
    (void)io;
    ifd_buf_printf(body,
                   "{\"name\":\"inferd\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\","
                   "\"statistics\",\"model_configuration\"]}\n",
                   INFERD_VERSION);
    return 200;
}

int ifd_page_oip_live(struct ifd_io *io, struct ifd_buf *body)
{
    (void)io;
    ifd_buf_add_str(body, "{\"live\":true}\n");
    return 200;
}

int ifd_page_oip_ready(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_printf(body, "{\"ready\":%s}\n", boolean(ifd_page_is_ready(io)));
    return ready_status(io);
}

int ifd_page_oip_model_ready(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "{\"name\":");
    add_name(io, body);
    ifd_buf_printf(body, ",\"ready\":%s}\n", boolean(ifd_page_is_ready(io)));
    return ready_status(io);
}

static unsigned labels_of(const struct ifd_io *io)
{
    return io->engine ? ifd_engine_labels(io->engine) : 0;
}

int ifd_page_oip_model(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "{\"name\":");
    add_name(io, body);
    ifd_buf_printf(body,
                   ",\"versions\":[\"1\"],\"platform\":\"inferd\",\"inputs\":[{\"name\":\"text\","
                   "\"datatype\":\"BYTES\",\"shape\":[-1]}],\"outputs\":[{\"name\":\"label\","
                   "\"datatype\":\"BYTES\",\"shape\":[-1]},{\"name\":\"confidence\",\"datatype\":"
                   "\"FP32\",\"shape\":[-1]},{\"name\":\"logits\",\"datatype\":\"FP32\",\"shape\":"
                   "[-1,%u]}]}\n",
                   labels_of(io));
    return io->engine ? 200 : 503;
}

/* Triton's model configuration, as far as it says something here. */
int ifd_page_oip_config(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "{\"name\":");
    add_name(io, body);
    ifd_buf_printf(body,
                   ",\"platform\":\"inferd\",\"backend\":\"inferd\",\"max_batch_size\":0,"
                   "\"input\":[{\"name\":\"text\",\"data_type\":\"TYPE_STRING\",\"dims\":[-1]}],"
                   "\"output\":[{\"name\":\"label\",\"data_type\":\"TYPE_STRING\",\"dims\":[-1]},"
                   "{\"name\":\"confidence\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1]},{\"name\":"
                   "\"logits\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1,%u]}]}\n",
                   labels_of(io));
    return io->engine ? 200 : 503;
}

int ifd_page_oip_index(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "[{\"name\":");
    add_name(io, body);
    ifd_buf_printf(body, ",\"version\":\"1\",\"state\":\"%s\",\"reason\":\"\"}]\n",
                   io->engine ? "READY" : "UNAVAILABLE");
    return 200;
}

static void add_statistic(struct ifd_buf *body, const char *name, uint64_t count, uint64_t ns)
{
    ifd_buf_printf(body, "\"%s\":{\"count\":%llu,\"ns\":%llu}", name, (unsigned long long)count,
                   (unsigned long long)ns);
}

static void add_stage(struct ifd_buf *body, const struct ifd_server *s, const char *name,
                      enum ifd_stage stage)
{
    struct ifd_hist_view v;
    ifd_metrics_page_view(
        s, offsetof(struct ifd_metrics_io, stages) + stage * sizeof(struct ifd_hist), &v);
    ifd_buf_add_char(body, ',');
    add_statistic(body, name, v.count, v.sum);
}

/* Of all inference routes: the statistics of a model are those of the server. A failure is a
 * request that was admitted and not answered with its result, or shed. */
int ifd_page_oip_stats(struct ifd_io *io, struct ifd_buf *body)
{
    const struct ifd_server *s = io->server;
    struct ifd_sched_stats stats;
    struct ifd_hist_view ok, v;
    uint64_t failures = 0, failures_ns = 0;
    ifd_sched_get_stats(s->sched, &stats);
    ifd_metrics_page_view(s, offsetof(struct ifd_metrics_io, duration), &ok);
    for (unsigned i = IFD_OUTCOME_OK + 1; i < IFD_OUTCOMES; i++) {
        ifd_metrics_page_view(
            s, offsetof(struct ifd_metrics_io, duration) + i * sizeof(struct ifd_hist), &v);
        failures += v.count;
        failures_ns += v.sum;
    }
    ifd_buf_add_str(body, "{\"model_stats\":[{\"name\":");
    add_name(io, body);
    ifd_buf_printf(body,
                   ",\"version\":\"1\",\"last_inference\":%llu,\"inference_count\":%llu,"
                   "\"execution_count\":%llu,\"inference_stats\":{",
                   (unsigned long long)ifd_counter_get(&io->metrics.last_ms),
                   (unsigned long long)stats.texts, (unsigned long long)stats.batches);
    add_statistic(body, "success", ok.count, ok.sum);
    ifd_buf_add_char(body, ',');
    add_statistic(body, "fail", failures, failures_ns);
    add_stage(body, s, "queue", IFD_STAGE_QUEUE);
    add_stage(body, s, "compute_input", IFD_STAGE_TOKENIZE);
    add_stage(body, s, "compute_infer", IFD_STAGE_INFER);
    add_stage(body, s, "compute_output", IFD_STAGE_SERIALIZE);
    ifd_buf_add_str(body, "},\"batch_stats\":[]}]}\n");
    return 200;
}

/* --- KServe v1 --- */

int ifd_page_kserve_models(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_add_str(body, "{\"models\":[");
    add_name(io, body);
    ifd_buf_add_str(body, "]}\n");
    return 200;
}

int ifd_page_kserve_model(struct ifd_io *io, struct ifd_buf *body)
{
    return ifd_page_oip_model_ready(io, body);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/route.h"

#include <stdio.h>
#include <string.h>

#include "base/jsonout.h"
#include "server/access.h"
#include "server/admin.h"
#include "server/http_chars.h"
#include "server/io.h"
#include "server/metrics_page.h"
#include "server/metrics_text.h"
#include "server/negotiate.h"
#include "server/openapi.h"
#include "server/protocol_pages.h"
#include "server/ui_page.h"

static int alive(struct ifd_io *io, struct ifd_buf *body)
{
    (void)io;
    ifd_buf_add_str(body, "{\"status\":\"ok\"}\n");
    return 200;
}

static int ready(struct ifd_io *io, struct ifd_buf *body)
{
    const char *status = "ready";
    if (ifd_server_phase(io->server) != IFD_SERVING)
        status = "draining";
    else if (ifd_server_readiness(io->server) == IFD_WARMING)
        status = "warming";
    else if (ifd_server_readiness(io->server) != IFD_READY || !io->engine)
        status = "loading";
    if (strcmp(status, "loading") == 0)
        ifd_buf_printf(body, "{\"status\":\"loading\",\"progress\":%.2f}\n",
                       ifd_loader_progress(&io->server->models.loader));
    else
        ifd_buf_printf(body, "{\"status\":\"%s\"}\n", status);
    return strcmp(status, "ready") == 0 ? 200 : 503;
}

static void add_model(struct ifd_io *io, struct ifd_buf *body)
{
    if (!io->engine) {
        ifd_buf_add_str(body, "null");
        return;
    }
    const inferd_model *model = ifd_engine_model(io->engine);
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(model, &info);
    ifd_buf_add_str(body, "{\"name\":");
    ifd_jsonout_cstr(body, info.name);
    ifd_buf_add_str(body, ",\"architecture\":");
    ifd_jsonout_cstr(body, info.architecture);
    ifd_buf_add_str(body, ",\"problem_type\":");
    ifd_jsonout_cstr(body, info.problem_type);
    ifd_buf_add_str(body, ",\"labels\":[");
    for (uint32_t i = 0; i < info.labels; i++) {
        if (i)
            ifd_buf_add_char(body, ',');
        ifd_jsonout_cstr(body, inferd_model_label(model, i));
    }
    ifd_buf_printf(body,
                   "],\"dtype\":\"%s\",\"cpu_tier\":\"%s\",\"layers\":%u,\"hidden_size\":%u,"
                   "\"parameters\":%llu,\"weight_bytes\":%llu,\"max_length\":%u,"
                   "\"max_length_model\":%u}",
                   info.dtype, info.tier, info.layers, info.hidden_size,
                   (unsigned long long)info.parameters, (unsigned long long)info.weight_bytes,
                   info.max_length, info.max_length_model);
}

/* Of a counter at `offset` in each I/O thread. */
static uint64_t sum(const struct ifd_server *s, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < s->config.http_threads; i++)
        total += atomic_load_explicit((const _Atomic uint64_t *)((const char *)&s->ios[i] + offset),
                                      memory_order_relaxed);
    return total;
}

static int info(struct ifd_io *io, struct ifd_buf *body)
{
    const struct ifd_server *s = io->server;
    const struct ifd_server_config *c = &s->config;
    struct ifd_sched_stats stats;
    ifd_sched_get_stats(s->sched, &stats);
    ifd_buf_printf(body, "{\"name\":\"inferd\",\"version\":\"%s\",\"model\":", INFERD_VERSION);
    add_model(io, body);
    ifd_buf_printf(body, ",\"threads\":{\"compute\":%u,\"http\":%u}", s->threads, c->http_threads);
    ifd_buf_printf(body,
                   ",\"limits\":{\"max_inputs\":%u,\"max_body_bytes\":%u,\"max_header_bytes\":%u,"
                   "\"max_headers\":%u,\"max_target_bytes\":%u,\"max_connections\":%u,"
                   "\"max_batch_tokens\":%u,\"max_batch_size\":%u,\"batch_wait_us\":%u,"
                   "\"max_queue\":%u,\"max_queue_tokens\":%u",
                   c->max_inputs, c->max_body_bytes, c->max_header_bytes, c->max_headers,
                   c->max_target_bytes, c->max_connections, c->max_batch_tokens, c->max_batch_size,
                   c->batch_wait_us, c->max_queue, c->max_queue_tokens);
    ifd_buf_printf(body,
                   ",\"long_text\":\"%s\",\"rate_limit\":%u,\"rate_burst\":%u,\"keepalive_timeout_"
                   "ms\":%u,\"header_timeout_ms\":%u,"
                   "\"body_timeout_ms\":%u,"
                   "\"write_timeout_ms\":%u,\"request_timeout_ms\":%u,"
                   "\"max_queue_wait_ms\":%u,\"drain_delay_ms\":%u,"
                   "\"drain_timeout_ms\":%u}",
                   ifd_truncation_names[c->long_text], c->rate_limit, c->rate_burst,
                   c->keepalive_timeout_ms, c->header_timeout_ms, c->body_timeout_ms,
                   c->write_timeout_ms, c->request_timeout_ms, c->max_queue_wait_ms,
                   c->drain_delay_ms, c->drain_timeout_ms);
#define SUM(field) (unsigned long long)sum(s, offsetof(struct ifd_io, field))
    ifd_buf_printf(body,
                   ",\"counts\":{\"connections\":%llu,\"requests\":%llu,\"inputs\":%llu,"
                   "\"truncated_inputs\":%llu,\"answered_4xx\":%llu,\"answered_5xx\":%llu,"
                   "\"batches\":%llu,\"batched_inputs\":%llu,\"batched_tokens\":%llu,"
                   "\"refused\":%llu,\"expired\":%llu,\"cancelled\":%llu,"
                   "\"dropped_inputs\":%llu,\"interruptions\":%llu,"
                   "\"queued_inputs\":%zu,\"queued_tokens\":%zu}}\n",
                   SUM(counters.connections), SUM(counters.requests), SUM(metrics.inputs),
                   SUM(metrics.truncated), SUM(counters.answered_4xx), SUM(counters.answered_5xx),
                   (unsigned long long)stats.batches, (unsigned long long)stats.texts,
                   (unsigned long long)stats.tokens, (unsigned long long)stats.refused,
                   (unsigned long long)stats.expired, (unsigned long long)stats.cancelled,
                   (unsigned long long)stats.dropped_texts, (unsigned long long)stats.interruptions,
                   stats.queue_texts, stats.queue_tokens);
#undef SUM
    return 200;
}

static int index_page(struct ifd_io *io, struct ifd_buf *body);

#define READ "GET, HEAD"
#define OIP .error = ifd_error_plain
#define VERSION "/v2/models/{model}/versions/{version}"
static const struct ifd_route routes[] = {
    {.path = "/infer", .allow = "POST", .codec = &ifd_codec_native},
    {.path = "/healthz", .allow = READ, .page = alive, .open = true},
    {.path = "/livez", .allow = READ, .page = alive, .open = true},
    {.path = "/readyz", .allow = READ, .page = ready, .open = true},
    {.path = "/metrics",
     .allow = READ,
     .page = ifd_metrics_page,
     .media_type = IFD_METRICS_MEDIA_TYPE},
    {.path = "/info", .allow = READ, .page = info},
    {.path = "/infer/stream", .allow = "POST", .stream = true},
    {.path = "/openapi.json", .allow = READ, .page = ifd_openapi_page},
    {.path = "/admin/models", .allow = READ, .page = ifd_admin_models_page, .needs_key = true},
    {.path = "/admin/models/load", .allow = "POST", .admin = ifd_admin_load, .needs_key = true},
    {.path = "/admin/models/shadow", .allow = "POST", .admin = ifd_admin_shadow, .needs_key = true},
    {.path = "/admin/models/promote",
     .allow = "POST",
     .admin = ifd_admin_promote,
     .needs_key = true},
    {.path = "/admin/models/rollback",
     .allow = "POST",
     .admin = ifd_admin_rollback,
     .needs_key = true},
    {.path = "/admin/models/unload_candidate",
     .allow = "POST",
     .admin = ifd_admin_unload,
     .needs_key = true},
    {.path = "/predict", .allow = "POST", .codec = &ifd_codec_tei},
    {.path = "/invocations", .allow = "POST", .codec = &ifd_codec_tei},
    {.path = "/classify", .allow = "POST", .codec = &ifd_codec_vllm},
    {.path = "/v1/classify", .allow = "POST", .codec = &ifd_codec_vllm},
    {.path = "/tokenize", .allow = "POST", .codec = &ifd_codec_tokenize},
    {.path = "/v1/models", .allow = READ, .page = ifd_page_kserve_models},
    {.path = "/v1/models/{model}:predict", .allow = "POST", .codec = &ifd_codec_kserve},
    {.path = "/v1/models/{model}", .allow = READ, .page = ifd_page_kserve_model, OIP},
    {.path = "/v2", .allow = READ, .page = ifd_page_oip_server, OIP},
    {.path = "/v2/health/live", .allow = READ, .page = ifd_page_oip_live, OIP, .open = true},
    {.path = "/v2/health/ready", .allow = READ, .page = ifd_page_oip_ready, OIP, .open = true},
    {.path = "/v2/models/stats", .allow = READ, .page = ifd_page_oip_stats, OIP},
    {.path = "/v2/models/{model}/infer", .allow = "POST", .codec = &ifd_codec_oip},
    {.path = "/v2/models/{model}", .allow = READ, .page = ifd_page_oip_model, OIP},
    {.path = "/v2/models/{model}/ready",
     .allow = READ,
     .page = ifd_page_oip_model_ready,
     OIP,
     .open = true},
    {.path = "/v2/models/{model}/config", .allow = READ, .page = ifd_page_oip_config, OIP},
    {.path = "/v2/models/{model}/stats", .allow = READ, .page = ifd_page_oip_stats, OIP},
    {.path = VERSION "/infer", .allow = "POST", .codec = &ifd_codec_oip},
    {.path = VERSION, .allow = READ, .page = ifd_page_oip_model, OIP},
    {.path = VERSION "/ready", .allow = READ, .page = ifd_page_oip_model_ready, OIP, .open = true},
    {.path = VERSION "/config", .allow = READ, .page = ifd_page_oip_config, OIP},
    {.path = VERSION "/stats", .allow = READ, .page = ifd_page_oip_stats, OIP},
    {.path = "/v2/repository/index", .allow = "POST", .page = ifd_page_oip_index, OIP},
    {.path = "/health", .allow = READ, .page = ifd_page_probe, .open = true},
    {.path = "/ping", .allow = READ, .page = ifd_page_probe, .open = true},
    {.path = "/-/healthz",
     .allow = READ,
     .page = ifd_page_ray_healthz,
     .open = true,
     .media_type = "text/plain; charset=utf-8"},
    {.path = "/-/routes", .allow = READ, .page = ifd_page_ray_routes, .open = true},
    {.path = "/docs", .allow = READ, .file = "docs.html"},
    {.path = "/ui/style.css", .allow = READ, .file = "style.css"},
    {.path = "/ui/app.js", .allow = READ, .file = "app.js"},
    {.path = "/ui/charts.js", .allow = READ, .file = "charts.js"},
    {.path = "/ui/metrics.js", .allow = READ, .file = "metrics.js"},
    {.path = "/ui/docs.js", .allow = READ, .file = "docs.js"},
    {.path = "/ui/icon.svg", .allow = READ, .file = "icon.svg"},
    {.path = "/", .allow = READ, .page = index_page, .file = "index.html"},
};
#define ROUTES (sizeof(routes) / sizeof(routes[0]))

const struct ifd_route *ifd_routes(size_t *count)
{
    *count = ROUTES;
    return routes;
}

bool ifd_route_is_there(const struct ifd_server *s, const struct ifd_route *route)
{
    const bool shown = !route->file || route->page || s->config.ui;
    return shown && (!route->needs_key || ifd_access_has_admin(s));
}

static int index_page(struct ifd_io *io, struct ifd_buf *body)
{
    ifd_buf_printf(body, "{\"name\":\"inferd\",\"version\":\"%s\",\"routes\":[", INFERD_VERSION);
    for (size_t i = 0; i < ROUTES; i++)
        if (ifd_route_is_there(io->server, &routes[i]))
            ifd_buf_printf(body, "%s{\"path\":\"%s\",\"methods\":\"%s\"}", i ? "," : "",
                           routes[i].path, routes[i].allow);
    ifd_buf_add_str(body, "]}\n");
    return 200;
}

/* That media type, with charset=utf-8 or no parameter. */
static bool is_type(const char *value, const char *type)
{
    size_t n = strlen(type);
    if (strlen(value) < n || !ifd_http_same(value, n, type))
        return false;
    value += n;
    while (*value == ' ' || *value == '\t')
        value++;
    if (*value == '\0')
        return true;
    if (*value++ != ';')
        return false;
    while (*value == ' ' || *value == '\t')
        value++;
    return ifd_http_same(value, strlen(value), "charset=utf-8") ||
           ifd_http_same(value, strlen(value), "charset=\"utf-8\"");
}

static bool is_json(const char *value)
{
    return is_type(value, "application/json");
}

static bool is_ndjson(const char *value)
{
    return is_type(value, "application/x-ndjson") || is_type(value, "application/jsonl");
}

/* A part that the route has is `name`. */
static bool part_is(const struct ifd_route_part *part, const char *name)
{
    return !part->at || (strlen(name) == part->size && memcmp(part->at, name, part->size) == 0);
}

static bool method_is_known(const char *method)
{
    static const char *const known[] = {"GET",    "HEAD",    "POST",  "PUT",
                                        "DELETE", "OPTIONS", "TRACE", "PATCH"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(method, known[i]) == 0)
            return true;
    return false;
}

/* A browser that asks whether a page of another origin may ask this route: it sends no key yet. */
static bool is_preflight(struct ifd_request *r)
{
    r->preflight = r->io->server->config.cors_origin && !r->route->needs_key &&
                   strcmp(r->http.method, "OPTIONS") == 0 && ifd_http_header(&r->http, "origin") &&
                   ifd_http_header(&r->http, "access-control-request-method");
    return r->preflight;
}

static inferd_status check(struct ifd_request *r, inferd_error *err)
{
    const struct ifd_http *h = &r->http;
    const struct ifd_route *route = NULL;
    struct ifd_route_part model = {0}, version = {0};
    for (size_t i = 0; i < ROUTES && !route; i++)
        if (ifd_route_matches(routes[i].path, ifd_http_target(h) + h->path_offset, h->path_size,
                              &model, &version) ||
            (h->path_size == 0 && strcmp(routes[i].path, "/") == 0))
            route = ifd_route_is_there(r->io->server, &routes[i]) ? &routes[i] : NULL;
    r->route = route; /* also when the method is wrong: metrics name it */
    if (!method_is_known(h->method))
        return ifd_fail(err, INFERD_NOT_IMPLEMENTED, "the method %s is not known", h->method);
    if (!route)
        return ifd_fail(err, INFERD_NOT_FOUND, "there is no %.*s here; GET / lists the routes",
                        (int)(h->path_size < 100 ? h->path_size : 100),
                        ifd_http_target(h) + h->path_offset);
    if (is_preflight(r))
        return INFERD_OK;
    inferd_status st = ifd_access_check(r, err); /* before anything else of the route is told */
    if (st)
        return st;
    if (!part_is(&model, ifd_server_model_name(r->io->server)) || !part_is(&version, "1"))
        return ifd_fail(err, INFERD_NOT_FOUND,
                        "there is no such model or version here; this is \"%s\", version 1",
                        ifd_server_model_name(r->io->server));
    const bool reads = strcmp(h->method, "GET") == 0 || strcmp(h->method, "HEAD") == 0;
    const bool read_only = route->page || route->file;
    const bool posts = strcmp(route->allow, "POST") == 0;
    if (posts ? strcmp(h->method, "POST") != 0 : !reads) {
        r->allow = route->allow;
        return ifd_fail(err, INFERD_METHOD_NOT_ALLOWED, "%s allows %s, not %s", route->path,
                        route->allow, h->method);
    }
    if (h->expect_other)
        return ifd_fail(err, INFERD_EXPECTATION_FAILED,
                        "the only expectation that can be met is 100-continue");
    if (read_only)
        return INFERD_OK;
    if (route->admin && (!h->has_length || (!h->chunked && h->content_length == 0)))
        return INFERD_OK; /* some take no argument; the others miss it themselves */
    if (!h->has_length)
        return ifd_fail(err, INFERD_LENGTH_REQUIRED,
                        "%s needs a body: send Content-Length or Transfer-Encoding: chunked",
                        route->path);
    const char *type = ifd_http_header(h, "content-type");
    /* with that header, which no page of another origin can send unasked, the body has a form of
     * its own; and the protocol's clients give a JSON body no type */
    const bool binary = route->codec && route->codec->takes_binary &&
                        (!type || ifd_http_header(h, "inference-header-content-length"));
    if (route->stream && (!type || !is_ndjson(type)))
        return ifd_fail(err, INFERD_UNSUPPORTED_MEDIA_TYPE,
                        "%s takes Content-Type: application/x-ndjson (or application/jsonl)",
                        route->path);
    if (!route->stream && !binary && (!type || !is_json(type)))
        return ifd_fail(err, INFERD_UNSUPPORTED_MEDIA_TYPE,
                        "%s takes Content-Type: application/json (charset utf-8)", route->path);
    const char *coding = ifd_http_header(h, "content-encoding");
    if (coding && !ifd_http_same(coding, strlen(coding), "identity"))
        return ifd_fail(err, INFERD_UNSUPPORTED_MEDIA_TYPE,
                        "Content-Encoding is not supported: send the body as it is");
    return INFERD_OK;
}

int ifd_route_page(struct ifd_io *io, struct ifd_request *r)
{
    const struct ifd_route *route = r->route;
    if (ifd_ui_page_wanted(r))
        return ifd_ui_page(r, &io->body);
    if (route->file && io->server->config.ui)
        snprintf(r->headers, sizeof(r->headers), "%s", ifd_ui_vary);
    if (route->page == ifd_metrics_page) {
        snprintf(r->headers, sizeof(r->headers), "Vary: Accept\r\n");
        if (ifd_negotiate_openmetrics(ifd_http_header(&r->http, "accept"))) {
            r->media_type = IFD_OPENMETRICS_MEDIA_TYPE;
            return ifd_metrics_open_page(io, &io->body);
        }
    }
    return route->page(io, &io->body);
}

void ifd_route_request(struct ifd_request *r)
{
    inferd_error err = {.status = INFERD_OK};
    if (check(r, &err) != INFERD_OK)
        r->error = err;
}

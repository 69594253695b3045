/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor.c - `inferd doctor`: would the server run here, and what would make it faster?
 */
#include "cli/doctor.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "cli/command.h"
#include "base/http_client.h"
#include "cli/model_args.h"
#include "cli/pull_run.h"
#include "cli/say.h"
#include "server/manifest.h"

#define RUNS 15 /* of each text; the least counts */
#define LONG_WORDS 600u

static const struct ifd_option options[] = {
    IFD_MODEL_DIR_OPTION,
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
    {.kind = IFD_OPTION_STRING,
     .name = "host",
     .value = "ADDRESS",
     .preset = "127.0.0.1",
     .help = "the address that serve would listen on"},
    {.kind = IFD_OPTION_COUNT,
     .name = "port",
     .value = "N",
     .preset = "8000",
     .most = 65535,
     .help = "its port"},
    {.kind = IFD_OPTION_COUNT,
     .name = "threads",
     .value = "N",
     .preset = "0",
     .most = 1024,
     .help = "compute threads; 0 means as many as this process may use"},
    {.kind = IFD_OPTION_COUNT,
     .name = "max-connections",
     .value = "N",
     .preset = "16384",
     .least = 1,
     .most = 1000000,
     .help = "open connections that serve would allow"},
    {.kind = IFD_OPTION_FLAG, .name = "json", .help = "one JSON object"},
};

/* ---- the address --------------------------------------------------------------------------- */

static int try_to_listen(const char *host, unsigned port)
{
    char service[16];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int on = 1, code = EADDRNOTAVAIL;
    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return code;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    code = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 1) != 0)
        code = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return code;
}

static void look_at_address(struct ifd_doctor_facts *f)
{
    char text[320];
    struct ifd_url url;
    struct ifd_http_answer answer;
    f->port_errno = f->port ? try_to_listen(f->host, f->port) : 0;
    if (f->port_errno != EADDRINUSE)
        return;
    const bool any = strcmp(f->host, "0.0.0.0") == 0;
    snprintf(text, sizeof(text),
             strchr(f->host, ':') ? "http://[%s]:%u/livez" : "http://%s:%u/livez",
             any ? "127.0.0.1" : f->host, f->port);
    f->port_answers = !ifd_url_parse(text, &url, NULL) &&
                      !ifd_http_get(&url, 1000, &answer, NULL) && answer.status == 200 &&
                      strstr(answer.body, "\"status\":\"ok\"");
}

/* ---- the model ----------------------------------------------------------------------------- */

static inferd_status time_text(inferd_session *session, const char *text, size_t size, double *ms,
                               unsigned *tokens, inferd_result *r, float *logits, inferd_error *err)
{
    const inferd_text t = {.data = text, .size = size};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < RUNS + 2; i++) { /* two to warm up */
        const uint64_t began = ifd_clock_ns();
        inferd_status s = inferd_classify(session, &t, 1, r, logits, err);
        if (s)
            return s;
        const uint64_t took = ifd_clock_ns() - began;
        if (i >= 2 && took < least)
            least = took;
    }
    *ms = (double)least / 1e6;
    *tokens = r->tokens;
    return INFERD_OK;
}

static inferd_status try_model(const inferd_model *model, inferd_session *session, uint32_t labels,
                               struct ifd_doctor_facts *f, inferd_error *err)
{
    static const char shorter[] = "I love this!", word[] = "and so on ";
    inferd_result r;
    float *logits = ifd_alloc_array(labels, sizeof(*logits));
    char *longer = ifd_alloc(LONG_WORDS * sizeof(word));
    inferd_status s = INFERD_OK;
    if (!logits || !longer)
        s = ifd_fail(err, INFERD_NO_MEMORY, "no memory to try the model");
    for (size_t i = 0; i < LONG_WORDS && !s; i++)
        memcpy(longer + i * (sizeof(word) - 1), word, sizeof(word));
    if (!s)
        s = time_text(session, longer, LONG_WORDS * (sizeof(word) - 1), &f->long_ms,
                      &f->long_tokens, &r, logits, err);
    if (!s)
        s = time_text(session, shorter, sizeof(shorter) - 1, &f->short_ms, &f->short_tokens, &r,
                      logits, err);
    f->finite = !s;
    for (uint32_t i = 0; i < labels && !s; i++)
        f->finite = f->finite && isfinite(logits[i]);
    if (!s)
        snprintf(f->label, sizeof(f->label), "%.40s %.2f", inferd_model_label(model, r.label),
                 (double)r.confidence);
    ifd_free(longer);
    ifd_free(logits);
    return s;
}

static inferd_status check_manifest(const char *dir, struct ifd_doctor_facts *f, inferd_error *err)
{
    struct ifd_manifest m = {0};
    uint64_t bytes;
    inferd_status s = ifd_manifest_list(dir, &m, &bytes, err);
    if (!s)
        s = ifd_manifest_hash(dir, &m, err);
    if (!s)
        s = ifd_manifest_check(dir, &m, &f->has_manifest, err);
    if (!s)
        snprintf(f->digest, sizeof(f->digest), "%s", m.digest);
    ifd_manifest_fini(&m);
    return s;
}

static inferd_status look_at_model(const struct ifd_options *o, struct ifd_doctor_facts *f,
                                   inferd_error *err)
{
    char path[PATH_MAX + 64];
    const char *dir;
    inferd_model *model = NULL;
    inferd_session *session = NULL;
    const inferd_model_options mo = {.struct_size = sizeof(mo),
                                     .dtype = ifd_options_text(o, "dtype"),
                                     .tier = ifd_model_tier(o),
                                     .max_length = (uint32_t)ifd_options_number(o, "max-length")};
    inferd_status s = ifd_model_dir(o, path, sizeof(path), &dir, err);
    if (!s)
        s = check_manifest(dir, f, err);
    const uint64_t began = ifd_clock_ns();
    if (!s)
        s = inferd_model_open(dir, &mo, &model, err);
    if (s)
        return s;
    f->load_s = (double)(ifd_clock_ns() - began) / 1e9;
    inferd_model_info info = {.struct_size = sizeof(info)};
    inferd_model_get_info(model, &info);
    snprintf(f->model, sizeof(f->model), "%s", info.name);
    snprintf(f->architecture, sizeof(f->architecture), "%s", info.architecture);
    snprintf(f->dtype, sizeof(f->dtype), "%s", info.dtype);
    f->weight_bytes = info.weight_bytes;
    s = inferd_session_open(model, NULL, &session, err);
    if (!s)
        s = try_model(model, session, info.labels, f, err);
    inferd_session_close(session);
    inferd_model_release(model);
    return s;
}

static bool is_installed(const char *name)
{
    char dir[PATH_MAX], path[PATH_MAX + 64];
    ifd_executable_dir(dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (access(path, X_OK) == 0)
        return true;
    for (const char *s = getenv("PATH"); s; s = strchr(s, ':') ? strchr(s, ':') + 1 : NULL) {
        snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(s, ":"), s, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* ---- telling ------------------------------------------------------------------------------- */

static void tell(const struct ifd_doctor_finding *n, unsigned count, struct ifd_buf *b)
{
    for (unsigned i = 0; i < count; i++) {
        ifd_buf_printf(b, "%-4s  %-12s %s\n", ifd_doctor_levels[n[i].level], n[i].check, n[i].text);
        if (n[i].advice[0])
            ifd_buf_printf(b, "%-19s-> %s\n", "", n[i].advice);
    }
}

static void tell_json(const struct ifd_doctor_facts *f, const struct ifd_doctor_finding *n,
                      unsigned count, enum ifd_doctor_level worst, struct ifd_buf *b)
{
    ifd_buf_printf(b, "{\"version\":\"%s\",\"verdict\":\"%s\",\"tier\":", INFERD_VERSION,
                   ifd_doctor_levels[worst]);
    ifd_jsonout_cstr(b, f->tier);
    ifd_buf_printf(b, ",\"threads\":%u,\"findings\":[", f->threads);
    for (unsigned i = 0; i < count; i++) {
        ifd_buf_printf(b, "%s{\"check\":\"%s\",\"level\":\"%s\",\"text\":", i ? "," : "",
                       n[i].check, ifd_doctor_levels[n[i].level]);
        ifd_jsonout_cstr(b, n[i].text);
        ifd_buf_add_str(b, ",\"advice\":");
        if (n[i].advice[0])
            ifd_jsonout_cstr(b, n[i].advice);
        else
            ifd_buf_add_str(b, "null");
        ifd_buf_add_char(b, '}');
    }
    ifd_buf_add_str(b, "]}\n");
}

static enum ifd_exit run_doctor(const struct ifd_options *o, struct ifd_out *out)
{
    static struct ifd_doctor_facts f;
    struct ifd_doctor_finding findings[IFD_DOCTOR_FINDINGS];
    enum ifd_tier tier;
    inferd_error err;
    f = (struct ifd_doctor_facts){
        .host = ifd_options_text(o, "host"),
        .port = (unsigned)ifd_options_number(o, "port"),
        .threads = (unsigned)ifd_options_number(o, "threads"),
        .max_connections = (unsigned)ifd_options_number(o, "max-connections"),
        .tier_forced = ifd_options_text(o, "tier") != NULL,
        .has_pull = is_installed("inferd-pull"),
    };
    if (ifd_cpu_choose(ifd_model_tier(o), &tier, &err)) {
        ifd_say_error("doctor: %s", err.message);
        return IFD_EXIT_USAGE;
    }
    ifd_doctor_read_machine("", &f);
    f.tier = ifd_tier_name(tier);
    f.threads = f.threads ? f.threads : ifd_cpu_budget();
    look_at_address(&f);
    if (look_at_model(o, &f, &err))
        f.model_error = err;
    const unsigned count = ifd_doctor_judge(&f, findings);
    enum ifd_doctor_level worst = IFD_DOCTOR_OK;
    for (unsigned i = 0; i < count; i++)
        worst = findings[i].level > worst ? findings[i].level : worst;
    if (ifd_options_flag(o, "json"))
        tell_json(&f, findings, count, worst, &out->buf);
    else
        tell(findings, count, &out->buf);
    return worst == IFD_DOCTOR_FAIL ? IFD_EXIT_UNFIT : IFD_EXIT_OK;
}

const struct ifd_command ifd_command_doctor = {
    .name = "doctor",
    .summary = "say whether the server would run here, and what would make it faster",
    .arguments = "",
    .about = "Looks at the processor and what of it this process may use, memory, limits, the\n"
             "address, and loads the model and lets it answer. Changes nothing. Code 11 when a\n"
             "finding says `fail`.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .run = run_doctor,
};

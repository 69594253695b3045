/* SPDX-License-Identifier: Apache-2.0
 *
 * inspect.c - `inferd inspect MODEL_DIR`: what a model directory holds and what it takes to run it.
 * The model is really loaded, so a directory that inspect shows is one that serve takes.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "cli/command.h"
#include "cli/model_args.h"
#include "cli/say.h"
#include "model/checkpoint.h"
#include "model/model.h"
#include "server/manifest.h"

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_SECTION, .name = "Model"},
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
    {.kind = IFD_OPTION_SECTION, .name = "Manifest"},
    {.kind = IFD_OPTION_FLAG,
     .name = "check",
     .help = "fail unless there is a SHA256SUMS; one that is there is always checked"},
    {.kind = IFD_OPTION_FLAG,
     .name = "write-manifest",
     .help = "write the SHA-256 of each file that a load reads into SHA256SUMS"},
    {.kind = IFD_OPTION_SECTION, .name = "Output"},
    {.kind = IFD_OPTION_FLAG, .name = "json", .help = "one JSON object"},
};

struct inspection {
    inferd_model *model;
    inferd_model_info info;
    struct ifd_checkpoint checkpoint;
    struct ifd_manifest manifest;
    const char *listed; /* how SHA256SUMS stands: none, checked, written */
    const char *tokenizer_file;
    bool lowercases;
    double seconds;
};

typedef unsigned long long ull;

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Tensors per dtype of one file. */
static void count_dtypes(const struct ifd_shard *s, size_t counts[IFD_ST_DTYPE_COUNT])
{
    memset(counts, 0, IFD_ST_DTYPE_COUNT * sizeof(*counts));
    for (size_t i = 0; i < s->header.count; i++)
        counts[s->header.tensor[i].dtype]++;
}

static void text_report(const struct inspection *in, struct ifd_buf *b)
{
    const inferd_model_info *m = &in->info;
    ifd_buf_printf(b, "model         %s\narchitecture  %s\nproblem type  %s\n", m->name,
                   m->architecture, m->problem_type);
    ifd_buf_printf(b, "labels        %u:", m->labels);
    for (uint32_t i = 0; i < m->labels && i < 12; i++)
        ifd_buf_printf(b, "%s %s", i ? "," : "", inferd_model_label(in->model, i));
    ifd_buf_add_str(b, m->labels > 12 ? ", ...\n" : "\n");
    ifd_buf_printf(b, "sizes         %u layers, hidden %u, %u heads, feed-forward %u\n", m->layers,
                   m->hidden_size, m->heads, m->intermediate_size);
    ifd_buf_printf(b, "tokenizer     WordPiece, %s, from %s, vocabulary %u\n",
                   in->lowercases ? "uncased" : "cased", in->tokenizer_file, m->vocab_size);
    ifd_buf_printf(b, "max length    %u tokens in force, %u at most\n", m->max_length,
                   m->max_length_model);
    ifd_buf_printf(b, "parameters    %.1f M\n", (double)m->parameters / 1e6);
    for (size_t i = 0; i < in->checkpoint.shards; i++) {
        const struct ifd_shard *s = &in->checkpoint.shard[i];
        size_t counts[IFD_ST_DTYPE_COUNT];
        count_dtypes(s, counts);
        ifd_buf_printf(b, "file          %s, %.1f MB:", last_component(s->file.path),
                       (double)s->file.size / 1e6);
        for (int t = 0; t < IFD_ST_DTYPE_COUNT; t++)
            if (counts[t])
                ifd_buf_printf(b, " %zu x %s", counts[t], ifd_st_dtype_name((enum ifd_st_dtype)t));
        ifd_buf_add_char(b, '\n');
    }
    ifd_buf_printf(b, "digest        %s\nmanifest      %s\n", in->manifest.digest, in->listed);
    ifd_buf_printf(b,
                   "runs as       %s, cpu tier %s, weights in memory %.1f MB, loaded in %.2f s\n",
                   m->dtype, m->tier, (double)m->weight_bytes / 1e6, in->seconds);
}

static void add_string(struct ifd_buf *b, const char *key, const char *value)
{
    ifd_buf_printf(b, ",\"%s\":", key);
    ifd_jsonout_cstr(b, value);
}

static void json_report(const struct inspection *in, struct ifd_buf *b)
{
    const inferd_model_info *m = &in->info;
    ifd_buf_add_str(b, "{\"name\":");
    ifd_jsonout_cstr(b, m->name);
    add_string(b, "architecture", m->architecture);
    add_string(b, "problem_type", m->problem_type);
    ifd_buf_add_str(b, ",\"labels\":[");
    for (uint32_t i = 0; i < m->labels; i++) {
        if (i)
            ifd_buf_add_char(b, ',');
        ifd_jsonout_cstr(b, inferd_model_label(in->model, i));
    }
    ifd_buf_printf(
        b,
        "],\"layers\":%u,\"hidden_size\":%u,\"heads\":%u,\"intermediate_size\":%u,"
        "\"vocab_size\":%u,\"max_length\":%u,\"max_length_model\":%u,\"parameters\":%llu",
        m->layers, m->hidden_size, m->heads, m->intermediate_size, m->vocab_size, m->max_length,
        m->max_length_model, (ull)m->parameters);
    ifd_buf_printf(b, ",\"tokenizer\":{\"kind\":\"WordPiece\",\"lowercase\":%s",
                   in->lowercases ? "true" : "false");
    add_string(b, "file", in->tokenizer_file);
    ifd_buf_add_str(b, "},\"files\":[");
    for (size_t i = 0; i < in->checkpoint.shards; i++) {
        const struct ifd_shard *s = &in->checkpoint.shard[i];
        size_t counts[IFD_ST_DTYPE_COUNT];
        const char *separator = "";
        count_dtypes(s, counts);
        ifd_buf_add_str(b, i ? ",{\"name\":" : "{\"name\":");
        ifd_jsonout_cstr(b, last_component(s->file.path));
        ifd_buf_printf(b, ",\"bytes\":%llu,\"tensors\":{", (ull)s->file.size);
        for (int t = 0; t < IFD_ST_DTYPE_COUNT; t++) {
            if (!counts[t])
                continue;
            ifd_buf_printf(b, "%s\"%s\":%zu", separator, ifd_st_dtype_name((enum ifd_st_dtype)t),
                           counts[t]);
            separator = ",";
        }
        ifd_buf_add_str(b, "}}");
    }
    ifd_buf_add_char(b, ']');
    add_string(b, "digest", in->manifest.digest);
    add_string(b, "manifest", in->listed);
    add_string(b, "dtype", m->dtype);
    add_string(b, "tier", m->tier);
    ifd_buf_printf(b, ",\"weight_bytes\":%zu,\"load_seconds\":", m->weight_bytes);
    ifd_jsonout_fixed(b, in->seconds, 3);
    ifd_buf_add_str(b, "}\n");
}

/* Without the slashes that a shell's completion leaves at the end. */
static char *plain_dir(const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return ifd_strndup(dir, n);
}

/* What serve would say about the directory's manifest, or a new one. */
static inferd_status manifest(struct inspection *in, const struct ifd_options *o, const char *dir,
                              inferd_error *err)
{
    uint64_t bytes;
    bool present = false;
    inferd_status s = ifd_manifest_list(dir, &in->manifest, &bytes, err);
    if (!s)
        s = ifd_manifest_hash(dir, &in->manifest, err);
    if (!s && ifd_options_flag(o, "write-manifest")) {
        in->listed = "written";
        return ifd_manifest_write(dir, &in->manifest, err);
    }
    if (!s)
        s = ifd_manifest_check(dir, &in->manifest, &present, err);
    if (!s && !present && ifd_options_flag(o, "check"))
        s = ifd_fail(err, INFERD_MODEL_INVALID,
                     "%s has no " IFD_MANIFEST_NAME "; --write-manifest makes one", dir);
    in->listed = present ? "checked" : "none";
    return s;
}

static inferd_status inspect(struct inspection *in, const struct ifd_options *o, const char *dir,
                             inferd_error *err)
{
    const inferd_model_options model = {
        .struct_size = sizeof(model),
        .dtype = ifd_options_text(o, "dtype"),
        .tier = ifd_model_tier(o),
        .max_length = (uint32_t)ifd_options_number(o, "max-length"),
    };
    uint64_t began = ifd_clock_ns();
    inferd_status s = inferd_model_open(dir, &model, &in->model, err);
    in->seconds = (double)(ifd_clock_ns() - began) / 1e9;
    if (!s)
        s = ifd_checkpoint_open(dir, &in->checkpoint, err);
    if (!s)
        s = manifest(in, o, dir, err);
    if (s)
        return s;
    in->info.struct_size = sizeof(in->info);
    inferd_model_get_info(in->model, &in->info);
    in->lowercases = ifd_tokenizer_lowercases(ifd_model_tokenizer(in->model));
    char *json = ifd_path_join(dir, "tokenizer.json");
    if (!json)
        return ifd_fail(err, INFERD_NO_MEMORY, "%s: out of memory", dir);
    in->tokenizer_file = access(json, F_OK) == 0 ? "tokenizer.json" : "vocab.txt";
    ifd_free(json);
    return INFERD_OK;
}

static enum ifd_exit run_inspect(const struct ifd_options *o, struct ifd_out *out)
{
    struct inspection in = {0};
    inferd_error err;
    char *dir = plain_dir(o->args[0]);
    inferd_status s = dir ? inspect(&in, o, dir, &err)
                          : ifd_fail(&err, INFERD_NO_MEMORY, "%s: out of memory", o->args[0]);
    if (s)
        ifd_say_error("%s", err.message);
    else if (ifd_options_flag(o, "json"))
        json_report(&in, &out->buf);
    else
        text_report(&in, &out->buf);
    ifd_checkpoint_close(&in.checkpoint);
    ifd_manifest_fini(&in.manifest);
    inferd_model_release(in.model);
    ifd_free(dir);
    return ifd_exit_of_model(s);
}

const struct ifd_command ifd_command_inspect = {
    .name = "inspect",
    .summary = "what a model directory holds",
    .arguments = "MODEL_DIR",
    .about =
        "Loads the model and prints architecture, labels, sizes, tokenizer, files, digest and "
        "memory.\n"
        "A SHA256SUMS in the directory is checked; `sha256sum -c SHA256SUMS` checks it as well.\n"
        "Exit code 4 and the reason when the directory cannot be used.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .args_least = 1,
    .args_most = 1,
    .run = run_inspect,
};

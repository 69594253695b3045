/* SPDX-License-Identifier: Apache-2.0
 *
 * classify.c - `inferd classify`: texts in, one line per text out, in order; or, with --eval, one
 * report. A batch runs when it is full or when reading on would wait, so that a pipe that trickles
 * is answered line by line and a file goes through at full speed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsonout.h"
#include "base/mem.h"
#include "cli/batch.h"
#include "cli/command.h"
#include "cli/eval_report.h"
#include "cli/model_args.h"
#include "cli/say.h"
#include "cli/source.h"

static const struct ifd_option options[] = {
    {.kind = IFD_OPTION_SECTION, .name = "Model"},
    IFD_MODEL_DIR_OPTION,
    IFD_MODEL_MAX_LENGTH_OPTION,
    IFD_MODEL_DTYPE_OPTION,
    IFD_MODEL_TIER_OPTION,
    {.kind = IFD_OPTION_COUNT,
     .name = "threads",
     .value = "N",
     .preset = "0",
     .most = 1024,
     .help = "threads that compute; 0 means as many as this process may use"},
    {.kind = IFD_OPTION_COUNT,
     .name = "batch-tokens",
     .value = "N",
     .preset = "4096",
     .least = 3,
     .most = 1u << 20,
     .help = "tokens computed at once; raised to --max-length if below"},
    {.kind = IFD_OPTION_SECTION, .name = "Input"},
    IFD_SOURCE_FORMAT_OPTION,
    IFD_SOURCE_COLUMN_OPTION,
    IFD_SOURCE_HEADER_OPTION,
    IFD_SOURCE_LINE_OPTION,
    {.kind = IFD_OPTION_SECTION, .name = "Output"},
    {.kind = IFD_OPTION_FLAG,
     .name = "json",
     .help = "per text {\"label\",\"confidence\",\"scores\",\"logits\"}; with --eval one object"},
    {.kind = IFD_OPTION_SECTION, .name = "Evaluation"},
    {.kind = IFD_OPTION_STRING,
     .name = "eval",
     .value = "FILE",
     .help = "a TSV with labels (names or indices), - for standard input: print accuracy, "
             "confusion and calibration instead of labels"},
    {.kind = IFD_OPTION_STRING,
     .name = "label-column",
     .value = "NAME|N",
     .preset = "label",
     .help = "column of that TSV that holds the labels"},
};

struct run {
    inferd_model *model;
    struct ifd_batch batch;
    struct ifd_source source;
    struct ifd_out *out;
    struct ifd_progress progress;
    const char **labels; /* [labels] */
    float *scores;       /* [labels] */
    bool json, evaluate;
    struct ifd_eval eval;
    uint64_t count, truncated;
};

/* ---- one result ---------------------------------------------------------------------------- */

/* A label is one cell of one line, whatever config.json calls it. */
static void add_cell(struct ifd_buf *b, const char *s)
{
    for (; *s; s++)
        ifd_buf_add_char(b, (unsigned char)*s < 0x20 ? ' ' : *s);
}

static void add_json(struct run *r, const inferd_result *result, const float *logits)
{
    struct ifd_buf *b = &r->out->buf;
    ifd_buf_add_str(b, "{\"label\":");
    ifd_jsonout_cstr(b, r->labels[result->label]);
    ifd_buf_add_str(b, ",\"confidence\":");
    ifd_jsonout_float(b, result->confidence);
    ifd_buf_add_str(b, ",\"scores\":{");
    for (uint32_t i = 0; i < r->batch.labels; i++) {
        if (i)
            ifd_buf_add_char(b, ',');
        ifd_jsonout_cstr(b, r->labels[i]);
        ifd_buf_add_char(b, ':');
        ifd_jsonout_float(b, r->scores[i]);
    }
    ifd_buf_add_str(b, "},\"logits\":[");
    for (uint32_t i = 0; i < r->batch.labels; i++) {
        if (i)
            ifd_buf_add_char(b, ',');
        ifd_jsonout_float(b, logits[i]);
    }
    ifd_buf_add_str(b, "]}\n");
}

static void put(struct run *r, size_t i)
{
    const inferd_result *result = &r->batch.result[i];
    const float *logits = r->batch.logits + i * r->batch.labels;
    if (r->json || r->evaluate)
        inferd_scores(r->model, logits, r->scores);
    if (r->evaluate) {
        ifd_eval_add(&r->eval, r->batch.tag[i], result->label, result->confidence, r->scores);
    } else if (r->json) {
        add_json(r, result, logits);
    } else {
        add_cell(&r->out->buf, r->labels[result->label]);
        ifd_buf_add_char(&r->out->buf, '\t');
        ifd_jsonout_fixed(&r->out->buf, (double)result->confidence, 4);
        ifd_buf_add_char(&r->out->buf, '\n');
    }
    r->count++;
    r->truncated += result->truncated != 0;
}

/* ---- all of them --------------------------------------------------------------------------- */

/* INFERD_CANCELLED: output cannot be written; ifd_out_finish says why. */
static inferd_status run_batch(struct run *r, inferd_error *err)
{
    if (!r->batch.count)
        return INFERD_OK;
    inferd_status s = ifd_batch_run(&r->batch, err);
    if (s)
        return s;
    bool fine = true;
    for (size_t i = 0; i < r->batch.count && fine; i++) {
        put(r, i);
        fine = ifd_out_line(r->out);
    }
    ifd_batch_clear(&r->batch);
    if (!fine || !ifd_out_flush(r->out))
        return ifd_fail(err, INFERD_CANCELLED, "output failed");
    ifd_progress_tick(&r->progress, r->count);
    return INFERD_OK;
}

static bool label_index(const struct run *r, const char *s, size_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < r->batch.labels; i++) {
        if (strlen(r->labels[i]) == n && memcmp(r->labels[i], s, n) == 0) {
            *out = i;
            return true;
        }
    }
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v >= r->batch.labels)
            return false;
        v = 10 * v + (uint32_t)(s[i] - '0');
    }
    *out = v;
    return n > 0 && v < r->batch.labels;
}

static inferd_status add(struct run *r, const struct ifd_record *record, inferd_error *err)
{
    uint32_t truth = 0;
    if (r->evaluate && !label_index(r, record->label, record->label_size, &truth))
        return ifd_fail(err, INFERD_INVALID_REQUEST,
                        "line %llu: label \"%.*s\" is neither a name of this model's %u labels "
                        "(the first is %.64s) nor an index below that",
                        ifd_source_line(&r->source),
                        (int)(record->label_size < 64 ? record->label_size : 64), record->label,
                        r->batch.labels, r->labels[0]);
    return ifd_batch_add(&r->batch, record->text, record->size, truth, err);
}

/* *input: whether a failure is one of the input. */
static inferd_status run_all(struct run *r, bool *input, inferd_error *err)
{
    inferd_status s = INFERD_OK;
    for (;;) {
        struct ifd_record record;
        *input = false;
        if (ifd_batch_full(&r->batch) || (r->batch.count && !ifd_source_ready(&r->source)))
            s = run_batch(r, err);
        if (s)
            return s;
        *input = true;
        s = ifd_source_next(&r->source, &record, err);
        if (!s && !record.text)
            break;
        if (!s)
            s = add(r, &record, err);
        if (s) {
            /* what came before the bad line is answered first: one line out per line in */
            inferd_error ignored;
            inferd_status before = run_batch(r, &ignored);
            if (before) {
                *input = false;
                *err = ignored;
                return before;
            }
            return s;
        }
    }
    *input = false;
    return run_batch(r, err);
}

static void report(struct run *r, double seconds)
{
    if (r->json)
        ifd_eval_report_json(&r->eval, r->labels, r->truncated, seconds, &r->out->buf);
    else
        ifd_eval_report_text(&r->eval, r->labels, r->truncated, seconds, &r->out->buf);
}

/* ---- the command --------------------------------------------------------------------------- */

/* *fd: to be closed, or -1. */
static enum ifd_exit open_source(struct run *r, const struct ifd_options *o, int *fd)
{
    const char *file = ifd_options_text(o, "eval");
    if (!file) {
        ifd_source_open(&r->source, o);
        return IFD_EXIT_OK;
    }
    if (o->arg_count) {
        ifd_say_error("--eval takes its texts from the file: leave the arguments out");
        return IFD_EXIT_USAGE;
    }
    if (strcmp(file, "-") != 0) {
        *fd = open(file, O_RDONLY | O_CLOEXEC);
        if (*fd < 0) {
            ifd_say_error("%s: cannot be opened: %s", file, strerror(errno));
            return IFD_EXIT_IO;
        }
    }
    const struct ifd_records_options records = {
        .format = IFD_RECORDS_TSV,
        .header = ifd_options_number(o, "header") != 0,
        .column = ifd_options_text(o, "column"),
        .label_column = ifd_options_text(o, "label-column"),
        .line_max = (size_t)ifd_options_number(o, "max-line-bytes"),
    };
    ifd_source_open_records(&r->source, *fd < 0 ? STDIN_FILENO : *fd, &records);
    return IFD_EXIT_OK;
}

static inferd_status prepare(struct run *r, const struct ifd_options *o, inferd_error *err)
{
    inferd_status s =
        ifd_batch_open(&r->batch, r->model, (uint32_t)ifd_options_number(o, "threads"),
                       (uint32_t)ifd_options_number(o, "batch-tokens"),
                       (size_t)ifd_options_number(o, "max-line-bytes"), err);
    if (!s && r->evaluate)
        s = ifd_eval_init(&r->eval, r->batch.labels, err);
    if (s)
        return s;
    r->labels = ifd_alloc_array(r->batch.labels, sizeof(*r->labels));
    r->scores = ifd_alloc_array(r->batch.labels, sizeof(*r->scores));
    if (!r->labels || !r->scores)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for %u labels", r->batch.labels);
    for (uint32_t i = 0; i < r->batch.labels; i++)
        r->labels[i] = inferd_model_label(r->model, i);
    return INFERD_OK;
}

static enum ifd_exit work(struct run *r, const struct ifd_options *o)
{
    inferd_error err;
    inferd_status s = prepare(r, o, &err);
    bool input = false;
    uint64_t began = ifd_clock_ns();
    if (!s) {
        ifd_progress_begin(&r->progress, r->evaluate || !isatty(STDOUT_FILENO));
        s = run_all(r, &input, &err);
        ifd_progress_end(&r->progress);
    }
    if (s == INFERD_CANCELLED)
        return IFD_EXIT_IO; /* ifd_out_finish tells more */
    if (s) {
        ifd_say_error("%s", err.message);
        return input ? ifd_exit_of_input(s) : ifd_exit_of_model(s);
    }
    if (r->evaluate)
        report(r, (double)(ifd_clock_ns() - began) / 1e9);
    else if (r->truncated && isatty(STDERR_FILENO))
        ifd_say_notice("%llu of %llu texts were cut at --max-length",
                       (unsigned long long)r->truncated, (unsigned long long)r->count);
    return IFD_EXIT_OK;
}

static enum ifd_exit run_classify(const struct ifd_options *o, struct ifd_out *out)
{
    struct run r = {.out = out,
                    .json = ifd_options_flag(o, "json"),
                    .evaluate = ifd_options_text(o, "eval") != NULL};
    int fd = -1;
    enum ifd_exit code = open_source(&r, o, &fd);
    if (code)
        return code;
    code = ifd_model_open_args(o, &r.model);
    if (!code)
        code = work(&r, o);
    ifd_batch_close(&r.batch);
    ifd_eval_fini(&r.eval);
    ifd_free(r.labels);
    ifd_free(r.scores);
    ifd_source_close(&r.source);
    inferd_model_release(r.model);
    if (fd >= 0)
        close(fd);
    return code;
}

const struct ifd_command ifd_command_classify = {
    .name = "classify",
    .summary = "label texts, or evaluate the model on labelled ones",
    .arguments = "[TEXT...]",
    .about =
        "Each argument is a text. Without arguments, each line of standard input is one: only LF\n"
        "ends a line; tabs, CR and empty lines are data. One line of output per text, in order:\n"
        "the label, a tab, its confidence. An input line that is not UTF-8 (or not what --format\n"
        "says) ends the run with exit code 6, after the lines before it have been answered.\n",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .args_most = SIZE_MAX,
    .run = run_classify,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/eval_report.h"

#include <string.h>

#include "base/jsonout.h"

#define COLUMN_MAX 24

typedef unsigned long long ull;

/* Characters of a name, for alignment: continuation bytes take no column. */
static int width(const char *s)
{
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0u) != 0x80u;
    return n;
}

static void add_padded(struct ifd_buf *b, const char *s, int columns, bool right)
{
    int pad = columns - width(s);
    if (!right)
        ifd_buf_add_str(b, s);
    for (; pad > 0; pad--)
        ifd_buf_add_char(b, ' ');
    if (right)
        ifd_buf_add_str(b, s);
}

static int widest(const struct ifd_eval *e, const char *const *labels)
{
    int most = 8;
    for (uint32_t i = 0; i < e->labels; i++)
        most = width(labels[i]) > most ? width(labels[i]) : most;
    return most;
}

static void add_confusion(const struct ifd_eval *e, const char *const *labels, struct ifd_buf *b)
{
    int first = widest(e, labels);
    int column = first > COLUMN_MAX ? COLUMN_MAX : first;
    if (e->labels > 12) { /* a table that wide is not read: the most frequent mistakes are */
        ifd_buf_add_str(b, "\nconfusion: more than 12 labels; --json has the table\n");
        return;
    }
    ifd_buf_add_str(b, "\nconfusion (rows: truth, columns: answer)\n");
    add_padded(b, "", first, false);
    for (uint32_t j = 0; j < e->labels; j++) {
        ifd_buf_add_str(b, "  ");
        add_padded(b, labels[j], column, true);
    }
    for (uint32_t i = 0; i < e->labels; i++) {
        ifd_buf_add_char(b, '\n');
        add_padded(b, labels[i], first, false);
        for (uint32_t j = 0; j < e->labels; j++) {
            int w = width(labels[j]) > column ? width(labels[j]) : column;
            ifd_buf_printf(b, "  %*llu", w, (ull)e->confusion[(size_t)i * e->labels + j]);
        }
    }
    ifd_buf_add_char(b, '\n');
}

static void add_labels(const struct ifd_eval *e, const char *const *labels, struct ifd_buf *b)
{
    int first = widest(e, labels);
    ifd_buf_add_char(b, '\n');
    add_padded(b, "label", first, false);
    ifd_buf_add_str(b, "  precision  recall      f1   texts\n");
    for (uint32_t i = 0; i < e->labels; i++) {
        struct ifd_eval_label l = ifd_eval_label(e, i);
        add_padded(b, labels[i], first, false);
        ifd_buf_printf(b, "     %.4f  %.4f  %.4f  %6llu\n", l.precision, l.recall, l.f1,
                       (ull)l.support);
    }
}

static void add_reliability(const struct ifd_eval *e, struct ifd_buf *b)
{
    ifd_buf_add_str(b, "\nconfidence        texts  mean confidence  accuracy\n");
    for (unsigned i = 0; i < IFD_EVAL_BINS; i++) {
        const struct ifd_eval_bin *bin = &e->bin[i];
        if (!bin->count)
            continue;
        double n = (double)bin->count;
        ifd_buf_printf(b, "(%.3f, %.3f]  %7llu  %15.4f  %8.4f\n", (double)i / IFD_EVAL_BINS,
                       (double)(i + 1) / IFD_EVAL_BINS, (ull)bin->count, bin->confidence_sum / n,
                       (double)bin->correct / n);
    }
}

void ifd_eval_report_text(const struct ifd_eval *e, const char *const *labels, uint64_t truncated,
                          double seconds, struct ifd_buf *b)
{
    ifd_buf_printf(b, "texts            %llu", (ull)e->count);
    if (truncated)
        ifd_buf_printf(b, "  (%llu cut at --max-length)", (ull)truncated);
    ifd_buf_printf(b, "\naccuracy         %.4f  (%llu right)\n", ifd_eval_accuracy(e),
                   (ull)e->correct);
    ifd_buf_printf(b, "macro F1         %.4f\n", ifd_eval_macro_f1(e));
    ifd_buf_printf(b, "mean confidence  %.4f\n", ifd_eval_confidence(e));
    ifd_buf_printf(b, "ECE, %u bins     %.4f\n", IFD_EVAL_BINS, ifd_eval_ece(e));
    ifd_buf_printf(b, "Brier score      %.4f\n", ifd_eval_brier(e));
    ifd_buf_printf(b, "log loss         %.4f\n", ifd_eval_log_loss(e));
    if (seconds > 0)
        ifd_buf_printf(b, "time             %.2f s, %.0f texts per second\n", seconds,
                       (double)e->count / seconds);
    add_confusion(e, labels, b);
    add_labels(e, labels, b);
    add_reliability(e, b);
}

static void add_member(struct ifd_buf *b, const char *key, double v)
{
    ifd_buf_printf(b, ",\"%s\":", key);
    ifd_jsonout_fixed(b, v, 6);
}

static void add_json_tables(const struct ifd_eval *e, const char *const *labels, struct ifd_buf *b)
{
    ifd_buf_add_str(b, ",\"labels\":[");
    for (uint32_t i = 0; i < e->labels; i++) {
        if (i)
            ifd_buf_add_char(b, ',');
        ifd_jsonout_cstr(b, labels[i]);
    }
    ifd_buf_add_str(b, "],\"confusion\":[");
    for (uint32_t i = 0; i < e->labels; i++) {
        ifd_buf_add_str(b, i ? ",[" : "[");
        for (uint32_t j = 0; j < e->labels; j++)
            ifd_buf_printf(b, "%s%llu", j ? "," : "", (ull)e->confusion[(size_t)i * e->labels + j]);
        ifd_buf_add_char(b, ']');
    }
    ifd_buf_add_str(b, "],\"reliability\":[");
    bool any = false;
    for (unsigned i = 0; i < IFD_EVAL_BINS; i++) {
        const struct ifd_eval_bin *bin = &e->bin[i];
        if (!bin->count)
            continue;
        ifd_buf_printf(b, "%s{\"above\":", any ? "," : "");
        any = true;
        ifd_jsonout_fixed(b, (double)i / IFD_EVAL_BINS, 6);
        add_member(b, "to", (double)(i + 1) / IFD_EVAL_BINS);
        ifd_buf_printf(b, ",\"texts\":%llu", (ull)bin->count);
        add_member(b, "mean_confidence", bin->confidence_sum / (double)bin->count);
        add_member(b, "accuracy", (double)bin->correct / (double)bin->count);
        ifd_buf_add_char(b, '}');
    }
    ifd_buf_add_char(b, ']');
}

void ifd_eval_report_json(const struct ifd_eval *e, const char *const *labels, uint64_t truncated,
                          double seconds, struct ifd_buf *b)
{
    ifd_buf_printf(b, "{\"texts\":%llu,\"correct\":%llu,\"truncated\":%llu", (ull)e->count,
                   (ull)e->correct, (ull)truncated);
    add_member(b, "accuracy", ifd_eval_accuracy(e));
    add_member(b, "macro_f1", ifd_eval_macro_f1(e));
    add_member(b, "mean_confidence", ifd_eval_confidence(e));
    ifd_buf_printf(b, ",\"ece_bins\":%u", IFD_EVAL_BINS);
    add_member(b, "ece", ifd_eval_ece(e));
    add_member(b, "brier", ifd_eval_brier(e));
    add_member(b, "log_loss", ifd_eval_log_loss(e));
    add_member(b, "seconds", seconds);
    add_json_tables(e, labels, b);
    ifd_buf_add_str(b, "}\n");
}

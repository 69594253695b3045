/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_report.h - the figures of a run: for people, as JSON, as CSV. Into a buffer; pure.
 */
#ifndef IFD_CLI_BENCH_REPORT_H
#define IFD_CLI_BENCH_REPORT_H

#include "cli/bench_options.h"

struct ifd_bench_report {
    const struct ifd_bench_settings *settings;
    const struct ifd_bench_wire *wire;
    const struct ifd_bench_tally *tally;
    const struct ifd_bench_load_result *result;
};

/* What all three say; rates are per second of the window. */
struct ifd_bench_rates {
    double ok_per_s, inputs_per_s, ended_per_s;
    double cpu_share; /* of one core, within elapsed_s */
};
struct ifd_bench_rates ifd_bench_rates_of(const struct ifd_bench_report *r);
/* The client had no time to spare: its figures may be its own, not the server's. */
bool ifd_bench_saturated(const struct ifd_bench_report *r);

void ifd_bench_report_text(const struct ifd_bench_report *r, struct ifd_buf *b);
void ifd_bench_report_json(const struct ifd_bench_report *r, struct ifd_buf *b);
void ifd_bench_report_csv(const struct ifd_bench_report *r, struct ifd_buf *b);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_options.h - the options of `inferd bench` as a table, and what they come to.
 */
#ifndef IFD_CLI_BENCH_OPTIONS_H
#define IFD_CLI_BENCH_OPTIONS_H

#include "cli/bench_load.h"
#include "cli/options.h"

#define IFD_BENCH_OPTION_COUNT 21u
extern const struct ifd_option ifd_bench_options[IFD_BENCH_OPTION_COUNT];

struct ifd_bench_settings {
    struct ifd_url url;
    struct ifd_bench_load_options load; /* all but `requests` */
    const char *method;
    const char *headers[IFD_OPTIONS_ITEMS_MAX];
    size_t header_count;
    const char *texts; /* a file's name, "-", or NULL: built in */
    enum ifd_records_format format;
    size_t inputs;
    bool random;
    uint32_t labels; /* expected in an answer; 0: not looked at */
    bool json, csv;
};

/* INFERD_INVALID_ARGUMENT with what to do. Strings are borrowed from `o`. Pure. */
IFD_MUST_CHECK inferd_status ifd_bench_settings_make(const struct ifd_options *o,
                                                     struct ifd_bench_settings *out,
                                                     inferd_error *err);

#endif

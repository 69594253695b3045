/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - structured log lines on stderr: text on a terminal, one JSON object a line otherwise.
 *
 *     ifd_log(IFD_LOG_INFO, "ready", IFD_STR("url", url), IFD_U64("threads", n));
 * A line is written with one write(2), so lines of several threads do not mix. Thread-safe after
 * ifd_log_init, which runs once before threads start. Values are escaped; no line exceeds 4 KiB.
 */
#ifndef IFD_BASE_LOG_H
#define IFD_BASE_LOG_H

#include <stdint.h>

enum ifd_log_level { IFD_LOG_DEBUG, IFD_LOG_INFO, IFD_LOG_WARN, IFD_LOG_ERROR };
enum ifd_log_format { IFD_LOG_AUTO, IFD_LOG_TEXT, IFD_LOG_JSON };

enum ifd_log_type { IFD_LOG_T_STR, IFD_LOG_T_U64, IFD_LOG_T_F64 };
struct ifd_log_field {
    enum ifd_log_type type;
    const char *key;
    const char *str;
    uint64_t u64;
    double f64;
};
#define IFD_STR(k, v) ((struct ifd_log_field){.type = IFD_LOG_T_STR, .key = (k), .str = (v)})
#define IFD_U64(k, v) ((struct ifd_log_field){.type = IFD_LOG_T_U64, .key = (k), .u64 = (v)})
#define IFD_F64(k, v) ((struct ifd_log_field){.type = IFD_LOG_T_F64, .key = (k), .f64 = (v)})

void ifd_log_init(enum ifd_log_level least, enum ifd_log_format format);
void ifd_log_write(enum ifd_log_level level, const char *event, const struct ifd_log_field *fields,
                   unsigned count);
#define ifd_log(level, event, ...)                                           \
    do {                                                                     \
        const struct ifd_log_field ifd_log_fields_[] = {__VA_ARGS__};        \
        ifd_log_write((level), (event), ifd_log_fields_,                     \
                      sizeof(ifd_log_fields_) / sizeof(ifd_log_fields_[0])); \
    } while (0)

#endif

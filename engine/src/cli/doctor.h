/* SPDX-License-Identifier: Apache-2.0
 *
 * doctor.h - what `inferd doctor` finds: facts of this machine and model, read once, and what they
 * mean, which is a pure function of them.
 */
#ifndef IFD_CLI_DOCTOR_H
#define IFD_CLI_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ifd_doctor_facts {
    /* processors */
    char cpu[128];
    const char *tier, *best_tier; /* in use, and the best of this CPU */
    bool tier_forced;             /* by --tier or INFERD_CPU */
    bool flag_vnni, flag_amx;     /* /proc/cpuinfo says so, whatever we may use */
    unsigned affinity, quota;     /* quota 0: none */
    unsigned threads;             /* that would compute */
    double load_1min;             /* negative: not known */
    char governor[32];            /* "": not known */
    uint64_t periods, throttled;  /* of the cgroup; 0 periods: not known */
    /* memory, bytes; 0: not known, and no limit for memory_max */
    uint64_t memory_available, memory_max, memory_used;
    char huge_pages[16]; /* always, madvise, never; "": not known */
    /* limits */
    uint64_t files_soft, files_hard;
    unsigned max_connections, backlog; /* net.core.somaxconn; 0: not known */
    /* the address */
    const char *host;
    unsigned port;
    int port_errno;    /* 0: free */
    bool port_answers; /* something there answers /livez as inferd does */
    /* the model */
    inferd_error model_error; /* status INFERD_OK: it loaded and answered */
    char model[160], architecture[64], dtype[16], digest[80], label[64];
    bool has_manifest, finite;
    uint64_t weight_bytes;
    double load_s, short_ms, long_ms; /* one text of few, and of max_length, tokens; one thread */
    unsigned short_tokens, long_tokens;
    bool has_pull;
};

enum ifd_doctor_level { IFD_DOCTOR_OK, IFD_DOCTOR_HINT, IFD_DOCTOR_WARN, IFD_DOCTOR_FAIL };
extern const char *const ifd_doctor_levels[]; /* by level: "ok", "hint", "warn", "fail" */

struct ifd_doctor_finding {
    enum ifd_doctor_level level;
    const char *check;
    char text[320];   /* what is so */
    char advice[320]; /* what to do; "" when nothing */
};

#define IFD_DOCTOR_FINDINGS 12u

/* From the files below `root` ("" in production, a recorded tree in tests); what cannot be read is
 * not known. Neither the address nor the model. */
void ifd_doctor_read_machine(const char *root, struct ifd_doctor_facts *f);
/* In the order in which they are told; returns how many. Pure. */
unsigned ifd_doctor_judge(const struct ifd_doctor_facts *f,
                          struct ifd_doctor_finding out[IFD_DOCTOR_FINDINGS]);

#endif

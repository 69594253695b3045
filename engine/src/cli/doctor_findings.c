/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"

#define MIB ((uint64_t)1 << 20)
/* Beside the weights: scratch of the workers, buffers of the I/O threads, the vocabulary. */
#define OVERHEAD_BYTES (64 * MIB)
#define FILES_BESIDE 64u /* descriptors that are no connections */

const char *const ifd_doctor_levels[] = {"ok", "hint", "warn", "fail"};

struct findings {
    struct ifd_doctor_finding *out;
    unsigned count;
};

static struct ifd_doctor_finding *add(struct findings *f, const char *check)
{
    IFD_ASSERT(f->count < IFD_DOCTOR_FINDINGS);
    struct ifd_doctor_finding *n = &f->out[f->count++];
    *n = (struct ifd_doctor_finding){.level = IFD_DOCTOR_OK, .check = check};
    return n;
}

IFD_PRINTF(2, 3) static void say(struct ifd_doctor_finding *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(n->text, sizeof(n->text), fmt, args);
    va_end(args);
}

/* The worst counts, and the first advice of that level stays. */
IFD_PRINTF(3, 4)
static void advise(struct ifd_doctor_finding *n, enum ifd_doctor_level level, const char *fmt, ...)
{
    va_list args;
    if (level <= n->level)
        return;
    n->level = level;
    va_start(args, fmt);
    vsnprintf(n->advice, sizeof(n->advice), fmt, args);
    va_end(args);
}

static void judge_tier(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "cpu");
    say(n, "%s, tier %s", f->cpu, f->tier);
    if (strcmp(f->tier, f->best_tier) != 0)
        advise(n, IFD_DOCTOR_HINT, "this CPU has the faster tier %s%s", f->best_tier,
               f->tier_forced ? ": unset INFERD_CPU and --tier" : "");
    if (f->flag_amx && strcmp(f->best_tier, "amx") != 0)
        advise(n, IFD_DOCTOR_HINT,
               "the CPU has AMX and this kernel or container does not permit it: Linux 5.16 or "
               "later, and a seccomp profile that allows arch_prctl");
    if (strcmp(f->best_tier, "ref") == 0)
        advise(n, IFD_DOCTOR_WARN,
               "no tier for this CPU, only plain C: x86-64 with AVX2, or ARM64, is much faster");
    else if (strcmp(f->best_tier, "avx2") == 0 || strcmp(f->best_tier, "avx512") == 0 ||
             strcmp(f->best_tier, "neon") == 0)
        advise(
            n, IFD_DOCTOR_HINT,
            "no instructions for int8 products (VNNI, AMX, dot product): a machine type that has "
            "them is much faster at the default dtype");
}

static void judge_processors(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "processors");
    char quota[32] = "no cgroup quota";
    const unsigned budget = f->quota && f->quota < f->affinity ? f->quota : f->affinity;
    if (f->quota)
        snprintf(quota, sizeof(quota), "a cgroup quota of %u", f->quota);
    say(n, "%u in the affinity mask, %s: %u compute thread%s", f->affinity, quota, f->threads,
        f->threads == 1 ? "" : "s");
    if (f->threads > budget)
        advise(n, IFD_DOCTOR_WARN,
               "--threads %u on %u processor%s: threads that wait for each other make every batch "
               "slower; leave --threads out",
               f->threads, budget, budget == 1 ? "" : "s");
    if (f->periods && f->throttled * 20 > f->periods)
        advise(n, IFD_DOCTOR_WARN,
               "the cgroup was throttled in %.0f %% of its periods: raise its CPU limit, or lower "
               "--threads",
               100.0 * (double)f->throttled / (double)f->periods);
    if (f->load_1min > 1.5 * (double)budget)
        advise(
            n, IFD_DOCTOR_WARN,
            "the load average is %.1f on %u processor%s: others compete, and latencies will show "
            "it",
            f->load_1min, budget, budget == 1 ? "" : "s");
    if (f->governor[0] && strcmp(f->governor, "performance") != 0 &&
        strcmp(f->governor, "schedutil") != 0)
        advise(n, IFD_DOCTOR_HINT,
               "the frequency governor is %s: `performance` gives steadier latencies", f->governor);
}

static void judge_memory(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "memory");
    const uint64_t need = f->weight_bytes + OVERHEAD_BYTES;
    const uint64_t left = f->memory_max > f->memory_used ? f->memory_max - f->memory_used
                          : f->memory_max                ? 0
                                                         : UINT64_MAX;
    const uint64_t free = left < f->memory_available ? left : f->memory_available;
    char limit[48] = "";
    if (f->memory_max)
        snprintf(limit, sizeof(limit), " (cgroup limit %llu MiB)",
                 (unsigned long long)(f->memory_max / MIB));
    if (!f->memory_available) {
        say(n, "not known: /proc/meminfo does not say");
        return;
    }
    say(n, "%llu MiB free%s; about %llu MiB are needed, twice the weights while a model is swapped",
        (unsigned long long)(free / MIB), limit, (unsigned long long)(need / MIB));
    if (f->model_error.status == INFERD_OK && f->memory_max && f->memory_max < need)
        advise(n, IFD_DOCTOR_FAIL, "raise the memory limit above %llu MiB",
               (unsigned long long)(need / MIB));
    else if (free < need)
        advise(n, IFD_DOCTOR_WARN, "make room, or the kernel will end the server under load");
    else if (free < need + f->weight_bytes)
        advise(n, IFD_DOCTOR_HINT,
               "there is no room for a second model: a swap under load could "
               "run out of memory");
}

static void judge_huge_pages(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "huge pages");
    say(n, "transparent huge pages: %s", f->huge_pages[0] ? f->huge_pages : "not known");
    if (strcmp(f->huge_pages, "never") == 0)
        advise(n, IFD_DOCTOR_HINT,
               "weights are read through 4 KiB pages: as root, echo madvise > "
               "/sys/kernel/mm/transparent_hugepage/enabled");
}

static void judge_limits(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "open files");
    say(n, "soft limit %llu, hard limit %llu; the server raises the soft one by itself",
        (unsigned long long)f->files_soft, (unsigned long long)f->files_hard);
    if (f->files_hard < (uint64_t)f->max_connections + FILES_BESIDE)
        advise(
            n, IFD_DOCTOR_WARN,
            "--max-connections %u will be lowered to what %llu files allow: raise the hard limit "
            "(ulimit -Hn, LimitNOFILE=), or set --max-connections lower",
            f->max_connections, (unsigned long long)f->files_hard);
    n = add(all, "backlog");
    say(n, "net.core.somaxconn is %u", f->backlog);
    if (f->backlog && f->backlog < 1024)
        advise(n, IFD_DOCTOR_HINT,
               "a burst of new connections beyond it is dropped: sysctl net.core.somaxconn=4096");
}

static void judge_address(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "address");
    const char *what = f->port_errno == 0 ? "is free" : strerror(f->port_errno);
    say(n, "%s port %u: %s", f->host, f->port, f->port_answers ? "an inferd answers there" : what);
    if (f->port_errno == 0)
        return;
    if (f->port_answers)
        advise(n, IFD_DOCTOR_HINT, "a second one needs another --port");
    else
        advise(n, IFD_DOCTOR_FAIL, "choose another --port or --host, or stop what has it");
}

static void judge_model(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "model");
    if (f->model_error.status) {
        say(n, "%s", f->model_error.message);
        advise(n, IFD_DOCTOR_FAIL,
               "`inferd inspect DIR` says what a directory holds; docs/model-directory.md what is "
               "accepted");
        return;
    }
    say(n, "%s: %s in %s, %llu MiB, loaded in %.2f s; answers %s", f->model, f->architecture,
        f->dtype, (unsigned long long)(f->weight_bytes / MIB), f->load_s, f->label);
    if (!f->finite)
        advise(n, IFD_DOCTOR_FAIL, "its scores are not finite: the weights are damaged");
    if (!f->has_manifest)
        advise(
            n, IFD_DOCTOR_HINT,
            "no SHA256SUMS in its directory: `inferd inspect DIR --write-manifest` writes one, and "
            "damage is then noticed at each load");
    n = add(all, "speed");
    say(n, "one text on one thread: %.2f ms with %u tokens, %.2f ms with %u", f->short_ms,
        f->short_tokens, f->long_ms, f->long_tokens);
    if (strcmp(f->dtype, "fp32") == 0)
        advise(n, IFD_DOCTOR_HINT, "fp32 is the exact mode: --dtype int8, the default, is faster");
}

static void judge_tools(const struct ifd_doctor_facts *f, struct findings *all)
{
    struct ifd_doctor_finding *n = add(all, "inferd-pull");
    say(n, f->has_pull ? "installed" : "not found beside inferd or in PATH");
    if (!f->has_pull)
        advise(n, IFD_DOCTOR_HINT, "--model REPO_ID needs it: build where libcurl is installed");
}

unsigned ifd_doctor_judge(const struct ifd_doctor_facts *f,
                          struct ifd_doctor_finding out[IFD_DOCTOR_FINDINGS])
{
    struct findings all = {.out = out};
    judge_tier(f, &all);
    judge_processors(f, &all);
    judge_memory(f, &all);
    judge_huge_pages(f, &all);
    judge_limits(f, &all);
    judge_address(f, &all);
    judge_model(f, &all);
    judge_tools(f, &all);
    return all.count;
}

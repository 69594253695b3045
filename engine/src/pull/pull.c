/* SPDX-License-Identifier: Apache-2.0 */
#include "pull/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "pull/digest.h"
#include "pull/hub.h"

#define API_BYTES_MAX ((size_t)16 << 20)
#define INDEX_BYTES_MAX ((size_t)64 << 20)
#define MANIFEST "SHA256SUMS"

static bool disk;

bool ifd_pull_failed_on_disk(void)
{
    return disk;
}

static inferd_status disk_error(const char *path, const char *what, inferd_error *err)
{
    disk = true;
    return ifd_fail(err, INFERD_IO, "%.200s: %s: %s", path, what, strerror(errno));
}

static void say(const struct ifd_pull *p, const char *fmt, const char *a, unsigned long long n)
{
    char text[512];
    if (!p->note)
        return;
    snprintf(text, sizeof(text), fmt, a, n);
    p->note(text);
}

/* ---- trying again -------------------------------------------------------------------------- */

static bool is_passing(int status)
{
    return status == 408 || status == 429 || status >= 500;
}

/* What an answer other than 200 or 206 means to who asked. */
static inferd_status refusal(const struct ifd_pull *p, const struct ifd_fetch_answer *a,
                             const char *what, inferd_error *err)
{
    const char *hub = p->fetch->endpoint;
    const bool token = p->fetch->token != NULL;
    if (strcmp(a->error_code, "GatedRepo") == 0)
        return ifd_fail(err, INFERD_UNAUTHORIZED, "%s is gated: ask for access at %.120s/%s%s",
                        p->id, hub, p->id,
                        token ? "; the token in HF_TOKEN has none yet"
                              : ", then set HF_TOKEN to a token of that account");
    if (a->status == 401 || a->status == 403)
        return ifd_fail(err, INFERD_UNAUTHORIZED,
                        token
                            ? "%s: the hub does not accept the token in HF_TOKEN for it, or there "
                              "is no such repository (%d)"
                            : "%s: there is no such repository, or it is private: then set "
                              "HF_TOKEN (%d)",
                        p->id, a->status);
    if (strcmp(a->error_code, "RevisionNotFound") == 0)
        return ifd_fail(err, INFERD_NOT_FOUND, "%s has no revision %s", p->id, p->revision);
    if (a->status == 404)
        return ifd_fail(err, INFERD_NOT_FOUND,
                        "%s of %s (%s) is not there: %.120s answers 404; is the name right?", what,
                        p->id, p->revision, hub);
    return ifd_fail(err, INFERD_IO, "%s of %s: %.120s answers %d", what, p->id, hub, a->status);
}

static void rest(unsigned seconds)
{
    struct timespec t = {.tv_sec = (time_t)seconds};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

/* One answer of 200 or 206, whatever it takes. `more` true: what came of it before it was cut is
 * kept, and the job's offset moved. */
static inferd_status persist(struct ifd_pull *p, struct ifd_fetch_job *job, const char *what,
                             struct ifd_fetch_answer *a, inferd_error *err)
{
    for (unsigned tries = 1;; tries++) {
        const uint64_t had = job->offset;
        if (job->body)
            ifd_buf_reset(job->body);
        inferd_status s = ifd_fetch_get(p->fetch, job, a, err);
        if (!s && (a->status == 200 || a->status == 206))
            return INFERD_OK;
        disk = disk || a->disk;
        if (s && (s != INFERD_IO || a->disk))
            return s;
        if (!s && a->status == 416 && job->offset > 0) { /* what we have is not a beginning of it */
            job->offset = 0;
            continue;
        }
        if (!s && !is_passing(a->status))
            return refusal(p, a, what, err);
        if (!job->body && s)
            job->offset = a->end;
        if (job->offset > had)
            tries = 0; /* it gains ground */
        if (tries >= IFD_PULL_TRIES)
            return s ? s : refusal(p, a, what, err);
        unsigned wait = a->retry_after_s ? a->retry_after_s : tries ? 1u << (tries - 1) : 0;
        if (wait > IFD_PULL_WAIT_MOST_S) {
            (void)refusal(p, a, what, err);
            return ifd_fail_prefix(err, "asked to come back in %u s", wait);
        }
        say(p,
            s ? "%s was cut short; taking it up again in %llu s"
              : "%s: the hub is busy; asking again in %llu s",
            what, wait);
        rest(wait);
    }
}

/* ---- one file ------------------------------------------------------------------------------ */

struct follow {
    struct ifd_pull *p;
    const struct ifd_hub_file *file;
};

static void on_progress(void *ctx, uint64_t bytes)
{
    const struct follow *f = ctx;
    if (f->p->progress)
        f->p->progress(f->file->name, bytes, f->file->bytes, f->file->has_bytes);
}

static inferd_status check(const struct ifd_pull *p, const struct ifd_hub_file *f,
                           const struct ifd_digests *d, inferd_error *err)
{
    if (!f->digest[0])
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%s of %s: the hub tells no digest, so its bytes cannot be trusted",
                        f->name, p->id);
    if (f->has_bytes && d->bytes != f->bytes)
        return ifd_fail(err, INFERD_MODEL_INVALID, "%s of %s has %llu bytes, not %llu", f->name,
                        p->id, (unsigned long long)d->bytes, (unsigned long long)f->bytes);
    const char *ours = strlen(f->digest) == 64 ? d->sha256 : d->git;
    if (strcmp(ours, f->digest) != 0)
        return ifd_fail(err, INFERD_MODEL_INVALID,
                        "%s of %s is not what the hub says: its digest is %.12s..., not %.12s...; "
                        "it was thrown away",
                        f->name, p->id, ours, f->digest);
    return INFERD_OK;
}

static inferd_status transfer(struct ifd_pull *p, struct ifd_hub_file *f, const char *commit,
                              int fd, const char *path, struct ifd_digests *d, inferd_error *err)
{
    char url[2048];
    struct ifd_fetch_answer a;
    struct stat st;
    struct follow follow = {p, f};
    snprintf(url, sizeof(url), "%s/%s/resolve/%s/%s", p->fetch->endpoint, p->id, commit, f->name);
    if (fstat(fd, &st) != 0)
        return disk_error(path, "cannot be read", err);
    struct ifd_fetch_job job = {.url = url,
                                .fd = fd,
                                .offset = (uint64_t)st.st_size,
                                .most = f->has_bytes ? f->bytes : UINT64_MAX,
                                .progress = on_progress,
                                .ctx = &follow};
    if (f->has_bytes && job.offset > f->bytes)
        job.offset = 0;
    for (bool again = job.offset > 0;; again = false) {
        inferd_status s = INFERD_OK;
        if (!f->has_bytes || job.offset < f->bytes || f->bytes == 0)
            s = persist(p, &job, f->name, &a, err);
        else
            a = (struct ifd_fetch_answer){0}; /* it was whole already */
        if (s)
            return s;
        if (!f->digest[0])
            (void)ifd_hub_digest_of_etag(a.etag, f->digest);
        s = ifd_digest_file(fd, path, d, err);
        if (!s)
            s = check(p, f, d, err);
        if (s != INFERD_MODEL_INVALID)
            return s;
        if (ftruncate(fd, 0) != 0)
            return disk_error(path, "cannot be cut", err);
        if (!again)
            return s;
        say(p, "%s: its pieces do not fit together; fetching all of it", f->name, 0);
        job.offset = 0;
    }
}

/* Into `part`/NAME, by way of NAME.part; nothing to do when it is there. */
static inferd_status fetch_file(struct ifd_pull *p, struct ifd_hub_file *f, const char *commit,
                                struct ifd_digests *d, inferd_error *err)
{
    char path[PATH_MAX + IFD_HUB_NAME_SIZE + 8], part[sizeof(path) + 8];
    snprintf(path, sizeof(path), "%s/%s", p->store->part, f->name);
    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) { /* of an earlier run: is it still right? */
        inferd_status s = f->digest[0] ? ifd_digest_file(fd, path, d, err) : INFERD_IO;
        close(fd);
        if (!s && !check(p, f, d, NULL))
            return INFERD_OK;
        if (unlink(path) != 0)
            return disk_error(path, "cannot be removed", err);
    }
    fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return disk_error(part, "cannot be made", err);
    inferd_status s = transfer(p, f, commit, fd, part, d, err);
    if (!s && fsync(fd) != 0)
        s = disk_error(part, "cannot be written", err);
    close(fd);
    if (!s && rename(part, path) != 0)
        s = disk_error(path, "cannot be put in place", err);
    if (!s)
        say(p, "%s  %llu bytes", f->name, d->bytes);
    return s;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static inferd_status ask_hub(struct ifd_pull *p, struct ifd_hub_plan *plan, inferd_error *err)
{
    char url[2048], revision[3 * 128 + 1];
    size_t n = 0;
    struct ifd_buf body;
    struct ifd_fetch_answer a;
    for (const char *c = p->revision; *c && n + 3 < sizeof(revision); c++)
        n += (size_t)snprintf(revision + n, sizeof(revision) - n,
                              *c == '/' || *c == '+' ? "%%%02X" : "%c", (unsigned char)*c);
    snprintf(url, sizeof(url), "%s/api/models/%s/revision/%s?blobs=true", p->fetch->endpoint, p->id,
             revision);
    ifd_buf_init(&body, API_BYTES_MAX);
    struct ifd_fetch_job job = {.url = url, .body = &body, .fd = -1, .most = UINT64_MAX};
    inferd_status s = persist(p, &job, "the list of files", &a, err);
    if (!s)
        s = ifd_hub_plan_make(p->id, body.data ? body.data : "", body.size, plan, err);
    ifd_buf_fini(&body);
    return s;
}

static inferd_status check_space(const struct ifd_pull *p, const struct ifd_hub_plan *plan,
                                 inferd_error *err)
{
    uint64_t need = 0;
    for (size_t i = 0; i < plan->count; i++) {
        char path[PATH_MAX + IFD_HUB_NAME_SIZE + 8];
        struct stat st;
        uint64_t have = 0;
        snprintf(path, sizeof(path), "%s/%s", p->store->part, plan->file[i].name);
        if (stat(path, &st) == 0)
            have = (uint64_t)st.st_size;
        strncat(path, ".part", sizeof(path) - strlen(path) - 1);
        if (!have && stat(path, &st) == 0)
            have = (uint64_t)st.st_size;
        if (plan->file[i].has_bytes && plan->file[i].bytes > have)
            need += plan->file[i].bytes - have;
    }
    const uint64_t room = ifd_store_free_bytes(p->store);
    if (need <= room)
        return INFERD_OK;
    disk = true;
    return ifd_fail(err, INFERD_IO,
                    "%.200s: %llu MiB are needed and %llu MiB are free; make room, or name another "
                    "place with --cache-dir",
                    p->store->part, (unsigned long long)(need >> 20) + 1,
                    (unsigned long long)(room >> 20));
}

static inferd_status add_shards(struct ifd_pull *p, struct ifd_hub_plan *plan, inferd_error *err)
{
    char path[PATH_MAX + IFD_HUB_NAME_SIZE + 8], *json = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/%s", p->store->part, plan->file[plan->count - 1].name);
    inferd_status s = ifd_file_slurp(path, INDEX_BYTES_MAX, &json, &size, err);
    if (!s)
        s = ifd_hub_plan_add_shards(plan, json, size, err);
    ifd_free(json);
    return s;
}

static inferd_status write_manifest(const struct ifd_pull *p, const struct ifd_buf *text,
                                    inferd_error *err)
{
    char path[PATH_MAX + sizeof(MANIFEST) + 2];
    snprintf(path, sizeof(path), "%s/" MANIFEST, p->store->part);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    inferd_status s = INFERD_OK;
    if (fd < 0 || text->failed || write(fd, text->data, text->size) != (ssize_t)text->size ||
        fsync(fd) != 0)
        s = disk_error(path, "cannot be written", err);
    if (fd >= 0)
        close(fd);
    return s;
}

static inferd_status fetch_all(struct ifd_pull *p, struct ifd_hub_plan *plan, inferd_error *err)
{
    struct ifd_buf sums;
    ifd_buf_init(&sums, (size_t)1 << 20);
    inferd_status s = check_space(p, plan, err);
    for (size_t i = 0; i < plan->count && !s; i++) {
        struct ifd_digests d;
        s = fetch_file(p, &plan->file[i], plan->commit, &d, err);
        if (!s)
            ifd_buf_printf(&sums, "%s  %s\n", d.sha256, plan->file[i].name);
        if (!s && plan->sharded && i + 1 == plan->count) {
            plan->sharded = false; /* once: the index was the last one */
            s = add_shards(p, plan, err);
            if (!s)
                s = check_space(p, plan, err);
        }
    }
    if (!s)
        s = write_manifest(p, &sums, err);
    ifd_buf_fini(&sums);
    return s;
}

static void say_waiting(void)
{
    fputs("inferd: another pull of this model is under way; waiting for it\n", stderr);
}

static inferd_status fetch_commit(struct ifd_pull *p, struct ifd_hub_plan *plan, inferd_error *err)
{
    inferd_status s = ifd_store_commit(p->store, plan->commit, err);
    if (s || ifd_store_has(p->store))
        return s;
    s = ifd_store_begin(p->store, say_waiting, err);
    disk = disk || s == INFERD_IO;
    if (!s && p->store->repository[0] && ifd_store_has(p->store)) { /* by whom we waited for */
        ifd_store_undo(p->store);
        return INFERD_OK;
    }
    if (s)
        return s;
    s = fetch_all(p, plan, err);
    if (!s && (s = ifd_store_finish(p->store, err)))
        disk = true;
    return s;
}

/* What the cache has of the revision, if that is enough. */
static bool is_kept(struct ifd_pull *p)
{
    char commit[65];
    const bool exact =
        strlen(p->revision) == 40 && strspn(p->revision, "0123456789abcdef") == strlen(p->revision);
    if (!p->store->repository[0])
        return false;
    if (exact)
        snprintf(commit, sizeof(commit), "%s", p->revision);
    else if (!ifd_store_read_ref(p->store, p->revision, commit))
        return false;
    return !ifd_store_commit(p->store, commit, NULL) && ifd_store_has(p->store);
}

static bool is_commit(const char *revision)
{
    return strlen(revision) == 40 && strspn(revision, "0123456789abcdef") == 40;
}

inferd_status ifd_pull(struct ifd_pull *p, inferd_error *err)
{
    struct ifd_hub_plan plan = {0};
    disk = false;
    if ((p->offline || is_commit(p->revision)) && is_kept(p))
        return INFERD_OK;
    if (p->offline)
        return ifd_fail(err, INFERD_NOT_FOUND,
                        "%s (%s) is not in the cache, and --offline forbids to fetch it", p->id,
                        p->revision);
    inferd_status s = ask_hub(p, &plan, err);
    if (s == INFERD_IO && is_kept(p)) { /* better the copy of yesterday than no server */
        say(p, "the hub does not answer; taking %s as it was fetched before", p->id, 0);
        return INFERD_OK;
    }
    if (!s)
        s = fetch_commit(p, &plan, err);
    if (!s && (s = ifd_store_write_ref(p->store, p->revision, plan.commit, err)))
        disk = true;
    ifd_hub_plan_fini(&plan);
    return s;
}

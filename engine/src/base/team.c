/* SPDX-License-Identifier: Apache-2.0
 *
 * A run is a generation number: the caller publishes fn and arg, then raises `generation`; a member
 * that sees a new number runs fn and takes itself off `pending`.
 *
 * Both waits spin for a bounded time first, because the steps of a forward pass follow each other
 * within microseconds, then sleep on a condition variable. Spinning is off when the machine has
 * fewer processors than the team has members: there it only delays the one being waited for.
 */
#include "base/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SPIN_NS 20000u
#define SPINS_PER_CLOCK 16u

struct member {
    struct ifd_team *team;
    unsigned index;
    pthread_t thread;
};

struct ifd_team {
    unsigned members;
    unsigned started; /* threads that exist; owner only */
    bool spin;
    struct member *member; /* [members - 1] */

    /* Written by the owner before generation rises, read by members after they saw it rise. */
    ifd_team_fn *fn;
    void *arg;

    /* Written under `lock`; read outside it while spinning, hence atomic. */
    _Atomic uint64_t generation;
    _Atomic unsigned pending; /* members that have not finished the run */

    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t work, done;
    unsigned sleeping; /* members waiting on `work` */
    bool waiting;      /* the owner waits on `done` */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Acquire loads: what the other side wrote before its release becomes visible with the number. */
static bool generation_moved(struct ifd_team *t, uint64_t seen)
{
    return atomic_load_explicit(&t->generation, memory_order_acquire) != seen;
}

static bool all_done(struct ifd_team *t)
{
    return atomic_load_explicit(&t->pending, memory_order_acquire) == 0;
}

static bool spin_for_work(struct ifd_team *t, uint64_t seen)
{
    uint64_t end = ifd_clock_ns() + SPIN_NS;
    do {
        for (unsigned i = 0; i < SPINS_PER_CLOCK; i++) {
            if (generation_moved(t, seen))
                return true;
            relax();
        }
    } while (ifd_clock_ns() < end);
    return false;
}

static bool spin_for_done(struct ifd_team *t)
{
    uint64_t end = ifd_clock_ns() + SPIN_NS;
    do {
        for (unsigned i = 0; i < SPINS_PER_CLOCK; i++) {
            if (all_done(t))
                return true;
            relax();
        }
    } while (ifd_clock_ns() < end);
    return false;
}

/* False when the team ends. */
static bool wait_for_work(struct ifd_team *t, uint64_t *seen)
{
    if (!t->spin || !spin_for_work(t, *seen)) {
        pthread_mutex_lock(&t->lock);
        t->sleeping++;
        while (!generation_moved(t, *seen))
            pthread_cond_wait(&t->work, &t->lock);
        t->sleeping--;
        pthread_mutex_unlock(&t->lock);
    }
    (*seen)++; /* runs cannot overtake a member: each waits for all */
    return t->fn != NULL;
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    struct ifd_team *t = m->team;
    uint64_t seen = 0;
    while (wait_for_work(t, &seen)) {
        t->fn(t->arg, m->index, t->members);
        /* Release: the owner sees all that fn wrote once it reads 0. Acquire orders the members
         * among themselves, so that the last one passes on what the others wrote. */
        if (atomic_fetch_sub_explicit(&t->pending, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&t->lock);
            if (t->waiting)
                pthread_cond_signal(&t->done);
            pthread_mutex_unlock(&t->lock);
        }
    }
    return NULL;
}

static void publish(struct ifd_team *t, ifd_team_fn *fn, void *arg)
{
    t->fn = fn;
    t->arg = arg;
    /* Relaxed: the release of generation below publishes it. */
    atomic_store_explicit(&t->pending, t->started, memory_order_relaxed);
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    if (t->sleeping)
        pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void ifd_team_run(struct ifd_team *team, ifd_team_fn *fn, void *arg)
{
    IFD_ASSERT(fn);
    if (team->members == 1) {
        fn(arg, 0, 1);
        return;
    }
    publish(team, fn, arg);
    fn(arg, 0, team->members);
    if (team->spin && spin_for_done(team))
        return;
    pthread_mutex_lock(&team->lock);
    team->waiting = true;
    while (!all_done(team))
        pthread_cond_wait(&team->done, &team->lock);
    team->waiting = false;
    pthread_mutex_unlock(&team->lock);
}

/* Helper threads take no signals: they are the application's, whoever embeds the library. */
static int start_thread(struct member *m)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&m->thread, NULL, member_main, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

inferd_status ifd_team_create(unsigned members, struct ifd_team **out, inferd_error *err)
{
    if (members == 0)
        return ifd_fail(err, INFERD_INVALID_ARGUMENT, "a team needs at least one thread");
    struct ifd_team *t = ifd_zalloc(sizeof(*t));
    if (!t)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a team of %u threads", members);
    t->members = members;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->done, NULL);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    t->spin = online > 0 && (unsigned long)online >= members;
    t->member = ifd_zalloc_array(members, sizeof(*t->member));
    if (!t->member) {
        ifd_team_free(t);
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a team of %u threads", members);
    }
    for (unsigned i = 1; i < members; i++) {
        t->member[i - 1].team = t;
        t->member[i - 1].index = i;
        int rc = start_thread(&t->member[i - 1]);
        if (rc) {
            ifd_team_free(t);
            return ifd_fail(err, INFERD_NO_MEMORY,
                            "thread %u of %u could not be started (%s); ask for fewer threads", i,
                            members, strerror(rc));
        }
        t->started++;
    }
    *out = t;
    return INFERD_OK;
}

void ifd_team_free(struct ifd_team *team)
{
    if (!team)
        return;
    publish(team, NULL, NULL); /* no function: the members leave */
    for (unsigned i = 0; i < team->started; i++)
        pthread_join(team->member[i].thread, NULL);
    pthread_cond_destroy(&team->done);
    pthread_cond_destroy(&team->work);
    pthread_mutex_destroy(&team->lock);
    ifd_free(team->member);
    ifd_free(team);
}

unsigned ifd_team_size(const struct ifd_team *team)
{
    return team->members;
}

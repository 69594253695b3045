/* SPDX-License-Identifier: Apache-2.0
 *
 * Two counters carry a run: `taken` parts and `done` parts, over all its steps. Each step has as
 * many parts as the team has members, so step s is over when done reaches (s + 1) * members, and a
 * member that comes late finds the parts of past steps taken and done and walks through to the
 * step that the others are at.
 *
 * All waits spin for a bounded time first, because the steps of a forward pass follow each other
 * within microseconds, then sleep on a condition variable. Spinning is off when the machine has
 * fewer processors than the team has members: there it only delays the one being waited for.
 */
#include "base/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* Inside a run: about what falling asleep and being woken takes on a virtual machine (30 to 60 us),
 * so that a wait costs at most twice what the better of the two would have. */
#define STEP_SPIN_NS 50000u
/* Between runs, when it is not known that another comes. */
#define RUN_SPIN_NS 20000u
#define SPINS_PER_CLOCK 16u

struct member {
    struct ifd_team *team;
    pthread_t thread;
};

struct ifd_team {
    unsigned members;
    unsigned started; /* threads that exist; owner only */
    bool spin;
    struct member *member; /* [members - 1] */

    /* Set to 0 by the owner before each run. */
    _Alignas(IFD_CACHE_LINE) _Atomic uint64_t taken;
    _Alignas(IFD_CACHE_LINE) _Atomic uint64_t done;
    /* Members that wait on `passed`. They count themselves in before they look at `done` a last
     * time, and who ends a step looks at them after it has raised `done`: with both in one total
     * order one of the two sees the other, and the lock is taken only when somebody sleeps. */
    _Atomic unsigned dozing;

    /* Written under `lock`; read outside it while spinning, hence atomic. */
    _Alignas(IFD_CACHE_LINE) _Atomic uint64_t generation; /* of runs */
    _Atomic unsigned inside;                              /* members in fn, the owner not counted */

    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t work, passed, left;
    ifd_team_fn *fn;
    void *arg;
    bool open;         /* members may still join the run */
    bool ending;       /* the team is */
    unsigned sleeping; /* members waiting on `work` */
    bool waiting;      /* the owner waits on `left` */
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

static bool nobody_inside(struct ifd_team *t, uint64_t unused)
{
    (void)unused;
    return atomic_load_explicit(&t->inside, memory_order_acquire) == 0;
}

static bool done_up_to(struct ifd_team *t, uint64_t end)
{
    return atomic_load_explicit(&t->done, memory_order_acquire) >= end;
}

/* True once `over` is; false when that takes longer than `ns`. */
static inline bool spin(struct ifd_team *t, bool (*over)(struct ifd_team *t, uint64_t number),
                        uint64_t number, uint64_t ns)
{
    if (over(t, number))
        return true;
    if (!t->spin)
        return false;
    for (uint64_t end = ifd_clock_ns() + ns; ifd_clock_ns() < end;) {
        for (unsigned i = 0; i < SPINS_PER_CLOCK; i++) {
            relax();
            if (over(t, number))
                return true;
        }
    }
    return false;
}

/* ---- steps ---- */

static void part_done(struct ifd_team *t)
{
    /* Sequentially consistent for `dozing`; as a release it passes on what this part wrote and, by
     * the chain of additions, what all earlier ones did. */
    uint64_t done = atomic_fetch_add(&t->done, 1) + 1;
    if (done % t->members == 0 && atomic_load(&t->dozing) > 0) {
        pthread_mutex_lock(&t->lock);
        pthread_cond_broadcast(&t->passed);
        pthread_mutex_unlock(&t->lock);
    }
}

static void wait_for_step(struct ifd_team *t, uint64_t end)
{
    if (spin(t, done_up_to, end, STEP_SPIN_NS))
        return;
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->dozing, 1);
    while (atomic_load(&t->done) < end)
        pthread_cond_wait(&t->passed, &t->lock);
    atomic_fetch_sub(&t->dozing, 1);
    pthread_mutex_unlock(&t->lock);
}

bool ifd_team_part(struct ifd_team_walk *w, unsigned *part)
{
    struct ifd_team *t = w->team;
    const uint64_t end = w->passed + t->members;
    if (w->holds)
        part_done(t);
    /* Relaxed: what a part reads was seen when the step before it was found done. */
    uint64_t next = atomic_load_explicit(&t->taken, memory_order_relaxed);
    while (next < end)
        if (atomic_compare_exchange_weak_explicit(&t->taken, &next, next + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *part = (unsigned)(next - w->passed);
            w->holds = true;
            return true;
        }
    wait_for_step(t, end);
    w->passed = end;
    w->holds = false;
    return false;
}

/* ---- runs ---- */

/* Waits for a run and joins it; false when the team ends. */
static bool join_run(struct ifd_team *t, uint64_t *seen, ifd_team_fn **fn, void **arg)
{
    for (;;) {
        const bool moved = spin(t, generation_moved, *seen, RUN_SPIN_NS);
        pthread_mutex_lock(&t->lock);
        t->sleeping++;
        while (!moved && !generation_moved(t, *seen))
            pthread_cond_wait(&t->work, &t->lock);
        t->sleeping--;
        *seen = atomic_load_explicit(&t->generation, memory_order_relaxed);
        const bool open = t->open, ending = t->ending;
        *fn = t->fn;
        *arg = t->arg;
        if (open)
            atomic_fetch_add_explicit(&t->inside, 1, memory_order_relaxed);
        pthread_mutex_unlock(&t->lock);
        if (open || ending)
            return open;
    }
}

static void *member_main(void *arg)
{
    struct ifd_team *t = ((struct member *)arg)->team;
    ifd_team_fn *fn;
    void *of;
    uint64_t seen = 0;
    while (join_run(t, &seen, &fn, &of)) {
        struct ifd_team_walk walk = {.team = t};
        fn(of, &walk);
        /* Release: the owner may free what fn worked on once it reads 0. Acquire: the last one out
         * passes on what the others did. */
        if (atomic_fetch_sub_explicit(&t->inside, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&t->lock);
            if (t->waiting)
                pthread_cond_signal(&t->left);
            pthread_mutex_unlock(&t->lock);
        }
    }
    return NULL;
}

static void publish(struct ifd_team *t, ifd_team_fn *fn, void *arg)
{
    /* Relaxed: nobody is inside, and who joins does so under the lock. */
    atomic_store_explicit(&t->taken, 0, memory_order_relaxed);
    atomic_store_explicit(&t->done, 0, memory_order_relaxed);
    pthread_mutex_lock(&t->lock);
    t->fn = fn;
    t->arg = arg;
    t->open = fn != NULL;
    t->ending = fn == NULL;
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    if (t->sleeping)
        pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
}

/* Nobody joins from here on, and all who had have left. */
static void close_run(struct ifd_team *t)
{
    pthread_mutex_lock(&t->lock);
    t->open = false;
    pthread_mutex_unlock(&t->lock);
    if (spin(t, nobody_inside, 0, STEP_SPIN_NS))
        return;
    pthread_mutex_lock(&t->lock);
    t->waiting = true;
    while (!nobody_inside(t, 0))
        pthread_cond_wait(&t->left, &t->lock);
    t->waiting = false;
    pthread_mutex_unlock(&t->lock);
}

void ifd_team_run(struct ifd_team *team, ifd_team_fn *fn, void *arg)
{
    struct ifd_team_walk walk = {.team = team};
    IFD_ASSERT(fn);
    publish(team, fn, arg);
    fn(arg, &walk);
    close_run(team);
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
    struct ifd_team *t = ifd_zalloc_aligned(sizeof(*t));
    if (!t)
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a team of %u threads", members);
    t->members = members;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->passed, NULL);
    pthread_cond_init(&t->left, NULL);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    t->spin = online > 0 && (unsigned long)online >= members;
    t->member = ifd_zalloc_array(members, sizeof(*t->member));
    if (!t->member) {
        ifd_team_free(t);
        return ifd_fail(err, INFERD_NO_MEMORY, "no memory for a team of %u threads", members);
    }
    for (unsigned i = 1; i < members; i++) {
        t->member[i - 1].team = t;
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
    pthread_cond_destroy(&team->left);
    pthread_cond_destroy(&team->passed);
    pthread_cond_destroy(&team->work);
    pthread_mutex_destroy(&team->lock);
    ifd_free(team->member);
    ifd_free(team);
}

unsigned ifd_team_size(const struct ifd_team *team)
{
    return team->members;
}

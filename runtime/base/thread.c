/* SPDX-License-Identifier: Apache-2.0 */
/* One loop, shared.
 *
 *   left:  0 ──publish──► n-1 ──claim──► ... ──claim──► 0     (items nobody has taken yet)
 *          └──park──► SLEEPS ──publish──┘                     (idle, somebody is in the futex)
 *
 * Item 0 is the owner's; the others are claimed by taking one from `left` with a
 * compare-and-swap. A claim that succeeds proves that the loop it belongs to is not over,
 * because the owner waits until every claimed item is reported in `done`. So the job may be
 * plain memory, read after the claim, and a helper that wakes up late, in the middle of a
 * later loop, takes part in that one and does no harm.
 *
 * Whether sharing pays is measured, see judge(). */
#include "runtime/base/thread.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"

enum {
    ITEMS_MAX = (1 << 30) - 1, /* of one slice of a loop; above are the marks */
    CACHE_LINE_B = 64,
    PAUSES_PER_LOOK = 16, /* at the clock, while spinning */
};
#define STOPS (1u << 30)  /* in left: the helpers are to return */
#define SLEEPS (1u << 31) /* in left: a helper is in the futex; in done: the owner is */

/* Waking a sleeping core costs up to 50 us, so a wait that is likely to be shorter is spun,
 * and helpers are woken only for that much work. */
#define SPIN_NS 50000u
#define WAKE_NS 50000u

/* Judging, in time spent inside loops. */
#define SAMPLE_NS 200000u   /* one loop is measured in each so much */
#define WINDOW_NS 10000000u /* a verdict after so much: longer than a time slice */
#define LOSS_NS 2000000     /* or as soon as so much is lost */
#define BACKOFF_FIRST_NS 64000000u
#define BACKOFF_MAX_NS 1000000000u
#define GAIN_SHARE 10      /* a gain of less than a tenth is none */
#define STRETCH_NS 5000000 /* measured alone, before the stretch counts */
#define STRETCH_MAX_NS 100000000

struct helper {
    struct se_pool *pool;
    pthread_t thread;
    uint32_t number;
};

struct job {
    se_pool_fn *fn;
    void *context;
    uint32_t first, n; /* items first .. first + n - 1 */
};

/* Owner only. */
struct judge {
    bool off;              /* share everything, ask nothing */
    uint64_t alone_until;  /* 0: sharing */
    uint64_t backoff_ns;   /* the next time alone */
    uint64_t window_ns;    /* in loops, since the window began */
    uint64_t unsampled_ns; /* in loops, since the last measured one */
    uint64_t looked_ns;    /* when the last loop alone was measured */
    uint64_t sampled_ns;   /* in the measured ones */
    int64_t gain_ns;       /* what sharing saved in those */
    struct {
        double wall_ns, cpu_ns; /* of measured loops, fading */
    } alone;
};

struct se_pool {
    _Alignas(CACHE_LINE_B) _Atomic uint32_t left;
    _Atomic uint32_t loops; /* number of the latest, a sign of life for those who spin */
    struct job job;         /* beside left: the miss that finds work brings it along */
    _Alignas(CACHE_LINE_B) _Atomic uint32_t done; /* items that helpers finished, or SLEEPS | */
    _Alignas(CACHE_LINE_B) _Atomic bool spin;     /* waiting may spin */
    uint32_t threads;
    struct helper *helper; /* threads - 1 of them */
    _Alignas(CACHE_LINE_B) struct judge judge;
    struct se_pool_stat stat;
    uint32_t number; /* of the latest loop, going round */
    bool asleep;     /* helpers may be in the futex, and left no longer says so */
    uint64_t owe_ns; /* spent in loops since, while they slept */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* relaxed: a hint about how to wait; a stale value costs one spin or one wake. */
static bool may_spin(struct se_pool *pool)
{
    return atomic_load_explicit(&pool->spin, memory_order_relaxed);
}

/* Takes an item of the current loop; its number in the loop, or 0 when none is left. */
static uint32_t claim(struct se_pool *pool)
{
    /* relaxed: the value is a guess that the exchange confirms. */
    uint32_t left = atomic_load_explicit(&pool->left, memory_order_relaxed);
    while (left != 0 && left <= ITEMS_MAX) {
        /* [pool.start] acquire, pairs with the release in share(): whoever takes an item
         * sees the job it belongs to, and what the caller wrote before the loop. (Claims
         * in between are read-modify-writes and so pass the release on.) */
        if (atomic_compare_exchange_weak_explicit(&pool->left, &left, left - 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return pool->job.n - left;
    }
    return 0;
}

/* Runs items until none is left; how many. */
static uint32_t work(struct se_pool *pool, uint32_t thread)
{
    uint32_t n = 0, item;
    while ((item = claim(pool)) != 0) {
        pool->job.fn(pool->job.context, pool->job.first + item, thread);
        n++;
    }
    return n;
}

/* Owner, after `own` items of this loop: wakes the helpers when there is enough to do, in
 * what is left of this loop at the rate so far, or in the last loops taken together. */
static void consider_wake(struct se_pool *pool, uint64_t start, uint32_t own)
{
    uint64_t spent_ns = se_clock_ns() - start;
    /* relaxed: an estimate. */
    uint32_t left = atomic_load_explicit(&pool->left, memory_order_relaxed) & ITEMS_MAX;
    if (left == 0 || pool->owe_ns + spent_ns / own * left < WAKE_NS)
        return;
    pool->asleep = false;
    pool->owe_ns = 0;
    futex_wake(&pool->left, INT_MAX); /* all of them: none is marked any more */
}

/* Owner: item 0, and then like the helpers; how many. */
static uint32_t work_owner(struct se_pool *pool, uint64_t start)
{
    uint32_t n = 1, item;
    pool->job.fn(pool->job.context, pool->job.first, 0);
    while (pool->asleep) {
        consider_wake(pool, start, n);
        item = claim(pool);
        if (item == 0) {
            pool->owe_ns += se_clock_ns() - start;
            return n;
        }
        pool->job.fn(pool->job.context, pool->job.first + item, 0);
        n++;
    }
    return n + work(pool, 0);
}

static bool idle(uint32_t left) { return left == 0 || left == SLEEPS; }

/* Helper: waits for a loop, or for the end. False: the end. */
static bool await_loop(struct se_pool *pool)
{
    uint64_t until = 0;
    uint32_t loops = 0;
    /* relaxed, here and below: only claim() acts on what the owner published. */
    while (may_spin(pool)) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            uint32_t left = atomic_load_explicit(&pool->left, memory_order_relaxed);
            if (!idle(left))
                return left != STOPS;
            relax();
        }
        /* A loop may come and go between two looks at left; its number stays. */
        uint32_t seen = atomic_load_explicit(&pool->loops, memory_order_relaxed);
        uint64_t now = se_clock_ns();
        if (until == 0 || seen != loops)
            until = now + SPIN_NS;
        else if (now >= until)
            break;
        loops = seen;
    }
    for (;;) {
        uint32_t left = 0;
        /* [pool.park] meets the exchange in share(): the mark and the items share a word, so
         * the owner cannot publish between our look and our sleep without either seeing the
         * mark or changing what the futex compares. relaxed: nothing else is passed on. */
        if (!atomic_compare_exchange_strong_explicit(&pool->left, &left, SLEEPS,
                                                     memory_order_relaxed, memory_order_relaxed) &&
            left != SLEEPS)
            return left != STOPS;
        futex_wait(&pool->left, SLEEPS);
    }
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    struct se_pool *pool = helper->pool;
    while (await_loop(pool)) {
        uint32_t n = work(pool, helper->number);
        if (n == 0)
            continue;
        /* [pool.done] release, pairs with the acquire in await_done(): when the owner has
         * counted an item, it sees what the item wrote. */
        uint32_t before = atomic_fetch_add_explicit(&pool->done, n, memory_order_release);
        if (before & SLEEPS) /* [pool.rest] */
            futex_wake(&pool->done, 1);
    }
    return NULL;
}

/* Owner: waits until helpers reported n items. */
static void await_done(struct se_pool *pool, uint32_t n)
{
    uint64_t until = 0;
    /* [pool.done] acquire, in all three reads: pairs with the release in helper_main(). */
    while (may_spin(pool)) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (atomic_load_explicit(&pool->done, memory_order_acquire) == n)
                return;
            relax();
        }
        uint64_t now = se_clock_ns();
        if (until == 0)
            until = now + SPIN_NS;
        else if (now >= until)
            break;
    }
    /* [pool.rest] meets the addition in helper_main(): mark and count share a word, so the
     * helper that finishes last either sees the mark or changes what the futex compares. */
    uint32_t done = atomic_fetch_or_explicit(&pool->done, SLEEPS, memory_order_acquire) | SLEEPS;
    while (done != (SLEEPS | n)) {
        futex_wait(&pool->done, done);
        done = atomic_load_explicit(&pool->done, memory_order_acquire);
    }
}

/* What one loop looked like from the owner. */
struct sample {
    uint64_t wall_ns;
    uint64_t cpu_ns; /* of the owner, on its own items; 0: not measured */
    uint32_t own, n;
};

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Publishes n >= 2 items, takes part, and waits for the rest. */
static struct sample share(struct se_pool *pool, const struct job *job, bool measure)
{
    struct sample sample = { .n = job->n };
    uint64_t start = se_clock_ns();
    uint64_t cpu_start = measure ? cpu_ns() : 0;

    /* Every item of the last loop is reported, so nobody reads the job or writes done. */
    pool->job = *job;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->loops, ++pool->number, memory_order_relaxed);
    /* [pool.start] release, pairs with the acquire in claim(): the job, the zero in done and
     * all that the caller wrote come before the first claim. */
    uint32_t before = atomic_exchange_explicit(&pool->left, job->n - 1, memory_order_release);
    if (before == SLEEPS) /* [pool.park] the mark is gone from left; we keep it */
        pool->asleep = true;
    sample.own = work_owner(pool, start);
    if (measure)
        sample.cpu_ns = cpu_ns() - cpu_start;
    uint32_t helped = job->n - sample.own;
    uint64_t end = se_clock_ns();
    if (atomic_load_explicit(&pool->done, memory_order_acquire) != helped) { /* [pool.done] */
        uint64_t from = end;
        await_done(pool, helped);
        end = se_clock_ns();
        pool->stat.waited_ns += end - from;
    }
    pool->stat.helped += helped;
    pool->stat.runs++;
    sample.wall_ns = end - start;
    return sample;
}

/* The same loop by the owner alone. */
static struct sample keep(struct se_pool *pool, const struct job *job, bool measure)
{
    struct sample sample = { .own = job->n, .n = job->n };
    uint64_t start = measure ? se_clock_ns() : 0;
    uint64_t cpu_start = measure ? cpu_ns() : 0;
    for (uint32_t i = 0; i < job->n; i++)
        job->fn(job->context, job->first + i, 0);
    pool->stat.alone++;
    if (measure) {
        sample.cpu_ns = cpu_ns() - cpu_start;
        sample.wall_ns = se_clock_ns() - start;
    }
    return sample;
}

static void set_spin(struct se_pool *pool, bool spin)
{
    /* relaxed: see may_spin(). */
    atomic_store_explicit(&pool->spin, spin, memory_order_relaxed);
}

static void new_window(struct judge *judge)
{
    judge->window_ns = judge->sampled_ns = 0;
    judge->gain_ns = 0;
}

/* How much longer a loop takes alone than the processor time it needs: more than 1 when
 * other programs want our core as well, which sharing is not to blame for. */
static double stretch(const struct judge *judge)
{
    if (judge->alone.cpu_ns < STRETCH_NS || judge->alone.wall_ns < judge->alone.cpu_ns)
        return 1;
    return judge->alone.wall_ns / judge->alone.cpu_ns;
}

static void learn_stretch(struct judge *judge, const struct sample *sample)
{
    if (judge->alone.cpu_ns > STRETCH_MAX_NS) {
        judge->alone.cpu_ns /= 2;
        judge->alone.wall_ns /= 2;
    }
    judge->alone.cpu_ns += (double)sample->cpu_ns;
    judge->alone.wall_ns += (double)sample->wall_ns;
}

static void go_alone(struct se_pool *pool)
{
    struct judge *judge = &pool->judge;
    set_spin(pool, false);
    judge->alone_until = se_clock_ns() + judge->backoff_ns;
    judge->backoff_ns *= 2;
    if (judge->backoff_ns > BACKOFF_MAX_NS)
        judge->backoff_ns = BACKOFF_MAX_NS;
}

/* Does sharing pay? Alone, the loop would have taken the processor time of the owner's own
 * items, times all items over its own, times the stretch that loops alone have shown. What
 * it did take is wall time: it holds the wait for a helper that lost its core in the middle
 * of an item. When the sum over a window is no gain, we work alone for a while, helpers
 * asleep, and then try again; each failure doubles the while, each success halves it. */
static void judge_shared(struct se_pool *pool, const struct sample *sample)
{
    struct judge *judge = &pool->judge;
    judge->window_ns += sample->wall_ns;
    judge->unsampled_ns += sample->wall_ns;
    if (sample->cpu_ns) {
        double alone_ns = (double)sample->cpu_ns * sample->n / sample->own * stretch(judge);
        judge->gain_ns += (int64_t)(alone_ns - (double)sample->wall_ns);
        judge->sampled_ns += sample->wall_ns;
        judge->unsampled_ns = 0;
    }
    if (judge->window_ns < WINDOW_NS && judge->gain_ns > -LOSS_NS)
        return;
    /* A loop alone tells the stretch of its own time only: what we share on the strength of
     * it has to be looked at again. */
    judge->alone.cpu_ns /= 2;
    judge->alone.wall_ns /= 2;
    if (judge->gain_ns > (int64_t)(judge->sampled_ns / GAIN_SHARE)) {
        judge->backoff_ns /= 2;
        if (judge->backoff_ns < BACKOFF_FIRST_NS)
            judge->backoff_ns = BACKOFF_FIRST_NS;
    } else if (judge->sampled_ns) {
        go_alone(pool);
    }
    new_window(judge);
}

/* True while the last verdict stands; ends it when its time is over. */
static bool stays_alone(struct se_pool *pool, uint64_t now)
{
    struct judge *judge = &pool->judge;
    if (judge->alone_until == 0)
        return false;
    if (now < judge->alone_until)
        return true;
    judge->alone_until = 0;
    set_spin(pool, se_cpu_count() >= pool->threads); /* the allowance may have changed */
    return false;
}

static void run_slice(struct se_pool *pool, const struct job *job)
{
    struct judge *judge = &pool->judge;
    if (pool->threads == 1 || job->n == 1) {
        keep(pool, job, false);
        return;
    }
    uint64_t now = se_clock_ns();
    if (stays_alone(pool, now)) {
        bool measure = now - judge->looked_ns >= SAMPLE_NS;
        struct sample sample = keep(pool, job, measure);
        if (measure) {
            learn_stretch(judge, &sample);
            judge->looked_ns = now;
        }
        return;
    }
    struct sample sample = share(pool, job, !judge->off && judge->unsampled_ns >= SAMPLE_NS);
    if (!judge->off)
        judge_shared(pool, &sample);
}

void se_pool_run(struct se_pool *pool, se_pool_fn *fn, void *context, uint32_t n_items)
{
    struct job job = { .fn = fn, .context = context };
    while (n_items > 0) {
        job.n = n_items < ITEMS_MAX ? n_items : ITEMS_MAX;
        run_slice(pool, &job);
        n_items -= job.n;
        job.first += job.n;
    }
}

/* The number-th allowed processor after the one we are on, going round. */
static int pin_helper(const struct helper *helper)
{
    cpu_set_t allowed, one;
    int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return -errno;
    uint32_t steps = helper->number % (uint32_t)CPU_COUNT(&allowed);
    int cpu = here;
    while (steps > 0) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        if (CPU_ISSET(cpu, &allowed))
            steps--;
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return -pthread_setaffinity_np(helper->thread, sizeof one, &one);
}

static int start_helper(struct helper *helper, struct se_pool *pool, uint32_t number, bool pin)
{
    sigset_t all, before;
    helper->pool = pool;
    helper->number = number;
    /* Signals are the program's: they belong to the threads it made itself. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&helper->thread, NULL, helper_main, helper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0)
        return se_fail(r, "cannot start thread %u: %s", number, strerror(-r));
    pool->threads++;
    r = pin ? pin_helper(helper) : 0;
    if (r < 0)
        return se_fail(r, "cannot pin thread %u: %s", number, strerror(-r));
    return 0;
}

int se_pool_new(struct se_pool **out, uint32_t threads, bool pin)
{
    int r = 0;
    if (threads == 0 || threads > SE_POOL_THREADS_MAX)
        return se_fail(-EINVAL, "%u threads: a pool has 1 to %d", threads, SE_POOL_THREADS_MAX);
    struct se_pool *pool = se_mem_zero(1, sizeof *pool);
    if (!pool)
        return se_trace(-ENOMEM);
    pool->threads = 1; /* counts those that run */
    pool->judge.backoff_ns = BACKOFF_FIRST_NS;
    set_spin(pool, se_cpu_count() >= threads);
    pool->helper = se_mem_zero(threads - 1, sizeof *pool->helper);
    if (!pool->helper) {
        r = se_trace(-ENOMEM);
        goto out;
    }
    for (uint32_t i = 1; i < threads; i++) {
        r = start_helper(&pool->helper[i - 1], pool, i, pin);
        if (r < 0)
            goto out;
    }
    *out = pool;
    pool = NULL;
out:
    se_pool_free(pool);
    return r;
}

void se_pool_free(struct se_pool *pool)
{
    if (!pool)
        return;
    /* relaxed: the mark is all there is to say; join orders the rest. */
    atomic_store_explicit(&pool->left, STOPS, memory_order_relaxed);
    futex_wake(&pool->left, INT_MAX);
    for (uint32_t i = 1; i < pool->threads; i++)
        pthread_join(pool->helper[i - 1].thread, NULL);
    se_mem_free(pool->helper);
    se_mem_free(pool);
}

uint32_t se_pool_threads(const struct se_pool *pool) { return pool->threads; }

void se_pool_share_always(struct se_pool *pool, bool always)
{
    pool->judge.off = always;
    pool->judge.alone_until = 0;
    new_window(&pool->judge);
    set_spin(pool, se_cpu_count() >= pool->threads);
}

struct se_pool_stat se_pool_stat_take(struct se_pool *pool)
{
    struct se_pool_stat stat = pool->stat;
    pool->stat = (struct se_pool_stat){ 0 };
    return stat;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Operations over memory that all ranks have mapped.
 *
 * Operations are numbered, and every rank counts them for itself. A rank has a seat:
 *
 *   posted   "I am at operation k, what I bring to it is in my tray k & 1, and I am done with
 *            reading the trays of operation k - 1"
 *   tray[2]  what it brings, TRAY_B bytes at a time: larger operations are several
 *
 *   rank 0   tray 0 | post 4 | see 4, 4 | read trays 0 | tray 1 | post 5 | ...
 *   rank 1     tray 0 | post 4 | see 4, 4 | read trays 0 | tray 1 | post 5 | ...
 *
 * Whoever fills a tray for operation k has seen everybody at k - 1, hence done with k - 2, the
 * last one that used this tray. So one wait per operation is enough, and nobody waits for the
 * slowest reader.
 *
 * posted is k * 2; its lowest bit says that somebody sleeps on it. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/model/collective.h"

enum {
    CACHE_LINE_B = 64,
    TRAY_B = 1 << 20,
    WHY_B = 512,
    PAUSES_PER_LOOK = 16, /* at the clock, while spinning */
    SLEEPS = 1,           /* in posted */
    FIRST = -64           /* operation: numbers go round early, so that it is nothing special */
};
/* A wake costs up to 50 us, so a wait that is likely to be shorter is spun. */
#define SPIN_NS 50000u
/* How long a sleep lasts before the sleeper looks whether the group still stands. */
#define LOOK_NS 10000000u
#define IDLE_LOOK_NS 100000000u
#define IDLE_NS 1000000000u

struct seat {
    _Alignas(CACHE_LINE_B) _Atomic uint32_t posted;
    _Alignas(CACHE_LINE_B) char why[WHY_B]; /* this rank's last words */
};

struct se_collective_memory {
    size_t size_b;
    uint32_t size;
    _Alignas(CACHE_LINE_B) _Atomic uint32_t broken; /* 0, or the rank that broke it, plus 1 */
    struct seat seat[];                             /* behind them two trays each */
};

struct shm {
    struct se_collective base;
    struct se_collective_options options;
    struct se_collective_memory *memory;
    uint32_t at; /* the operation this rank is at */
};

static struct shm *shm_of(struct se_collective *group) { return (struct shm *)(void *)group; }

static unsigned char *tray_of(const struct shm *shm, uint32_t rank)
{
    unsigned char *first = (unsigned char *)&shm->memory->seat[shm->memory->size];
    return first + (2 * (size_t)rank + (shm->at & 1)) * TRAY_B;
}

int se_collective_memory_new(struct se_collective_memory **out, uint32_t size)
{
    if (size < 1 || size > SE_COLLECTIVE_RANKS_MAX)
        return se_fail(-EINVAL, "%u ranks are not from 1 to %d", size, SE_COLLECTIVE_RANKS_MAX);
    size_t size_b =
        sizeof(struct se_collective_memory) + size * (sizeof(struct seat) + 2 * (size_t)TRAY_B);
    struct se_collective_memory *memory =
        mmap(NULL, size_b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return se_fail(-errno, "no memory for %u ranks to meet in: %s", size, strerror(errno));
    memory->size_b = size_b;
    memory->size = size;
    /* relaxed: the ranks come later, by a thread's or a process's start. */
    for (uint32_t i = 0; i < size; i++)
        atomic_store_explicit(&memory->seat[i].posted, (uint32_t)FIRST * 2, memory_order_relaxed);
    *out = memory;
    return 0;
}

void se_collective_memory_free(struct se_collective_memory *memory)
{
    if (memory)
        munmap(memory, memory->size_b);
}

/* The end of a group. */

static void shm_give_up(struct se_collective *group, const char *why)
{
    struct shm *shm = shm_of(group);
    struct seat *seat = &shm->memory->seat[group->rank];
    uint32_t nobody = 0;
    if (atomic_load_explicit(&shm->memory->broken, memory_order_relaxed))
        return; /* relaxed: the words that count are there, others would not be read */
    snprintf(seat->why, sizeof seat->why, "%s", why);
    /* [ranks.broken] release, pairs with the acquire in look(): whoever sees who broke it
     * reads all of the sentence. The first one's counts. */
    atomic_compare_exchange_strong_explicit(&shm->memory->broken, &nobody, group->rank + 1,
                                            memory_order_release, memory_order_relaxed);
}

/* Whether the group still stands. 0 or -errno. */
static int look(const struct shm *shm)
{
    /* [ranks.broken] acquire, pairs with the release in shm_give_up(). */
    uint32_t broken = atomic_load_explicit(&shm->memory->broken, memory_order_acquire);
    if (broken == 0)
        return 0;
    return se_fail(-EPIPE, "rank %u of %u gave up: %s", broken - 1, shm->base.size,
                   shm->memory->seat[broken - 1].why);
}

/* Waiting. */

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool reached(uint32_t posted, uint32_t number)
{
    return (int32_t)((posted & ~(uint32_t)SLEEPS) - number * 2) >= 0;
}

/* Between processes, hence no private futex. */
static void sleep_on(_Atomic uint32_t *word, uint32_t number, uint64_t ns)
{
    const struct timespec limit = { .tv_sec = (time_t)(ns / 1000000000u),
                                    .tv_nsec = (long)(ns % 1000000000u) };
    /* relaxed, and in the exchange too: a guess; wait_for() looks again and acquires. */
    uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (!reached(seen, number)) {
        /* [ranks.sleep] meets the exchange in post(): mark and number share a word, so the
         * rank that posts either sees the mark or changes what the futex compares. */
        if (!(seen & SLEEPS) &&
            !atomic_compare_exchange_weak_explicit(word, &seen, seen | SLEEPS, memory_order_relaxed,
                                                   memory_order_relaxed))
            continue;
        syscall(SYS_futex, word, FUTEX_WAIT, seen | SLEEPS, &limit, NULL, 0);
        return;
    }
}

/* What is done now and then while waiting; ends the wait when it returns other than 0. */
static int consider(struct shm *shm)
{
    int r = look(shm);
    if (r < 0 || !shm->options.check)
        return r;
    r = shm->options.check(shm->options.context);
    if (r < 0)
        shm_give_up(&shm->base, se_err_text());
    return r;
}

/* Waits until a rank has come to an operation. SE_COLLECTIVE_IDLE after ns. */
static int wait_for(struct shm *shm, uint32_t rank, uint32_t number, uint64_t ns)
{
    _Atomic uint32_t *word = &shm->memory->seat[rank].posted;
    uint64_t from = 0;
    for (;;) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            /* [ranks.post] acquire, pairs with the release in post(): whoever sees the number
             * reads what was brought to it, and may fill the tray that its rank has left. */
            if (reached(atomic_load_explicit(word, memory_order_acquire), number))
                return 0;
            relax();
        }
        const uint64_t now = se_clock_ns();
        from = from ? from : now;
        if (shm->options.spin && now - from < SPIN_NS)
            continue;
        const int r = consider(shm);
        if (r < 0)
            return r;
        if (now - from >= ns)
            return SE_COLLECTIVE_IDLE;
        const uint64_t look_ns = now - from < IDLE_NS ? LOOK_NS : IDLE_LOOK_NS;
        const uint64_t left_ns = ns - (now - from);
        sleep_on(word, number, left_ns < look_ns ? left_ns : look_ns);
    }
}

/* The same for every rank but this one, and idle is a failure. */
static int wait_for_others(struct shm *shm, uint32_t first, uint32_t end, uint32_t number)
{
    for (uint32_t rank = first; rank < end; rank++) {
        if (rank == shm->base.rank)
            continue;
        int r = wait_for(shm, rank, number, shm->base.deadline_ns);
        if (r == SE_COLLECTIVE_IDLE) {
            r = se_fail(-ETIMEDOUT, "rank %u of %u did not come within %.1f s", rank,
                        shm->base.size, (double)shm->base.deadline_ns * 1e-9);
            shm_give_up(&shm->base, se_err_text());
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Comes to the next operation; a tray that is to be filled is free then. */
static int begin(struct shm *shm, bool brings)
{
    int r = look(shm);
    shm->at++;
    if (r == 0 && brings)
        r = wait_for_others(shm, 0, shm->base.size, shm->at - 1);
    return r;
}

static void post(struct shm *shm)
{
    _Atomic uint32_t *word = &shm->memory->seat[shm->base.rank].posted;
    /* [ranks.post] release, pairs with the acquire in wait_for(): the tray is full, and those
     * of the operation before are read. [ranks.sleep] meets the exchange in sleep_on(). */
    if (atomic_exchange_explicit(word, shm->at * 2, memory_order_release) & SLEEPS)
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The operations, a tray at a time. */

static int reduce_tray(struct shm *shm, float *x, size_t n)
{
    const uint32_t size = shm->base.size;
    int r = begin(shm, true);
    if (r < 0)
        return r;
    memcpy(tray_of(shm, shm->base.rank), x, n * sizeof *x);
    post(shm);
    r = wait_for_others(shm, 0, size, shm->at);
    if (r < 0)
        return r;
    memcpy(x, tray_of(shm, 0), n * sizeof *x);
    for (uint32_t rank = 1; rank < size; rank++) {
        const float *from = (const float *)(const void *)tray_of(shm, rank);
        for (size_t i = 0; i < n; i++)
            x[i] += from[i];
    }
    return 0;
}

static int shm_all_reduce(struct se_collective *group, float *x, size_t n)
{
    const size_t most = TRAY_B / sizeof *x;
    int r = 0;
    for (size_t at = 0; r == 0 && at < n; at += most)
        r = reduce_tray(shm_of(group), x + at, n - at < most ? n - at : most);
    return r < 0 ? se_trace(r) : 0;
}

static int broadcast_tray(struct shm *shm, unsigned char *bytes, size_t n_b)
{
    const bool brings = shm->base.rank == 0;
    int r = begin(shm, brings);
    if (r < 0)
        return r;
    if (brings)
        memcpy(tray_of(shm, 0), bytes, n_b);
    post(shm);
    if (brings)
        return 0;
    r = wait_for_others(shm, 0, 1, shm->at);
    if (r == 0)
        memcpy(bytes, tray_of(shm, 0), n_b);
    return r;
}

static int shm_broadcast(struct se_collective *group, void *bytes, size_t n_b)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < n_b; at += TRAY_B)
        r = broadcast_tray(shm_of(group), (unsigned char *)bytes + at,
                           n_b - at < TRAY_B ? n_b - at : TRAY_B);
    return r < 0 ? se_trace(r) : 0;
}

/* all: of rank 0, where this part of its own bytes goes; the others' are stride_b apart. */
static int gather_tray(struct shm *shm, const unsigned char *mine, size_t n_b, unsigned char *all,
                       size_t stride_b)
{
    const uint32_t size = shm->base.size;
    int r = begin(shm, true);
    if (r < 0)
        return r;
    memcpy(tray_of(shm, shm->base.rank), mine, n_b);
    post(shm);
    if (shm->base.rank != 0)
        return 0;
    r = wait_for_others(shm, 1, size, shm->at);
    for (uint32_t rank = 0; r == 0 && rank < size; rank++)
        memcpy(all + rank * stride_b, tray_of(shm, rank), n_b);
    return r;
}

static int shm_gather(struct se_collective *group, const void *mine, size_t n_b, void *all)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < n_b; at += TRAY_B)
        r = gather_tray(shm_of(group), (const unsigned char *)mine + at,
                        n_b - at < TRAY_B ? n_b - at : TRAY_B,
                        all ? (unsigned char *)all + at : NULL, n_b);
    return r < 0 ? se_trace(r) : 0;
}

static int shm_await(struct se_collective *group, uint64_t ns)
{
    struct shm *shm = shm_of(group);
    const int r = wait_for(shm, 0, shm->at + 1, ns);
    return r < 0 ? se_trace(r) : r;
}

static int shm_check(struct se_collective *group)
{
    const int r = consider(shm_of(group));
    return r < 0 ? se_trace(r) : 0;
}

static void shm_close(struct se_collective *group) { se_mem_free(group); }

static const struct se_collective_ops ops = {
    .name = "shm",
    .all_reduce = shm_all_reduce,
    .broadcast = shm_broadcast,
    .gather = shm_gather,
    .await = shm_await,
    .check = shm_check,
    .error = se_err_text,
    .give_up = shm_give_up,
    .close = shm_close,
};

int se_collective_shm_open(struct se_collective **out, struct se_collective_memory *memory,
                           uint32_t rank, const struct se_collective_options *options)
{
    if (rank >= memory->size)
        return se_fail(-EINVAL, "rank %u of %u", rank, memory->size);
    struct shm *shm = se_mem_zero(1, sizeof *shm);
    if (!shm)
        return se_trace(-ENOMEM);
    *shm = (struct shm){
        .base = { .ops = &ops,
                  .rank = rank,
                  .size = memory->size,
                  .deadline_ns = options->deadline_ns },
        .options = *options,
        .memory = memory,
        .at = (uint32_t)FIRST,
    };
    *out = &shm->base;
    return 0;
}

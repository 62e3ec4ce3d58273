/* SPDX-License-Identifier: Apache-2.0 */
/* Items lie in slots, whose numbers go round between the two threads: filled ones one way, free ones
 * the other. The scribe looks every tenth of a second by itself, so that a put costs no system call. */
#include "tools/scribe.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "sched/ring.h"

enum { BUFFER_B = 1 << 16, LOOK_MS = 100 };
#define CLOSE_NS UINT64_C(1000000000) /* without anybody who reads, at the end */

struct se_scribe {
    struct se_scribe_options o;
    struct se_ring *filled, *spare;
    unsigned char *slot;
    /* relaxed, both: numbers that stand for themselves; the putting thread alone counts drops. */
    _Atomic uint64_t dropped;
    _Atomic int failed;
    bool told;
    uint64_t put; /* items, the dropped ones too */

    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of ending */
    pthread_cond_t wake;
    bool ending;

    /* The thread's. */
    int fd;
    char *buffer;
    size_t len;
    uint64_t lines, written, told_dropped; /* lines of items, composed and in the file */
};

static uint64_t dropped(const struct se_scribe *s)
{
    return atomic_load_explicit(&s->dropped, memory_order_relaxed);
}

static void *slot_at(struct se_scribe *s, uint32_t at) { return s->slot + at * s->o.item_b; }

/* ---- the putting thread */

void se_scribe_put(struct se_scribe *s, const void *item)
{
    uint32_t at;
    s->put++;
    if (!se_ring_pop(s->spare, &at)) {
        atomic_store_explicit(&s->dropped, dropped(s) + 1, memory_order_relaxed);
        return;
    }
    memcpy(slot_at(s, at), item, s->o.item_b);
    se_ring_push(s->filled, at); /* there is room for all */
}

int se_scribe_check(struct se_scribe *s)
{
    int failed = atomic_load_explicit(&s->failed, memory_order_relaxed);
    if (failed == 0 || s->told)
        return 0;
    s->told = true;
    return se_fail(failed, "%s: %s; nothing more is written there", s->o.path, strerror(-failed));
}

/* ---- the scribe's */

static bool is_ending(struct se_scribe *s)
{
    pthread_mutex_lock(&s->lock);
    bool ending = s->ending;
    pthread_mutex_unlock(&s->lock);
    return ending;
}

/* Until there is room in a pipe. A file always has some. */
static int await_room(struct se_scribe *s, uint64_t *end_ns)
{
    struct pollfd fd = { .fd = s->fd, .events = POLLOUT };
    if (is_ending(s)) {
        const uint64_t now_ns = se_clock_ns();
        if (*end_ns == 0)
            *end_ns = now_ns + CLOSE_NS;
        if (now_ns >= *end_ns)
            return -ETIMEDOUT;
    }
    poll(&fd, 1, LOOK_MS);
    return 0;
}

static int write_out(struct se_scribe *s)
{
    uint64_t end_ns = 0;
    int r = 0;
    for (size_t at = 0; at < s->len && r == 0;) {
        const ssize_t n = write(s->fd, s->buffer + at, s->len - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno == EAGAIN)
            r = await_room(s, &end_ns);
        else if (errno != EINTR)
            r = -errno;
    }
    s->len = 0;
    if (r == 0)
        s->written = s->lines;
    return r;
}

static void give_up(struct se_scribe *s, int r)
{
    if (r < 0)
        atomic_store_explicit(&s->failed, r, memory_order_relaxed);
}

static bool has_failed(const struct se_scribe *s)
{
    return atomic_load_explicit(&s->failed, memory_order_relaxed) < 0;
}

static void count(struct se_scribe *s, bool last)
{
    const uint64_t n = dropped(s);
    if (!s->o.count || has_failed(s) || (!last && n == s->told_dropped))
        return;
    s->told_dropped = n;
    s->len += (size_t)s->o.count(s->buffer + s->len, s->lines, n, last);
}

/* What there is. When the file has failed the slots stay where they are, and puts are dropped. */
static void write_all(struct se_scribe *s)
{
    uint32_t at;
    while (!has_failed(s) && se_ring_pop(s->filled, &at)) {
        s->len += (size_t)s->o.compose(s->buffer + s->len, slot_at(s, at));
        s->lines++;
        se_ring_push(s->spare, at);
        if (s->len > BUFFER_B - 2 * SE_SCRIBE_LINE_B) {
            count(s, false);
            give_up(s, write_out(s));
        }
    }
    count(s, false);
    if (!has_failed(s))
        give_up(s, write_out(s));
}

static void rest(struct se_scribe *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&s->lock);
    if (!s->ending)
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *context)
{
    struct se_scribe *s = context;
    while (!is_ending(s)) {
        write_all(s);
        rest(s);
    }
    write_all(s);
    count(s, true);
    if (!has_failed(s))
        give_up(s, write_out(s));
    return NULL;
}

/* ---- life */

/* A pipe is not waited for, neither now nor when it is full. */
static int open_file(struct se_scribe *s)
{
    const int how = s->o.append ? O_APPEND : O_TRUNC;
    s->fd = open(s->o.path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | how, 0644);
    if (s->fd < 0 && errno == ENXIO)
        return se_fail(-ENXIO, "%s: a pipe that nobody reads; begin to read it first", s->o.path);
    return s->fd < 0 ? se_fail(-errno, "%s: %s", s->o.path, strerror(errno)) : 0;
}

static int make_slots(struct se_scribe *s)
{
    s->slot = se_mem_new(s->o.room, s->o.item_b);
    s->buffer = se_mem_new(1, BUFFER_B);
    int r = s->slot && s->buffer ? 0 : -ENOMEM;
    if (r == 0)
        r = se_ring_new(&s->filled, s->o.room);
    if (r == 0)
        r = se_ring_new(&s->spare, s->o.room);
    for (uint32_t i = 0; r == 0 && i < s->o.room; i++)
        se_ring_push(s->spare, i);
    return r;
}

/* Signals are for other threads; a pipe that is closed is an error like any other. */
static int start(struct se_scribe *s)
{
    pthread_condattr_t monotonic;
    sigset_t all, before;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&s->lock, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&s->thread, NULL, work, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->running = r == 0;
    if (s->running)
        pthread_setname_np(s->thread, "se-scribe");
    return r == 0 ? 0 : se_fail(-r, "%s: no thread to write it: %s", s->o.path, strerror(r));
}

int se_scribe_open(struct se_scribe **out, const struct se_scribe_options *options)
{
    struct se_scribe *s = se_mem_zero(1, sizeof *s);
    if (!s)
        return se_trace(-ENOMEM);
    s->o = *options;
    s->fd = -1;
    int r = open_file(s);
    if (r == 0)
        r = make_slots(s);
    if (r == 0 && options->head) {
        s->len = strlen(options->head);
        memcpy(s->buffer, options->head, s->len);
    }
    if (r == 0)
        r = start(s);
    if (r == 0) {
        *out = s;
        s = NULL;
    }
    se_scribe_close(s);
    return r < 0 ? se_trace(r) : 0;
}

uint64_t se_scribe_close(struct se_scribe *s)
{
    if (!s)
        return 0;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->ending = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
        pthread_cond_destroy(&s->wake);
        pthread_mutex_destroy(&s->lock);
    }
    const uint64_t lost = s->put - s->written; /* also with a file that broke */
    if (s->fd >= 0)
        close(s->fd);
    se_ring_free(s->filled);
    se_ring_free(s->spare);
    se_mem_free(s->slot);
    se_mem_free(s->buffer);
    se_mem_free(s);
    return lost;
}

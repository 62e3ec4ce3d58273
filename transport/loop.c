/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is a pipe: a ring of frame pointers each way, each with one producer and one
 * consumer. A server with thousands of pipes does not look through them: an edge that has
 * pushed lays its pipe on the server's stack `ready`, unless it lies there already, and rings
 * the bell. The server takes the whole stack at once and works through what it took.
 *
 *   edge ──push──► up ring ──┐   ready ──take all──► run list ──► recv
 *                            └──lay pipe──┘
 *   edge ◄──pop── down ring ◄──push── server
 *
 * The desk is what others reach of an end: its bell and its stack. It is counted, so it is
 * there for as long as somebody might ring. So is the pipe: one count for each end, one for
 * the stack it lies on. Names are found in a table under a mutex, which is taken to listen,
 * to connect and to part, and not for a frame. */
#include "transport/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/bell.h"

enum { CACHE_LINE_B = 64, TURN = 16 };

struct ring {
    _Alignas(CACHE_LINE_B) _Atomic uint32_t tail; /* producer */
    _Alignas(CACHE_LINE_B) _Atomic uint32_t head; /* consumer */
    struct se_frame **cell;                       /* mask + 1 of them */
    uint32_t mask, room;
};

struct pipe;

struct desk {
    _Atomic uint32_t refs;
    struct se_bell bell;
    struct pipe *_Atomic ready; /* or &shut */
};

struct pipe {
    struct ring up, down;
    _Atomic uint32_t refs;
    _Atomic bool queued;    /* lies on the desk's stack */
    _Atomic bool edge_gone; /* after its last push */
    _Atomic bool server_gone;
    struct desk *server, *edge;
    struct pipe *below; /* on the stack */
    /* The server's alone. */
    struct pipe *next; /* in the run list */
    bool running, known, dropped;
    uint32_t slot, turn;
};

/* Marks the stack of a server that is gone. */
static struct pipe shut;

struct slot {
    struct pipe *pipe; /* NULL: free */
    uint32_t generation, next_free;
};

struct loop {
    struct se_link link;
    struct loop *next; /* in the table: a server, or an edge that wants one */
    char *url;
    struct se_link_options options;
    struct desk *desk;
    bool listens, closed, listed;
    /* server */
    struct slot *slot;
    uint32_t n_slots, first_free;
    struct pipe *run_first, *run_last;
    /* edge */
    struct pipe *pipe;
    _Atomic bool called; /* a server of the name came */
};

/* Everybody who listens or looks for a server. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct loop *table;

/* ---- ring */

static int ring_init(struct ring *ring, uint32_t room)
{
    uint32_t n = 1;
    while (n < room)
        n *= 2;
    ring->cell = se_mem_new(n, sizeof(struct se_frame *));
    ring->mask = n - 1;
    ring->room = room;
    return ring->cell == NULL ? -ENOMEM : 0;
}

static bool ring_push(struct ring *ring, struct se_frame *frame)
{
    /* relaxed: this thread alone writes tail. */
    const uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    /* [loop.free] acquire, pairs with the release in ring_pop(): the cell is written only when
     * the consumer is done reading it. */
    if (tail - atomic_load_explicit(&ring->head, memory_order_acquire) >= ring->room)
        return false;
    ring->cell[tail & ring->mask] = frame;
    /* [loop.fill] release, pairs with the acquire in ring_pop(): whoever sees the new tail
     * sees the cell, the frame, and its bytes. */
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

static struct se_frame *ring_pop(struct ring *ring)
{
    /* relaxed: this thread alone writes head. */
    const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    /* [loop.fill] acquire, pairs with the release in ring_push(). */
    if (atomic_load_explicit(&ring->tail, memory_order_acquire) == head)
        return NULL;
    struct se_frame *frame = ring->cell[head & ring->mask];
    /* [loop.free] release, pairs with the acquire in ring_push(). */
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return frame;
}

/* When neither end is there any more. */
static void ring_fini(struct ring *ring)
{
    struct se_frame *frame;
    while (ring->cell != NULL && (frame = ring_pop(ring)) != NULL)
        se_frame_put(frame);
    se_mem_free(ring->cell);
}

/* ---- what is counted */

/* [loop.last] release: this end is done with it; acquire: the last one sees that all are. */
static bool was_last(_Atomic uint32_t *refs)
{
    return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}

/* relaxed: only who has one makes another, and passes it on by a way of its own. */
static void count(_Atomic uint32_t *refs)
{
    atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
}

static struct desk *desk_new(void)
{
    struct desk *desk = se_mem_zero(1, sizeof(*desk));
    if (desk != NULL) {
        atomic_init(&desk->refs, 1);
        se_bell_init(&desk->bell);
    }
    return desk;
}

static void desk_unref(struct desk *desk)
{
    if (desk != NULL && was_last(&desk->refs))
        se_mem_free(desk);
}

static void pipe_unref(struct pipe *pipe)
{
    if (!was_last(&pipe->refs))
        return;
    ring_fini(&pipe->up);
    ring_fini(&pipe->down);
    desk_unref(pipe->server);
    desk_unref(pipe->edge);
    se_mem_free(pipe);
}

static struct pipe *pipe_new(struct desk *server, struct desk *edge, uint32_t up, uint32_t down)
{
    struct pipe *pipe = se_mem_zero(1, sizeof(*pipe));
    if (pipe == NULL)
        return NULL;
    if (ring_init(&pipe->up, up) < 0 || ring_init(&pipe->down, down) < 0) {
        se_mem_free(pipe->up.cell);
        se_mem_free(pipe);
        return NULL;
    }
    atomic_init(&pipe->refs, 2);
    count(&server->refs);
    count(&edge->refs);
    pipe->server = server;
    pipe->edge = edge;
    return pipe;
}

/* ---- the stack */

/* The edge has something new in the pipe, or leaves. */
static void tell_server(struct pipe *pipe)
{
    /* [loop.queued] acquire and release, pairs with the exchange in take_ready(): if the mark
     * is still set, the server clears it later and then sees what was pushed; if not, the
     * pipe is laid down anew. Either way no frame is left lying. */
    if (!atomic_exchange_explicit(&pipe->queued, true, memory_order_acq_rel)) {
        count(&pipe->refs);
        /* relaxed: a guess that the exchange confirms. */
        struct pipe *top = atomic_load_explicit(&pipe->server->ready, memory_order_relaxed);
        do {
            if (top == &shut) { /* it left before it saw the pipe, so it cannot say so */
                atomic_store_explicit(&pipe->server_gone, true, memory_order_release);
                pipe_unref(pipe);
                return;
            }
            pipe->below = top;
            /* [loop.ready] release, pairs with the acquire in take_ready(): whoever takes
             * the pipe sees all of it. */
        } while (!atomic_compare_exchange_weak_explicit(
            &pipe->server->ready, &top, pipe, memory_order_release, memory_order_relaxed));
    }
    se_bell_ring(&pipe->server->bell);
}

static void run_append(struct loop *s, struct pipe *pipe)
{
    pipe->next = NULL;
    if (s->run_last != NULL)
        s->run_last->next = pipe;
    else
        s->run_first = pipe;
    s->run_last = pipe;
}

static struct pipe *run_shift(struct loop *s)
{
    struct pipe *pipe = s->run_first;
    s->run_first = pipe->next;
    if (s->run_first == NULL)
        s->run_last = NULL;
    return pipe;
}

/* The stack's newest is on top; the run list begins with the oldest. end: what the stack
 * becomes. A pipe in the run list has the count that it had on the stack. */
static void take_ready(struct loop *s, struct pipe *end)
{
    /* relaxed: nothing is concluded from an empty stack; the next look finds what it missed. */
    if (end == NULL && atomic_load_explicit(&s->desk->ready, memory_order_relaxed) == NULL)
        return;
    /* [loop.ready] acquire, pairs with the release in tell_server(). */
    struct pipe *top = atomic_exchange_explicit(&s->desk->ready, end, memory_order_acquire);
    struct pipe *oldest = NULL;
    while (top != NULL) {
        struct pipe *below = top->below;
        top->below = oldest;
        oldest = top;
        top = below;
    }
    while (oldest != NULL) {
        struct pipe *pipe = oldest;
        oldest = pipe->below;
        /* [loop.queued] acquire and release, pairs with the exchange in tell_server(). After
         * it the edge may lay the pipe down again, so `below` is read before. */
        atomic_exchange_explicit(&pipe->queued, false, memory_order_acq_rel);
        if (pipe->running) {
            pipe_unref(pipe);
        } else {
            pipe->running = true;
            run_append(s, pipe);
        }
    }
}

/* ---- the table */

static bool same_name(const struct loop *a, const struct loop *b)
{
    return strcmp(a->url, b->url) == 0;
}

static struct loop *find_server(const struct loop *like)
{
    struct loop *at = table;
    while (at != NULL && !(at->listens && same_name(at, like)))
        at = at->next;
    return at;
}

static void unlist(struct loop *loop)
{
    pthread_mutex_lock(&table_lock);
    for (struct loop **at = &table; *at != NULL; at = &(*at)->next) {
        if (*at == loop) {
            *at = loop->next;
            break;
        }
    }
    loop->listed = false;
    pthread_mutex_unlock(&table_lock);
}

static int enlist(struct loop *loop)
{
    int r = 0;
    pthread_mutex_lock(&table_lock);
    if (loop->listens && find_server(loop) != NULL) {
        r = -EADDRINUSE;
    } else {
        loop->next = table;
        table = loop;
        loop->listed = true;
    }
    for (struct loop *at = table; r == 0 && loop->listens && at != NULL; at = at->next) {
        if (!at->listens && same_name(at, loop)) {
            /* relaxed: a hint; the mutex orders what the edge then looks at. */
            atomic_store_explicit(&at->called, true, memory_order_relaxed);
            se_bell_ring(&at->desk->bell);
        }
    }
    pthread_mutex_unlock(&table_lock);
    return r;
}

/* ---- both ends */

static void loop_fini(struct se_link *link);

static int loop_new(struct loop **out, const char *url, const struct se_link_options *options,
                    bool listens)
{
    if (strchr(url, ',') != NULL)
        return se_fail(-EINVAL, "'%s': a loop has one name", url);
    struct loop *loop = se_mem_zero(1, sizeof(*loop));
    if (loop == NULL)
        return se_trace(-ENOMEM);
    loop->link.ops = &se_loop_ops;
    loop->link.frame_max_b = options->frame_max_b;
    loop->link.spin_ns = options->spin_ns;
    loop->options = *options;
    loop->listens = listens;
    loop->url = strdup(url);
    loop->desk = desk_new();
    if (listens)
        loop->slot = se_mem_zero(options->peers_max, sizeof(*loop->slot));
    if (loop->url == NULL || loop->desk == NULL || (listens && loop->slot == NULL)) {
        loop_fini(&loop->link);
        return se_trace(-ENOMEM);
    }
    loop->first_free = options->peers_max;
    *out = loop;
    return 0;
}

static int loop_open(struct se_link **out, const char *url, const struct se_link_options *options,
                     bool listens)
{
    struct loop *loop = NULL;
    int r = loop_new(&loop, url, options, listens);
    if (r < 0)
        return r;
    r = enlist(loop);
    if (r < 0) {
        loop_fini(&loop->link);
        return se_fail(r, "'%s': somebody listens there already", url);
    }
    atomic_store_explicit(&loop->called, true, memory_order_relaxed); /* look once */
    *out = &loop->link;
    return 0;
}

static int loop_listen(struct se_link **out, const char *url, const struct se_link_options *options)
{
    return loop_open(out, url, options, true);
}

static int loop_connect(struct se_link **out, const char *url,
                        const struct se_link_options *options)
{
    return loop_open(out, url, options, false);
}

/* Whether recv has something to look at, though the bell may have been heard already.
 * relaxed: what changes after this look rings the bell. */
static bool has_work(struct loop *loop)
{
    if (loop->listens)
        return loop->run_first != NULL ||
               atomic_load_explicit(&loop->desk->ready, memory_order_relaxed) != NULL;
    if (loop->pipe == NULL)
        return atomic_load_explicit(&loop->called, memory_order_relaxed);
    return atomic_load_explicit(&loop->pipe->server_gone, memory_order_relaxed) ||
           atomic_load_explicit(&loop->pipe->down.tail, memory_order_relaxed) !=
               atomic_load_explicit(&loop->pipe->down.head, memory_order_relaxed);
}

static bool loop_ready(struct se_link *link)
{
    struct loop *loop = (struct loop *)link;
    return has_work(loop) || se_bell_heard(&loop->desk->bell);
}

static int loop_wait(struct se_link *link, uint64_t ns)
{
    struct loop *loop = (struct loop *)link;
    if (has_work(loop))
        return 0;
    return se_bell_wait(&loop->desk->bell, ns) ? 0 : SE_LINK_AGAIN;
}

static void loop_wake(struct se_link *link) { se_bell_ring(&((struct loop *)link)->desk->bell); }

static const char *loop_url(const struct se_link *link) { return ((const struct loop *)link)->url; }

/* ---- the edge */

/* Looks for the server; true when there is a pipe to it. */
static bool edge_attach(struct loop *e)
{
    /* relaxed: see enlist(). */
    if (e->closed || !atomic_exchange_explicit(&e->called, false, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&table_lock);
    struct loop *server = find_server(e);
    struct pipe *pipe = NULL;
    if (server != NULL)
        pipe =
            pipe_new(server->desk, e->desk, e->options.queue_frames, server->options.queue_frames);
    pthread_mutex_unlock(&table_lock);
    if (pipe == NULL)
        return false;
    e->pipe = pipe;
    tell_server(pipe);
    return true;
}

static void edge_part(struct loop *e)
{
    /* [loop.gone] release, pairs with the acquire in serve(): who sees the mark sees the last
     * frame. */
    atomic_store_explicit(&e->pipe->edge_gone, true, memory_order_release);
    tell_server(e->pipe);
    pipe_unref(e->pipe);
    e->pipe = NULL;
}

static int edge_recv(struct loop *e, se_link_peer *peer, struct se_frame **out)
{
    *peer = SE_LINK_SERVER;
    if (e->pipe == NULL) {
        if (e->closed)
            return SE_LINK_CLOSED;
        return edge_attach(e) ? SE_LINK_JOINED : SE_LINK_AGAIN;
    }
    /* [loop.gone] acquire, pairs with the release in server_part(). Read before the ring, which
     * is then looked at to its end. */
    const bool gone = atomic_load_explicit(&e->pipe->server_gone, memory_order_acquire);
    struct se_frame *frame = ring_pop(&e->pipe->down);
    if (frame != NULL) {
        *out = frame;
        return 0;
    }
    if (!gone)
        return SE_LINK_AGAIN;
    edge_part(e);
    /* The next server may have come before we knew that this one is gone. */
    atomic_store_explicit(&e->called, true, memory_order_relaxed);
    return SE_LINK_GONE;
}

static int edge_send(struct loop *e, struct se_frame *frame)
{
    if (e->pipe == NULL ||
        /* relaxed: whether the server leaves before or after the push, the frame is lost. */
        atomic_load_explicit(&e->pipe->server_gone, memory_order_relaxed))
        return SE_LINK_GONE;
    if (!ring_push(&e->pipe->up, frame))
        return SE_LINK_AGAIN;
    tell_server(e->pipe);
    return 0;
}

/* ---- the server */

static se_link_peer handle(const struct loop *s, uint32_t slot)
{
    return (se_link_peer)s->slot[slot].generation << 32 | (slot + 1);
}

static struct pipe *find_peer(struct loop *s, se_link_peer peer)
{
    const uint32_t slot = (uint32_t)peer - 1;
    if ((uint32_t)peer == 0 || slot >= s->n_slots || s->slot[slot].pipe == NULL ||
        handle(s, slot) != peer)
        return NULL;
    return s->slot[slot].pipe;
}

/* A slot for a new pipe, and the count of it that pipe_new() made for this end. */
static bool seat(struct loop *s, struct pipe *pipe)
{
    uint32_t at = s->first_free;
    if (at < s->options.peers_max)
        s->first_free = s->slot[at].next_free;
    else if (s->n_slots < s->options.peers_max)
        at = s->n_slots++;
    else
        return false;
    s->slot[at].pipe = pipe;
    s->slot[at].generation++;
    pipe->slot = at;
    pipe->known = true;
    return true;
}

static void unseat(struct loop *s, struct pipe *pipe)
{
    s->slot[pipe->slot].pipe = NULL;
    s->slot[pipe->slot].next_free = s->first_free;
    s->first_free = pipe->slot;
    pipe->known = false;
}

/* This end has no more to do with the pipe. */
static void server_part(struct pipe *pipe)
{
    pipe->dropped = true;
    /* [loop.gone] release, pairs with the acquire in edge_recv(): who sees the mark sees the
     * last frame. */
    atomic_store_explicit(&pipe->server_gone, true, memory_order_release);
    se_bell_ring(&pipe->edge->bell);
    pipe_unref(pipe);
}

/* What the first pipe of the run list has to say. AGAIN: nothing more, it leaves the list. */
static int serve(struct loop *s, struct pipe *pipe, se_link_peer *peer, struct se_frame **out)
{
    if (pipe->dropped)
        return SE_LINK_AGAIN;
    if (!pipe->known) {
        if (s->closed || !seat(s, pipe)) {
            server_part(pipe);
            return SE_LINK_AGAIN;
        }
        *peer = handle(s, pipe->slot);
        return SE_LINK_JOINED;
    }
    *peer = handle(s, pipe->slot);
    /* [loop.gone] acquire, pairs with the release in edge_part(). */
    const bool gone = atomic_load_explicit(&pipe->edge_gone, memory_order_acquire);
    struct se_frame *frame = ring_pop(&pipe->up);
    if (frame != NULL) {
        *out = frame;
        return 0;
    }
    if (!gone)
        return SE_LINK_AGAIN;
    unseat(s, pipe);
    server_part(pipe);
    return SE_LINK_GONE;
}

static int server_recv(struct loop *s, se_link_peer *peer, struct se_frame **out)
{
    take_ready(s, NULL);
    while (s->run_first != NULL) {
        struct pipe *pipe = s->run_first;
        const int r = serve(s, pipe, peer, out);
        if (r == SE_LINK_AGAIN) {
            run_shift(s);
            pipe->running = false;
            pipe_unref(pipe);
            continue;
        }
        if (++pipe->turn % TURN == 0) /* others have frames too */
            run_append(s, run_shift(s));
        return r;
    }
    return s->closed ? SE_LINK_CLOSED : SE_LINK_AGAIN;
}

static int server_send(struct loop *s, se_link_peer peer, struct se_frame *frame)
{
    struct pipe *pipe = find_peer(s, peer);
    /* relaxed: whether the edge leaves before or after the push, the frame is lost. */
    if (pipe == NULL || atomic_load_explicit(&pipe->edge_gone, memory_order_relaxed))
        return SE_LINK_GONE;
    if (!ring_push(&pipe->down, frame))
        return SE_LINK_AGAIN;
    se_bell_ring(&pipe->edge->bell);
    return 0;
}

static bool loop_drop(struct se_link *link, se_link_peer peer)
{
    struct loop *s = (struct loop *)link;
    struct pipe *pipe = find_peer(s, peer);
    if (pipe == NULL)
        return false;
    unseat(s, pipe);
    server_part(pipe);
    return true;
}

/* ---- by end */

static int loop_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct loop *loop = (struct loop *)link;
    if (loop->closed)
        return SE_LINK_CLOSED;
    return loop->listens ? server_send(loop, peer, frame) : edge_send(loop, frame);
}

static int loop_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct loop *loop = (struct loop *)link;
    return loop->listens ? server_recv(loop, peer, out) : edge_recv(loop, peer, out);
}

static void loop_close(struct se_link *link)
{
    struct loop *loop = (struct loop *)link;
    loop->closed = true;
    if (loop->listed)
        unlist(loop);
}

/* What was sent lies in the other end's ring already. */
static int loop_drain(struct se_link *link, uint64_t ns)
{
    (void)link;
    (void)ns;
    return 0;
}

static void loop_fini(struct se_link *link)
{
    struct loop *loop = (struct loop *)link;
    loop_close(link);
    if (loop->pipe != NULL)
        edge_part(loop);
    if (loop->listens && loop->desk != NULL && loop->slot != NULL)
        take_ready(loop, &shut);
    while (loop->run_first != NULL) {
        struct pipe *pipe = run_shift(loop);
        if (!pipe->known && !pipe->dropped)
            server_part(pipe);
        pipe_unref(pipe);
    }
    for (uint32_t i = 0; i < loop->n_slots; i++) {
        if (loop->slot[i].pipe != NULL)
            server_part(loop->slot[i].pipe);
    }
    se_mem_free(loop->slot);
    desk_unref(loop->desk);
    free(loop->url);
    se_mem_free(loop);
}

const struct se_link_ops se_loop_ops = {
    .name = "loop",
    .listen = loop_listen,
    .connect = loop_connect,
    .send = loop_send,
    .recv = loop_recv,
    .ready = loop_ready,
    .wait = loop_wait,
    .wake = loop_wake,
    .drop = loop_drop,
    .close = loop_close,
    .drain = loop_drain,
    .fini = loop_fini,
    .url = loop_url,
};

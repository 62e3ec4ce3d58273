/* SPDX-License-Identifier: Apache-2.0 */
/* ROUTER and DEALER, and who is there.
 *
 * libzmq gives each connection a name of its own (a zero byte and four more) and writes it
 * before every message; that is a peer. When a connection ends, ROUTER says nothing. But the
 * socket's monitor reports it with the number of its file descriptor, and every message tells
 * the descriptor it came by:
 *
 *   monitor: accepted fd ─► fd is open      router: message, name, fd ─► name unknown: bind
 *   monitor: disconnected fd ─► the peer bound to fd is going ─► no more messages: GONE
 *
 * Descriptors are used again. The I/O thread writes events and messages in the order in which
 * things happen, but into two pipes. So the monitor is read before a new name is bound: then
 * whatever was reported before the message came is known, and nothing that is reported later
 * is about an earlier owner of the descriptor. If fd is closed by then, the peer has left
 * already; if another peer is bound to fd, that one has.
 *
 * The edge gets its JOINED and GONE from its own monitor. Its frames wait for no connection
 * (ZMQ_IMMEDIATE), because the next one must begin with what the edge says after JOINED and
 * not with a leftover. libzmq then also drops what arrived and was not yet received when the
 * connection broke; it is asked for again by a layer that knows better.
 *
 * With keys every connection is a CURVE connection. libzmq asks the server about each newcomer's
 * key while it shakes hands (transport/zap.h), and later tells with each message what the answer
 * was: that is how a peer gets its key. Of edges that are refused a server hears no more than that.
 * An edge that is refused hears it from its monitor; libzmq then gives the address up, or knocks
 * without a pause, so the edge takes it away and comes back after a pause of its own. */
#include "transport/zmq.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/path.h"
#include "transport/zap.h"

enum {
    NAME_B = 5,
    URLS_B = 1024,
    EVENTS_MAX = 65536,
    PARTS_MAX = 1000,
    SOCKETS_MAX = 65535,
    ZAP_EVERY = 64
};
enum { CURVE_B = 33 }; /* that CURVE puts around a message: name, nonce, flags, seal */
#define NONE UINT32_MAX
enum { CUT_SHORT_MANY = 3 };
#define HANG_UP_NS UINT64_C(100000000)
static const char ipc[] = "ipc://", tcp[] = "tcp://";

#define FAILURES \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

enum seat { FREE, SEATED, GOING };

struct slot {
    enum seat seat;
    bool muted; /* dropped: unheard until it disconnects */
    unsigned char name[NAME_B];
    int fd;
    struct se_key key; /* with a guard */
    uint32_t generation;
    uint32_t next; /* free, going, or of one bucket: see below */
    uint32_t next_of_bucket;
};

struct fd {
    bool open;
    uint32_t bound; /* slot + 1, or 0 */
};

struct link {
    struct se_link link;
    struct se_link_options options;
    void *context, *socket, *monitor;
    bool listens, closed, monitored;
    char url[URLS_B];
    char trouble[URLS_B + 128]; /* edge */
    zmq_msg_t held;             /* received, and not yet handed out */
    bool holds, dry;
    bool empty; /* when libzmq was last asked there was nothing, and it has had no call since */
    bool fed;   /* a message came since recv last found nothing */
    bool told;  /* the monitor has something, and its descriptor may not say so any more */
    struct se_frame *spare;
    /* server */
    uint64_t hung_up_ns;
    struct se_zap *zap;  /* with a guard */
    uint32_t unanswered; /* messages since libzmq's questions were last looked at */
    struct slot *slot;
    uint32_t n_slots, free, going, last_going, held_from;
    uint32_t *bucket, bucket_mask;
    struct fd *fd;
    size_t cap_fd;
    /* edge */
    bool up, cut, joined;
    uint32_t cut_short;         /* connections that ended as they began, one behind the other */
    bool refused;               /* by who reads keys, and for good */
    char refusal[URLS_B + 256]; /* why there is no connection; empty: it was not refused */
    uint64_t again_ns;          /* when to try again; 0: libzmq tries by itself */
};

/* ---- contexts
 *
 * A context has two threads. The edges of a process share one: a process with a thousand of
 * them would have two thousand threads. A server has its own, so that nobody's edges keep its
 * thread busy. What was sent from a socket has left when the socket has ended, and that is
 * told by its monitor: see hang_up().
 *
 * When EVENTS_MAX parts of events wait unread, libzmq's thread waits for their reader. So a link
 * that nobody receives from, and whose connection comes and goes for hours, would in the end
 * hold up the edges that share the thread. */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    void *context;
    uint32_t users;
    pid_t process; /* a context does not survive a fork: the child makes its own */
} shared;

static void *context_new(void)
{
    void *context = zmq_ctx_new();
    if (context != NULL && zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX) < 0) {
        const int code = errno;
        zmq_ctx_term(context);
        context = NULL;
        errno = code;
    }
    return context;
}

static void context_end(void *context)
{
    while (zmq_ctx_term(context) < 0 && errno == EINTR)
        continue;
}

static void *context_get(bool listens)
{
    if (listens)
        return context_new();
    pthread_mutex_lock(&shared_lock);
    if (shared.users == 0 || shared.process != getpid()) {
        shared.context = context_new();
        shared.users = 0;
        shared.process = getpid();
    }
    void *context = shared.context;
    shared.users += context != NULL;
    pthread_mutex_unlock(&shared_lock);
    return context;
}

static void context_put(void *context, bool listens)
{
    void *last = context;
    if (!listens) {
        pthread_mutex_lock(&shared_lock);
        if (context != shared.context || --shared.users > 0)
            last = NULL;
        pthread_mutex_unlock(&shared_lock);
    }
    if (last != NULL)
        context_end(last);
}

/* ---- seats */

static uint32_t *bucket_of(struct link *s, const unsigned char *name)
{
    uint32_t number;
    memcpy(&number, name + 1, sizeof(number));
    return &s->bucket[(number * 2654435761u >> 7) & s->bucket_mask];
}

static uint32_t find_name(struct link *s, const unsigned char *name)
{
    uint32_t at = *bucket_of(s, name);
    while (at != NONE && memcmp(s->slot[at].name, name, NAME_B) != 0)
        at = s->slot[at].next_of_bucket;
    return at;
}

static se_link_peer handle(const struct link *s, uint32_t at)
{
    return (se_link_peer)s->slot[at].generation << 32 | (at + 1);
}

/* NONE when there is no such peer, or no longer. */
static uint32_t find_peer(const struct link *s, se_link_peer peer)
{
    const uint32_t at = (uint32_t)peer - 1;
    const bool there = (uint32_t)peer != 0 && at < s->n_slots && s->slot[at].seat != FREE &&
                       !s->slot[at].muted && handle(s, at) == peer;
    return there ? at : NONE;
}

/* Who was dropped keeps its connection, and its seat with it, until somebody else wants one: what
 * was said to it last is read by then. A descriptor that has another owner since is one whose edge
 * comes back by itself. */
static void hang_up_on_dropped(struct link *s)
{
    const uint64_t now_ns = se_clock_ns();
    if (now_ns < s->hung_up_ns + HANG_UP_NS)
        return;
    s->hung_up_ns = now_ns;
    for (uint32_t at = 0; at < s->n_slots; at++)
        if (s->slot[at].seat == SEATED && s->slot[at].muted && s->slot[at].fd >= 0)
            shutdown(s->slot[at].fd, SHUT_RDWR);
}

static uint32_t seat(struct link *s, const unsigned char *name)
{
    uint32_t at = s->free;
    if (at == NONE && s->n_slots == s->options.peers_max)
        hang_up_on_dropped(s);
    if (at != NONE)
        s->free = s->slot[at].next;
    else if (s->n_slots < s->options.peers_max)
        at = s->n_slots++;
    else
        return NONE;
    struct slot *slot = &s->slot[at];
    uint32_t *bucket = bucket_of(s, name);
    slot->seat = SEATED;
    slot->muted = false;
    slot->generation++;
    slot->fd = -1;
    memcpy(slot->name, name, NAME_B);
    slot->next_of_bucket = *bucket;
    *bucket = at;
    return at;
}

static void unseat(struct link *s, uint32_t at)
{
    uint32_t *link = bucket_of(s, s->slot[at].name);
    while (*link != at)
        link = &s->slot[*link].next_of_bucket;
    *link = s->slot[at].next_of_bucket;
    s->slot[at].seat = FREE;
    s->slot[at].next = s->free;
    s->free = at;
}

/* Its connection is gone; it is reported when its last message has been. */
static void see_off(struct link *s, uint32_t at)
{
    struct slot *slot = &s->slot[at];
    if (slot->seat != SEATED)
        return;
    slot->seat = GOING;
    slot->next = NONE;
    if (s->going == NONE)
        s->going = at;
    else
        s->slot[s->last_going].next = at;
    s->last_going = at;
    if (slot->fd >= 0 && s->fd[slot->fd].bound == at + 1)
        s->fd[slot->fd].bound = 0;
}

/* ---- the monitor */

/* NULL: there is no memory to remember it, and so nobody is bound to it. */
static struct fd *fd_at(struct link *s, int fd)
{
    if (fd < 0)
        return NULL;
    const size_t old = s->cap_fd;
    if ((size_t)fd >= old) {
        if (se_mem_grow(&s->fd, &s->cap_fd, (size_t)fd + 1, sizeof(*s->fd)) < 0)
            return NULL;
        memset(s->fd + old, 0, (s->cap_fd - old) * sizeof(*s->fd));
    }
    return &s->fd[fd];
}

static void server_event(struct link *s, uint16_t event, int fd)
{
    struct fd *entry = fd_at(s, fd);
    if (entry == NULL)
        return;
    entry->open = event == ZMQ_EVENT_ACCEPTED;
    if (entry->bound != 0)
        see_off(s, entry->bound - 1);
}

/* A server with another key than the expected one says nothing, it just hangs up; so does one that
 * is about to leave, and then libzmq is right to try again by itself, where there are no keys. */
static void refused(struct link *e, uint16_t event, int32_t value)
{
    const struct se_guard *guard = e->options.guard;
    char own[SE_KEY_TEXT_B];
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && guard == NULL) {
        e->cut_short++;
        return;
    }
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && guard != NULL)
        snprintf(e->refusal, sizeof(e->refusal),
                 "'%s': the server refuses this key (%s): it is not in its list of keys, is "
                 "revoked there, or may not do this",
                 e->url, se_key_text(&guard->own.open, own));
    else if (guard != NULL)
        snprintf(e->refusal, sizeof(e->refusal),
                 "'%s': no encrypted connection comes about: is the server's key right, and does "
                 "the server have keys?",
                 e->url);
    else if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        snprintf(e->refusal, sizeof(e->refusal),
                 "'%s': the server lets in only who has a key, and this edge has none", e->url);
    else
        snprintf(e->refusal, sizeof(e->refusal),
                 "'%s': who listens there does not speak as a server does (ZeroMQ)", e->url);
    e->refused = event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ||
                 value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH;
    if (e->again_ns == 0) {
        zmq_disconnect(e->socket, e->url);
        e->again_ns = se_clock_ns() + e->options.retry_max_ns;
    }
}

static void try_again(struct link *e)
{
    if (e->again_ns == 0 || e->closed || se_clock_ns() < e->again_ns)
        return;
    e->again_ns = zmq_connect(e->socket, e->url) < 0 ? se_clock_ns() + e->options.retry_max_ns : 0;
}

static void edge_event(struct link *e, uint16_t event, int32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        /* The one after the refused one may have come about before it was given up. */
        e->up = e->again_ns == 0;
        e->refusal[0] = 0;
        e->refused = false;
        e->cut_short = 0;
    } else if ((event & FAILURES) != 0) {
        refused(e, event, value);
    } else if (event == ZMQ_EVENT_DISCONNECTED && e->up) {
        e->up = false;
        e->cut = e->joined; /* of what was never reported no end is */
    }
}

/* One event is two parts: number and value, then an address that nobody needs. */
static bool next_event(struct link *link, int flags, uint16_t *event, int32_t *value)
{
    unsigned char part[sizeof(*event) + sizeof(*value)];
    char address[1];
    if (zmq_recv(link->monitor, part, sizeof(part), flags) < 0)
        return false;
    memcpy(event, part, sizeof(*event));
    memcpy(value, part + sizeof(*event), sizeof(*value));
    zmq_recv(link->monitor, address, sizeof(address), 0);
    return true;
}

/* True when it had something to say. */
static bool read_monitor(struct link *link)
{
    uint16_t event;
    int32_t value;
    bool any = false;
    link->told = false;
    while (next_event(link, ZMQ_DONTWAIT, &event, &value)) {
        if (link->listens && event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            se_guard_refuse(link->options.guard, SE_GUARD_FORGED, NULL, NULL);
        else if (link->listens)
            server_event(link, event, value);
        else
            edge_event(link, event, value);
        any = true;
    }
    return any;
}

/* ---- receiving
 *
 * A question to libzmq that finds nothing costs a system call or two, on the way from a frame to
 * its answer. So nothing is asked again that cannot have changed, and the monitor is not asked in
 * the first turn after a message: its descriptor still tells of what it has to say, and ends the
 * next sleep. */

static void answer_zap(struct link *link)
{
    if (link->zap != NULL)
        se_zap_serve(link->zap);
    link->unanswered = 0;
}

static bool monitor_speaks(struct link *link)
{
    const bool may_wait = link->fed && !link->told;
    link->fed = false;
    if (may_wait)
        return false;
    answer_zap(link);
    return read_monitor(link);
}

static bool more_follows(const zmq_msg_t *message) { return zmq_msg_more(message) != 0; }

/* The rest of a message of more parts than ours have; bounded, though libzmq hands over
 * whole messages only. */
static void skip_rest(struct link *link)
{
    bool more = true;
    for (int i = 0; more && i < PARTS_MAX; i++) {
        zmq_msg_t rest;
        zmq_msg_init(&rest);
        more = zmq_msg_recv(&rest, link->socket, ZMQ_DONTWAIT) >= 0 && more_follows(&rest);
        zmq_msg_close(&rest);
    }
}

/* 0: a message like ours is held, name[] says who sent it. 1: there is none. What is not like
 * ours is dropped. */
static int take_message(struct link *link, unsigned char *name)
{
    for (;;) {
        bool good = true;
        if (link->listens) {
            const int len = zmq_recv(link->socket, name, NAME_B, ZMQ_DONTWAIT);
            if (len < 0)
                return 1;
            good = len == NAME_B && name[0] == 0;
        }
        zmq_msg_init(&link->held);
        if (zmq_msg_recv(&link->held, link->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&link->held);
            return 1;
        }
        if (more_follows(&link->held)) {
            skip_rest(link);
            good = false;
        }
        const size_t len = zmq_msg_size(&link->held);
        if (good && len > 0 && len <= link->options.frame_max_b)
            return 0;
        zmq_msg_close(&link->held);
    }
}

static struct se_frame *frame_for(struct link *link)
{
    struct se_frame *frame = link->spare;
    link->spare = NULL;
    return frame != NULL ? frame : se_frame_get(link->options.frames);
}

static int hand_out(struct link *link, struct se_frame **out)
{
    struct se_frame *frame = frame_for(link);
    link->dry = frame == NULL;
    link->holds = link->dry;
    link->fed = true;
    if (link->dry)
        return SE_LINK_DRY;
    frame->len_b = (uint32_t)zmq_msg_size(&link->held);
    memcpy(frame->data, zmq_msg_data(&link->held), frame->len_b);
    zmq_msg_close(&link->held);
    *out = frame;
    return 0;
}

/* What the answer to libzmq's question about the sender was. */
static bool read_key(struct link *s, struct se_key *key)
{
    const char *text = zmq_msg_gets(&s->held, "User-Id");
    return text != NULL && se_key_parse(key, text, strlen(text)) == 0;
}

/* A seat for the sender of the held message, bound to the descriptor it came by. */
static uint32_t welcome(struct link *s, const unsigned char *name)
{
    read_monitor(s);
    const uint32_t at = s->closed ? NONE : seat(s, name);
    if (at == NONE)
        return NONE;
    if (s->zap != NULL && !read_key(s, &s->slot[at].key)) {
        unseat(s, at);
        return NONE;
    }
    const int number = zmq_msg_get(&s->held, ZMQ_SRCFD);
    struct fd *fd = fd_at(s, number);
    if (fd == NULL)
        return at;
    if (fd->bound != 0)
        see_off(s, fd->bound - 1);
    if (fd->open) {
        fd->bound = at + 1;
        s->slot[at].fd = number;
    } else {
        see_off(s, at);
    }
    return at;
}

/* The held message, or what has to be said before it. AGAIN: it was for nobody. */
static int server_message(struct link *s, const unsigned char *name, se_link_peer *peer,
                          struct se_frame **out)
{
    uint32_t at = find_name(s, name);
    const bool known = at != NONE;
    if (!known)
        at = welcome(s, name);
    if (at == NONE || s->slot[at].muted) {
        zmq_msg_close(&s->held);
        return SE_LINK_AGAIN;
    }
    s->held_from = at;
    *peer = handle(s, at);
    if (known)
        return hand_out(s, out);
    s->holds = true;
    return SE_LINK_JOINED;
}

static int nothing_left(struct link *link)
{
    link->empty = true;
    return link->closed ? SE_LINK_CLOSED : SE_LINK_AGAIN;
}

static int server_recv(struct link *s, se_link_peer *peer, struct se_frame **out)
{
    unsigned char name[NAME_B];
    if (s->zap != NULL &&
        ++s->unanswered >= ZAP_EVERY) /* newcomers wait, however busy the others */
        answer_zap(s);
    for (bool heard = false;; heard = true) {
        while (take_message(s, name) == 0) {
            const int r = server_message(s, name, peer, out);
            if (r != SE_LINK_AGAIN)
                return r;
        }
        if (!heard && monitor_speaks(s))
            continue;
        /* Only who was seen off before the last look for messages has none left. */
        while (s->going != NONE) {
            const uint32_t at = s->going;
            s->going = s->slot[at].next;
            const bool muted = s->slot[at].muted;
            *peer = handle(s, at);
            unseat(s, at);
            if (!muted)
                return SE_LINK_GONE;
        }
        return nothing_left(s);
    }
}

static int edge_recv(struct link *e, se_link_peer *peer, struct se_frame **out)
{
    *peer = SE_LINK_SERVER;
    try_again(e);
    for (bool heard = false;; heard = true) {
        const bool got = take_message(e, NULL) == 0;
        if (got && !e->joined)
            read_monitor(e);
        if (!e->joined && e->up) {
            e->joined = true;
            e->cut = false;
            e->holds = got;
            return SE_LINK_JOINED;
        }
        if (got)
            return hand_out(e, out);
        if (!heard && monitor_speaks(e))
            continue;
        if (e->joined && e->cut) {
            e->joined = e->cut = false;
            return SE_LINK_GONE;
        }
        return nothing_left(e);
    }
}

static int link_recv(struct se_link *base, se_link_peer *peer, struct se_frame **out)
{
    struct link *link = (struct link *)base;
    link->empty = false;
    if (link->holds && link->listens && find_peer(link, handle(link, link->held_from)) == NONE) {
        zmq_msg_close(&link->held); /* dropped since */
        link->holds = false;
    }
    if (link->holds) {
        *peer = link->listens ? handle(link, link->held_from) : SE_LINK_SERVER;
        return hand_out(link, out);
    }
    if (link->socket == NULL)
        return SE_LINK_CLOSED;
    return link->listens ? server_recv(link, peer, out) : edge_recv(link, peer, out);
}

/* ---- sending */

/* Asking for the events makes libzmq look at what its I/O thread has told it; a plain send does
 * that only now and then, and so may believe for a while that there is no room. */
static uint32_t events_of(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? (uint32_t)events : 0;
}

static int send_part(void *socket, const void *data, size_t len, int flags)
{
    int r = zmq_send(socket, data, len, flags | ZMQ_DONTWAIT);
    if (r < 0 && errno == EAGAIN) {
        events_of(socket);
        r = zmq_send(socket, data, len, flags | ZMQ_DONTWAIT);
    }
    return r < 0 ? -errno : 0;
}

static int server_send(struct link *s, se_link_peer peer, const struct se_frame *frame)
{
    const uint32_t at = find_peer(s, peer);
    if (at == NONE || s->slot[at].seat != SEATED)
        return SE_LINK_GONE;
    int r = send_part(s->socket, s->slot[at].name, NAME_B, ZMQ_SNDMORE);
    if (r == -EHOSTUNREACH)
        return SE_LINK_GONE;
    if (r == -EAGAIN)
        return SE_LINK_AGAIN;
    if (r == 0)
        r = send_part(s->socket, frame->data, frame->len_b, 0);
    return r;
}

static int edge_send(struct link *e, const struct se_frame *frame)
{
    if (!e->up)
        return SE_LINK_GONE;
    const int r = send_part(e->socket, frame->data, frame->len_b, 0);
    if (r != -EAGAIN)
        return r;
    read_monitor(e);
    return e->up ? SE_LINK_AGAIN : SE_LINK_GONE;
}

static int link_send(struct se_link *base, se_link_peer peer, struct se_frame *frame)
{
    struct link *link = (struct link *)base;
    if (link->closed)
        return SE_LINK_CLOSED;
    link->empty = false;
    const int r = link->listens ? server_send(link, peer, frame) : edge_send(link, frame);
    if (r == 0)
        se_frame_put(frame); /* libzmq has a copy */
    else if (r < 0)
        return se_fail(r, "'%s': cannot send: %s", link->url, zmq_strerror(-r));
    return r;
}

static bool link_drop(struct se_link *base, se_link_peer peer)
{
    struct link *s = (struct link *)base;
    const uint32_t at = s->listens ? find_peer(s, peer) : NONE;
    if (at != NONE)
        s->slot[at].muted = true;
    return at != NONE;
}

/* ---- waiting */

static int fd_of(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);
    return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

/* Then only a frame that is put helps. */
static bool is_dry(struct link *link)
{
    if (!link->holds || !link->dry)
        return false;
    if (link->spare == NULL)
        link->spare = se_frame_get(link->options.frames);
    return link->spare == NULL;
}

/* Whether recv has something to do, whatever libzmq says. */
static bool has_work(const struct link *link)
{
    return link->holds || (link->listens && link->going != NONE) || link->cut ||
           (link->up && !link->joined) ||
           (link->again_ns != 0 && !link->closed && se_clock_ns() >= link->again_ns);
}

static void no_later_than(struct se_link_sleep *sleep, uint64_t then_ns)
{
    const uint64_t now_ns = se_clock_ns(), left = then_ns > now_ns ? then_ns - now_ns : 0;
    sleep->ns = left < sleep->ns ? left : sleep->ns;
}

static bool has_news(struct link *link)
{
    link->told = (events_of(link->monitor) & ZMQ_POLLIN) != 0;
    link->empty = !link->told && (events_of(link->socket) & ZMQ_POLLIN) == 0;
    return !link->empty;
}

static bool link_ready(struct se_link *base)
{
    struct link *link = (struct link *)base;
    if (link->socket == NULL || is_dry(link))
        return false;
    answer_zap(link);
    return has_work(link) || has_news(link);
}

/* The descriptors of libzmq tell of changes, not of states: after a look that found nothing, and
 * only then, they can be slept on. */
static bool link_arm(struct se_link *base, struct se_link_sleep *sleep)
{
    struct link *link = (struct link *)base;
    if (link->socket == NULL || is_dry(link))
        return false;
    answer_zap(link); /* before the look: what it lets in may be there at once */
    if (has_work(link) || (!link->empty && has_news(link)))
        return true;
    if (link->zap != NULL)
        se_link_watch(sleep, se_zap_fd(link->zap));
    if (link->again_ns != 0 && !link->closed)
        no_later_than(sleep, link->again_ns);
    se_link_watch(sleep, fd_of(link->socket));
    se_link_watch(sleep, fd_of(link->monitor));
    return false;
}

/* ---- the end */

static void link_close(struct se_link *base) { ((struct link *)base)->closed = true; }

/* Ends the sockets; what was sent may take linger_ms to leave. Closing does not wait, but
 * the last thing that the socket's monitor says is that the socket is gone: its connections
 * have sent everything or given up, its port and its path are free. Only then may the
 * monitor's reader go, because libzmq would wait for somebody to tell it to. */
static void hang_up(struct link *link, int linger_ms)
{
    uint16_t event = 0;
    int32_t value;
    if (link->holds)
        zmq_msg_close(&link->held);
    link->holds = false;
    if (link->socket != NULL) {
        zmq_setsockopt(link->socket, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
        zmq_close(link->socket);
        se_zap_close(link->zap); /* its connections end only when this end has */
        link->zap = NULL;
        while (link->monitored && event != ZMQ_EVENT_MONITOR_STOPPED &&
               (next_event(link, 0, &event, &value) || errno == EINTR))
            continue;
    }
    if (link->monitor != NULL)
        zmq_close(link->monitor);
    if (link->context != NULL)
        context_put(link->context, link->listens);
    link->socket = link->monitor = link->context = NULL;
}

/* libzmq leaves the files of its sockets where they are. They go while the socket still listens:
 * so long nobody else takes the path, see se_path_clear(). */
static void remove_files(const struct link *link)
{
    char path[URLS_B];
    if (!link->listens || link->socket == NULL)
        return;
    for (const char *url = link->url; *url != 0; url += strspn(url, ",")) {
        const size_t len = strcspn(url, ",");
        if (strncmp(url, ipc, sizeof(ipc) - 1) == 0 && url[sizeof(ipc) - 1] == '/') {
            snprintf(path, sizeof(path), "%.*s", (int)(len - (sizeof(ipc) - 1)),
                     url + sizeof(ipc) - 1);
            unlink(path);
        }
        url += len;
    }
}

static int link_drain(struct se_link *base, uint64_t ns)
{
    struct link *link = (struct link *)base;
    const uint64_t end = se_clock_ns() + ns, ms = ns / 1000000;
    remove_files(link);
    hang_up(link, ms < 1000000 ? (int)ms : 1000000);
    return se_clock_ns() < end ? 0 : SE_LINK_AGAIN;
}

static void link_fini(struct se_link *base)
{
    struct link *link = (struct link *)base;
    remove_files(link);
    hang_up(link, 0);
    se_link_base_fini(&link->link);
    se_frame_put(link->spare);
    se_mem_free(link->slot);
    se_mem_free(link->bucket);
    se_mem_free(link->fd);
    se_mem_free(link);
}

/* The host of a URL that check_address() let through, without brackets. */
static void host_of(const char *url, char *host, size_t size_b)
{
    const char *begin = url + sizeof(tcp) - 1, *end = strrchr(begin, ':');
    const bool bracket = *begin == '[';
    snprintf(host, size_b, "%.*s", (int)(end - begin) - (bracket ? 2 : 0), begin + bracket);
}

/* libzmq looks names up by itself, and goes on in silence when it finds nothing. */
static bool link_refused(const struct se_link *base)
{
    return ((const struct link *)base)->refused;
}

static const char *link_trouble(struct se_link *base)
{
    struct link *e = (struct link *)base;
    struct addrinfo *found = NULL;
    char host[URLS_B];
    if (e->refusal[0] != 0)
        return e->refusal;
    if (e->cut_short >= CUT_SHORT_MANY) {
        snprintf(
            e->trouble, sizeof(e->trouble),
            "'%s': each connection ends as it begins: does the server let in only who has a key?",
            e->url);
        return e->trouble;
    }
    if (strncmp(e->url, tcp, sizeof(tcp) - 1) != 0)
        return NULL;
    host_of(e->url, host, sizeof(host));
    const int r = getaddrinfo(host, NULL, NULL, &found);
    if (r == 0) {
        freeaddrinfo(found);
        return NULL;
    }
    snprintf(e->trouble, sizeof(e->trouble), "'%s' is no host that this machine knows: %s", host,
             gai_strerror(r));
    return e->trouble;
}

static const struct se_key *link_key(const struct se_link *base, se_link_peer peer)
{
    const struct link *s = (const struct link *)base;
    const uint32_t at = s->zap != NULL ? find_peer(s, peer) : NONE;
    return at == NONE ? NULL : &s->slot[at].key;
}

static const char *link_url(const struct se_link *base) { return ((const struct link *)base)->url; }

/* ---- the beginning */

static int ms_of(uint64_t ns)
{
    const uint64_t ms = (ns + 999999) / 1000000;
    return ms < 1 ? 1 : ms > 3600000 ? 3600000 : (int)ms;
}

static int set_options(struct link *link)
{
    const struct se_link_options *o = &link->options;
    const struct {
        int name, value;
    } rows[] = {
        { ZMQ_LINGER, 0 },
        { ZMQ_IPV6, 1 },
        { ZMQ_SNDHWM, (int)o->queue_frames },
        { ZMQ_RCVHWM, (int)o->queue_frames },
        { ZMQ_HEARTBEAT_IVL, ms_of(o->heartbeat_ns) },
        { ZMQ_HEARTBEAT_TIMEOUT, ms_of(o->silence_ns) },
        { ZMQ_HANDSHAKE_IVL, ms_of(o->silence_ns) },
        { link->listens ? ZMQ_ROUTER_MANDATORY : ZMQ_IMMEDIATE, 1 },
        { ZMQ_RECONNECT_IVL, ms_of(o->retry_ns) },
        { ZMQ_RECONNECT_IVL_MAX, ms_of(o->retry_max_ns) },
    };
    const int64_t longest = o->frame_max_b + (o->guard != NULL ? CURVE_B : 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (zmq_setsockopt(link->socket, rows[i].name, &rows[i].value, sizeof(int)) < 0)
            return -errno;
    }
    return zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &longest, sizeof(longest)) < 0 ? -errno : 0;
}

static bool set_bytes(struct link *link, int name, const void *value, size_t len)
{
    return zmq_setsockopt(link->socket, name, value, len) == 0;
}

/* libzmq lets everybody in while nobody is there to be asked: so the one who answers comes before
 * the socket listens, and whoever has no answer with his messages gets no seat: see welcome(). */
static int set_server_keys(struct link *s)
{
    const struct se_guard *guard = s->options.guard;
    const int on = 1;
    if (!set_bytes(s, ZMQ_CURVE_SERVER, &on, sizeof(on)) ||
        !set_bytes(s, ZMQ_CURVE_SECRETKEY, guard->own.curve_secret, SE_KEY_B) ||
        !set_bytes(s, ZMQ_ZAP_DOMAIN, se_zap_domain, strlen(se_zap_domain)))
        return -errno;
    return se_zap_open(&s->zap, s->context, s->options.guard);
}

static int set_edge_keys(struct link *e)
{
    const struct se_guard *guard = e->options.guard;
    struct se_key server;
    if (se_key_curve(&server, &guard->server) < 0)
        return -EINVAL;
    const bool good = set_bytes(e, ZMQ_CURVE_SERVERKEY, server.b, SE_KEY_B) &&
                      set_bytes(e, ZMQ_CURVE_PUBLICKEY, guard->own.curve_open.b, SE_KEY_B) &&
                      set_bytes(e, ZMQ_CURVE_SECRETKEY, guard->own.curve_secret, SE_KEY_B);
    return good ? 0 : -errno;
}

static int set_keys(struct link *link)
{
    if (link->options.guard == NULL)
        return 0;
    return link->listens ? set_server_keys(link) : set_edge_keys(link);
}

/* The reader comes first: what the monitor has to say waits for one. */
static int start_monitor(struct link *link)
{
    /* relaxed: the numbers only have to differ. */
    static _Atomic uint64_t last;
    const uint64_t number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed);
    int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_MONITOR_STOPPED |
                 (link->listens ? ZMQ_EVENT_ACCEPTED : ZMQ_EVENT_HANDSHAKE_SUCCEEDED | FAILURES);
    if (link->listens && link->options.guard != NULL) /* no key, or another server is meant */
        events |= ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
    const int room = EVENTS_MAX;
    char url[64];
    snprintf(url, sizeof(url), "inproc://monitor-%llu", (unsigned long long)number);
    link->monitor = zmq_socket(link->context, ZMQ_PAIR);
    if (link->monitor == NULL ||
        zmq_setsockopt(link->monitor, ZMQ_RCVHWM, &room, sizeof(room)) < 0 ||
        zmq_connect(link->monitor, url) < 0 || zmq_socket_monitor(link->socket, url, events) < 0)
        return -errno;
    link->monitored = true;
    return 0;
}

static int new_seats(struct link *s)
{
    uint32_t n = 1;
    while (n < s->options.peers_max)
        n *= 2;
    s->slot = se_mem_zero(s->options.peers_max, sizeof(*s->slot));
    s->bucket = se_mem_new(n, sizeof(*s->bucket));
    if (s->slot == NULL || s->bucket == NULL)
        return -ENOMEM;
    memset(s->bucket, 0xff, n * sizeof(*s->bucket)); /* NONE */
    s->bucket_mask = n - 1;
    return 0;
}

static int link_new(struct link **out, const char *url, const struct se_link_options *options,
                    bool listens)
{
    if (options->guard != NULL && zmq_has("curve") == 0)
        return se_fail(-ENOTSUP, "'%s': the libzmq of this machine has no CURVE, which keys need",
                       url);
    struct link *link = se_mem_zero(1, sizeof(*link));
    if (link == NULL)
        return se_trace(-ENOMEM);
    int r = se_link_base_init(&link->link, &se_zmq_ops, options);
    link->options = *options;
    link->listens = listens;
    link->free = link->going = link->last_going = NONE;
    if (r == 0 && listens)
        r = new_seats(link);
    if (r == 0 && (link->context = context_get(listens)) == NULL)
        r = -errno;
    if (r == 0 &&
        (link->socket = zmq_socket(link->context, listens ? ZMQ_ROUTER : ZMQ_DEALER)) == NULL)
        r = -errno;
    if (r == 0)
        r = set_options(link);
    if (r == 0)
        r = set_keys(link);
    if (r == 0)
        r = start_monitor(link);
    if (r < 0) {
        link_fini(&link->link);
        return se_fail(r, "'%s': cannot make a socket: %s", url, zmq_strerror(-r));
    }
    *out = link;
    return 0;
}

/* libzmq looks at a URL to connect to much later, where nobody hears of it. */
static int check_address(const char *url, bool listens)
{
    const unsigned long lowest = listens ? 0 : 1;
    const char *port = strrchr(url, ':') + 1; /* there is one in "tcp:" */
    char *end;
    if (strncmp(url, tcp, sizeof(tcp) - 1) != 0 || (listens && strcmp(port, "*") == 0))
        return 0;
    const unsigned long number = strtoul(port, &end, 10);
    const bool good =
        *port >= '0' && *port <= '9' && *end == 0 && number >= lowest && number <= 65535;
    if (!good)
        return se_fail(-EINVAL, "'%s' does not end in a port, %lu to 65535", url, lowest);
    return port - url > (ptrdiff_t)sizeof(tcp)
               ? 0
               : se_fail(-EINVAL, "'%s' names no host: tcp://HOST:PORT", url);
}

/* "tcp://[::ffff:127.0.0.1]:7077", as a socket for both protocols calls an address of the older
 * one, as people write it. */
static void shorten(char *url)
{
    static const char mapped[] = "tcp://[::ffff:";
    char *address = url + sizeof(mapped) - 1, *end;
    if (strncmp(url, mapped, sizeof(mapped) - 1) != 0 || (end = strchr(address, ']')) == NULL)
        return;
    memmove(end, end + 1, strlen(end)); /* the port */
    memmove(url + sizeof(tcp) - 1, address, strlen(address) + 1);
}

static int bind_one(struct se_link *link, const char *url)
{
    struct link *s = (struct link *)link;
    char real[URLS_B];
    size_t size = sizeof(real);
    int r = check_address(url, true);
    if (r < 0)
        return r;
    /* libzmq takes the place of any file, also where somebody listens. */
    if (strncmp(url, ipc, sizeof(ipc) - 1) == 0 && url[sizeof(ipc) - 1] == '/')
        r = se_path_clear(url + sizeof(ipc) - 1, SOCK_STREAM);
    if (r < 0)
        return se_fail(r, "cannot listen on '%s': %s", url, se_path_error(r));
    if (zmq_bind(s->socket, url) < 0)
        r = -errno;
    if (r == 0 && zmq_getsockopt(s->socket, ZMQ_LAST_ENDPOINT, real, &size) < 0)
        r = -errno;
    if (r < 0)
        return se_fail(r, "cannot listen on '%s': %s", url, zmq_strerror(-r));
    shorten(real);
    const size_t at = strlen(s->url);
    snprintf(s->url + at, sizeof(s->url) - at, "%s%s", at ? "," : "", real);
    return 0;
}

static int link_listen(struct se_link **out, const char *urls,
                       const struct se_link_options *options)
{
    struct link *s = NULL;
    int r = link_new(&s, urls, options, true);
    if (r < 0)
        return r;
    return se_link_open_each(out, &s->link, urls, bind_one);
}

static int link_connect(struct se_link **out, const char *url,
                        const struct se_link_options *options)
{
    struct link *e = NULL;
    int r = check_address(url, false);
    if (r == 0)
        r = link_new(&e, url, options, false);
    if (r < 0)
        return r;
    if (zmq_connect(e->socket, url) < 0) {
        r = -errno;
        link_fini(&e->link);
        return se_fail(r, "cannot connect to '%s': %s", url, zmq_strerror(-r));
    }
    snprintf(e->url, sizeof(e->url), "%s", url);
    *out = &e->link;
    return 0;
}

const struct se_link_ops se_zmq_ops = {
    .name = "zmq",
    .listen = link_listen,
    .connect = link_connect,
    .send = link_send,
    .recv = link_recv,
    .ready = link_ready,
    .arm = link_arm,
    .drop = link_drop,
    .close = link_close,
    .drain = link_drain,
    .fini = link_fini,
    .url = link_url,
    .trouble = link_trouble,
    .refused = link_refused,
    .key = link_key,
};

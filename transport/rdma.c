/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, credits, and who is there.
 *
 *   edge                                                       server
 *   connect: hello ────────── connection manager ──────────►  request: hello, a seat
 *   JOINED ◄─────────────────  accept: hello ◄──────────────  JOINED, or when a frame comes first
 *   pieces, credits ═════════════ queue pairs ══════════════  pieces, credits
 *   GONE ◄──────────────── disconnected, or silence ────────► GONE
 *
 * A frame goes in pieces that fit the other end's chunks; most frames are one. Each piece takes
 * one chunk there, and the receive queue must never be empty when it comes, or the device would
 * turn it away and try again after a pause (receiver not ready). So a piece costs a credit, and
 * the other end gives it back when it has posted the chunk again: in the word of whatever it sends
 * next, or, when it owes more than half or was asked, in a message without bytes.
 *
 * Such a message costs a credit too. The last one is kept for it, and only for the kind that gives
 * back more than half: by the time when the next of them is due, something that was sent after the
 * first has come, and gave its credit back. With questions, answers or frames allowed to take it,
 * two ends that fill each other's chunks at once could both be left with none.
 *
 * A server's chunks are shared. Each peer has BASE of them for certain, also the last of
 * peers_max; early ones have some of what is there beyond that. A frame of more pieces than all
 * credits of a peer goes out bit by bit; of others send() takes only what can leave at once.
 *
 * The word: a frame ends, there are bytes, credits are wanted, credits. Hello: a name with a version, and the size and
 * the number of the chunks that the other end may fill. */
#include "transport/rdma.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/dma.h"
#include "transport/rdma_url.h"
#include "transport/verbs.h"

enum {
    DOORS_MAX = 8,
    GEARS_MAX = 4,
    URLS_B = 1024,
    TROUBLE_B = 512,
    LOOK_EVERY = 64,
    BACKLOG = 128
};
enum { SERVER_IN_B = 1024, SERVER_MORE = 2048, SERVER_OUT_B = 4096, SERVER_OUT = 256 };
enum { SERVER_DEPTH = 32, SERVER_SENDS = 8192, EDGE_DEPTH = 72 };
enum { EDGE_IN_B = 8192, EDGE_IN = 32, EDGE_OUT_B = 1024, EDGE_OUT = 72 };
enum { BASE = 3, MORE_MAX = 64, SHARE = 32 };
enum { HELLO_B = 16, CHUNK_LEAST_B = 64, WINDOW_MOST = 4096, RESOLVE_MS = 2000 };
#define LOOK_NS 100000u
#define NONE UINT32_MAX
#define WORD_LAST (UINT32_C(1) << 31)
#define WORD_BYTES (UINT32_C(1) << 30)
#define WORD_WANTS (UINT32_C(1) << 29)
#define WORD_CREDITS UINT32_C(0xffff)
static const unsigned char greeting[8] = { 's', 'e', '-', 'r', 'd', 'm', 'a', 1 };
static const char full[] = "full", foreign[] = "foreign";

enum seat {
    FREE,
    ASKED,  /* a connection is being made */
    SEATED, /* it is there */
    GOING   /* it is not any more, and what came by it is told first */
};

struct conn {
    enum seat seat;
    bool known;  /* JOINED was said */
    bool deaf;   /* what it sends is dropped */
    bool untold; /* its end is not told */
    bool in_news;
    uint32_t generation;
    uint32_t next; /* free, or in the news */
    uint32_t next_of_bucket;
    struct rdma_cm_id *id;
    struct se_verbs *gear;
    uint32_t qp_num;
    /* to send */
    uint32_t piece_b, window, credits, room, small_b;
    bool wants;               /* it has asked for what the other end owes */
    struct se_frame *pending; /* at_b of it have left */
    uint32_t at_b;
    /* to receive */
    uint32_t granted, may, owed; /* pieces: at most, still to come, to be given back */
    bool wanted;                 /* the other end asked */
    unsigned char *part;         /* the pieces of a frame whose last has not come */
    uint32_t part_b;
    size_t cap_part;
    bool probed;
    uint64_t heard; /* tick */
};

/* A device, and the chunks that nobody has been granted. */
struct gear {
    struct se_verbs *verbs;
    uint32_t more, users;
    bool dead; /* the device was taken away */
};

struct door {
    struct rdma_cm_id *id; /* NULL: its device is not there */
    struct se_rdma_url url;
};

struct rdma {
    struct se_link link;
    struct se_link_options options;
    char url[URLS_B];
    bool listens, closed, drained, dry, slept;
    struct se_frame *spare;
    struct rdma_event_channel *channel;
    struct gear gear[GEARS_MAX];
    uint32_t n_gears, calls, n_pending;
    uint64_t looked_ns, next_tick_ns, period_ns, tick;
    struct conn *conn; /* an edge has one */
    uint32_t n_conns, max_conns, free, news, last_news, busy;
    uint32_t *bucket, bucket_mask;
    /* server */
    struct door door[DOORS_MAX];
    uint32_t n_doors;
    /* edge */
    struct se_rdma_url to;
    uint64_t next_try_ns, pause_ns;
    char trouble[TROUBLE_B]; /* why the last try failed, "": it did not */
};

/* ---- seats */

static se_link_peer handle(const struct rdma *l, uint32_t at)
{
    return l->listens ? (se_link_peer)l->conn[at].generation << 32 | (at + 1) : SE_LINK_SERVER;
}

/* NONE when there is no such peer, or no longer. */
static uint32_t find_peer(const struct rdma *l, se_link_peer peer)
{
    const uint32_t at = l->listens ? (uint32_t)peer - 1 : 0;
    const bool there = at < l->n_conns && l->conn[at].known && l->conn[at].seat != FREE &&
                       !l->conn[at].deaf && handle(l, at) == peer;
    return there ? at : NONE;
}

static uint64_t tag_of(const struct rdma *l, uint32_t at)
{
    return (uint64_t)(l->conn[at].generation & 0x7ffffff) << 20 | at;
}

static uint32_t *bucket_of(struct rdma *l, uint32_t qp_num)
{
    return &l->bucket[(qp_num * 2654435761u >> 7) & l->bucket_mask];
}

static uint32_t find_qp(struct rdma *l, const struct se_verbs *gear, uint32_t qp_num)
{
    uint32_t at = *bucket_of(l, qp_num);
    while (at != NONE && (l->conn[at].qp_num != qp_num || l->conn[at].gear != gear))
        at = l->conn[at].next_of_bucket;
    return at;
}

static uint32_t seat(struct rdma *l, struct rdma_cm_id *id)
{
    uint32_t at = l->free;
    if (at != NONE)
        l->free = l->conn[at].next;
    else if (l->n_conns < l->max_conns)
        at = l->n_conns++;
    else
        return NONE;
    l->conn[at] = (struct conn){
        .seat = ASKED, .generation = l->conn[at].generation + 1, .id = id, .heard = l->tick
    };
    id->context = (void *)(uintptr_t)(at + 1);
    l->busy++;
    return at;
}

static struct gear *gear_of(struct rdma *l, const struct se_verbs *verbs)
{
    uint32_t i = 0;
    while (i < l->n_gears && l->gear[i].verbs != verbs)
        i++;
    return i < l->n_gears ? &l->gear[i] : NULL;
}

static void drop_pending(struct rdma *l, struct conn *c)
{
    l->n_pending -= c->pending != NULL;
    se_frame_put(c->pending);
    c->pending = NULL;
}

/* Its queue pair goes, and everything that it held is free. */
static void unseat(struct rdma *l, uint32_t at)
{
    struct conn *c = &l->conn[at];
    drop_pending(l, c);
    se_mem_free(c->part);
    if (c->id->qp != NULL) {
        uint32_t *link = bucket_of(l, c->qp_num);
        while (*link != at)
            link = &l->conn[*link].next_of_bucket;
        *link = c->next_of_bucket;
        /* [dma.keep] from here on the device reads nothing of what it sent. */
        rdma_destroy_qp(c->id);
        se_verbs_part(c->gear, tag_of(l, at), (l->listens ? SERVER_DEPTH : EDGE_DEPTH) - c->room);
        gear_of(l, c->gear)->more += c->granted - BASE;
        gear_of(l, c->gear)->users--;
    }
    rdma_destroy_id(c->id);
    c->seat = FREE;
    c->known = false;
    c->id = NULL;
    c->next = l->free;
    l->free = at;
    l->busy--;
}

static void news_append(struct rdma *l, uint32_t at)
{
    if (l->conn[at].in_news)
        return;
    l->conn[at].in_news = true;
    l->conn[at].next = NONE;
    if (l->news == NONE)
        l->news = at;
    else
        l->conn[l->last_news].next = at;
    l->last_news = at;
}

/* The connection is over. What arrived by it is told, then its end, and then it is unseated. */
static void see_off(struct rdma *l, uint32_t at)
{
    struct conn *c = &l->conn[at];
    if (c->seat == FREE || c->seat == GOING)
        return;
    drop_pending(l, c);
    if (c->id->qp != NULL) {
        /* [dma.end] nothing arrives behind this, and what did is found by the next look. */
        struct ibv_qp_attr error = { .qp_state = IBV_QPS_ERR };
        rdma_disconnect(c->id);
        ibv_modify_qp(c->id->qp, &error, IBV_QP_STATE);
    }
    c->seat = GOING;
    news_append(l, at);
}

/* It broke the rules: what it says is not listened to any more. */
static void cut_off(struct rdma *l, uint32_t at)
{
    l->conn[at].deaf = true;
    see_off(l, at);
}

static void be_seated(struct rdma *l, uint32_t at)
{
    if (l->conn[at].seat != ASKED)
        return;
    l->conn[at].seat = SEATED;
    l->conn[at].heard = l->tick;
    news_append(l, at);
}

/* ---- sending */

static uint32_t pieces_of(const struct conn *c, uint32_t len_b)
{
    return (len_b + c->piece_b - 1) / c->piece_b;
}

/* One piece, or with data NULL only credits. There is a credit, and room. */
static int post(struct rdma *l, uint32_t at, const unsigned char *data, uint32_t len_b,
                uint32_t flags, bool wakes)
{
    struct conn *c = &l->conn[at];
    const uint32_t back = c->owed < WORD_CREDITS ? c->owed : WORD_CREDITS;
    const struct se_verbs_message message = { .data = data,
                                              .len_b = len_b,
                                              .word = flags | back,
                                              .tag = tag_of(l, at),
                                              .wakes = wakes,
                                              .small_b = c->small_b };
    const int r = se_verbs_send(c->gear, c->id->qp, &message);
    if (r < 0)
        return r;
    c->owed -= back;
    c->may += back;
    c->credits--;
    c->room--;
    return 0;
}

/* Credits that a frame may use, and requests. */
static uint32_t pieces_now(const struct conn *c)
{
    const uint32_t credits = c->credits > 0 ? c->credits - 1 : 0;
    return credits < c->room ? credits : c->room;
}

/* The next pieces of a frame from *at_b on, as many as can leave. 0 or -errno. */
static int post_frame(struct rdma *l, uint32_t at, const struct se_frame *frame, uint32_t *at_b)
{
    struct conn *c = &l->conn[at];
    while (*at_b < frame->len_b) {
        const uint32_t left = frame->len_b - *at_b;
        const uint32_t len_b = left < c->piece_b ? left : c->piece_b;
        const bool last = len_b == left;
        if (pieces_now(c) == 0 || !se_verbs_has_room(c->gear, 1, len_b <= c->small_b))
            return 0;
        const int r =
            post(l, at, frame->data + *at_b, len_b, WORD_BYTES | (last ? WORD_LAST : 0), last);
        if (r < 0)
            return r;
        *at_b += len_b;
    }
    return 0;
}

/* A message without bytes: the credits that are owed. */
static void say_credits(struct rdma *l, uint32_t at, uint32_t flags)
{
    struct conn *c = &l->conn[at];
    if (c->credits == 0 || c->room == 0 || !se_verbs_has_room(c->gear, 1, true))
        return;
    if (post(l, at, NULL, 0, flags, true) < 0)
        see_off(l, at);
}

/* Credits that are there and too few, and no more will come by themselves. */
static void ask_for_credits(struct rdma *l, uint32_t at)
{
    struct conn *c = &l->conn[at];
    if (c->wants || pieces_now(c) == 0)
        return;
    c->wants = true;
    say_credits(l, at, WORD_WANTS);
}

/* What has waited for a credit or for room. */
static void tend(struct rdma *l, uint32_t at)
{
    struct conn *c = &l->conn[at];
    if (c->seat != SEATED)
        return;
    if (c->pending != NULL) {
        const int r = post_frame(l, at, c->pending, &c->at_b);
        if (r < 0 || c->at_b == c->pending->len_b)
            drop_pending(l, c);
        if (r < 0)
            see_off(l, at);
    }
    const bool wanted = c->wanted && c->owed > 0 && pieces_now(c) > 0;
    if (c->seat == SEATED && (wanted || c->owed > c->granted / 2)) {
        c->wanted = c->wanted && !wanted;
        say_credits(l, at, 0);
    }
}

/* ---- receiving */

static struct se_frame *frame_for(struct rdma *l)
{
    struct se_frame *frame = l->spare ? l->spare : se_frame_get(l->options.frames);
    l->spare = NULL;
    l->dry = frame == NULL;
    return frame;
}

/* True when there is still none; then only a frame that is put helps. */
static bool is_dry(struct rdma *l)
{
    if (l->dry && l->spare == NULL)
        l->spare = se_frame_get(l->options.frames);
    return l->dry && l->spare == NULL;
}

static bool is_by_the_rules(const struct rdma *l, const struct conn *c,
                            const struct se_verbs_done *d)
{
    const bool bytes = (d->word & WORD_BYTES) != 0;
    return c->may > 0 && c->credits + (d->word & WORD_CREDITS) <= c->window &&
           bytes == (d->len_b > 0) && (bytes || !(d->word & WORD_LAST)) &&
           c->part_b + d->len_b <= l->options.frame_max_b;
}

static int add_part(struct conn *c, const struct se_verbs_done *d)
{
    const int r = se_mem_grow(&c->part, &c->cap_part, c->part_b + d->len_b, 1);
    if (r < 0)
        return r;
    memcpy(c->part + c->part_b, d->data, d->len_b);
    c->part_b += d->len_b;
    return 0;
}

static void hand_out(struct conn *c, const struct se_verbs_done *d, struct se_frame *frame)
{
    if (c->part_b > 0)
        memcpy(frame->data, c->part, c->part_b);
    memcpy(frame->data + c->part_b, d->data, d->len_b);
    frame->len_b = c->part_b + d->len_b;
    se_mem_free(c->part);
    c->part = NULL;
    c->part_b = 0;
    c->cap_part = 0;
}

/* What a message has to say. JOINED and DRY: the same again, it is still there. */
static int arrived(struct rdma *l, uint32_t at, const struct se_verbs_done *d, se_link_peer *peer,
                   struct se_frame **out)
{
    struct conn *c = &l->conn[at];
    struct se_frame *frame = NULL;
    if (c->deaf || l->drained) {
        c->credits += d->word & WORD_CREDITS;
        return SE_LINK_AGAIN;
    }
    be_seated(l, at); /* its first words may overtake the news of its coming */
    if (!is_by_the_rules(l, c, d)) {
        cut_off(l, at);
        return SE_LINK_AGAIN;
    }
    const bool last = (d->word & WORD_LAST) != 0;
    *peer = handle(l, at);
    if (last && !c->known) {
        c->known = true;
        return SE_LINK_JOINED;
    }
    if (last && (frame = frame_for(l)) == NULL)
        return SE_LINK_DRY;
    c->credits += d->word & WORD_CREDITS;
    c->wants = c->wants && (d->word & WORD_CREDITS) == 0;
    c->wanted |= (d->word & WORD_WANTS) != 0;
    c->may--;
    c->owed++;
    if (!last) {
        if (d->len_b > 0 && add_part(c, d) < 0)
            cut_off(l, at);
        return SE_LINK_AGAIN;
    }
    hand_out(c, d, frame);
    l->pause_ns = l->options.retry_ns; /* a server that does more than let it in */
    *out = frame;
    return 0;
}

static int look_at(struct rdma *l, struct se_verbs *gear, const struct se_verbs_done *d,
                   se_link_peer *peer, struct se_frame **out)
{
    uint32_t at = d->out ? (uint32_t)(d->tag & 0xfffff) : find_qp(l, gear, d->qp_num);
    const bool there = at < l->n_conns && l->conn[at].seat != FREE && l->conn[at].gear == gear &&
                       (!d->out || tag_of(l, at) == d->tag);
    int r = SE_LINK_AGAIN;
    if (there && !d->ok) {
        if (l->conn[at].seat == SEATED)
            snprintf(l->trouble, sizeof(l->trouble), "the connection was lost: %s%s", d->why,
                     d->out
                         ? "; if only long frames are, compare the MTU of both ends (ibv_devinfo, "
                           "ip link) and of what is between them"
                         : "");
        see_off(l, at);
    } else if (there && !d->out) {
        r = arrived(l, at, d, peer, out);
    }
    if (r == SE_LINK_JOINED || r == SE_LINK_DRY)
        return r;
    se_verbs_pop(gear, there && d->out);
    if (there) {
        l->conn[at].room += d->out;
        l->conn[at].heard = l->tick;
        l->conn[at].probed = false;
        tend(l, at);
    }
    return r;
}

/* An outcome, or AGAIN: nothing is left to look at. */
static int completions(struct rdma *l, se_link_peer *peer, struct se_frame **out)
{
    struct se_verbs_done done;
    for (uint32_t i = 0; i < l->n_gears; i++) {
        while (!l->gear[i].dead && se_verbs_peek(l->gear[i].verbs, &done)) {
            const int r = look_at(l, l->gear[i].verbs, &done, peer, out);
            if (r != SE_LINK_AGAIN)
                return r;
        }
    }
    return SE_LINK_AGAIN;
}

/* Credits and room that have come back, up to the first frame that only recv can tell of. */
static void absorb(struct rdma *l)
{
    struct se_verbs_done d;
    struct se_frame *none;
    se_link_peer peer;
    for (uint32_t i = 0; i < l->n_gears; i++) {
        struct se_verbs *gear = l->gear[i].verbs;
        while (!l->gear[i].dead && se_verbs_peek(gear, &d) &&
               (d.out || !d.ok || !(d.word & WORD_LAST)))
            look_at(l, gear, &d, &peer, &none);
    }
}

static bool has_room(const struct conn *c, uint32_t pieces, bool small)
{
    return c->pending == NULL && pieces_now(c) >= pieces &&
           se_verbs_has_room(c->gear, pieces, small);
}

static int rdma_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct rdma *l = (struct rdma *)link;
    if (l->closed)
        return SE_LINK_CLOSED;
    const uint32_t at = find_peer(l, peer);
    if (at == NONE || l->conn[at].seat != SEATED)
        return SE_LINK_GONE;
    struct conn *c = &l->conn[at];
    const uint32_t need = pieces_of(c, frame->len_b);
    const uint32_t depth = l->listens ? SERVER_DEPTH : EDGE_DEPTH;
    const bool small = frame->len_b <= c->small_b, fits = need < c->window && need <= depth;
    if (!has_room(c, need, small))
        absorb(l);
    if (c->seat != SEATED)
        return SE_LINK_GONE;
    if (c->pending != NULL)
        return SE_LINK_AGAIN;
    if (fits && !has_room(c, need, small)) {
        if (pieces_now(c) < need)
            ask_for_credits(l, at);
        return SE_LINK_AGAIN;
    }
    uint32_t at_b = 0;
    if (post_frame(l, at, frame, &at_b) < 0) {
        see_off(l, at); /* a queue pair that takes nothing is in error */
        return SE_LINK_GONE;
    }
    if (at_b == frame->len_b) {
        se_frame_put(frame);
        return 0;
    }
    c->pending = frame;
    c->at_b = at_b;
    l->n_pending++;
    return 0;
}

static void try_later(struct rdma *e)
{
    const struct se_link_options *o = &e->options;
    e->next_try_ns = se_clock_ns() + e->pause_ns;
    e->pause_ns = e->pause_ns < o->retry_max_ns / 2 ? e->pause_ns * 2 : o->retry_max_ns;
}

/* Who came and who went; the last look for completions was after that. */
static int tell_news(struct rdma *l, se_link_peer *peer)
{
    while (l->news != NONE) {
        const uint32_t at = l->news;
        struct conn *c = &l->conn[at];
        l->news = c->next;
        c->in_news = false;
        *peer = handle(l, at);
        if (c->seat == GOING) {
            const bool told = c->known && !c->untold;
            unseat(l, at);
            if (!l->listens)
                try_later(l);
            if (told)
                return SE_LINK_GONE;
        } else if (!c->known) {
            c->known = true;
            return SE_LINK_JOINED;
        }
    }
    return SE_LINK_AGAIN;
}

/* ---- connecting */

/* What an event says; it is acknowledged before it is acted on, because an id waits for that
 * before it goes. */
struct event {
    enum rdma_cm_event_type type;
    struct rdma_cm_id *id, *door;
    int status;
    unsigned char words[HELLO_B];
    uint32_t n_words;
};

static void write_hello(unsigned char *hello, uint32_t chunk_b, uint32_t n)
{
    memcpy(hello, greeting, sizeof(greeting));
    for (int i = 0; i < 4; i++) {
        hello[8 + i] = (unsigned char)(chunk_b >> 8 * i);
        hello[12 + i] = (unsigned char)(n >> 8 * i);
    }
}

/* False when it is none, or asks for what cannot be. */
static bool read_hello(const struct event *event, uint32_t *chunk_b, uint32_t *n)
{
    *chunk_b = *n = 0;
    for (uint32_t i = 0; i < 4 && event->n_words >= HELLO_B; i++) {
        *chunk_b |= (uint32_t)event->words[8 + i] << 8 * i;
        *n |= (uint32_t)event->words[12 + i] << 8 * i;
    }
    return event->n_words >= HELLO_B && memcmp(event->words, greeting, sizeof(greeting)) == 0 &&
           *chunk_b >= CHUNK_LEAST_B && *chunk_b <= SE_FRAME_MAX && *n >= BASE && *n <= WINDOW_MOST;
}

static int gear_for(struct rdma *l, struct ibv_context *device, struct gear **out)
{
    const uint32_t peers = l->options.peers_max;
    const struct se_verbs_shape server = { .in_b = SERVER_IN_B,
                                           .n_in = peers * BASE + SERVER_MORE,
                                           .n_in_least = peers * BASE,
                                           .out_b = SERVER_OUT_B,
                                           .n_out = SERVER_OUT,
                                           .sends_max = SERVER_SENDS };
    static const struct se_verbs_shape edge = { .in_b = EDGE_IN_B,
                                                .n_in = EDGE_IN,
                                                .n_in_least = EDGE_IN,
                                                .out_b = EDGE_OUT_B,
                                                .n_out = EDGE_OUT,
                                                .sends_max = EDGE_DEPTH };
    for (uint32_t i = 0; i < l->n_gears; i++) {
        *out = &l->gear[i];
        if (se_verbs_device((*out)->verbs) == device)
            return (*out)->dead ? -ENODEV : 0;
    }
    if (l->n_gears == GEARS_MAX)
        return se_fail(-ENOSPC, "'%s': more than %d RDMA devices", l->url, GEARS_MAX);
    struct gear *gear = &l->gear[l->n_gears];
    *gear = (struct gear){ .verbs = NULL };
    const int r = se_verbs_new(&gear->verbs, device, l->listens ? &server : &edge);
    if (r < 0)
        return se_trace(r);
    l->n_gears++;
    gear->more = se_verbs_n_in(gear->verbs) - (l->listens ? peers * BASE : BASE);
    *out = gear;
    return 0;
}

/* A queue pair for a seat, and what its other end may send. */
static int join(struct rdma *l, uint32_t at, struct gear *gear, const struct se_rdma_url *url)
{
    struct conn *c = &l->conn[at];
    const uint32_t depth = l->listens ? SERVER_DEPTH : EDGE_DEPTH;
    uint8_t ack_timeout = (uint8_t)url->ack_timeout;
    if (url->ack_timeout >= 0 && rdma_set_option(c->id, RDMA_OPTION_ID, RDMA_OPTION_ID_ACK_TIMEOUT,
                                                 &ack_timeout, sizeof(ack_timeout)) < 0)
        return -errno;
    const int r = se_verbs_join(gear->verbs, c->id, depth, (uint32_t)url->small_b, &c->small_b);
    if (r < 0)
        return r;
    uint32_t share = l->listens ? gear->more / SHARE : gear->more;
    if (l->listens && share > MORE_MAX)
        share = MORE_MAX;
    gear->more -= share;
    gear->users++;
    c->gear = gear->verbs;
    c->qp_num = c->id->qp->qp_num;
    c->next_of_bucket = *bucket_of(l, c->qp_num);
    *bucket_of(l, c->qp_num) = at;
    c->room = depth;
    c->granted = c->may = BASE + share;
    return 0;
}

/* What the other end can take. */
static void set_window(struct rdma *l, struct conn *c, uint32_t chunk_b, uint32_t n)
{
    const uint32_t out_b = l->listens ? SERVER_OUT_B : EDGE_OUT_B;
    c->piece_b = chunk_b < out_b ? chunk_b : out_b;
    c->window = c->credits = n;
}

static const struct door *door_of(const struct rdma *l, const struct rdma_cm_id *id)
{
    for (uint32_t i = 0; i < l->n_doors; i++) {
        if (l->door[i].id == id)
            return &l->door[i];
    }
    return NULL;
}

static void turn_away(struct rdma_cm_id *id, const char *why, size_t size_b)
{
    rdma_reject(id, why, (uint8_t)size_b);
    rdma_destroy_id(id);
}

/* Somebody asks for a connection. */
static void greet(struct rdma *s, const struct event *event)
{
    const struct door *door = door_of(s, event->door);
    unsigned char hello[HELLO_B];
    uint32_t chunk_b, n;
    struct gear *gear;
    if (s->closed || door == NULL || !read_hello(event, &chunk_b, &n)) {
        turn_away(event->id, foreign, sizeof(foreign));
        return;
    }
    const uint32_t at = seat(s, event->id);
    if (at == NONE || gear_for(s, event->id->verbs, &gear) < 0 ||
        join(s, at, gear, &door->url) < 0) {
        rdma_reject(event->id, full, sizeof(full));
        if (at == NONE)
            rdma_destroy_id(event->id);
        else
            unseat(s, at);
        return;
    }
    struct conn *c = &s->conn[at];
    set_window(s, c, chunk_b, n);
    write_hello(hello, SERVER_IN_B, c->granted);
    struct rdma_conn_param answer = { .private_data = hello,
                                      .private_data_len = HELLO_B,
                                      .rnr_retry_count = (uint8_t)door->url.rnr_retry };
    if (rdma_accept(event->id, &answer) < 0)
        unseat(s, at);
}

/* The edge's connection in its steps: an address of ours and a device, a route, a queue pair. */
static int edge_step(struct rdma *e, const struct event *event)
{
    unsigned char hello[HELLO_B];
    struct gear *gear;
    struct conn *c = &e->conn[0];
    if (event->type == RDMA_CM_EVENT_ADDR_RESOLVED)
        return rdma_resolve_route(c->id, RESOLVE_MS) < 0 ? -errno : 0;
    int r = gear_for(e, c->id->verbs, &gear);
    if (r == 0)
        r = join(e, 0, gear, &e->to);
    if (r < 0)
        return r;
    write_hello(hello, EDGE_IN_B, c->granted);
    struct rdma_conn_param asked = { .private_data = hello,
                                     .private_data_len = HELLO_B,
                                     .retry_count = (uint8_t)e->to.retry,
                                     .rnr_retry_count = (uint8_t)e->to.rnr_retry };
    return rdma_connect(c->id, &asked) < 0 ? -errno : 0;
}

static void edge_fail(struct rdma *e, const char *why)
{
    snprintf(e->trouble, sizeof(e->trouble), "%s", why);
    unseat(e, 0);
    try_later(e);
}

static const char no_answer[] =
    "nobody answers over RDMA there: is the server's device up (rdma link), and UDP port 4791 open "
    "on the way?";

/* What an end before the beginning means, and what helps. */
static const char *why_not(const struct event *event)
{
    enum { NOBODY = 8, BY_SERVER = 28 }; /* reasons of the InfiniBand specification */
    if (event->type == RDMA_CM_EVENT_ADDR_ERROR || event->type == RDMA_CM_EVENT_ROUTE_ERROR)
        return "no RDMA device of this machine has a way there (rdma link; ip route get HOST)";
    if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL)
        return "the RDMA device was taken away";
    if (event->type != RDMA_CM_EVENT_REJECTED)
        return no_answer;
    if (event->status == BY_SERVER && event->n_words >= sizeof(full) &&
        memcmp(event->words, full, sizeof(full)) == 0)
        return "the server has no room for more peers";
    if (event->status == BY_SERVER)
        return "it speaks another version of this link, or something else";
    return event->status == NOBODY ? "no server listens on that port (ss does not list it: rdma "
                                     "resource show cm_id)"
                                   : "it turned the connection down";
}

static void established(struct rdma *l, uint32_t at, const struct event *event)
{
    uint32_t chunk_b, n;
    if (l->listens) {
        be_seated(l, at);
    } else if (!read_hello(event, &chunk_b, &n)) {
        edge_fail(l, "it speaks another version of this link");
    } else {
        set_window(l, &l->conn[at], chunk_b, n);
        be_seated(l, at);
        l->trouble[0] = 0;
    }
}

static void ended(struct rdma *l, uint32_t at, const struct event *event)
{
    if (l->conn[at].seat != ASKED)
        see_off(l, at);
    else if (l->listens)
        unseat(l, at);
    else
        edge_fail(l, why_not(event));
}

/* A device goes, and waits until everything on it has gone. */
static void device_gone(struct rdma *l, const struct event *event)
{
    const uintptr_t number = (uintptr_t)event->id->context;
    for (uint32_t i = 0; i < l->n_gears; i++)
        l->gear[i].dead |= se_verbs_device(l->gear[i].verbs) == event->id->verbs;
    for (uint32_t i = 0; i < l->n_doors && number == 0; i++) {
        if (l->door[i].id == event->id) {
            rdma_destroy_id(event->id);
            l->door[i].id = NULL; /* it is opened again by and by */
        }
    }
    if (number != 0)
        ended(l, (uint32_t)number - 1, event);
}

static void free_dead(struct rdma *l)
{
    for (uint32_t i = l->n_gears; i-- > 0;) {
        if (!l->gear[i].dead || l->gear[i].users > 0)
            continue;
        se_verbs_free(l->gear[i].verbs);
        l->gear[i] = l->gear[--l->n_gears];
    }
}

static void act_on(struct rdma *l, const struct event *event)
{
    const uint32_t at = (uint32_t)(uintptr_t)event->id->context - 1;
    if (event->type == RDMA_CM_EVENT_CONNECT_REQUEST) {
        greet(l, event);
        return;
    }
    if (event->type == RDMA_CM_EVENT_DEVICE_REMOVAL) {
        device_gone(l, event);
        return;
    }
    if (at >= l->n_conns || l->conn[at].id != event->id)
        return;
    switch (event->type) {
    case RDMA_CM_EVENT_ADDR_RESOLVED:
    case RDMA_CM_EVENT_ROUTE_RESOLVED:
        se_err_clear();
        if (edge_step(l, event) < 0)
            edge_fail(l, se_err_text());
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        established(l, at, event);
        break;
    case RDMA_CM_EVENT_TIMEWAIT_EXIT:
        break;
    default:
        ended(l, at, event);
    }
}

/* Everything that the connection manager has to say. True when there was something. */
static bool manager_look(struct rdma *l)
{
    struct rdma_cm_event *raw;
    bool any = false;
    while (l->channel != NULL && rdma_get_cm_event(l->channel, &raw) == 0) {
        struct event event = {
            .type = raw->event, .id = raw->id, .door = raw->listen_id, .status = raw->status
        };
        const uint32_t len = raw->param.conn.private_data_len;
        if ((raw->event == RDMA_CM_EVENT_CONNECT_REQUEST ||
             raw->event == RDMA_CM_EVENT_ESTABLISHED || raw->event == RDMA_CM_EVENT_REJECTED) &&
            raw->param.conn.private_data != NULL) {
            event.n_words = len < HELLO_B ? len : HELLO_B;
            memcpy(event.words, raw->param.conn.private_data, event.n_words);
        }
        rdma_ack_cm_event(raw);
        act_on(l, &event);
        any = true;
    }
    return any;
}

static int open_door(struct rdma *s, struct door *door)
{
    struct rdma_cm_id *id;
    if (rdma_create_id(s->channel, &id, NULL, RDMA_PS_TCP) < 0)
        return -errno;
    if (rdma_bind_addr(id, &door->url.address.any) < 0 || rdma_listen(id, BACKLOG) < 0) {
        const int r = -errno;
        rdma_destroy_id(id);
        return r;
    }
    door->id = id;
    return 0;
}

/* Begins to connect, when it is time. */
static void edge_begin(struct rdma *e)
{
    struct rdma_cm_id *id;
    if (e->closed || e->busy > 0 || se_clock_ns() < e->next_try_ns)
        return;
    if (rdma_create_id(e->channel, &id, NULL, RDMA_PS_TCP) < 0) {
        try_later(e);
        return;
    }
    seat(e, id);
    struct sockaddr *own = e->to.own.any.sa_family != 0 ? &e->to.own.any : NULL;
    if (rdma_resolve_addr(id, own, &e->to.address.any, RESOLVE_MS) < 0)
        edge_fail(e, strerror(errno));
}

/* ---- the clock
 *
 * Time is counted in ticks, so that no frame has to ask for it, and a process that was stopped
 * does not take its own absence for the others' silence. */

static uint64_t ticks_of(const struct rdma *l, uint64_t ns)
{
    return (ns + l->period_ns - 1) / l->period_ns;
}

/* A device that acknowledges is a sign of life, also when the process there has other things to do:
 * a draft model that reads a long prompt. */
static void tick_for(struct rdma *l, uint32_t at)
{
    struct conn *c = &l->conn[at];
    const uint64_t since = l->tick - c->heard;
    const bool silent = since > ticks_of(l, l->options.silence_ns);
    if (c->seat == ASKED && silent && l->listens) {
        unseat(l, at);
    } else if (c->seat == ASKED && silent) {
        edge_fail(l, no_answer);
    } else if (c->seat == SEATED && silent) {
        see_off(l, at);
    } else if (c->seat == SEATED && !c->probed && c->room > 0 &&
               since >= ticks_of(l, l->options.heartbeat_ns) &&
               se_verbs_has_room(c->gear, 1, true)) {
        if (se_verbs_probe(c->gear, c->id->qp, tag_of(l, at)) < 0) {
            see_off(l, at);
            return;
        }
        c->probed = true;
        c->room--;
    }
}

static void tick(struct rdma *l, uint64_t now_ns)
{
    l->next_tick_ns = now_ns + l->period_ns;
    l->tick++;
    for (uint32_t i = 0; i < l->n_conns && l->busy > 0; i++) {
        tend(l, i);
        tick_for(l, i);
    }
    for (uint32_t i = 0; i < l->n_doors && !l->closed; i++) {
        if (l->door[i].id == NULL && open_door(l, &l->door[i]) < 0)
            continue; /* by and by */
    }
}

/* All but completions. True when something may have changed. */
static bool look(struct rdma *l)
{
    const uint64_t now_ns = se_clock_ns();
    bool any = manager_look(l);
    if (l->slept) {
        for (uint32_t i = 0; i < l->n_gears; i++)
            se_verbs_heard(l->gear[i].verbs);
    }
    l->slept = false;
    l->looked_ns = now_ns;
    free_dead(l);
    if (now_ns >= l->next_tick_ns) {
        tick(l, now_ns);
        any = true;
    }
    if (!l->listens)
        edge_begin(l);
    return any;
}

static bool is_due(const struct rdma *l)
{
    return l->slept || l->closed || se_clock_ns() - l->looked_ns >= LOOK_NS;
}

static int rdma_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct rdma *l = (struct rdma *)link;
    if (l->drained)
        return SE_LINK_CLOSED;
    if (++l->calls % LOOK_EVERY == 0)
        look(l);
    for (;;) {
        int r = completions(l, peer, out);
        if (r == SE_LINK_AGAIN)
            r = tell_news(l, peer);
        if (r != SE_LINK_AGAIN)
            return r;
        if (!is_due(l) || !look(l))
            return l->closed ? SE_LINK_CLOSED : SE_LINK_AGAIN;
    }
}

static bool has_work(struct rdma *l)
{
    struct se_verbs_done done;
    for (uint32_t i = 0; i < l->n_gears; i++) {
        if (!l->gear[i].dead && se_verbs_peek(l->gear[i].verbs, &done))
            return true;
    }
    return l->news != NONE;
}

static bool rdma_ready(struct se_link *link)
{
    struct rdma *l = (struct rdma *)link;
    if (l->drained)
        return false;
    if (l->dry)
        return !is_dry(l);
    /* A look now and then also when there is work that nobody does. */
    const bool work = has_work(l);
    return (is_due(l) && look(l)) || work;
}

static void no_later_than(struct se_link_sleep *sleep, uint64_t then_ns)
{
    const uint64_t now_ns = se_clock_ns(), left = then_ns > now_ns ? then_ns - now_ns : 0;
    sleep->ns = left < sleep->ns ? left : sleep->ns;
}

static bool rdma_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    struct rdma *l = (struct rdma *)link;
    if (l->drained)
        return false;
    if (l->dry)
        return !is_dry(l);
    if (l->slept)
        look(l); /* who only waits lets others in all the same */
    for (uint32_t i = 0; i < l->n_gears; i++) {
        if (l->gear[i].dead)
            continue;
        se_verbs_arm(l->gear[i].verbs, l->n_pending > 0);
        se_link_watch(sleep, se_verbs_fd(l->gear[i].verbs));
    }
    l->slept = true;
    /* [dma.arm] the look after the request for an event. */
    if (has_work(l))
        return true;
    se_link_watch(sleep, l->channel->fd);
    if (l->busy > 0)
        no_later_than(sleep, l->next_tick_ns);
    else if (!l->listens && !l->closed)
        no_later_than(sleep, l->next_try_ns);
    return false;
}

static bool rdma_drop(struct se_link *link, se_link_peer peer)
{
    struct rdma *l = (struct rdma *)link;
    const uint32_t at = l->listens ? find_peer(l, peer) : NONE;
    if (at == NONE)
        return false;
    l->conn[at].untold = true;
    cut_off(l, at);
    return true;
}

/* ---- the end */

static void rdma_close(struct se_link *link)
{
    struct rdma *l = (struct rdma *)link;
    l->closed = true;
    for (uint32_t i = 0; i < l->n_doors; i++) {
        if (l->door[i].id != NULL)
            rdma_destroy_id(l->door[i].id);
        l->door[i].id = NULL;
    }
}

static bool is_under_way(const struct rdma *l)
{
    const uint32_t depth = l->listens ? SERVER_DEPTH : EDGE_DEPTH;
    for (uint32_t i = 0; i < l->n_conns; i++) {
        const struct conn *c = &l->conn[i];
        if (c->seat == SEATED && (c->pending != NULL || c->room < depth))
            return true;
    }
    return false;
}

/* What the device has acknowledged lies in the other end's memory. */
static int rdma_drain(struct se_link *link, uint64_t ns)
{
    static const struct timespec pause = { .tv_nsec = 50000 };
    struct rdma *l = (struct rdma *)link;
    const uint64_t end_ns = se_clock_ns() + ns;
    struct se_frame *frame;
    se_link_peer peer;
    l->drained = true;
    for (;;) {
        completions(l, &peer, &frame);
        manager_look(l);
        if (!is_under_way(l))
            return 0;
        if (se_clock_ns() >= end_ns)
            return SE_LINK_AGAIN;
        nanosleep(&pause, NULL);
    }
}

static void rdma_fini(struct se_link *link)
{
    struct rdma *l = (struct rdma *)link;
    rdma_close(link);
    for (uint32_t i = 0; i < l->n_conns; i++) {
        if (l->conn[i].seat == FREE)
            continue;
        rdma_disconnect(l->conn[i].id);
        unseat(l, i);
    }
    for (uint32_t i = 0; i < l->n_gears; i++)
        se_verbs_free(l->gear[i].verbs);
    if (l->channel != NULL)
        rdma_destroy_event_channel(l->channel);
    se_link_base_fini(link);
    se_frame_put(l->spare);
    se_mem_free(l->conn);
    se_mem_free(l->bucket);
    se_mem_free(l);
}

static const char *rdma_url(const struct se_link *link) { return ((const struct rdma *)link)->url; }

static const char *rdma_trouble(struct se_link *link)
{
    const struct rdma *l = (const struct rdma *)link;
    return l->trouble[0] != 0 ? l->trouble : NULL;
}

/* ---- the beginning */

static int new_seats(struct rdma *l)
{
    uint32_t n = 1;
    l->max_conns = l->listens ? l->options.peers_max : 1;
    while (n < l->max_conns)
        n *= 2;
    l->conn = se_mem_zero(l->max_conns, sizeof(*l->conn));
    l->bucket = se_mem_new(n, sizeof(*l->bucket));
    if (l->conn == NULL || l->bucket == NULL)
        return -ENOMEM;
    memset(l->bucket, 0xff, n * sizeof(*l->bucket)); /* NONE */
    l->bucket_mask = n - 1;
    return 0;
}

static int rdma_new(struct rdma **out, const char *url, const struct se_link_options *options,
                    bool listens)
{
    struct rdma *l = se_mem_zero(1, sizeof(*l));
    if (l == NULL)
        return se_trace(-ENOMEM);
    int r = se_link_base_init(&l->link, &se_rdma_ops, options);
    l->options = *options;
    l->listens = listens;
    l->free = l->news = NONE;
    l->pause_ns = options->retry_ns;
    l->period_ns = options->heartbeat_ns / 2 > 1000000 ? options->heartbeat_ns / 2 : 1000000;
    l->next_tick_ns = se_clock_ns() + l->period_ns;
    if (r == 0)
        r = new_seats(l);
    if (r == 0 && (l->channel = rdma_create_event_channel()) == NULL)
        r = -errno;
    if (r == 0 && fcntl(l->channel->fd, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    if (r < 0) {
        rdma_fini(&l->link);
        return se_fail(r, "'%s': cannot make a link: %s", url, strerror(-r));
    }
    *out = l;
    return 0;
}

/* The memory is pinned here, where it can still be said that it cannot be. */
static int prepare_devices(struct rdma *s, struct ibv_context *only)
{
    struct gear *gear;
    int n = 0, r = 0;
    if (only != NULL)
        return gear_for(s, only, &gear);
    struct ibv_context **list = rdma_get_devices(&n);
    if (list == NULL)
        return se_fail(-errno, "the RDMA devices cannot be opened: %s (ls -l /dev/infiniband)",
                       strerror(errno));
    for (int i = 0; r == 0 && i < n && i < GEARS_MAX; i++)
        r = gear_for(s, list[i], &gear);
    rdma_free_devices(list);
    return r;
}

static int listen_at(struct rdma *s, const char *url)
{
    struct door *door = &s->door[s->n_doors];
    if (s->n_doors == DOORS_MAX)
        return se_fail(-EINVAL, "'%s': more than %d URLs", url, DOORS_MAX);
    int r = se_rdma_url_read(&door->url, url, true);
    if (r < 0)
        return r;
    r = open_door(s, door);
    if (r == -ENODEV || r == -EADDRNOTAVAIL)
        return se_fail(
            r, "cannot listen on '%s': no RDMA device has this address (rdma link; ip addr)", url);
    if (r < 0)
        return se_fail(r, "cannot listen on '%s': %s", url, strerror(-r));
    s->n_doors++;
    door->url.port = ntohs(rdma_get_src_port(door->id));
    if (door->url.address.any.sa_family == AF_INET6)
        door->url.address.v6.sin6_port = htons((uint16_t)door->url.port);
    else
        door->url.address.v4.sin_port = htons((uint16_t)door->url.port);
    const size_t at = strlen(s->url);
    if (at > 0 && at + 1 < sizeof(s->url))
        strcat(s->url, ",");
    se_rdma_url_write(&door->url, door->url.port, s->url + strlen(s->url),
                      sizeof(s->url) - strlen(s->url));
    return prepare_devices(s, door->id->verbs);
}

static int rdma_listen_on(struct se_link **out, const char *urls,
                          const struct se_link_options *options)
{
    struct rdma *s = NULL;
    int r = se_rdma_check_devices(urls);
    if (r == 0)
        r = rdma_new(&s, urls, options, true);
    if (r < 0)
        return r;
    char *copy = strdup(urls), *rest = NULL;
    if (copy == NULL)
        r = se_fail(-ENOMEM, "no memory to listen on '%s'", urls);
    for (char *url = copy ? strtok_r(copy, ",", &rest) : NULL; url != NULL && r == 0;
         url = strtok_r(NULL, ",", &rest))
        r = listen_at(s, url);
    free(copy);
    if (r < 0) {
        rdma_fini(&s->link);
        return r;
    }
    *out = &s->link;
    return 0;
}

static int rdma_connect_to(struct se_link **out, const char *url,
                           const struct se_link_options *options)
{
    struct se_rdma_url to;
    struct rdma *e = NULL;
    int r = se_rdma_url_read(&to, url, false);
    if (r == 0)
        r = rdma_new(&e, url, options, false);
    if (r < 0)
        return r;
    e->to = to;
    snprintf(e->url, sizeof(e->url), "%s", url);
    *out = &e->link;
    return 0;
}

const struct se_link_ops se_rdma_ops = {
    .name = "rdma",
    .listen = rdma_listen_on,
    .connect = rdma_connect_to,
    .send = rdma_send,
    .recv = rdma_recv,
    .ready = rdma_ready,
    .arm = rdma_arm,
    .drop = rdma_drop,
    .close = rdma_close,
    .drain = rdma_drain,
    .fini = rdma_fini,
    .url = rdma_url,
    .trouble = rdma_trouble,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A frame goes in pieces that fit the other end's chunks; most frames are one. Each piece takes
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
 * A piece is sent into whichever chunk is next, or an edge writes it into the next of its slots on
 * the server and only the word takes a chunk. There are as many slots as credits.
 *
 * The word: a frame ends, there are bytes, credits are wanted, credits. */
#include <rdma/rdma_cma.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "transport/rdma_inside.h"

#define WORD_LAST (UINT32_C(1) << 31)
#define WORD_BYTES (UINT32_C(1) << 30)
#define WORD_WANTS (UINT32_C(1) << 29)
#define WORD_CREDITS UINT32_C(0xffff)

/* ---- sending */

static uint32_t pieces_of(const struct se_rdma_conn *c, uint32_t len_b)
{
    return (len_b + c->piece_b - 1) / c->piece_b;
}

/* One piece, or with data NULL only credits. There is a credit, and room. The slot that a piece is
 * written to is free: there are not fewer slots than credits, so what lay there last has given its
 * credit back. */
static int post(struct se_rdma *l, uint32_t at, const unsigned char *data, uint32_t len_b,
                uint32_t flags, bool wakes)
{
    struct se_rdma_conn *c = &l->conn[at];
    const uint32_t back = c->owed < WORD_CREDITS ? c->owed : WORD_CREDITS;
    const bool writes = data != NULL && c->slots_at != 0 && c->n_slots > 0;
    const uint64_t slot_at = c->slots_at + (uint64_t)c->slot * c->slot_b;
    const struct se_verbs_message message = { .data = data,
                                              .len_b = len_b,
                                              .word = flags | back,
                                              .slot_at = writes ? slot_at : 0,
                                              .slot_key = c->slot_key,
                                              .tag = se_rdma_seat_tag(l, at),
                                              .wakes = wakes,
                                              .small_b = c->small_b };
    const int r = se_verbs_send(c->gear, c->id->qp, &message);
    if (r < 0)
        return r;
    c->owed -= back;
    c->may += back;
    c->credits--;
    c->room--;
    if (writes)
        c->slot = (c->slot + 1) % c->n_slots;
    return 0;
}

/* Credits that a frame may use, and requests. */
static uint32_t pieces_now(const struct se_rdma_conn *c)
{
    const uint32_t credits = c->credits > 0 ? c->credits - 1 : 0;
    return credits < c->room ? credits : c->room;
}

/* The next pieces of a frame from *at_b on, as many as can leave. 0 or -errno. */
static int post_frame(struct se_rdma *l, uint32_t at, const struct se_frame *frame, uint32_t *at_b)
{
    struct se_rdma_conn *c = &l->conn[at];
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
static void say_credits(struct se_rdma *l, uint32_t at, uint32_t flags)
{
    struct se_rdma_conn *c = &l->conn[at];
    if (c->credits == 0 || c->room == 0 || !se_verbs_has_room(c->gear, 1, true))
        return;
    if (post(l, at, NULL, 0, flags, true) < 0)
        se_rdma_seat_end(l, at);
}

/* Credits that are there and too few, and no more will come by themselves. */
static void ask_for_credits(struct se_rdma *l, uint32_t at)
{
    struct se_rdma_conn *c = &l->conn[at];
    if (c->wants || pieces_now(c) == 0)
        return;
    c->wants = true;
    say_credits(l, at, WORD_WANTS);
}

void se_rdma_flow_tend(struct se_rdma *l, uint32_t at)
{
    struct se_rdma_conn *c = &l->conn[at];
    if (c->seat != SE_RDMA_SEATED)
        return;
    if (c->pending != NULL) {
        const int r = post_frame(l, at, c->pending, &c->at_b);
        if (r < 0 || c->at_b == c->pending->len_b)
            se_rdma_seat_drop_pending(l, c);
        if (r < 0)
            se_rdma_seat_end(l, at);
    }
    const bool wanted = c->wanted && c->owed > 0 && pieces_now(c) > 0;
    if (c->seat == SE_RDMA_SEATED && (wanted || c->owed > c->granted / 2)) {
        c->wanted = c->wanted && !wanted;
        say_credits(l, at, 0);
    }
}

/* ---- receiving */

static struct se_frame *frame_for(struct se_rdma *l)
{
    struct se_frame *frame = l->spare ? l->spare : se_frame_get(l->options.frames);
    l->spare = NULL;
    l->dry = frame == NULL;
    return frame;
}

bool se_rdma_flow_is_dry(struct se_rdma *l)
{
    if (l->dry && l->spare == NULL)
        l->spare = se_frame_get(l->options.frames);
    return l->dry && l->spare == NULL;
}

static bool is_by_the_rules(const struct se_rdma *l, const struct se_rdma_conn *c,
                            const struct se_verbs_done *d)
{
    const bool bytes = (d->word & WORD_BYTES) != 0;
    return c->may > 0 && c->credits + (d->word & WORD_CREDITS) <= c->window &&
           bytes == (d->len_b > 0) && (bytes || !(d->word & WORD_LAST)) &&
           (!d->written || (bytes && l->listens && c->n_slots > 0)) &&
           c->part_b + d->len_b <= l->options.frame_max_b;
}

static int add_part(struct se_rdma_conn *c, const struct se_verbs_done *d,
                    const unsigned char *data)
{
    const int r = se_mem_grow(&c->part, &c->cap_part, c->part_b + d->len_b, 1);
    if (r < 0)
        return r;
    memcpy(c->part + c->part_b, data, d->len_b);
    c->part_b += d->len_b;
    return 0;
}

static void hand_out(struct se_rdma_conn *c, const struct se_verbs_done *d,
                     const unsigned char *data, struct se_frame *frame)
{
    if (c->part_b > 0)
        memcpy(frame->data, c->part, c->part_b);
    memcpy(frame->data + c->part_b, data, d->len_b);
    frame->len_b = c->part_b + d->len_b;
    se_mem_free(c->part);
    c->part = NULL;
    c->part_b = 0;
    c->cap_part = 0;
}

/* A connection's pieces are written one slot after the other, and their words come in that order.
 * [dma.slot] the slot is written again when its credit is back there, which leaves behind the copy
 * that is made of it now. */
static const unsigned char *next_slot(struct se_rdma_conn *c)
{
    const uint32_t slot = c->slot;
    c->slot = (slot + 1) % c->n_slots;
    return se_verbs_slot(c->gear, c->first_slot + slot);
}

/* What a message has to say. JOINED and DRY: the same again, it is still there. */
static int arrived(struct se_rdma *l, uint32_t at, const struct se_verbs_done *d,
                   se_link_peer *peer, struct se_frame **out)
{
    struct se_rdma_conn *c = &l->conn[at];
    struct se_frame *frame = NULL;
    if (c->deaf || l->drained) {
        c->credits += d->word & WORD_CREDITS;
        return SE_LINK_AGAIN;
    }
    se_rdma_seat_fill(l, at); /* its first words may overtake the news of its coming */
    if (!is_by_the_rules(l, c, d)) {
        se_rdma_seat_cut(l, at);
        return SE_LINK_AGAIN;
    }
    const bool last = (d->word & WORD_LAST) != 0;
    *peer = se_rdma_seat_handle(l, at);
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
    const unsigned char *data = d->written ? next_slot(c) : d->data;
    if (!last) {
        if (d->len_b > 0 && add_part(c, d, data) < 0)
            se_rdma_seat_cut(l, at);
        return SE_LINK_AGAIN;
    }
    hand_out(c, d, data, frame);
    l->pause_ns = l->options.retry_ns; /* a server that does more than let it in */
    *out = frame;
    return 0;
}

static int look_at(struct se_rdma *l, struct se_verbs *gear, const struct se_verbs_done *d,
                   se_link_peer *peer, struct se_frame **out)
{
    uint32_t at =
        d->out ? (uint32_t)(d->tag & 0xfffff) : se_rdma_seat_find_pair(l, gear, d->qp_num);
    const bool there = at < l->n_conns && l->conn[at].seat != SE_RDMA_FREE &&
                       l->conn[at].gear == gear && (!d->out || se_rdma_seat_tag(l, at) == d->tag);
    int r = SE_LINK_AGAIN;
    if (there && !d->ok) {
        if (l->conn[at].seat == SE_RDMA_SEATED)
            se_rdma_seat_lost(l, d->why, d->out);
        se_rdma_seat_end(l, at);
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
        se_rdma_flow_tend(l, at);
    }
    return r;
}

int se_rdma_flow_look(struct se_rdma *l, se_link_peer *peer, struct se_frame **out)
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
static void absorb(struct se_rdma *l)
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

static bool has_room(const struct se_rdma_conn *c, uint32_t pieces, bool small)
{
    return c->pending == NULL && pieces_now(c) >= pieces &&
           se_verbs_has_room(c->gear, pieces, small);
}

int se_rdma_flow_send(struct se_rdma *l, uint32_t at, struct se_frame *frame)
{
    struct se_rdma_conn *c = &l->conn[at];
    const uint32_t need = pieces_of(c, frame->len_b);
    const bool small = frame->len_b <= c->small_b, fits = need < c->window && need <= l->depth;
    if (!has_room(c, need, small))
        absorb(l);
    if (c->seat != SE_RDMA_SEATED)
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
        se_rdma_seat_end(l, at); /* a queue pair that takes nothing is in error */
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

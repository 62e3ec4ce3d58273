/* SPDX-License-Identifier: Apache-2.0 */
/* Each peer of the link behind has a seat here, and those that have not proved a key are in a line
 * by the time of their coming: the first of it is the next whose time is up.
 *
 *   JOINED behind ─► OWED ─CHALLENGE─► ASKED ─PROOF─► OWED ─ACCEPT─► IN ─► JOINED
 *                                        └─► OWED ─REFUSE─► REFUSED ─► its time is up
 *
 * One that is refused is not dropped at once: over RDMA the REFUSE would be lost with the
 * connection. It leaves by itself, or is dropped as those that say nothing. OWED: there was no
 * frame for it, or no room; that is tried again with each look. */
#include "transport/proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/pack.h"
#include "transport/proof_words.h"
#include "transport/wire.h"

enum { TURN = 16, SOON_NS = 1000000 };
#define NONE UINT32_MAX

enum state { FREE, ASKED, REFUSED, IN };

struct seat {
    se_link_peer peer;
    enum state state;
    bool owed;               /* what leads to the state is still to be sent */
    struct se_frame *answer; /* that is it; NULL: a CHALLENGE, which has no frame yet */
    struct se_proof_talk talk;
    uint64_t due_ns;
    uint32_t next_of_bucket;
    uint32_t before, behind; /* in line; behind: also in the list of free seats */
};

struct server {
    struct se_link link;
    struct se_link_options options;
    struct se_link *inner;
    bool closed, drained;
    bool dry; /* a CHALLENGE waits for a frame */
    struct se_frame *spare;
    struct seat *seat;
    uint32_t n_seats, free, first, last; /* free seats; the line */
    uint32_t n_owed;
    uint32_t *bucket, mask;
    int held; /* an outcome for recv; AGAIN: there is none */
    se_link_peer held_peer;
    struct se_frame *frame;
};

/* ---- seats */

static uint32_t *bucket_of(const struct server *s, se_link_peer peer)
{
    return &s->bucket[(peer * UINT64_C(0x9e3779b97f4a7c15) >> 40) & s->mask];
}

static uint32_t find(const struct server *s, se_link_peer peer)
{
    uint32_t at = *bucket_of(s, peer);
    while (at != NONE && s->seat[at].peer != peer)
        at = s->seat[at].next_of_bucket;
    return at;
}

/* Of those that are known outside. */
static uint32_t find_in(const struct server *s, se_link_peer peer)
{
    const uint32_t at = find(s, peer);
    const bool told = at != NONE && s->seat[at].state == IN && !s->seat[at].owed &&
                      !(s->held == SE_LINK_JOINED && s->held_peer == peer);
    return told ? at : NONE;
}

static void enqueue(struct server *s, uint32_t at)
{
    s->seat[at].before = s->last;
    s->seat[at].behind = NONE;
    if (s->last == NONE)
        s->first = at;
    else
        s->seat[s->last].behind = at;
    s->last = at;
}

static void dequeue(struct server *s, uint32_t at)
{
    const struct seat *seat = &s->seat[at];
    if (seat->before == NONE)
        s->first = seat->behind;
    else
        s->seat[seat->before].behind = seat->behind;
    if (seat->behind == NONE)
        s->last = seat->before;
    else
        s->seat[seat->behind].before = seat->before;
}

static uint32_t sit_down(struct server *s, se_link_peer peer)
{
    uint32_t at = s->free;
    if (at != NONE)
        s->free = s->seat[at].behind;
    else if (s->n_seats < s->options.peers_max)
        at = s->n_seats++;
    else
        return NONE;
    uint32_t *bucket = bucket_of(s, peer);
    s->seat[at] = (struct seat){ .peer = peer,
                                 .state = ASKED,
                                 .due_ns = se_clock_ns() + s->options.silence_ns,
                                 .next_of_bucket = *bucket };
    *bucket = at;
    enqueue(s, at);
    return at;
}

static void settle(struct server *s, struct seat *seat)
{
    s->n_owed -= seat->owed;
    seat->owed = false;
}

static bool is_in_line(const struct seat *seat) { return seat->state != IN || seat->owed; }

static void stand_up(struct server *s, uint32_t at)
{
    struct seat *seat = &s->seat[at];
    uint32_t *link = bucket_of(s, seat->peer);
    while (*link != at)
        link = &s->seat[*link].next_of_bucket;
    *link = seat->next_of_bucket;
    if (is_in_line(seat))
        dequeue(s, at);
    settle(s, seat);
    se_frame_put(seat->answer);
    seat->answer = NULL;
    seat->state = FREE;
    seat->behind = s->free;
    s->free = at;
}

static void drop(struct server *s, uint32_t at)
{
    s->inner->ops->drop(s->inner, s->seat[at].peer);
    stand_up(s, at);
}

/* ---- what is said to a newcomer */

static struct se_frame *frame_for(struct server *s)
{
    struct se_frame *frame = s->spare ? s->spare : se_frame_get(s->options.frames);
    s->spare = NULL;
    s->dry = frame == NULL;
    return frame;
}

/* Sends what is owed. ACCEPT is followed by JOINED, for which recv must be free. */
static void try_send(struct server *s, uint32_t at)
{
    struct seat *seat = &s->seat[at];
    if (seat->state == IN && s->held != SE_LINK_AGAIN)
        return;
    if (seat->answer == NULL && (seat->answer = frame_for(s)) == NULL)
        return;
    if (seat->answer->len_b == 0 && se_proof_challenge(seat->answer, &seat->talk) < 0) {
        drop(s, at);
        return;
    }
    const int r = s->inner->ops->send(s->inner, seat->peer, seat->answer);
    if (r == SE_LINK_AGAIN)
        return;
    if (r != 0) { /* it is gone, and recv will say so; or this end is closed */
        drop(s, at);
        return;
    }
    seat->answer = NULL;
    if (seat->state == IN) {
        dequeue(s, at);
        s->held = SE_LINK_JOINED;
        s->held_peer = seat->peer;
    }
    settle(s, seat);
}

static void owe(struct server *s, uint32_t at, enum state state, struct se_frame *answer)
{
    struct seat *seat = &s->seat[at];
    seat->state = state;
    seat->answer = answer;
    s->n_owed += !seat->owed;
    seat->owed = true;
    try_send(s, at);
}

static void refuse(struct server *s, uint32_t at, enum se_guard_refusal why, struct se_frame *frame)
{
    se_proof_refuse(frame, why);
    owe(s, at, REFUSED, frame);
}

/* An edge without a key begins as if nobody had asked: it is told in words of its own protocol.
 * Everybody else who says anything but a PROOF gets no answer. */
static void on_nonsense(struct server *s, uint32_t at, struct se_frame *frame)
{
    enum se_wire_type type;
    uint64_t session;
    struct se_wire message = { .type = SE_WIRE_ERROR };
    size_t len_b = 0;
    se_guard_refuse(s->options.guard, SE_GUARD_FORGED, NULL, NULL);
    const int fault = se_wire_peek(frame->data, frame->len_b, &type, &session);
    if (fault != 0 && fault != SE_WIRE_NEWER) {
        se_frame_put(frame);
        drop(s, at);
        return;
    }
    if (frame->len_b >= SE_WIRE_HEADER_B + 8 && (type == SE_WIRE_HELLO || type == SE_WIRE_RESUME))
        message.error.ref = se_pack_get(frame->data + SE_WIRE_HEADER_B, 8);
    message.session = session;
    message.error.code = SE_WIRE_E_DENIED;
    message.error.about = (uint8_t)type;
    se_wire_set_text(&message.error, "this server lets in only who has a key, and none was shown");
    if (se_wire_encode(&message, frame->data, frame->cap_b, &len_b) != 0 ||
        len_b > s->options.frame_max_b) {
        se_frame_put(frame);
        drop(s, at);
        return;
    }
    frame->len_b = (uint32_t)len_b;
    owe(s, at, REFUSED, frame);
}

static enum se_guard_refusal why_not(const struct se_guard *guard, const struct se_key *key)
{
    return se_guard_judge(guard, guard->ring == NULL ? NULL : se_keyring_find(guard->ring, key));
}

/* Whose signature is not right has not the key that it names, so nothing is said of that key. */
static void on_proof(struct server *s, uint32_t at, struct se_frame *frame)
{
    struct se_guard *guard = s->options.guard;
    struct seat *seat = &s->seat[at];
    if (se_proof_word_of(frame) != SE_PROOF_PROOF) {
        on_nonsense(s, at, frame);
        return;
    }
    seat->talk.server = guard->own.open;
    if (!se_proof_proved(frame, &seat->talk)) {
        se_guard_refuse(guard, SE_GUARD_FORGED, NULL, NULL);
        refuse(s, at, SE_GUARD_FORGED, frame);
        return;
    }
    if (se_guard_admit(guard, &seat->talk.edge) == NULL) {
        refuse(s, at, why_not(guard, &seat->talk.edge), frame);
    } else if (se_proof_accept(frame, &seat->talk, &guard->own) < 0) {
        se_frame_put(frame);
        drop(s, at);
    } else {
        owe(s, at, IN, frame);
    }
}

/* ---- what the link behind says */

static void on_joined(struct server *s, se_link_peer peer)
{
    const uint32_t at = sit_down(s, peer);
    if (at == NONE)
        s->inner->ops->drop(s->inner, peer);
    else
        owe(s, at, ASKED, NULL);
}

static void on_gone(struct server *s, se_link_peer peer)
{
    const uint32_t at = find(s, peer);
    if (at == NONE)
        return;
    if (!is_in_line(&s->seat[at])) {
        s->held = SE_LINK_GONE;
        s->held_peer = peer;
    }
    stand_up(s, at);
}

static void on_frame(struct server *s, se_link_peer peer, struct se_frame *frame)
{
    const uint32_t at = find(s, peer);
    if (at != NONE && !is_in_line(&s->seat[at])) {
        s->held = 0;
        s->held_peer = peer;
        s->frame = frame;
    } else if (at != NONE && s->seat[at].state == ASKED && !s->seat[at].owed) {
        on_proof(s, at, frame);
    } else {
        se_frame_put(frame);
        if (at != NONE) /* it does not wait for its turn */
            drop(s, at);
    }
}

/* ---- receiving */

/* Whose time is up, and what could not be sent. */
static void look_at_line(struct server *s)
{
    if (s->first == NONE)
        return;
    const uint64_t now = se_clock_ns();
    while (s->first != NONE && now >= s->seat[s->first].due_ns)
        drop(s, s->first);
    for (uint32_t at = s->n_owed > 0 ? s->first : NONE; at != NONE;) {
        const uint32_t behind = s->seat[at].behind;
        if (s->seat[at].owed)
            try_send(s, at);
        at = behind;
    }
}

/* Until there is something for recv; else what the link behind said last. */
static int pump(struct server *s)
{
    struct se_frame *frame;
    se_link_peer peer;
    s->dry = false;
    look_at_line(s);
    for (int i = 0; i < TURN && s->held == SE_LINK_AGAIN; i++) {
        const int r = s->dry ? SE_LINK_DRY : se_link_recv(s->inner, &peer, &frame);
        if (r == SE_LINK_JOINED)
            on_joined(s, peer);
        else if (r == SE_LINK_GONE)
            on_gone(s, peer);
        else if (r == 0)
            on_frame(s, peer, frame);
        else
            return r;
    }
    return SE_LINK_AGAIN;
}

static int server_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct server *s = (struct server *)link;
    if (s->drained)
        return SE_LINK_CLOSED;
    const int r = s->held == SE_LINK_AGAIN ? pump(s) : SE_LINK_AGAIN, held = s->held;
    if (held == SE_LINK_AGAIN)
        return r;
    *peer = s->held_peer;
    if (held == 0)
        *out = s->frame;
    s->frame = NULL;
    s->held = SE_LINK_AGAIN;
    return held;
}

static int server_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct server *s = (struct server *)link;
    if (s->closed)
        return SE_LINK_CLOSED;
    return find_in(s, peer) == NONE ? SE_LINK_GONE : s->inner->ops->send(s->inner, peer, frame);
}

static const struct se_key *server_key(const struct se_link *link, se_link_peer peer)
{
    const struct server *s = (const struct server *)link;
    const uint32_t at = find(s, peer);
    const bool in = at != NONE && !is_in_line(&s->seat[at]);
    return in ? &s->seat[at].talk.edge : NULL;
}

/* ---- waiting */

/* True when there is still none; then only a frame that is put helps. */
static bool is_dry(struct server *s)
{
    if (s->dry && s->spare == NULL)
        s->spare = se_frame_get(s->options.frames);
    return s->dry && s->spare == NULL;
}

static bool clock_calls(const struct server *s)
{
    return s->n_owed > 0 || (s->first != NONE && se_clock_ns() >= s->seat[s->first].due_ns);
}

/* At most ns, and no longer than until there is something to do. */
static uint64_t limit(const struct server *s, uint64_t ns)
{
    if (s->n_owed > 0)
        return ns < SOON_NS ? ns : SOON_NS;
    if (s->first == NONE)
        return ns;
    const uint64_t now = se_clock_ns(), then = s->seat[s->first].due_ns;
    const uint64_t left = then > now ? then - now : 0;
    return left < ns ? left : ns;
}

/* Who only waits lets others in all the same. */
static bool has_something(struct server *s)
{
    return s->held != SE_LINK_AGAIN || pump(s) < 0 || s->held != SE_LINK_AGAIN;
}

static bool server_ready(struct se_link *link)
{
    struct server *s = (struct server *)link;
    if (s->drained)
        return false;
    if (s->held != SE_LINK_AGAIN)
        return true;
    if (s->dry)
        return !is_dry(s);
    /* Without arm it may have heard a wake, which nobody else hears of any more. */
    return (clock_calls(s) || s->inner->ops->ready(s->inner)) &&
           (has_something(s) || s->inner->ops->arm == NULL);
}

static bool server_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    struct server *s = (struct server *)link;
    if (s->drained)
        return false;
    if (has_something(s))
        return true;
    if (s->dry)
        return !is_dry(s);
    sleep->ns = limit(s, sleep->ns);
    return s->inner->ops->arm(s->inner, sleep);
}

static int server_wait(struct se_link *link, uint64_t ns)
{
    struct server *s = (struct server *)link;
    if (!s->drained && has_something(s))
        return 0;
    const uint64_t first = limit(s, ns);
    const int r = s->inner->ops->wait(s->inner, first);
    return r == SE_LINK_AGAIN && first < ns ? 0 : r;
}

static void server_wake(struct se_link *link)
{
    struct server *s = (struct server *)link;
    s->inner->ops->wake(s->inner);
}

/* ---- the end */

static bool server_drop(struct se_link *link, se_link_peer peer)
{
    struct server *s = (struct server *)link;
    const uint32_t at = find_in(s, peer);
    const bool held = (s->held == 0 || s->held == SE_LINK_GONE) && s->held_peer == peer;
    if (held) {
        se_frame_put(s->frame);
        s->frame = NULL;
        s->held = SE_LINK_AGAIN;
    }
    if (at != NONE)
        drop(s, at);
    return at != NONE || held;
}

static void server_close(struct se_link *link)
{
    struct server *s = (struct server *)link;
    s->closed = true;
    se_link_close(s->inner);
}

static int server_drain(struct se_link *link, uint64_t ns)
{
    struct server *s = (struct server *)link;
    s->drained = true;
    return se_link_drain(s->inner, ns);
}

static void server_fini(struct se_link *link)
{
    struct server *s = (struct server *)link;
    for (uint32_t i = 0; s->seat != NULL && i < s->n_seats; i++)
        se_frame_put(s->seat[i].answer);
    se_frame_put(s->frame);
    se_frame_put(s->spare);
    se_link_fini(s->inner);
    se_link_base_fini(link);
    se_mem_free(s->seat);
    se_mem_free(s->bucket);
    se_mem_free(s);
}

static const char *server_url(const struct se_link *link)
{
    return se_link_url(((const struct server *)link)->inner);
}

static const struct se_link_ops arm_ops = {
    .name = "proof",
    .send = server_send,
    .recv = server_recv,
    .ready = server_ready,
    .arm = server_arm,
    .drop = server_drop,
    .close = server_close,
    .drain = server_drain,
    .fini = server_fini,
    .url = server_url,
    .key = server_key,
};

/* For links behind that have a way of their own to wait. */
static const struct se_link_ops wait_ops = {
    .name = "proof",
    .send = server_send,
    .recv = server_recv,
    .ready = server_ready,
    .wait = server_wait,
    .wake = server_wake,
    .drop = server_drop,
    .close = server_close,
    .drain = server_drain,
    .fini = server_fini,
    .url = server_url,
    .key = server_key,
};

static int new_seats(struct server *s)
{
    uint32_t n = 1;
    while (n < s->options.peers_max)
        n *= 2;
    s->seat = se_mem_zero(s->options.peers_max, sizeof(*s->seat));
    s->bucket = se_mem_new(n, sizeof(*s->bucket));
    if (s->seat == NULL || s->bucket == NULL)
        return -ENOMEM;
    memset(s->bucket, 0xff, n * sizeof(*s->bucket)); /* NONE */
    s->mask = n - 1;
    return 0;
}

int se_proof_listen(struct se_link **out, const struct se_link_ops *behind, const char *urls,
                    const struct se_link_options *options)
{
    struct se_link_options inside = *options;
    if (options->frame_max_b < SE_PROOF_FRAME_B)
        return se_fail(-EINVAL, "'%s': with keys frames have %d bytes at least, not %u", urls,
                       SE_PROOF_FRAME_B, options->frame_max_b);
    struct server *s = se_mem_zero(1, sizeof(*s));
    if (s == NULL)
        return se_trace(-ENOMEM);
    s->options = *options;
    s->free = s->first = s->last = NONE;
    s->held = SE_LINK_AGAIN;
    inside.guard = NULL;
    int r = se_link_base_init(&s->link, behind->arm != NULL ? &arm_ops : &wait_ops, options);
    if (r == 0)
        r = new_seats(s);
    if (r < 0)
        r = se_fail(r, "'%s': cannot make a link: %s", urls, strerror(-r));
    else
        r = behind->listen(&s->inner, urls, &inside);
    if (r < 0) {
        server_fini(&s->link);
        return r;
    }
    *out = &s->link;
    return 0;
}

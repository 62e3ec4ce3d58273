/* SPDX-License-Identifier: Apache-2.0 */
/* The link behind is there while it may have a connection. An edge that is refused gives it up, so
 * that it takes no seat from others while it waits, and makes a new one after retry_max_ns. That is
 * why the one call of other threads, wake, takes a lock where it goes to the link behind. */
#include "transport/proof.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/proof_words.h"

enum { TURN = 16, URL_B = 1024, SOON_NS = 1000000 };

enum state {
    AWAY,    /* no connection */
    WAITING, /* for a CHALLENGE */
    ANSWERS, /* a PROOF is to be sent, and there was no room */
    PROVING, /* for ACCEPT or REFUSE */
    IN
};

struct edge {
    struct se_link link;
    const struct se_link_ops *behind;
    struct se_link_options options;
    struct se_link *inner; /* NULL: not before again_ns */
    pthread_mutex_t lock;  /* of inner, where wake goes to it */
    enum state state;
    bool closed, drained;
    uint64_t again_ns, due_ns;
    struct se_proof_talk talk;
    struct se_frame *answer;
    int held; /* an outcome for recv; AGAIN: there is none */
    struct se_frame *frame;
    char url[URL_B], trouble[URL_B + 256];
    bool refused;
};

/* ---- the link behind */

static void set_inner(struct edge *e, struct se_link *inner)
{
    pthread_mutex_lock(&e->lock);
    struct se_link *old = e->inner;
    e->inner = inner;
    pthread_mutex_unlock(&e->lock);
    se_link_fini(old);
}

static void forget_answer(struct edge *e)
{
    se_frame_put(e->answer);
    e->answer = NULL;
}

static void leave(struct edge *e)
{
    forget_answer(e);
    e->state = AWAY;
    e->again_ns = se_clock_ns() + e->options.retry_max_ns;
    set_inner(e, NULL);
}

static void come_back(struct edge *e)
{
    struct se_link_options options = e->options;
    struct se_link *inner = NULL;
    options.guard = NULL;
    if (e->behind->connect(&inner, e->url, &options) < 0) {
        snprintf(e->trouble, sizeof(e->trouble), "%s", se_err_text());
        e->again_ns = se_clock_ns() + e->options.retry_max_ns;
        return;
    }
    set_inner(e, inner);
}

/* ---- the beginning of a connection */

static void fail_silent(struct edge *e)
{
    snprintf(e->trouble, sizeof(e->trouble),
             "'%s': the server there does not ask for a key: does it have keys?", e->url);
    e->refused = true;
    leave(e);
}

/* Whoever is late may be in time when it is tried again. */
static void fail_late(struct edge *e)
{
    snprintf(e->trouble, sizeof(e->trouble), "'%s': the server there %s", e->url,
             e->state == WAITING ? "has not asked for a key yet: does it have keys?"
                                 : "has not answered to this key yet");
    leave(e);
}

static void fail_other(struct edge *e)
{
    char text[SE_KEY_TEXT_B];
    snprintf(e->trouble, sizeof(e->trouble),
             "'%s': who listens there is not the server with the key %s", e->url,
             se_key_text(&e->options.guard->server, text));
    e->refused = true;
    leave(e);
}

static void fail_refused(struct edge *e, enum se_guard_refusal why)
{
    char own[SE_KEY_TEXT_B], server[SE_KEY_TEXT_B];
    se_key_text(&e->options.guard->own.open, own);
    if (why == SE_GUARD_FORGED)
        snprintf(e->trouble, sizeof(e->trouble),
                 "'%s': the server there does not take the proof of this key (%s): is the "
                 "server's key %s?",
                 e->url, own, se_key_text(&e->options.guard->server, server));
    else
        snprintf(e->trouble, sizeof(e->trouble), "'%s': the server refuses this key (%s): it is %s",
                 e->url, own, se_guard_refusal_text(why));
    e->refused = true;
    leave(e);
}

static void send_answer(struct edge *e)
{
    const int r = e->inner->ops->send(e->inner, SE_LINK_SERVER, e->answer);
    if (r == SE_LINK_AGAIN)
        return;
    if (r != 0) /* the connection is gone, and recv will say so */
        forget_answer(e);
    e->answer = NULL;
    e->state = PROVING;
}

/* The frame that asked carries the answer. */
static void on_challenge(struct edge *e, struct se_frame *frame)
{
    const struct se_guard *guard = e->options.guard;
    if (se_proof_word_of(frame) != SE_PROOF_CHALLENGE) {
        se_frame_put(frame);
        fail_silent(e);
        return;
    }
    e->talk.server = guard->server;
    se_proof_challenged(frame, &e->talk);
    e->answer = frame;
    if (se_proof_prove(frame, &e->talk, &guard->own) < 0) {
        snprintf(e->trouble, sizeof(e->trouble), "'%s': %s", e->url, se_err_text());
        leave(e);
        return;
    }
    e->state = ANSWERS;
    send_answer(e);
}

static void on_verdict(struct edge *e, struct se_frame *frame)
{
    const enum se_proof_word word = se_proof_word_of(frame);
    if (word == SE_PROOF_REFUSE) {
        fail_refused(e, se_proof_refused(frame));
    } else if (word == SE_PROOF_ACCEPT && se_proof_accepted(frame, &e->talk)) {
        e->state = IN;
        e->held = SE_LINK_JOINED;
        e->trouble[0] = 0;
        e->refused = false;
    } else {
        fail_other(e);
    }
    se_frame_put(frame);
}

static void on_frame(struct edge *e, struct se_frame *frame)
{
    if (e->state == IN) {
        e->held = 0;
        e->frame = frame;
    } else if (e->state == WAITING) {
        on_challenge(e, frame);
    } else if (e->state == PROVING) {
        on_verdict(e, frame);
    } else {
        se_frame_put(frame);
        fail_other(e);
    }
}

static void on_joined(struct edge *e)
{
    e->state = WAITING;
    e->due_ns = se_clock_ns() + e->options.silence_ns;
}

static void on_gone(struct edge *e)
{
    if (e->state == IN)
        e->held = SE_LINK_GONE;
    forget_answer(e);
    e->state = AWAY;
}

/* ---- receiving */

static bool is_beginning(const struct edge *e) { return e->state != AWAY && e->state != IN; }

/* What comes of time passing. */
static void look_at_clock(struct edge *e)
{
    if (e->inner == NULL && !e->closed && se_clock_ns() >= e->again_ns)
        come_back(e);
    if (e->state == ANSWERS)
        send_answer(e);
    if (!is_beginning(e) || se_clock_ns() < e->due_ns)
        return;
    fail_late(e);
}

/* Until there is something for recv; else what the link behind said last. */
static int pump(struct edge *e)
{
    struct se_frame *frame;
    se_link_peer peer;
    look_at_clock(e);
    for (int i = 0; i < TURN && e->held == SE_LINK_AGAIN; i++) {
        if (e->inner == NULL)
            return e->closed ? SE_LINK_CLOSED : SE_LINK_AGAIN;
        const int r = se_link_recv(e->inner, &peer, &frame);
        if (r == SE_LINK_JOINED)
            on_joined(e);
        else if (r == SE_LINK_GONE)
            on_gone(e);
        else if (r == 0)
            on_frame(e, frame);
        else
            return r;
    }
    return SE_LINK_AGAIN;
}

static int edge_recv(struct se_link *link, se_link_peer *peer, struct se_frame **out)
{
    struct edge *e = (struct edge *)link;
    if (e->drained)
        return SE_LINK_CLOSED;
    const int r = e->held == SE_LINK_AGAIN ? pump(e) : SE_LINK_AGAIN, held = e->held;
    *peer = SE_LINK_SERVER;
    if (held == SE_LINK_AGAIN)
        return r;
    if (held == 0)
        *out = e->frame;
    e->frame = NULL;
    e->held = SE_LINK_AGAIN;
    return held;
}

static int edge_send(struct se_link *link, se_link_peer peer, struct se_frame *frame)
{
    struct edge *e = (struct edge *)link;
    if (e->closed)
        return SE_LINK_CLOSED;
    /* What recv has not yet said has not happened. */
    const bool there = e->state == IN && e->held != SE_LINK_JOINED;
    return there ? e->inner->ops->send(e->inner, peer, frame) : SE_LINK_GONE;
}

/* ---- waiting */

static bool clock_calls(const struct edge *e)
{
    if (e->inner == NULL)
        return !e->closed && se_clock_ns() >= e->again_ns;
    return e->state == ANSWERS || (is_beginning(e) && se_clock_ns() >= e->due_ns);
}

/* At most ns, and no longer than until there is something to do. */
static uint64_t limit(const struct edge *e, uint64_t ns)
{
    if (e->inner != NULL && !is_beginning(e))
        return ns;
    if (e->state == ANSWERS)
        return ns < SOON_NS ? ns : SOON_NS;
    if (e->inner == NULL && e->closed)
        return ns;
    const uint64_t now = se_clock_ns(), then = e->inner == NULL ? e->again_ns : e->due_ns;
    const uint64_t left = then > now ? then - now : 0;
    return left < ns ? left : ns;
}

/* Who only waits goes on with the beginning all the same. */
static bool has_something(struct edge *e)
{
    return !e->drained && (e->held != SE_LINK_AGAIN || pump(e) < 0 || e->held != SE_LINK_AGAIN);
}

static bool edge_ready(struct se_link *link)
{
    struct edge *e = (struct edge *)link;
    if (e->drained)
        return false;
    if (e->held != SE_LINK_AGAIN)
        return true;
    const bool some = clock_calls(e) || (e->inner != NULL && e->inner->ops->ready(e->inner));
    /* Without arm it may have heard a wake, which nobody else hears of any more. */
    return some && (has_something(e) || e->behind->arm == NULL);
}

static bool edge_arm(struct se_link *link, struct se_link_sleep *sleep)
{
    struct edge *e = (struct edge *)link;
    if (has_something(e))
        return true;
    sleep->ns = limit(e, sleep->ns);
    return !e->drained && e->inner != NULL && e->inner->ops->arm(e->inner, sleep);
}

static int edge_wait(struct se_link *link, uint64_t ns)
{
    struct edge *e = (struct edge *)link;
    struct pollfd of[1];
    if (has_something(e))
        return 0;
    const uint64_t first = limit(e, ns);
    int r;
    if (e->inner != NULL) {
        r = e->inner->ops->wait(e->inner, first);
    } else {
        r = se_alarm_wait(&e->link.alarm, of, 1, first);
        r = r < 0   ? se_fail(r, "'%s': cannot wait: %s", e->url, strerror(-r))
            : r > 0 ? 0
                    : SE_LINK_AGAIN;
    }
    return r == SE_LINK_AGAIN && first < ns ? 0 : r;
}

static void edge_wake(struct se_link *link)
{
    struct edge *e = (struct edge *)link;
    pthread_mutex_lock(&e->lock);
    if (e->inner != NULL)
        e->inner->ops->wake(e->inner);
    else
        se_alarm_ring(&e->link.alarm);
    pthread_mutex_unlock(&e->lock);
}

/* ---- the end */

static bool edge_drop(struct se_link *link, se_link_peer peer)
{
    (void)link;
    (void)peer;
    return false; /* of a server only */
}

static void edge_close(struct se_link *link)
{
    struct edge *e = (struct edge *)link;
    e->closed = true;
    if (e->inner != NULL)
        se_link_close(e->inner);
}

static int edge_drain(struct se_link *link, uint64_t ns)
{
    struct edge *e = (struct edge *)link;
    e->drained = true;
    return e->inner != NULL ? se_link_drain(e->inner, ns) : 0;
}

static void edge_fini(struct se_link *link)
{
    struct edge *e = (struct edge *)link;
    forget_answer(e);
    se_frame_put(e->frame);
    set_inner(e, NULL);
    se_link_base_fini(link);
    pthread_mutex_destroy(&e->lock);
    se_mem_free(e);
}

static const char *edge_url(const struct se_link *link) { return ((const struct edge *)link)->url; }

static const char *edge_trouble(struct se_link *link)
{
    struct edge *e = (struct edge *)link;
    if (e->trouble[0] == 0 && e->state == WAITING)
        snprintf(e->trouble, sizeof(e->trouble),
                 "'%s': the server there has not asked for a key yet: does it have keys?", e->url);
    if (e->trouble[0] != 0)
        return e->trouble;
    return e->inner != NULL ? se_link_trouble(e->inner) : NULL;
}

static bool edge_refused(const struct se_link *link)
{
    return ((const struct edge *)link)->refused;
}

static const struct se_link_ops arm_ops = {
    .name = "proof",
    .send = edge_send,
    .recv = edge_recv,
    .ready = edge_ready,
    .arm = edge_arm,
    .drop = edge_drop,
    .close = edge_close,
    .drain = edge_drain,
    .fini = edge_fini,
    .url = edge_url,
    .trouble = edge_trouble,
    .refused = edge_refused,
};

/* For links behind that have a way of their own to wait. */
static const struct se_link_ops wait_ops = {
    .name = "proof",
    .send = edge_send,
    .recv = edge_recv,
    .ready = edge_ready,
    .wait = edge_wait,
    .wake = edge_wake,
    .drop = edge_drop,
    .close = edge_close,
    .drain = edge_drain,
    .fini = edge_fini,
    .url = edge_url,
    .trouble = edge_trouble,
    .refused = edge_refused,
};

static int check(const char *url, const struct se_link_options *options)
{
    if (strlen(url) >= URL_B)
        return se_fail(-EINVAL, "a URL of more than %d characters", URL_B - 1);
    if (options->frame_max_b < SE_PROOF_FRAME_B)
        return se_fail(-EINVAL, "'%s': with keys frames have %d bytes at least, not %u", url,
                       SE_PROOF_FRAME_B, options->frame_max_b);
    return 0;
}

int se_proof_connect(struct se_link **out, const struct se_link_ops *behind, const char *url,
                     const struct se_link_options *options)
{
    struct se_link_options inside = *options;
    int r = check(url, options);
    if (r < 0)
        return se_trace(r);
    struct edge *e = se_mem_zero(1, sizeof(*e));
    if (e == NULL)
        return se_trace(-ENOMEM);
    e->behind = behind;
    e->options = *options;
    e->held = SE_LINK_AGAIN;
    pthread_mutex_init(&e->lock, NULL);
    snprintf(e->url, sizeof(e->url), "%s", url);
    inside.guard = NULL;
    r = se_link_base_init(&e->link, behind->arm != NULL ? &arm_ops : &wait_ops, options);
    if (r < 0)
        r = se_fail(r, "'%s': cannot make a link: %s", url, strerror(-r));
    else
        r = behind->connect(&e->inner, url, &inside);
    if (r < 0) {
        edge_fini(&e->link);
        return r;
    }
    *out = &e->link;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in: who may say what, and what it changes. Every frame is decoded strictly, checked
 * against the peer that sent it, and either taken, answered with an ERROR, or dropped; a peer
 * whose faults come to a limit is cut off. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/tree/tree.h"
#include "sched/server/parts.h"
#include "transport/pack.h"

enum { FAULTS_PER_NOTE = 64, RETRY_DRAIN_MS = 1000 };

/* ---- sessions and their edges */

static void unlink_peer(struct se_server *s, uint32_t at)
{
    struct se_session *session = se_server_session(s, at);
    uint32_t number = se_peer_find(&s->peers, session->peer);
    if (number == SE_PEER_NONE)
        return;
    struct se_peer *peer = &s->peers.peer[number];
    if (session->prev == SE_SESSION_NONE)
        peer->first_session = session->next;
    else
        se_server_session(s, session->prev)->next = session->next;
    if (session->next != SE_SESSION_NONE)
        se_server_session(s, session->next)->prev = session->prev;
    session->next = session->prev = SE_SESSION_NONE;
    peer->n_sessions--;
}

void se_desk_attach(struct se_server *s, uint32_t at, se_link_peer handle, uint64_t now_ns)
{
    struct se_session *session = se_server_session(s, at);
    if (session->peer != 0)
        unlink_peer(s, at);
    s->sessions.parked += (handle == 0) - (session->peer == 0);
    session->peer = handle;
    session->heard_ns = now_ns;
    se_session_touch(&s->sessions, at);
    uint32_t number = handle ? se_peer_find(&s->peers, handle) : SE_PEER_NONE;
    if (number == SE_PEER_NONE) {
        session->ahead = 0; /* nobody listens */
        return;
    }
    struct se_peer *peer = &s->peers.peer[number];
    session->next = peer->first_session;
    if (session->next != SE_SESSION_NONE)
        se_server_session(s, session->next)->prev = at;
    peer->first_session = at;
    peer->n_sessions++;
}

static void close_session(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    if (se_server_session(s, at)->peer != 0)
        se_desk_attach(s, at, 0, now_ns);
    se_server_count(s, SE_COUNT_CLOSED, 1);
    se_pipeline_close(&s->pipeline, at);
}

static void forget_peer(struct se_server *s, se_link_peer handle, bool close, uint64_t now_ns)
{
    uint32_t number = se_peer_find(&s->peers, handle);
    if (number == SE_PEER_NONE)
        return;
    uint32_t at;
    while ((at = s->peers.peer[number].first_session) != SE_SESSION_NONE) {
        if (close)
            close_session(s, at, now_ns);
        else
            se_desk_attach(s, at, 0, now_ns);
    }
}

/* ---- faults */

/* Kinds of faults beside those of a frame. */
enum { FLOOD = SE_WIRE_FAULT_END, FOREIGN, CUT };

/* "edge 1f (alice)"; the name where there are keys. */
enum { EDGE_B = 64 };
static const char *edge_text(const struct se_server *s, se_link_peer peer, char text[EDGE_B])
{
    uint32_t number = se_peer_find(&s->peers, peer);
    const char *name = number == SE_PEER_NONE ? "" : se_keys_name(s->peers.peer[number].account);
    snprintf(text, EDGE_B, *name ? "edge %" PRIx64 " (%s)" : "edge %" PRIx64 "%s", peer, name);
    return text;
}

/* A note of the first fault of each kind; the counters tell of the others. */
static void note_fault(struct se_server *s, uint32_t kind, se_link_peer peer, const char *what)
{
    char edge[EDGE_B];
    if (s->noted & UINT64_C(1) << kind)
        return;
    s->noted |= UINT64_C(1) << kind;
    se_server_tell(s, SE_SERVER_WARN, "%s: %s; such faults are counted from now on and not told",
                   edge_text(s, peer, edge), what);
}

void se_desk_part(struct se_server *s, se_link_peer handle, uint64_t now_ns, const char *why)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_CUT, (enum se_wire_type)0, 0);
    se_say_no(s, handle, 0, &error, "%s", why);
    forget_peer(s, handle, true, now_ns); /* it has no claim to be waited for */
    uint32_t number = se_peer_find(&s->peers, handle);
    if (number != SE_PEER_NONE) {
        se_keys_left(s, number);
        se_peer_leave(&s->peers, number);
    }
    se_link_drop(s->o.link, handle);
}

static void cut_off(struct se_server *s, se_link_peer handle, uint64_t now_ns)
{
    se_server_count(s, SE_COUNT_CUT, 1);
    note_fault(s, CUT, handle, "cut off after too many faults");
    se_desk_part(s, handle, now_ns, "too many faults or too many frames");
}

static void add_fault(struct se_server *s, se_link_peer handle, uint64_t now_ns)
{
    uint32_t number = se_peer_find(&s->peers, handle);
    if (number != SE_PEER_NONE && ++s->peers.peer[number].faults >= s->live.peer_faults)
        cut_off(s, handle, now_ns);
}

static void malformed(struct se_server *s, se_link_peer peer, enum se_wire_type type, int fault,
                      uint64_t now_ns)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_MALFORMED, (enum se_wire_type)0, 0);
    error.a = (uint64_t)fault;
    if (se_wire_layout(type))
        error.about = (uint8_t)type;
    if (fault == SE_WIRE_NEWER) {
        error.code = SE_WIRE_E_VERSION;
        error.a = SE_WIRE_VERSION;
    }
    se_server_count(s, SE_COUNT_MALFORMED, 1);
    note_fault(s, (uint32_t)fault, peer, se_wire_fault_text(fault));
    se_say_no(s, peer, 0, &error, "%s", se_wire_fault_text(fault));
    add_fault(s, peer, now_ns);
}

/* ---- HELLO */

struct asks {
    struct se_server *s;
    se_link_peer peer;
    uint64_t now_ns;
};

static bool refuse_hello(const struct asks *a, const struct se_wire_hello *h,
                         enum se_wire_code code, uint64_t ours, uint64_t theirs, const char *why)
{
    struct se_wire_error error = se_say_error(code, SE_WIRE_HELLO, h->nonce);
    error.a = ours;
    error.b = theirs;
    se_server_count(a->s, SE_COUNT_REFUSED, 1);
    se_say_no(a->s, a->peer, 0, &error, "%s", why);
    return false;
}

static struct se_sampling sampling_of(const struct se_wire_hello *h)
{
    return (struct se_sampling){
        .temp = h->temp, .top_k = h->top_k, .top_p = h->top_p, .min_p = h->min_p, .seed = h->seed
    };
}

/* A vocabulary may be padded beyond the tokenizer's ids; which they are must be the same. */
static bool fits(const struct asks *a, const struct se_wire_hello *h)
{
    const struct se_server_options *o = &a->s->o;
    struct se_sampling sampling = sampling_of(h);
    if (h->version_min > SE_WIRE_VERSION || h->version_max < SE_WIRE_VERSION)
        return refuse_hello(a, h, SE_WIRE_E_VERSION, SE_WIRE_VERSION, h->version_max,
                            "no version of the protocol in common");
    if (h->tokens != o->tokens)
        return refuse_hello(a, h, SE_WIRE_E_VOCAB, o->tokens, h->tokens,
                            "another tokenizer: it has another number of ids");
    if (h->fingerprint != o->fingerprint)
        return refuse_hello(a, h, SE_WIRE_E_TOKENIZER, o->fingerprint, h->fingerprint,
                            "another tokenizer: the same texts have other ids");
    if (se_sampling_check(&sampling) < 0)
        return refuse_hello(a, h, SE_WIRE_E_SAMPLING, 0, 0, se_err_text());
    return true;
}

static bool say_busy(const struct asks *a, enum se_wire_type about, uint64_t ref, uint64_t session,
                     const char *why)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_BUSY, about, ref);
    error.retry_ms = se_say_retry_ms(a->s);
    se_server_count(a->s, SE_COUNT_BUSY, 1);
    se_say_no(a->s, a->peer, session, &error, "%s", why);
    return false;
}

static bool say_leaving(const struct asks *a, enum se_wire_type about, uint64_t ref,
                        uint64_t session)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_DRAIN, about, ref);
    error.retry_ms = RETRY_DRAIN_MS;
    se_say_no(a->s, a->peer, session, &error, "the server is about to leave");
    return false;
}

static uint32_t sessions_of(const struct se_server *s, se_link_peer peer)
{
    uint32_t number = se_peer_find(&s->peers, peer);
    return number == SE_PEER_NONE ? 0 : s->peers.peer[number].n_sessions;
}

/* How many there are of whoever this is: a key, or where there are none a connection. */
static uint32_t shares(const struct se_server *s, const struct se_session *session)
{
    return session->account ? session->account->n_sessions : sessions_of(s, session->peer);
}

/* Whether somebody with so many sessions may have its place: its edge is gone; or nothing is under
 * way and the edge has been silent for as long as one that is gone would be waited for, or has
 * more sessions than the one who asks would have. */
static bool can_go(const struct se_server *s, const struct se_session *session, uint32_t asker_has,
                   uint64_t now_ns)
{
    if (session->id == 0 || session->closing || session->in_job)
        return false;
    if (session->peer == 0)
        return true;
    return session->slot == SE_SLOT_NONE &&
           (now_ns - session->heard_ns >= s->live.park_ns || shares(s, session) > asker_has + 1);
}

/* Parked before silent, and the longest first. */
static bool goes_before(const struct se_session *a, const struct se_session *b)
{
    bool parked = a->peer == 0, other = b->peer == 0;
    return parked != other ? parked : a->heard_ns < b->heard_ns;
}

void se_desk_evict(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    struct se_wire bye = { .type = SE_WIRE_BYE, .bye = { .reason = SE_WIRE_BYE_EVICTED } };
    struct se_session *session = se_server_session(s, at);
    bye.session = session->id;
    if (session->peer != 0)
        se_say(s, session->peer, &bye);
    se_server_count(s, SE_COUNT_EXPIRED, 1);
    close_session(s, at, now_ns);
    se_session_charge(session, NULL); /* also while a job still has it */
}

/* Whose session makes room for the asker's: one of its own, of its key, anybody's. */
enum whose { ITS, ITS_KEY, ANY };

static bool belongs(const struct se_session *session, const struct se_peer *asker, enum whose whose)
{
    return whose == ANY || (whose == ITS && session->peer == asker->handle) ||
           (whose == ITS_KEY && session->account == asker->account);
}

static bool evict(struct se_server *s, const struct se_peer *asker, enum whose whose,
                  uint64_t now_ns)
{
    uint32_t first = SE_SESSION_NONE,
             has = asker->account ? asker->account->n_sessions : asker->n_sessions;
    for (uint32_t i = 0; i < s->sessions.used; i++) {
        const struct se_session *session = se_server_session(s, i);
        if (belongs(session, asker, whose) && can_go(s, session, has, now_ns) &&
            (first == SE_SESSION_NONE || goes_before(session, se_server_session(s, first))))
            first = i;
    }
    if (first == SE_SESSION_NONE)
        return false;
    se_desk_evict(s, first, now_ns);
    return true;
}

/* As many sessions as its key may have are open. */
static bool say_full(const struct asks *a, const struct se_wire_hello *h,
                     struct se_account *account)
{
    char text[128];
    snprintf(text, sizeof text, "key %s has its %" PRIu32 " session%s already", account->name,
             account->sessions_max, account->sessions_max == 1 ? "" : "s");
    se_account_add(account, SE_ACCOUNT_FULL, 1);
    se_server_count(a->s, SE_COUNT_KEY_FULL, 1);
    return say_busy(a, SE_WIRE_HELLO, h->nonce, 0, text);
}

static bool has_place(const struct asks *a, const struct se_wire_hello *h)
{
    struct se_server *s = a->s;
    uint32_t number = se_peer_find(&s->peers, a->peer);
    if (s->draining)
        return say_leaving(a, SE_WIRE_HELLO, h->nonce, 0);
    const struct se_peer *peer = number == SE_PEER_NONE ? NULL : &s->peers.peer[number];
    if (!peer || (peer->n_sessions >= s->live.peer_sessions && !evict(s, peer, ITS, a->now_ns)))
        return say_busy(a, SE_WIRE_HELLO, h->nonce, 0, "too many sessions of one edge");
    if (peer->account && !se_account_has_place(peer->account) &&
        !evict(s, peer, ITS_KEY, a->now_ns))
        return say_full(a, h, peer->account);
    if (s->sessions.n >= s->o.max_sessions && !evict(s, peer, ANY, a->now_ns))
        return say_busy(a, SE_WIRE_HELLO, h->nonce, 0, "every session is taken");
    return true;
}

/* From here on it counts as one of its key's. */
static void charge(const struct asks *a, uint32_t at)
{
    struct se_account *account = a->s->peers.peer[se_peer_find(&a->s->peers, a->peer)].account;
    se_session_charge(se_server_session(a->s, at), account);
    if (account)
        se_account_add(account, SE_ACCOUNT_OPENED, 1);
}

static void on_hello(const struct asks *a, const struct se_wire_hello *h)
{
    struct se_server *s = a->s;
    uint32_t at = se_session_find_nonce(&s->sessions, h->nonce);
    struct se_session *session = at == SE_SESSION_NONE ? NULL : se_server_session(s, at);
    /* A repeat: its WELCOME was lost. Another edge that comes with the same number, by chance or
     * because it guessed well, opens a session of its own, with what it asks for. */
    if (session && session->peer == a->peer && session->round == 0 && session->n == 0 &&
        !session->closing) {
        se_say_welcome(s, at, a->now_ns);
        return;
    }
    if (!fits(a, h) || !has_place(a, h))
        return;
    at = se_session_open(&s->sessions, h->nonce);
    if (at == SE_SESSION_NONE) {
        say_busy(a, SE_WIRE_HELLO, h->nonce, 0, "no memory for a session");
        return;
    }
    se_server_session(s, at)->sampling = sampling_of(h);
    charge(a, at);
    se_show_opened(s, at, h, a->now_ns);
    se_desk_attach(s, at, a->peer, a->now_ns);
    se_server_count(s, SE_COUNT_OPENED, 1);
    se_say_welcome(s, at, a->now_ns);
}

/* ---- RESUME */

static void no_session(const struct asks *a, const struct se_wire *m, uint64_t ref)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_SESSION, m->type, ref);
    se_say_no(a->s, a->peer, m->session, &error, "no such session");
}

static void denied(const struct asks *a, const struct se_wire *m, uint64_t ref, const char *why)
{
    struct se_wire_error error = se_say_error(SE_WIRE_E_DENIED, m->type, ref);
    se_server_count(a->s, SE_COUNT_FOREIGN, 1);
    note_fault(a->s, FOREIGN, a->peer, why);
    se_say_no(a->s, a->peer, m->session, &error, "%s", why);
    add_fault(a->s, a->peer, a->now_ns);
}

/* What both agree on stays. */
static void resume_text(struct se_server *s, uint32_t at, const struct se_wire_resume *m)
{
    struct se_session *session = se_server_session(s, at);
    const struct se_slot *slot =
        session->slot == SE_SLOT_NONE ? NULL : &s->pipeline.slots.slot[session->slot];
    bool known = m->base <= session->n &&
                 se_wire_hash(SE_WIRE_HASH_START, session->text, m->base) == m->hash;
    bool running = slot && !slot->pushed && slot->round == m->round && slot->base == m->base;
    bool stored =
        session->answered && session->answer.round == m->round && session->answer.base == m->base;
    session->ahead = 0;
    if (known && (running || stored))
        return; /* the round comes again, and so does its answer */
    se_pipeline_drop(&s->pipeline, at);
    se_pipeline_cut(&s->pipeline, at, known ? m->base : 0);
    session->round = m->round;
    session->loose = true;
    session->answered = false;
}

static void on_resume(const struct asks *a, const struct se_wire *message)
{
    struct se_server *s = a->s;
    const struct se_wire_resume *m = &message->resume;
    uint32_t at = se_session_find(&s->sessions, message->session);
    if (at == SE_SESSION_NONE || se_server_session(s, at)->closing) {
        no_session(a, message, m->nonce);
        return;
    }
    struct se_session *session = se_server_session(s, at);
    if (!se_session_token_is(session, m->token)) {
        denied(a, message, m->nonce, "a wrong token for a session");
        return;
    }
    uint32_t number = se_peer_find(&s->peers, a->peer);
    if (number != SE_PEER_NONE && s->peers.peer[number].account != session->account) {
        denied(a, message, m->nonce, "another key's session");
        return;
    }
    if (s->draining) {
        say_leaving(a, SE_WIRE_RESUME, m->nonce, message->session);
        return;
    }
    if (session->nonce != m->nonce) { /* a repeat changes nothing */
        if (se_session_set_nonce(&s->sessions, at, m->nonce) < 0) {
            say_busy(a, SE_WIRE_RESUME, m->nonce, message->session, "no memory");
            return;
        }
        resume_text(s, at, m);
        se_server_count(s, SE_COUNT_RESUMED, 1);
    }
    if (session->peer != a->peer)
        se_desk_attach(s, at, a->peer, a->now_ns);
    se_say_welcome(s, at, a->now_ns);
}

/* ---- PREFILL, VERIFY, CANCEL */

static void say_gap(const struct asks *a, const struct se_wire *m, uint64_t ref, uint32_t named)
{
    const struct se_session *session =
        se_server_session(a->s, se_session_find(&a->s->sessions, m->session));
    struct se_wire_error error = se_say_error(SE_WIRE_E_GAP, m->type, ref);
    error.a = session->n;
    error.b = named;
    se_server_count(a->s, SE_COUNT_GAPS, 1);
    se_say_no(a->s, a->peer, m->session, &error, "the server holds %" PRIu32 " ids", session->n);
}

static void say_limit(const struct asks *a, const struct se_wire *m, enum se_wire_code code,
                      uint64_t ref, uint64_t limit, uint64_t asked, const char *what)
{
    struct se_wire_error error = se_say_error(code, m->type, ref);
    error.a = limit;
    error.b = asked;
    se_say_no(a->s, a->peer, m->session, &error, "%s: %" PRIu64 " of at most %" PRIu64, what, asked,
              limit);
}

/* A piece that came before is dropped, and so is one behind a piece that did not come: the
 * round that needs them will say so. */
static void on_prefill(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    struct se_server *s = a->s;
    const struct se_wire_prefill *m = &message->prefill;
    struct se_session *session = se_server_session(s, at);
    if (m->total >= s->context) {
        say_limit(a, message, SE_WIRE_E_CONTEXT, 0, s->context - 1, m->total, "ids of text");
        return;
    }
    if (m->base != session->n || session->slot != SE_SLOT_NONE) {
        se_server_count(s, SE_COUNT_STALE, 1);
        return;
    }
    if (se_session_append(session, m->id, m->n) < 0) {
        say_busy(a, SE_WIRE_PREFILL, 0, message->session, "no memory for the text");
        return;
    }
    se_server_count(s, SE_COUNT_PREFILLED, m->n);
    se_pipeline_want(&s->pipeline, at, a->now_ns);
}

/* False: the round is not to be computed, and whoever must know has been told. */
static bool is_next_round(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    struct se_server *s = a->s;
    const struct se_wire_verify *m = &message->verify;
    struct se_session *session = se_server_session(s, at);
    const struct se_slot *slot =
        session->slot == SE_SLOT_NONE ? NULL : &s->pipeline.slots.slot[session->slot];
    uint32_t next = session->round + 1;
    if (m->round != session->stream_round)
        session->ahead = 0; /* the edge takes over again */
    if (session->answered && m->round == session->answer.round && m->base == session->answer.base) {
        if (!slot) /* otherwise it is late: a newer one is under way */
            se_say_again(s, at);
        return false;
    }
    if (slot) {
        se_server_count(s, SE_COUNT_STALE, 1); /* it is being looked at, or over */
        return false;
    }
    if (m->round == next || (session->loose && m->round == session->round))
        return true;
    if (m->round <
        next) /* late; or all that was pushed behind it was lost, which it must be told */
        se_server_count(s, SE_COUNT_STALE, 1);
    struct se_wire_error error = se_say_error(SE_WIRE_E_ROUND, SE_WIRE_VERIFY, m->round);
    error.a = next;
    error.b = m->round;
    se_say_no(s, a->peer, message->session, &error, "the next round is %" PRIu32, next);
    return false;
}

static bool is_same_text(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    const struct se_wire_verify *m = &message->verify;
    const struct se_session *session = se_server_session(a->s, at);
    if (m->base != session->n) {
        say_gap(a, message, m->round, m->base);
        return false;
    }
    if (m->check == (uint32_t)session->hash)
        return true;
    struct se_wire_error error = se_say_error(SE_WIRE_E_HASH, SE_WIRE_VERIFY, m->round);
    error.a = (uint32_t)session->hash;
    error.b = m->check;
    se_server_count(a->s, SE_COUNT_HASH_FAULTS, 1);
    se_say_no(a->s, a->peer, message->session, &error, "the texts differ before the root");
    return false;
}

static bool is_good_tree(const struct asks *a, const struct se_wire *message)
{
    struct se_server *s = a->s;
    const struct se_wire_verify *m = &message->verify;
    uint32_t depth[SE_TREE_MAX], deepest = 0;
    if (m->nodes > s->o.max_nodes) {
        say_limit(a, message, SE_WIRE_E_LIMIT, m->round, s->o.max_nodes, m->nodes, "nodes");
        return false;
    }
    if (se_tree_check(m->parent, m->token, m->nodes, s->o.vocab) < 0) {
        malformed(s, a->peer, SE_WIRE_VERIFY, SE_WIRE_SHAPE, a->now_ns);
        return false;
    }
    se_tree_depths(m->parent, m->nodes, depth);
    for (uint32_t i = 0; i < m->nodes; i++)
        deepest = depth[i] > deepest ? depth[i] : deepest;
    if ((uint64_t)m->base + deepest < s->context)
        return true;
    say_limit(a, message, SE_WIRE_E_CONTEXT, m->round, s->context, (uint64_t)m->base + deepest + 1,
              "ids of text");
    return false;
}

/* False: its key had as many tokens as it may have, and it is told when to come again. */
static bool may_have(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    struct se_account *account = se_server_session(a->s, at)->account;
    uint32_t wait_ms = account ? se_account_wait_ms(account, a->now_ns) : 0;
    if (wait_ms > 0)
        se_say_throttled(a->s, at, message->verify.round, wait_ms);
    return wait_ms == 0;
}

static void on_verify(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    struct se_server *s = a->s;
    const struct se_wire_verify *m = &message->verify;
    struct se_session *session = se_server_session(s, at);
    if (!is_next_round(a, message, at) || !is_same_text(a, message, at) ||
        !is_good_tree(a, message))
        return;
    if (s->draining) {
        say_leaving(a, SE_WIRE_VERIFY, m->round, message->session);
        return;
    }
    if (!may_have(a, message, at))
        return;
    uint32_t number = se_slot_claim(&s->pipeline.slots);
    if (number == SE_SLOT_NONE) {
        say_busy(a, SE_WIRE_VERIFY, m->round, message->session, "too many rounds at once");
        return;
    }
    struct se_slot *slot = &s->pipeline.slots.slot[number];
    slot->session = at;
    slot->round = m->round;
    slot->base = m->base;
    slot->n = m->nodes;
    slot->came_ns = se_server_moment(s, a->now_ns);
    memcpy(slot->parent, m->parent, m->nodes * sizeof *m->parent);
    memcpy(slot->token, m->token, m->nodes * sizeof *m->token);
    session->ahead = m->ahead;
    session->stream_round = m->ahead ? m->round : 0;
    if (session->account)
        se_account_take(session->account);
    se_show_asked(s, at, m, a->now_ns);
    se_pipeline_round(&s->pipeline, number, a->now_ns);
}

static void on_cancel(const struct asks *a, const struct se_wire *message, uint32_t at)
{
    struct se_server *s = a->s;
    const struct se_wire_cancel *m = &message->cancel;
    struct se_session *session = se_server_session(s, at);
    bool passed =
        session->slot != SE_SLOT_NONE && s->pipeline.slots.slot[session->slot].round > m->round;
    if (passed || (m->round < session->round && !session->loose)) {
        se_server_count(s, SE_COUNT_STALE, 1); /* it comes again, or late */
        return;
    }
    session->ahead = 0;
    session->stream_round = 0;
    se_pipeline_drop(&s->pipeline, at);
    session->round = m->round;
    session->loose = false;
    session->answered = false;
    if (m->base < session->n)
        se_pipeline_cut(&s->pipeline, at, m->base);
}

/* ---- the others */

static void on_bye(const struct asks *a, const struct se_wire *message)
{
    if (message->session == 0) {
        forget_peer(a->s, a->peer, true, a->now_ns);
        return;
    }
    uint32_t at = se_session_find(&a->s->sessions, message->session);
    if (at == SE_SESSION_NONE)
        return;
    if (se_server_session(a->s, at)->peer == a->peer)
        close_session(a->s, at, a->now_ns);
    else
        denied(a, message, 0, "another edge's session");
}

static void on_ping(const struct asks *a, const struct se_wire *message)
{
    struct se_wire answer = { .session = message->session, .type = SE_WIRE_PING };
    uint32_t load = a->s->pipeline.n_at_work;
    if (message->ping.answer)
        return;
    answer.ping = (struct se_wire_ping){ .stamp = message->ping.stamp,
                                         .answer = 1,
                                         .load = (uint8_t)(load < UINT8_MAX ? load : UINT8_MAX) };
    se_say(a->s, a->peer, &answer);
}

static void on_stats(const struct asks *a, const struct se_wire *message)
{
    struct se_wire answer = { .session = message->session, .type = SE_WIRE_STATS };
    uint32_t first = message->stats.first, total = a->s->o.stat ? SE_COUNT_END : 0;
    if (message->stats.answer)
        return;
    first = first < total ? first : total;
    uint32_t n = total - first < SE_WIRE_STATS_MAX ? total - first : SE_WIRE_STATS_MAX;
    answer.stats = (struct se_wire_stats){ .schema = se_counter_schema(),
                                           .first = (uint16_t)first,
                                           .total = (uint16_t)total,
                                           .n = (uint8_t)n,
                                           .answer = 1 };
    for (uint32_t i = 0; i < n; i++)
        answer.stats.value[i] = se_stat_get(a->s->o.stat, first + i);
    se_say(a->s, a->peer, &answer);
}

static void on_session(const struct asks *a, const struct se_wire *message)
{
    uint32_t at = se_session_find(&a->s->sessions, message->session);
    uint64_t ref = message->type == SE_WIRE_VERIFY ? message->verify.round : 0;
    if (at == SE_SESSION_NONE || se_server_session(a->s, at)->closing) {
        if (message->type == SE_WIRE_VERIFY) /* one answer is enough */
            no_session(a, message, ref);
        return;
    }
    struct se_session *session = se_server_session(a->s, at);
    if (session->peer != a->peer) {
        denied(a, message, ref, "another edge's session");
        return;
    }
    session->heard_ns = a->now_ns;
    if (message->type == SE_WIRE_PREFILL)
        on_prefill(a, message, at);
    else if (message->type == SE_WIRE_VERIFY)
        on_verify(a, message, at);
    else
        on_cancel(a, message, at);
}

static void on_message(const struct asks *a, const struct se_wire *message)
{
    switch (message->type) {
    case SE_WIRE_HELLO:
        on_hello(a, &message->hello);
        break;
    case SE_WIRE_RESUME:
        on_resume(a, message);
        break;
    case SE_WIRE_PREFILL:
    case SE_WIRE_VERIFY:
    case SE_WIRE_CANCEL:
        on_session(a, message);
        break;
    case SE_WIRE_BYE:
        on_bye(a, message);
        break;
    case SE_WIRE_PING:
        on_ping(a, message);
        break;
    case SE_WIRE_STATS:
        on_stats(a, message);
        break;
    default: /* an edge has no business with the others, and an ERROR is never answered */
        break;
    }
}

static void on_frame(struct se_server *s, se_link_peer peer, const struct se_frame *frame,
                     uint64_t now_ns)
{
    struct se_wire message;
    uint32_t number = se_peer_find(&s->peers, peer);
    se_server_count(s, SE_COUNT_FRAMES_IN, 1);
    se_server_count(s, SE_COUNT_BYTES_IN, frame->len_b);
    if (number == SE_PEER_NONE)
        return; /* cut off, or no memory for it */
    if (!se_peer_pays(&s->peers.peer[number], s->live.peer_frames, now_ns)) {
        struct se_peer *of = &s->peers.peer[number];
        se_server_count(s, SE_COUNT_FLOODED, 1);
        note_fault(s, FLOOD, peer, "more frames than its rate allows");
        if (++of->flooded % FAULTS_PER_NOTE == 0)
            add_fault(s, peer, now_ns);
        return;
    }
    struct se_wire_room room = { .parent = s->parent,
                                 .token = s->token,
                                 .nodes_max = SE_WIRE_NODES_MAX,
                                 .ids_max = SE_SERVER_IDS,
                                 .vocab = s->o.vocab };
    message.type = (enum se_wire_type)0;
    int fault = se_wire_decode(frame->data, frame->len_b, &room, &message);
    const struct asks asks = { s, peer, now_ns };
    if (fault)
        malformed(s, peer, message.type, fault, now_ns);
    else
        on_message(&asks, &message);
}

int se_desk_read(struct se_server *s, uint32_t frames, uint64_t now_ns)
{
    int some = 0;
    for (uint32_t i = 0; i < frames; i++) {
        struct se_frame *frame = NULL;
        se_link_peer peer = 0;
        int r = se_link_recv(s->o.link, &peer, &frame);
        if (r < 0)
            return se_trace(r);
        if (r == SE_LINK_AGAIN || r == SE_LINK_DRY || r == SE_LINK_CLOSED)
            return some;
        some = 1;
        if (r == SE_LINK_JOINED) {
            uint32_t number = se_peer_join(&s->peers, peer, now_ns);
            if (number != SE_PEER_NONE)
                se_keys_joined(s, number, now_ns);
        }
        if (r == SE_LINK_GONE) {
            uint32_t number = se_peer_find(&s->peers, peer);
            forget_peer(s, peer, false, now_ns);
            if (number != SE_PEER_NONE) {
                se_keys_left(s, number);
                se_peer_leave(&s->peers, number);
            }
        }
        if (r == 0) {
            on_frame(s, peer, frame, now_ns);
            se_frame_put(frame);
        }
    }
    return some;
}

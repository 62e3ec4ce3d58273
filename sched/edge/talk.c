/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/edge/talk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "transport/pack.h"
#include "transport/shape.h"

enum { FRAMES = 64, TROUBLES_RESTART = 4, TROUBLES_MAX = 16, LOST_MANY = 4 };
#define ROOM_NS UINT64_C(1000000) /* until the link is asked for room again */
#define PAUSE_MAX_NS UINT64_C(10000000000)

void se_talk_init(struct se_talk *t, const struct se_edge_options *options)
{
    *t = (struct se_talk){ .o = options, .nonce = options->nonce, .hash = SE_WIRE_HASH_START };
}

void se_talk_fini(struct se_talk *t) { se_mem_free(t->text); }

static void note(const struct se_talk *t, const char *text)
{
    if (t->o->watch.note)
        t->o->watch.note(t->o->watch.context, text);
}

/* ---- text */

static int append(struct se_talk *t, const uint32_t *id, uint32_t n)
{
    int r = se_mem_grow(&t->text, &t->cap, (size_t)t->n + n, sizeof *t->text);
    if (r < 0)
        return se_trace(r);
    memcpy(t->text + t->n, id, n * sizeof *id);
    uint32_t from = t->n > 0 ? t->n - 1 : 0; /* the old root is no longer the last */
    t->n += n;
    t->hash = se_wire_hash(t->hash, t->text + from, t->n - 1 - from);
    return 0;
}

static void cut(struct se_talk *t, uint32_t n)
{
    t->n = n;
    t->hash = se_wire_hash(SE_WIRE_HASH_START, t->text, n > 0 ? n - 1 : 0);
}

static uint32_t base_of(const struct se_talk *t) { return t->n - 1; }

/* The highest round that the server may have come to. */
static uint32_t highest_round(const struct se_talk *t) { return t->round + t->pushes; }

static void end_rounds(struct se_talk *t)
{
    if (t->open || t->pushes > 0) {
        t->answered_last = false; /* the server may be further */
        t->cancels = true;
        t->round = highest_round(t) + (t->open ? t->ahead : 0);
    }
    t->open = false;
    t->pushes = 0;
}

void se_talk_quiet(struct se_talk *t)
{
    end_rounds(t);
    t->wanted = t->told_busy = false;
}

int se_talk_set(struct se_talk *t, const uint32_t *id, uint32_t n, uint64_t now_ns)
{
    uint32_t same = 0;
    while (same < n && same < t->n && t->text[same] == id[same])
        same++;
    end_rounds(t);
    /* The server has what is before its root. Of that it keeps what is before ours. */
    uint32_t held = t->n > 0 ? base_of(t) : 0, keep = same < n - 1 ? same : n - 1;
    if (held > keep) {
        t->cancels = true;
        held = keep;
    }
    t->common = t->common < held ? t->common : held;
    t->sent = t->sent < held ? t->sent : held;
    cut(t, same);
    t->heard_ns = t->answered_ns = now_ns;
    t->answered_last = false;
    t->troubles = t->lost = 0;
    t->told_down = false;
    t->wanted = true;
    t->model = 0;
    return append(t, id + same, n - same);
}

/* ---- sending */

static int say(struct se_talk *t, const struct se_wire *message)
{
    struct se_frame *frame = se_frame_get(t->o->frames);
    size_t len_b = 0;
    if (!frame)
        return SE_LINK_AGAIN;
    int fault = se_wire_encode(message, frame->data, frame->cap_b, &len_b);
    if (fault) {
        se_frame_put(frame);
        return se_fail(-EPROTO, "a message of our own: %s", se_wire_fault_text(fault));
    }
    frame->len_b = (uint32_t)len_b;
    int r = se_link_send(t->o->link, SE_LINK_SERVER, frame);
    if (r == 0)
        t->up_b += (uint32_t)len_b;
    else
        se_frame_put(frame);
    return r < 0 ? se_trace(r) : r;
}

static void pause_from(struct se_talk *t, uint64_t now_ns)
{
    t->due_ns = now_ns + t->pause_ns;
    t->pause_ns = t->pause_ns < PAUSE_MAX_NS / 2 ? 2 * t->pause_ns : PAUSE_MAX_NS;
}

static void say_at_once(struct se_talk *t)
{
    t->due_ns = 0;
    t->pause_ns = t->o->retry_ns;
}

static int say_hello(struct se_talk *t)
{
    const struct se_sampling *sampling = &t->o->sampling;
    struct se_wire message = { .session = 0, .type = SE_WIRE_HELLO };
    message.hello = (struct se_wire_hello){
        .nonce = t->nonce,
        .fingerprint = t->o->fingerprint,
        .seed = sampling->seed,
        .temp = sampling->temp,
        .top_p = sampling->top_p,
        .min_p = sampling->min_p,
        .top_k = sampling->top_k,
        .vocab = t->o->drafter ? t->o->drafter->vocab : 0,
        .tokens = t->o->tokens,
        .context = t->o->context,
        .caps = SE_WIRE_CAN_ALL,
        .max_nodes = SE_WIRE_NODES_MAX,
        .version_min = SE_WIRE_VERSION,
        .version_max = SE_WIRE_VERSION,
        .speculate = (uint8_t)t->o->speculate,
    };
    if (t->o->drafter)
        se_wire_set_draft(&message.hello, t->o->drafter->name);
    return say(t, &message);
}

static int say_resume(struct se_talk *t)
{
    struct se_wire message = { .session = t->session, .type = SE_WIRE_RESUME };
    message.resume = (struct se_wire_resume){ .nonce = t->nonce,
                                              .token = { t->token[0], t->token[1] },
                                              .hash = t->hash,
                                              .base = base_of(t),
                                              .round = t->round };
    return say(t, &message);
}

static int say_cancel(struct se_talk *t)
{
    struct se_wire message = { .session = t->session, .type = SE_WIRE_CANCEL };
    /* The round that is open comes after it. */
    uint32_t round = t->open ? t->round - 1 : t->round;
    message.cancel = (struct se_wire_cancel){ .round = round, .base = t->sent };
    if (message.cancel.base > base_of(t))
        message.cancel.base = base_of(t);
    int r = say(t, &message);
    if (r == 0)
        t->cancels = false;
    return r;
}

static int say_prefill(struct se_talk *t)
{
    uint32_t left = base_of(t) - t->sent;
    uint32_t n = left < t->welcome.max_ids ? left : t->welcome.max_ids;
    struct se_wire message = { .session = t->session, .type = SE_WIRE_PREFILL };
    message.prefill = (struct se_wire_prefill){ .base = t->sent,
                                                .total = base_of(t),
                                                .n = (uint16_t)n,
                                                .id_bits = (uint8_t)se_pack_bits(t->welcome.vocab),
                                                .id = t->text + t->sent };
    int r = say(t, &message);
    if (r == 0)
        t->sent += n;
    return r;
}

/* What the server takes of the tree, which may have been drawn for one with other limits. Who
 * stays keeps his place in the order, so it is level order still. */
static void fit_tree(struct se_talk *t)
{
    uint32_t n = 1, room = t->welcome.context - base_of(t);
    uint16_t place[SE_WIRE_NODES_MAX] = { 0 }, depth[SE_WIRE_NODES_MAX] = { 0 };
    for (uint32_t i = 1; i < t->nodes; i++) {
        uint32_t parent = (uint32_t)t->parent[i];
        depth[i] = (uint16_t)(depth[parent] + 1);
        place[i] = SE_WIRE_NODES_MAX;
        if (place[parent] == SE_WIRE_NODES_MAX || n == t->welcome.max_nodes || depth[i] >= room ||
            t->id[i] >= t->welcome.vocab)
            continue;
        place[i] = (uint16_t)n;
        t->parent[n] = place[parent];
        t->id[n] = t->id[i];
        t->given[n++] = t->given[i];
    }
    t->nodes = n;
}

/* Of a round that went out straight behind an answer; after anything else, the time since then is
 * not the edge's own. */
static uint32_t think_us(const struct se_talk *t, uint64_t now_ns)
{
    const uint64_t us = (now_ns - t->answered_ns) / 1000;
    return t->answered_last && t->times == 0 && us < SE_WIRE_U24_MAX ? (uint32_t)us
                                                                     : SE_WIRE_U24_MAX;
}

static int say_verify(struct se_talk *t, uint64_t now_ns)
{
    if (!t->said)
        fit_tree(t);
    struct se_wire message = { .session = t->session, .type = SE_WIRE_VERIFY };
    message.verify = (struct se_wire_verify){ .round = t->round,
                                              .base = base_of(t),
                                              .nodes = (uint16_t)t->nodes,
                                              .ahead = t->ahead,
                                              .id_bits = (uint8_t)se_pack_bits(t->welcome.vocab),
                                              .flags = t->flags,
                                              .check = (uint32_t)t->hash,
                                              .think_us = think_us(t, now_ns),
                                              .parent = t->parent,
                                              .token = t->id };
    int r = say(t, &message);
    if (r != 0)
        return r;
    if (t->times++ == 0)
        t->said_ns = now_ns;
    t->said = true;
    pause_from(t, now_ns);
    return 0;
}

/* A server that works on a long prompt drops what comes twice and says nothing; but it lives. */
static int say_ping(struct se_talk *t, uint64_t now_ns)
{
    struct se_wire message = { .session = t->session, .type = SE_WIRE_PING };
    message.ping = (struct se_wire_ping){ .stamp = now_ns };
    return say(t, &message);
}

/* Asks to be let in, or in again. */
static int open_session(struct se_talk *t, uint64_t now_ns)
{
    if (t->state == SE_TALK_OPENING && now_ns < t->due_ns)
        return SE_LINK_AGAIN;
    if (t->state != SE_TALK_OPENING) {
        t->nonce++;
        t->state = SE_TALK_OPENING;
        t->asked_ns = now_ns;
        t->pause_ns = t->o->retry_ns;
    } else {
        t->asked_ns = 0; /* sent again: which one will be answered? */
    }
    int r = t->resuming ? say_resume(t) : say_hello(t);
    if (r == 0)
        pause_from(t, now_ns);
    else
        t->due_ns = now_ns + ROOM_NS;
    return r;
}

/* Sends one message that is due. 0: it did; AGAIN: nothing is due, or there is no room. */
static int send_due(struct se_talk *t, uint64_t now_ns)
{
    if (!t->joined || t->n == 0 || now_ns < t->hold_ns)
        return SE_LINK_AGAIN;
    if (t->state != SE_TALK_OPEN) /* a session that is gone is missed when there is use for it */
        return t->wanted || t->resuming ? open_session(t, now_ns) : SE_LINK_AGAIN;
    if (t->cancels)
        return say_cancel(t);
    if (!t->open && t->pushes > 0 && now_ns >= t->due_ns) {
        /* Pushes that were promised do not come: from here on they are asked for. */
        uint16_t ahead = t->pushes;
        t->answered_last = false;
        se_talk_verify(t, NULL, &t->text[base_of(t)], 1, ahead > 0 ? ahead - 1 : 0, 0);
        return 0;
    }
    if (!se_talk_fits(t)) /* the edge says so itself */
        return SE_LINK_AGAIN;
    if (t->sent < base_of(t))
        return say_prefill(t);
    if (t->open && (!t->said || now_ns >= t->due_ns)) {
        int r = t->said ? say_ping(t, now_ns) : 0;
        return r == 0 ? say_verify(t, now_ns) : r;
    }
    return SE_LINK_AGAIN;
}

void se_talk_verify(struct se_talk *t, const int32_t *parent, const uint32_t *id, uint32_t nodes,
                    uint16_t ahead, uint8_t flags)
{
    if (t->pushes > 0 || t->open)
        end_rounds(t);
    t->round++;
    t->open = t->wanted = true;
    t->said = false;
    t->times = 0;
    t->nodes = nodes;
    t->ahead = ahead;
    t->flags = flags;
    memcpy(t->id, id, nodes * sizeof *id);
    for (uint32_t i = 0; i < nodes; i++)
        t->given[i] = (uint16_t)i;
    t->parent[0] = -1;
    if (nodes > 1)
        memcpy(t->parent + 1, parent + 1, (nodes - 1) * sizeof *parent);
    say_at_once(t);
}

void se_talk_bye(struct se_talk *t)
{
    struct se_wire message = { .session = t->session,
                               .type = SE_WIRE_BYE,
                               .bye = { .reason = SE_WIRE_BYE_DONE } };
    if (t->joined && t->session != 0)
        say(t, &message);
    t->session = 0;
    t->state = SE_TALK_CLOSED;
}

/* ---- what the server says */

/* The two no longer agree, or may not: RESUME, and when that has not helped, from nothing. */
static void agree_anew(struct se_talk *t)
{
    bool resuming = ++t->troubles % TROUBLES_RESTART != 0 && t->session != 0;
    if (!resuming)
        se_talk_bye(t);
    t->state = SE_TALK_CLOSED;
    t->resuming = resuming;
    t->cancels = false;
    say_at_once(t);
}

static void forget_session(struct se_talk *t)
{
    t->state = SE_TALK_CLOSED;
    t->resuming = false;
    t->cancels = false;
    t->session = 0;
    say_at_once(t);
}

/* Whether the text can go on there: it is one model's, and in ids that the server knows. */
static int check_same(const struct se_talk *t)
{
    const struct se_wire_welcome *m = &t->welcome;
    if (t->model != 0 && m->model != 0 && m->model != t->model)
        return se_fail(SE_EDGE_REFUSED, "the server came back with another model, which might have "
                                        "written another text so far");
    for (uint32_t i = 0; i < t->n; i++)
        if (t->text[i] >= m->vocab)
            return se_fail(SE_EDGE_REFUSED,
                           "the server's vocabulary of %u has no id %u of the text", m->vocab,
                           t->text[i]);
    return 0;
}

static int on_welcome(struct se_talk *t, const struct se_wire *message, uint64_t now_ns)
{
    const struct se_wire_welcome *m = &message->welcome;
    if (t->state != SE_TALK_OPENING || m->nonce != t->nonce)
        return 0; /* of an attempt that was given up */
    t->answered_last = false;
    t->state = SE_TALK_OPEN;
    t->session = message->session;
    t->token[0] = m->token[0];
    t->token[1] = m->token[1];
    t->welcome = *m;
    t->welcomed = true;
    if (t->asked_ns != 0)
        t->trip_ns = now_ns - t->asked_ns;
    t->common = m->held < base_of(t) ? m->held : base_of(t);
    t->sent = t->common;
    if (!t->resuming) /* rounds begin anew */
        t->round = t->open ? 1 : 0;
    if (t->pushes > 0) { /* they ended with the old connection */
        uint16_t ahead = t->pushes - 1;
        t->pushes = 0;
        se_talk_verify(t, NULL, &t->text[base_of(t)], 1, ahead, 0);
    }
    t->cancels = false; /* HELLO and RESUME say all that CANCEL would */
    t->said = false;
    say_at_once(t);
    return t->wanted ? check_same(t) : 0;
}

/* An answer was lost on the way: the server is further than it told. It goes back, and the round
 * comes again under a number that it cannot have reached. */
static void ask_from_here(struct se_talk *t)
{
    t->answered_last = false;
    if (!t->open) {
        uint16_t ahead = t->pushes - 1;
        se_talk_verify(t, NULL, &t->text[base_of(t)], 1, ahead, 0);
        return;
    }
    t->cancels = true;
    t->round += t->ahead + 1u;
    t->said = false;
    say_at_once(t);
}

/* The path in the tree that was sent, and whether the answer can be one to it. */
static bool find_path(const struct se_talk *t, const struct se_wire_result *m, uint32_t *path)
{
    return se_shape_path(t->parent, t->nodes, m->last, m->accepted, path);
}

static int take_result(struct se_talk *t, const struct se_wire_result *m, uint64_t now_ns,
                       struct se_talk_result *result)
{
    int r = 0;
    for (uint32_t i = 1; i < m->accepted && r == 0; i++)
        r = append(t, &t->id[result->path[i]], 1);
    if (r == 0)
        r = append(t, &m->bonus, 1);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < m->accepted; i++)
        result->path[i] = t->given[result->path[i]];
    result->nodes = t->nodes;
    result->wire = *m;
    result->wait_ns = now_ns - t->said_ns;
    result->sent_ns = result->pushed ? 0 : t->said_ns;
    /* The frame may have come after the round of duty began. */
    result->heard_ns = t->o->watch.span ? se_clock_read(&t->o->clock) : now_ns;
    result->times = t->times;
    result->up_b = t->up_b;
    result->down_b = t->down_b;
    t->up_b = t->down_b = 0;
    t->said_ns = now_ns;
    t->common = t->sent = base_of(t);
    t->troubles = t->lost = 0;
    t->answered_ns = now_ns;
    t->answered_last = !result->pushed && !(m->flags & SE_WIRE_RESULT_REPEAT);
    t->model = t->welcome.model;
    say_at_once(t);
    t->due_ns = now_ns + t->pause_ns;
    return SE_TALK_RESULT;
}

static int on_result(struct se_talk *t, const struct se_wire_result *m, uint64_t now_ns,
                     struct se_talk_result *result)
{
    bool pushed = m->flags & SE_WIRE_RESULT_PUSHED;
    if (t->cancels || (!t->open && t->pushes == 0))
        return 0; /* of a text that is not wanted any more */
    if (t->open && m->round == t->round && m->base == base_of(t) && t->said) {
        if (!find_path(t, m, result->path)) {
            agree_anew(t);
            return 0;
        }
        t->open = false;
        t->pushes = t->ahead;
        result->pushed = false;
        return take_result(t, m, now_ns, result);
    }
    if (!t->open && pushed && m->round == t->round + 1 && m->base == base_of(t) &&
        m->accepted == 1) {
        t->round++;
        t->pushes--;
        t->nodes = 1;
        t->times = 1;
        result->path[0] = 0;
        result->pushed = true;
        return take_result(t, m, now_ns, result);
    }
    uint32_t highest = t->round + (t->open ? t->ahead : t->pushes);
    if (pushed && m->round > t->round && m->round <= highest && m->base > base_of(t))
        ask_from_here(t);
    return 0; /* late, or twice */
}

static int refused(const struct se_wire_error *m)
{
    char numbers[96] = "";
    if (m->code == SE_WIRE_E_TOKENIZER)
        snprintf(numbers, sizeof numbers, " (its fingerprint %016" PRIx64 ", ours %016" PRIx64 ")",
                 m->a, m->b);
    else if (m->code == SE_WIRE_E_VERSION || m->code == SE_WIRE_E_VOCAB)
        snprintf(numbers, sizeof numbers, " (its %" PRIu64 ", ours %" PRIu64 ")", m->a, m->b);
    return se_fail(SE_EDGE_REFUSED, "the server refuses: %s%s", m->text, numbers);
}

static int busy(struct se_talk *t, const struct se_wire_error *m, uint64_t now_ns)
{
    char text[SE_WIRE_TEXT_MAX + 64];
    if (t->o->busy == SE_EDGE_BUSY_FAIL && m->about == SE_WIRE_HELLO)
        return se_fail(SE_EDGE_FULL, "the server is full: %s", m->text);
    uint64_t wait_ms = m->retry_ms ? m->retry_ms : 1000;
    /* Not all at once: who was sent away together does not come back together. */
    wait_ms += wait_ms * (t->nonce * 2654435761u >> 8 & 63) / 64;
    snprintf(text, sizeof text, "%s; trying again in %" PRIu64 " ms", m->text, wait_ms);
    if (m->about != SE_WIRE_VERIFY || !t->told_busy)
        note(t, text);
    t->told_busy |= m->about == SE_WIRE_VERIFY;
    t->hold_ns = now_ns + wait_ms * 1000000;
    t->answered_last = false;
    if (t->state == SE_TALK_OPENING)
        t->state = SE_TALK_CLOSED;
    t->said = false;
    t->sent = t->common < t->sent ? t->common : t->sent;
    say_at_once(t);
    return 0;
}

/* Where the server stands is told; whether its text is ours is known only as far as it held
 * the same before. */
static void on_gap(struct se_talk *t, const struct se_wire_error *m)
{
    if (m->a > t->common) {
        agree_anew(t);
        return;
    }
    t->common = t->sent = (uint32_t)m->a;
    t->troubles++;
    t->said = false;
    say_at_once(t);
}

/* Whether an error is about what we wait for. */
static bool concerns(const struct se_talk *t, const struct se_wire_error *m)
{
    if (m->about == SE_WIRE_HELLO || m->about == SE_WIRE_RESUME)
        return t->state == SE_TALK_OPENING && m->ref == t->nonce;
    if (m->about == SE_WIRE_PREFILL && m->code == SE_WIRE_E_CONTEXT)
        return m->b == base_of(t);              /* otherwise of a text before this one */
    if (m->about == SE_WIRE_VERIFY && !t->open) /* the next push comes later */
        return t->state == SE_TALK_OPEN && t->pushes > 0 && m->code == SE_WIRE_E_BUSY &&
               m->ref == t->round + 1;
    if (m->about == SE_WIRE_VERIFY)
        return t->state == SE_TALK_OPEN && m->ref == t->round;
    return true;
}

static int on_error(struct se_talk *t, const struct se_wire *message, uint64_t now_ns)
{
    const struct se_wire_error *m = &message->error;
    if (!concerns(t, m) || (message->session != 0 && message->session != t->session))
        return 0;
    switch ((enum se_wire_code)m->code) {
    case SE_WIRE_E_BUSY:
    case SE_WIRE_E_DRAIN:
        return busy(t, m, now_ns);
    case SE_WIRE_E_SESSION:
        forget_session(t);
        return 0;
    case SE_WIRE_E_DENIED:
        if (m->about == SE_WIRE_HELLO || t->session == 0)
            return refused(m);
        if (m->about == SE_WIRE_RESUME)
            forget_session(t);
        else
            agree_anew(t);
        return 0;
    case SE_WIRE_E_GAP:
        on_gap(t, m);
        return 0;
    case SE_WIRE_E_ROUND:
    case SE_WIRE_E_HASH:
        agree_anew(t);
        return 0;
    case SE_WIRE_E_MALFORMED: /* damaged on the way: it is sent again */
        t->troubles++;
        return 0;
    case SE_WIRE_E_CONTEXT:
        return se_fail(-ERANGE, "the server: %s", m->text);
    case SE_WIRE_E_INTERNAL:
    case SE_WIRE_E_LIMIT:
        return se_fail(-EREMOTEIO, "the server: %s", m->text);
    default:
        return refused(m);
    }
}

static void on_ping(struct se_talk *t, const struct se_wire *message)
{
    struct se_wire answer = { .session = message->session, .type = SE_WIRE_PING };
    answer.ping = (struct se_wire_ping){ .stamp = message->ping.stamp, .answer = 1 };
    if (!message->ping.answer)
        say(t, &answer);
}

static int on_frame(struct se_talk *t, const struct se_frame *frame, uint64_t now_ns,
                    struct se_talk_result *result)
{
    struct se_wire message;
    struct se_wire_room room = { .vocab = t->welcomed ? t->welcome.vocab : 0 };
    t->down_b += frame->len_b;
    int fault = se_wire_decode(frame->data, frame->len_b, &room, &message);
    if (fault == SE_WIRE_NEWER) /* whatever it says: it will not understand us either */
        return se_fail(SE_EDGE_REFUSED,
                       "the server speaks version %d of the protocol, and this program version %d: "
                       "both must be of one release",
                       frame->data[SE_WIRE_AT_VERSION], SE_WIRE_VERSION);
    if (fault)
        return 0; /* no message of a server; what it was to say is asked for again */
    t->heard_ns = now_ns;
    bool ours = message.session == t->session && t->session != 0;
    switch (message.type) {
    case SE_WIRE_WELCOME:
        return on_welcome(t, &message, now_ns);
    case SE_WIRE_RESULT:
        return ours && t->state == SE_TALK_OPEN ? on_result(t, &message.result, now_ns, result) : 0;
    case SE_WIRE_ERROR:
        return on_error(t, &message, now_ns);
    case SE_WIRE_BYE:
        if (message.bye.reason == SE_WIRE_BYE_DRAIN)
            note(t, "the server is about to leave");
        else if (ours)
            forget_session(t);
        return 0;
    case SE_WIRE_PING:
        on_ping(t, &message);
        return 0;
    default:
        return 0;
    }
}

static void on_joined(struct se_talk *t)
{
    t->joined = true;
    if (t->told_down)
        note(t, "connected again");
    t->told_down = false;
    t->state = SE_TALK_CLOSED;
    t->resuming = t->session != 0;
    t->said = false;
    say_at_once(t);
}

static void on_gone(struct se_talk *t)
{
    const char *why = ++t->lost >= LOST_MANY ? se_link_trouble(t->o->link) : NULL;
    snprintf(t->why, sizeof t->why, "%s%s", why ? ": " : "", why ? why : "");
    t->joined = false;
    if (t->wanted && !t->told_down) {
        note(t, "the connection is lost; trying again");
        t->told_down = true;
    }
}

/* ---- duty */

bool se_talk_fits(const struct se_talk *t) { return t->n <= t->welcome.context; }

bool se_talk_waits(const struct se_talk *t) { return t->open || t->pushes > 0; }

/* A round that is not answered, or a session that is not opened. */
static bool misses_server(const struct se_talk *t)
{
    return se_talk_waits(t) || (t->wanted && t->state != SE_TALK_OPEN);
}

/* A server that can be reached, and then the connection breaks, over and over: something on the way,
 * or in the round itself, does it. */
static bool is_cut_off(const struct se_talk *t, uint64_t now_ns)
{
    return misses_server(t) && !t->joined && t->lost >= LOST_MANY && now_ns >= t->hold_ns &&
           now_ns - t->answered_ns >= t->o->give_up_ns;
}

static int give_up(const struct se_talk *t, uint64_t now_ns)
{
    if (t->troubles > TROUBLES_MAX)
        return se_fail(-EPROTO, "the server and this edge cannot agree on the text");
    if (!t->joined && misses_server(t) && se_link_refused(t->o->link))
        return se_fail(SE_EDGE_REFUSED, "%s", se_link_trouble(t->o->link));
    /* While it wants to be left alone it owes no sign. */
    uint64_t since_ns = t->heard_ns > t->hold_ns ? t->heard_ns : t->hold_ns;
    if (is_cut_off(t, now_ns))
        return se_fail(
            SE_EDGE_UNREACHABLE, "%s: %u connections were lost in %.1f s, before an answer%s",
            se_link_url(t->o->link), t->lost, (double)(now_ns - t->answered_ns) * 1e-9, t->why);
    if (!misses_server(t) || now_ns < since_ns || now_ns - since_ns < t->o->give_up_ns)
        return 0;
    const char *trouble = t->joined ? NULL : se_link_trouble(t->o->link);
    return se_fail(SE_EDGE_UNREACHABLE, "%s: %s for %.1f s%s%s", se_link_url(t->o->link),
                   t->joined ? "the server does not answer" : "there is no server",
                   (double)(now_ns - since_ns) * 1e-9, trouble ? ": " : "", trouble ? trouble : "");
}

int se_talk_work(struct se_talk *t, uint64_t now_ns, struct se_talk_result *result)
{
    bool some = false;
    for (int i = 0; i < FRAMES; i++) {
        struct se_frame *frame = NULL;
        se_link_peer peer;
        int r = se_link_recv(t->o->link, &peer, &frame);
        if (r < 0)
            return se_trace(r);
        if (r == SE_LINK_AGAIN || r == SE_LINK_DRY || r == SE_LINK_CLOSED)
            break;
        some = true;
        if (r == SE_LINK_JOINED)
            on_joined(t);
        if (r == SE_LINK_GONE)
            on_gone(t);
        if (r != 0)
            continue;
        r = on_frame(t, frame, now_ns, result);
        se_frame_put(frame);
        if (r != 0)
            return r;
    }
    for (int i = 0; i < FRAMES; i++) {
        int r = send_due(t, now_ns);
        if (r < 0)
            return se_trace(r);
        if (r != 0)
            break;
        some = true;
    }
    int r = give_up(t, now_ns);
    return r != 0 ? r : some ? 0 : SE_TALK_NOTHING;
}

uint64_t se_talk_next_ns(const struct se_talk *t)
{
    uint64_t now_ns = se_clock_read(&t->o->clock), next = UINT64_MAX;
    bool opens = t->n > 0 && (t->wanted || t->resuming);
    if (!se_talk_waits(t) && !(t->state == SE_TALK_OPEN ? t->cancels : opens))
        return next;
    if (misses_server(t))
        next = (t->heard_ns > t->hold_ns ? t->heard_ns : t->hold_ns) + t->o->give_up_ns;
    if (!t->joined)
        return next;
    uint64_t due = t->due_ns > t->hold_ns ? t->due_ns : t->hold_ns;
    if (due <= now_ns) /* it could not be sent: there is no room */
        due = now_ns + ROOM_NS;
    return due < next ? due : next;
}

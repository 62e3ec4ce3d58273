/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/err.h"
#include "sched/server/parts.h"

enum { RETRY_LEAST_MS = 100, RETRY_MOST_MS = 5000 };
#define UNREAD_NS UINT64_C(1000000000)

enum se_said se_say(struct se_server *s, se_link_peer peer, const struct se_wire *message)
{
    struct se_frame *frame = se_frame_get(s->o.frames);
    size_t len_b = 0;
    if (!frame)
        return SE_SAID_LATER;
    if (se_wire_encode(message, frame->data, frame->cap_b, &len_b)) {
        se_frame_put(frame);
        return SE_SAID_NOT;
    }
    frame->len_b = (uint32_t)len_b;
    int r = se_link_send(s->o.link, peer, frame);
    if (r == 0) {
        se_server_count(s, SE_COUNT_FRAMES_OUT, 1);
        se_server_count(s, SE_COUNT_BYTES_OUT, len_b);
        return SE_SAID;
    }
    se_frame_put(frame);
    return r == SE_LINK_AGAIN ? SE_SAID_LATER : SE_SAID_NOT;
}

struct se_wire_error se_say_error(enum se_wire_code code, enum se_wire_type about, uint64_t ref)
{
    return (struct se_wire_error){ .code = (uint8_t)code, .about = (uint8_t)about, .ref = ref };
}

void se_say_no(struct se_server *s, se_link_peer peer, uint64_t session,
               const struct se_wire_error *error, const char *format, ...)
{
    char text[SE_WIRE_TEXT_MAX + 1];
    struct se_wire message = { .session = session, .type = SE_WIRE_ERROR, .error = *error };
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    se_wire_set_text(&message.error, text);
    se_say(s, peer, &message); /* who does not get it asks again */
}

uint32_t se_say_retry_ms(const struct se_server *s)
{
    /* A turn of those who are at work, roughly: somebody may be done by then. */
    uint64_t step_ms = se_pace_ns(&s->pipeline.pace, 64) / 1000000;
    uint64_t ms = RETRY_LEAST_MS + 8 * step_ms;
    return ms < RETRY_MOST_MS ? (uint32_t)ms : RETRY_MOST_MS;
}

static uint32_t costs(const struct se_pace *pace, uint32_t rows)
{
    uint64_t us = se_pace_ns(pace, rows) / 1000;
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void se_say_welcome(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    const struct se_session *session = se_server_session(s, at);
    uint64_t park_ms = s->live.park_ns / 1000000;
    struct se_wire message = { .session = session->id, .type = SE_WIRE_WELCOME };
    message.welcome = (struct se_wire_welcome){
        .nonce = session->nonce,
        .token = { session->token[0], session->token[1] },
        .model = s->o.model,
        .vocab = s->o.vocab,
        .context = s->context,
        .held = session->n,
        .park_ms = park_ms < UINT32_MAX ? (uint32_t)park_ms : UINT32_MAX,
        .caps = SE_WIRE_CAN_ALL,
        .max_nodes = (uint16_t)s->o.max_nodes,
        .max_ids = SE_SERVER_IDS,
        .version = SE_WIRE_VERSION,
    };
    for (uint32_t i = 0, rows = 1; i < SE_WIRE_COSTS; i++, rows *= 4)
        message.welcome.cost_us[i] = costs(&s->pipeline.pace, rows);
    (void)now_ns;
    se_say(s, session->peer, &message);
}

static uint32_t u24_us(uint64_t ns)
{
    uint64_t us = ns / 1000;
    return us < SE_WIRE_U24_MAX ? (uint32_t)us : SE_WIRE_U24_MAX;
}

static uint8_t load_of(const struct se_server *s)
{
    return s->pipeline.n_at_work < UINT8_MAX ? (uint8_t)s->pipeline.n_at_work : UINT8_MAX;
}

void se_say_again(struct se_server *s, uint32_t at)
{
    const struct se_session *session = se_server_session(s, at);
    struct se_wire message = { .session = session->id,
                               .type = SE_WIRE_RESULT,
                               .result = session->answer };
    message.result.flags |= SE_WIRE_RESULT_REPEAT;
    se_server_count(s, SE_COUNT_REPEATS, 1);
    se_say(s, session->peer, &message);
}

static uint64_t queue_ns(const struct se_slot *slot)
{
    return slot->begun_ns > slot->arrived_ns ? slot->begun_ns - slot->arrived_ns : 0;
}

static struct se_wire_result result_of(const struct se_server *s, const struct se_slot *slot)
{
    return (struct se_wire_result){
        .round = slot->round,
        .base = slot->base,
        .bonus = slot->bonus,
        .accepted = (uint16_t)slot->n_path,
        .last = (uint16_t)slot->path[slot->n_path - 1],
        .queue_us = u24_us(queue_ns(slot)),
        .step_us = u24_us(slot->ended_ns - slot->begun_ns),
        .load = load_of(s),
        .flags = (uint8_t)((slot->pushed ? SE_WIRE_RESULT_PUSHED : 0) |
                           (s->draining ? SE_WIRE_RESULT_DRAIN : 0)),
    };
}

static void say_failed(struct se_server *s, const struct se_slot *slot)
{
    const struct se_session *session = se_server_session(s, slot->session);
    bool waited = slot->failed == -EAGAIN;
    struct se_wire_error error =
        se_say_error(waited ? SE_WIRE_E_BUSY : SE_WIRE_E_INTERNAL, SE_WIRE_VERIFY, slot->round);
    error.retry_ms = waited ? se_say_retry_ms(s) : 0;
    se_server_count(s, waited ? SE_COUNT_BUSY : SE_COUNT_STEP_FAULTS, 1);
    if (!waited)
        se_server_tell(s, SE_SERVER_ERROR, "session %016" PRIx64 ": a step failed: %s", session->id,
                       s->pipeline.why);
    se_say_no(s, session->peer, session->id, &error, "%s",
              waited ? "no memory for more keys and values now" : s->pipeline.why);
}

/* The next round of a text that the server writes on by itself, in the same slot. */
static void push_on(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    struct se_slot *slot = &s->pipeline.slots.slot[at];
    struct se_session *session = se_server_session(s, slot->session);
    uint32_t bonus = slot->bonus, of = slot->session, round = slot->round;
    se_slot_release(&s->pipeline.slots, at);
    at = se_slot_claim(&s->pipeline.slots); /* the same one */
    slot = &s->pipeline.slots.slot[at];
    slot->session = of;
    slot->round = round + 1;
    slot->base = session->n;
    slot->n = 1;
    slot->came_ns = se_server_moment(s, now_ns);
    slot->parent[0] = SE_NODE_ROOT;
    slot->token[0] = bonus;
    slot->pushed = true;
    session->ahead--;
    if (session->account)
        se_account_take(session->account);
    se_server_count(s, SE_COUNT_PUSHES, 1);
    se_pipeline_round(&s->pipeline, at, now_ns);
}

/* An edge that does not read loses the answer, as a link may lose it, and asks again; it may not
 * hold a round, and its pages, for as long as it likes. */
static bool may_wait(const struct se_slot *slot, uint64_t now_ns)
{
    return now_ns < slot->ended_ns + UNREAD_NS;
}

/* A round that the server made itself says nothing of what trees are worth. */
static void charge_answer(struct se_account *account, const struct se_slot *slot, uint64_t share)
{
    const uint32_t drafted = slot->n - 1;
    se_account_spend(account, slot->n_path);
    se_account_add(account, SE_ACCOUNT_ROUNDS, 1);
    se_account_add(account, SE_ACCOUNT_DRAFTED, drafted);
    se_account_add(account, SE_ACCOUNT_ACCEPTED, slot->n_path - 1);
    if (slot->pushed)
        return;
    se_account_observe(account, SE_HISTOGRAM_VERIFY, slot->n_path);
    if (drafted > 0)
        se_account_observe(account, SE_HISTOGRAM_SHARE, share);
}

static void count_answer(struct se_server *s, const struct se_slot *slot)
{
    struct se_account *account = se_server_session(s, slot->session)->account;
    const uint64_t drafted = slot->n - 1, accepted = slot->n_path - 1;
    /* Rounded up: what is a little above a bound must not fall below it. */
    const uint64_t share = drafted > 0 ? (accepted * 1000000 + drafted - 1) / drafted : 0;
    if (account)
        charge_answer(account, slot, share);
    se_server_count(s, SE_COUNT_ROUNDS, 1);
    se_server_count(s, SE_COUNT_TOKENS, slot->n_path);
    se_server_count(s, SE_COUNT_DRAFTED, drafted);
    se_server_count(s, SE_COUNT_ACCEPTED, accepted);
    se_server_observe(s, SE_HISTOGRAM_QUEUE_NS, queue_ns(slot));
    if (slot->pushed)
        return;
    se_server_observe(s, SE_HISTOGRAM_VERIFY, slot->n_path);
    if (drafted > 0)
        se_server_observe(s, SE_HISTOGRAM_SHARE, share);
}

void se_say_throttled(struct se_server *s, uint32_t at, uint32_t round, uint32_t wait_ms)
{
    const struct se_session *session = se_server_session(s, at);
    struct se_account *account = session->account;
    struct se_wire_error error = se_say_error(SE_WIRE_E_BUSY, SE_WIRE_VERIFY, round);
    error.retry_ms = wait_ms;
    se_account_add(account, SE_ACCOUNT_THROTTLED, 1);
    se_server_count(s, SE_COUNT_THROTTLED, 1);
    se_say_no(s, session->peer, session->id, &error,
              "key %s may have %" PRIu32 " tokens per second", account->name,
              account->tokens_per_s);
}

/* Whether the server writes on by itself. That ends where its key has had its tokens: the edge is
 * told, and asks again. */
static bool may_push(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    struct se_session *session = se_server_session(s, at);
    if (session->ahead == 0 || session->peer == 0 || s->draining || session->n >= s->context)
        return false;
    const uint32_t wait_ms = session->account ? se_account_wait_ms(session->account, now_ns) : 0;
    if (wait_ms == 0)
        return true;
    session->ahead = 0;
    se_say_throttled(s, at, session->round + 1, wait_ms);
    return false;
}

static enum se_said say_result(struct se_server *s, const struct se_slot *slot,
                               const struct se_wire *message)
{
    const struct se_session *session = se_server_session(s, slot->session);
    const uint64_t sent_ns = se_server_moment(s, 0);
    enum se_said said = se_say(s, session->peer, message);
    if (said == SE_SAID)
        se_show_round(s, slot, sent_ns);
    return said;
}

/* False: there is no room to send it now. */
static bool answer(struct se_server *s, uint32_t at, uint64_t now_ns)
{
    struct se_pipeline *p = &s->pipeline;
    struct se_slot *slot = &p->slots.slot[at];
    struct se_session *session = se_server_session(s, slot->session);
    if (slot->failed == 0) {
        struct se_wire message = { .session = session->id,
                                   .type = SE_WIRE_RESULT,
                                   .result = result_of(s, slot) };
        if (session->peer != 0 && say_result(s, slot, &message) == SE_SAID_LATER) {
            se_server_count(s, SE_COUNT_SEND_WAITS, 1);
            if (may_wait(slot, now_ns))
                return false;
            session->ahead = 0;
        }
        session->round = slot->round;
        session->loose = false;
        session->answered = true;
        session->answer = message.result;
        count_answer(s, slot);
        se_show_answered(s, slot);
    } else {
        say_failed(s, slot);
        session->ahead = 0;
    }
    se_slot_unlink(&p->slots, &p->slots.done, at);
    session->slot = SE_SLOT_NONE;
    se_pipeline_answered(p, slot->session, now_ns);
    if (may_push(s, slot->session, now_ns))
        push_on(s, at, now_ns);
    else
        se_slot_release(&p->slots, at);
    return true;
}

bool se_say_answers(struct se_server *s, uint64_t now_ns)
{
    bool some = false;
    uint32_t next;
    for (uint32_t at = s->pipeline.slots.done.first; at != SE_SLOT_NONE; at = next) {
        next = s->pipeline.slots.slot[at].next;
        some |= answer(s, at, now_ns);
    }
    return some;
}

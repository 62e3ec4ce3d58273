/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sched/audit.h"

#include <stdarg.h>
#include <stdio.h>

#include "sched/server/parts.h"

static const char *found(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *found(const char *format, ...)
{
    static char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static const char *audit_session(const struct se_server *s, uint32_t at)
{
    const struct se_session *session = &s->sessions.session[at];
    const struct se_slots *slots = &s->pipeline.slots;
    if (session->n > s->context)
        return found("session %u has %u ids of %u", at, session->n, s->context);
    if (session->hash != se_wire_hash(SE_WIRE_HASH_START, session->text, session->n))
        return found("session %u has another hash than its text", at);
    if (session->computed > session->n && !session->in_job)
        return found("session %u: %u of %u ids are computed", at, session->computed, session->n);
    if (!session->seq && (session->computed > 0 || session->pages > 0))
        return found("session %u counts keys and values that it does not have", at);
    if (session->slot != SE_SLOT_NONE) {
        const struct se_slot *slot = &slots->slot[session->slot];
        if (slot->state == SE_SLOT_FREE || slot->dropped || slot->session != at)
            return found("session %u: slot %u is not its own", at, session->slot);
        if (slot->state == SE_SLOT_READY && (session->in_job || session->computed != session->n))
            return found("session %u: a round is ready and the prompt is not", at);
        if (slot->state == SE_SLOT_FILLING && !session->in_job && !session->wants)
            return found("session %u: a round waits for a prompt that nobody computes", at);
    }
    if (session->peer != 0) {
        uint32_t number = se_peer_find(&s->peers, session->peer);
        bool listed = false;
        if (number == SE_PEER_NONE)
            return found("session %u has an edge that is gone", at);
        for (uint32_t i = s->peers.peer[number].first_session; i != SE_SESSION_NONE && !listed;
             i = s->sessions.session[i].next)
            listed = i == at;
        if (!listed)
            return found("session %u is not with its edge", at);
    }
    return NULL;
}

static const char *audit_sessions(const struct se_server *s)
{
    uint32_t n = 0, parked = 0, wants = 0, works = 0, pages = 0, listed = 0;
    for (uint32_t i = 0; i < s->sessions.used; i++) {
        const struct se_session *session = &s->sessions.session[i];
        if (session->id == 0)
            continue;
        const char *what = audit_session(s, i);
        if (what)
            return what;
        n++;
        parked += session->peer == 0;
        wants += session->wants;
        works += session->at_work;
        pages += session->pages;
    }
    if (n != s->sessions.n || n > s->sessions.max || parked != s->sessions.parked)
        return found("%u sessions, %u parked, not %u and %u", n, parked, s->sessions.n,
                     s->sessions.parked);
    if (pages + s->pipeline.pages_free != s->pipeline.pages)
        return found("%u pages are with sessions and %u free, of %u", pages, s->pipeline.pages_free,
                     s->pipeline.pages);
    for (uint32_t i = s->pipeline.want_first; i != SE_SESSION_NONE && listed <= n; listed++)
        i = s->sessions.session[i].want_next;
    if (listed != wants)
        return found("%u sessions wait for prompts, and %u are queued", wants, listed);
    listed = 0;
    for (uint32_t i = s->pipeline.work_first; i != SE_SESSION_NONE && listed <= n; listed++)
        i = s->sessions.session[i].work_next;
    if (listed != works || works != s->pipeline.n_at_work)
        return found("%u sessions are at work, %u are listed", works, listed);
    return NULL;
}

static uint32_t length(const struct se_slots *slots, const struct se_slot_list *list)
{
    uint32_t n = 0;
    for (uint32_t i = list->first; i != SE_SLOT_NONE && n <= slots->n; n++)
        i = slots->slot[i].next;
    return n;
}

static const char *audit_slots(const struct se_server *s)
{
    const struct se_slots *slots = &s->pipeline.slots;
    uint32_t count[SE_SLOT_DONE + 1] = { 0 };
    for (uint32_t i = 0; i < slots->n; i++) {
        const struct se_slot *slot = &slots->slot[i];
        count[slot->state]++;
        if (slot->state == SE_SLOT_FREE || slot->dropped)
            continue;
        if (s->sessions.session[slot->session].slot != i)
            return found("slot %u is not its session's", i);
    }
    if (count[SE_SLOT_FREE] != slots->free.n || count[SE_SLOT_READY] != slots->ready.n ||
        count[SE_SLOT_DONE] != slots->done.n)
        return found("slots: %u, %u and %u are free, ready and done", count[SE_SLOT_FREE],
                     count[SE_SLOT_READY], count[SE_SLOT_DONE]);
    if (length(slots, &slots->free) != slots->free.n ||
        length(slots, &slots->ready) != slots->ready.n ||
        length(slots, &slots->done) != slots->done.n)
        return "a list of slots has another length than it says";
    return NULL;
}

static const char *audit_peers(const struct se_server *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->peers.used; i++) {
        const struct se_peer *peer = &s->peers.peer[i];
        uint32_t sessions = 0;
        if (peer->handle == 0)
            continue;
        n++;
        for (uint32_t at = peer->first_session; at != SE_SESSION_NONE; sessions++) {
            if (s->sessions.session[at].peer != peer->handle || sessions > peer->n_sessions)
                return found("an edge has a session that is not its own");
            at = s->sessions.session[at].next;
        }
        if (sessions != peer->n_sessions)
            return found("an edge has %u sessions, not %u", sessions, peer->n_sessions);
    }
    return n == s->peers.n ? NULL : found("%u edges, not %u", n, s->peers.n);
}

const char *audit_server(const struct se_server *s)
{
    const char *what = audit_sessions(s);
    if (!what)
        what = audit_slots(s);
    return what ? what : audit_peers(s);
}

const char *audit_empty(const struct se_server *s)
{
    const struct se_pipeline *p = &s->pipeline;
    if (s->sessions.n > 0)
        return found("%u sessions are left", s->sessions.n);
    if (p->slots.free.n != p->slots.n)
        return found("%u slots are left", p->slots.n - p->slots.free.n);
    if (p->n_spare != SE_PIPELINE_JOBS || p->chores.n_chores > 0)
        return "the engine has something to do";
    if (p->pages_free != p->pages || se_kv_pages_free(p->kv) != p->pages)
        return found("of %u pages %u are free, and %u counted so", p->pages,
                     se_kv_pages_free(p->kv), p->pages_free);
    return NULL;
}

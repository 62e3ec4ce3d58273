/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come, with which key. The link asks for keys and turns away who has none; here each key
 * gets its account, and a list that has changed is put in force. */
#include "runtime/base/clock.h"
#include "sched/server/parts.h"

_Static_assert(SE_COUNT_KEY_ADMIN - SE_COUNT_KEY_UNKNOWN == (int)SE_GUARD_ADMIN &&
                   (int)SE_GUARD_REFUSALS == (int)SE_GUARD_ADMIN + 1,
               "a counter for each reason");

const char *se_keys_name(const struct se_account *account) { return account ? account->name : ""; }

bool se_keys_turned_away(struct se_server *s)
{
    uint64_t all = 0;
    for (uint32_t i = 0; s->o.guard && i < SE_GUARD_REFUSALS; i++)
        all += s->o.guard->refused[i];
    const bool some = all != s->turned_away;
    s->turned_away = all;
    return some;
}

/* Whether whoever has this key may be here. */
static const struct se_keyring_entry *allowed(const struct se_server *s, const struct se_key *key)
{
    const struct se_keyring_entry *entry = key ? se_keyring_find(s->o.guard->ring, key) : NULL;
    return entry && !entry->revoked ? entry : NULL;
}

/* Whose peer it is from now on. */
static void seat(struct se_peer *peer, struct se_account *account)
{
    if (peer->account)
        peer->account->n_peers--;
    peer->account = account;
    if (account)
        account->n_peers++;
}

void se_keys_left(struct se_server *s, uint32_t number) { seat(&s->peers.peer[number], NULL); }

bool se_keys_joined(struct se_server *s, uint32_t number, uint64_t now_ns)
{
    const char *why = "no such key";
    if (!s->o.guard)
        return true;
    struct se_peer *peer = &s->peers.peer[number];
    const struct se_keyring_entry *entry = allowed(s, se_link_key(s->o.link, peer->handle));
    struct se_account *account = entry ? se_account_of(&s->accounts, entry) : NULL;
    if (account && se_account_has_seat(account)) {
        seat(peer, account);
        return true;
    }
    if (account)
        why = "too many connections with this key";
    else if (entry)
        why = "no memory for another key";
    se_desk_part(s, peer->handle, now_ns, why);
    return false;
}

/* ---- another list */

/* Those whose key is still good go on, with what it allows now. */
static void look_again_at_peer(struct se_server *s, uint32_t number, uint64_t now_ns)
{
    struct se_peer *peer = &s->peers.peer[number];
    if (peer->handle == 0)
        return;
    const struct se_key *key = se_link_key(s->o.link, peer->handle);
    const struct se_keyring_entry *entry = allowed(s, key);
    struct se_account *account = entry ? se_account_of(&s->accounts, entry) : NULL;
    if (account) {
        seat(peer, account);
        return;
    }
    const struct se_keyring_entry *revoked = key ? se_keyring_find(s->o.guard->ring, key) : NULL;
    if (!entry) /* otherwise there is no memory */
        se_guard_refuse(s->o.guard, revoked ? SE_GUARD_REVOKED : SE_GUARD_UNKNOWN, key, revoked);
    se_desk_part(s, peer->handle, now_ns,
                 entry ? "no memory for another key" : "this key was revoked");
}

/* A session goes with its edge, by whatever name that goes now. Those of a name that is gone have
 * no edge either. */
static void look_again_at_session(struct se_server *s, uint32_t at)
{
    struct se_session *session = se_server_session(s, at);
    if (session->id == 0 || session->closing || !session->account)
        return;
    uint32_t number = session->peer ? se_peer_find(&s->peers, session->peer) : SE_PEER_NONE;
    struct se_account *account =
        number == SE_PEER_NONE ? session->account : s->peers.peer[number].account;
    if (account && account != session->account)
        se_session_charge(session, account);
    if (account && account->allowed)
        return;
    se_desk_attach(s, at, 0, session->heard_ns);
    se_pipeline_close(&s->pipeline, at);
}

/* Of a name that has more than it may have now, the parked ones first. */
static void evict_surplus(struct se_server *s, bool parked, uint64_t now_ns)
{
    for (uint32_t i = 0; i < s->sessions.used; i++) {
        const struct se_session *session = se_server_session(s, i);
        const struct se_account *account = session->account;
        if (session->id == 0 || session->closing || !account || account->sessions_max == 0 ||
            account->n_sessions <= account->sessions_max || (session->peer == 0) != parked)
            continue;
        se_desk_evict(s, i, now_ns);
    }
}

void se_server_set_keys(struct se_server *s, const struct se_keyring *ring)
{
    uint64_t now_ns = se_clock_read(&s->o.clock);
    if (!s->o.guard)
        return;
    s->o.guard->ring = ring;
    se_accounts_renew(&s->accounts, ring);
    for (uint32_t i = 0; i < s->peers.used; i++)
        look_again_at_peer(s, i, now_ns);
    for (uint32_t i = 0; i < s->sessions.used; i++)
        look_again_at_session(s, i);
    evict_surplus(s, true, now_ns);
    evict_surplus(s, false, now_ns);
}

const struct se_accounts *se_server_accounts(const struct se_server *s)
{
    return s->o.guard ? &s->accounts : NULL;
}

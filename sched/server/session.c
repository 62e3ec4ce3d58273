/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/session.h"

#include <errno.h>
#include <string.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "sched/server/slot.h"

enum { KEEP_IDS = 256 }; /* room for text that is worth keeping when the text is gone */

int se_sessions_init(struct se_sessions *all, uint32_t max, const uint64_t secret[2])
{
    *all = (struct se_sessions){ .max = max, .first_free = SE_SESSION_NONE };
    memcpy(all->secret, secret, sizeof all->secret);
    all->by_id.secret = all->by_nonce.secret = secret[0] ^ secret[1] << 1;
    all->session = se_mem_zero(max, sizeof *all->session);
    all->touched = se_mem_new(max, sizeof *all->touched);
    return all->session && all->touched ? 0 : se_trace(-ENOMEM);
}

void se_sessions_fini(struct se_sessions *all)
{
    for (uint32_t i = 0; i < all->used; i++)
        se_mem_free(all->session[i].text);
    se_mem_free(all->session);
    se_mem_free(all->touched);
    se_map_fini(&all->by_id);
    se_map_fini(&all->by_nonce);
    *all = (struct se_sessions){ .max = 0 };
}

/* Two words that nobody guesses without the secret. */
static void words_of(uint64_t secret, uint64_t number, uint64_t word[2])
{
    const uint32_t counter[4] = { (uint32_t)number, (uint32_t)(number >> 32), 0, 0 };
    struct se_rng_block block = se_rng_philox(secret, counter);
    word[0] = (uint64_t)block.word[0] << 32 | block.word[1];
    word[1] = (uint64_t)block.word[2] << 32 | block.word[3];
}

static int enter(struct se_sessions *all, uint32_t at, uint64_t nonce)
{
    struct se_session *session = &all->session[at];
    uint64_t word[2];
    do
        words_of(all->secret[0], ++all->opened, word);
    while (word[0] == 0 || se_session_find(all, word[0]) != SE_SESSION_NONE);
    session->id = word[0];
    words_of(all->secret[1], session->id, session->token);
    session->nonce = nonce;
    int r = se_map_set(&all->by_id, session->id, at);
    if (r == 0)
        r = se_map_set(&all->by_nonce, nonce, at);
    if (r < 0)
        se_map_remove(&all->by_id, session->id);
    return r;
}

uint32_t se_session_open(struct se_sessions *all, uint64_t nonce)
{
    uint32_t at = all->first_free;
    if (at != SE_SESSION_NONE)
        all->first_free = all->session[at].next;
    else if (all->used < all->max)
        at = all->used++;
    else
        return SE_SESSION_NONE;
    struct se_session *session = &all->session[at];
    *session = (struct se_session){ .text = session->text,
                                    .cap = session->cap,
                                    .hash = SE_WIRE_HASH_START,
                                    .next = SE_SESSION_NONE,
                                    .prev = SE_SESSION_NONE,
                                    .valid = UINT32_MAX,
                                    .touched = session->touched,
                                    .slot = SE_SLOT_NONE };
    if (enter(all, at, nonce) < 0) {
        session->id = 0;
        session->next = all->first_free;
        all->first_free = at;
        return SE_SESSION_NONE;
    }
    all->n++;
    all->parked++;
    return at;
}

void se_session_close(struct se_sessions *all, uint32_t at)
{
    struct se_session *session = &all->session[at];
    uint32_t other;
    se_map_remove(&all->by_id, session->id);
    if (se_map_get(&all->by_nonce, session->nonce, &other) && other == at)
        se_map_remove(&all->by_nonce, session->nonce);
    se_session_cut(session, 0);
    all->n--;
    all->parked -= session->peer == 0;
    se_session_touch(all, at);
    session->id = 0;
    session->next = all->first_free;
    all->first_free = at;
    se_session_charge(session, NULL);
}

void se_session_charge(struct se_session *session, struct se_account *account)
{
    if (session->account)
        se_account_session(session->account, -1);
    session->account = account;
    if (account)
        se_account_session(account, 1);
}

uint32_t se_session_find(const struct se_sessions *all, uint64_t id)
{
    uint32_t at;
    return se_map_get(&all->by_id, id, &at) ? at : SE_SESSION_NONE;
}

uint32_t se_session_find_nonce(const struct se_sessions *all, uint64_t nonce)
{
    uint32_t at;
    return se_map_get(&all->by_nonce, nonce, &at) ? at : SE_SESSION_NONE;
}

int se_session_set_nonce(struct se_sessions *all, uint32_t at, uint64_t nonce)
{
    struct se_session *session = &all->session[at];
    uint32_t other;
    int r = se_map_set(&all->by_nonce, nonce, at);
    if (r < 0)
        return se_trace(r);
    if (nonce != session->nonce && se_map_get(&all->by_nonce, session->nonce, &other) &&
        other == at)
        se_map_remove(&all->by_nonce, session->nonce);
    session->nonce = nonce;
    return 0;
}

/* In the same time whatever differs. */
bool se_session_token_is(const struct se_session *session, const uint64_t token[2])
{
    return ((session->token[0] ^ token[0]) | (session->token[1] ^ token[1])) == 0;
}

void se_session_touch(struct se_sessions *all, uint32_t at)
{
    if (all->session[at].touched)
        return;
    all->session[at].touched = true;
    all->touched[all->n_touched++] = at;
}

static int grow(struct se_session *session, uint32_t n)
{
    return se_mem_grow(&session->text, &session->cap, (size_t)session->n + n,
                       sizeof *session->text);
}

void se_session_reserve(struct se_session *session, uint32_t n)
{
    if (grow(session, n) < 0)
        se_err_clear();
}

int se_session_append(struct se_session *session, const uint32_t *id, uint32_t n)
{
    int r = grow(session, n);
    if (r < 0)
        return se_trace(r);
    memcpy(session->text + session->n, id, n * sizeof *id);
    session->n += n;
    session->hash = se_wire_hash(session->hash, id, n);
    return 0;
}

void se_session_cut(struct se_session *session, uint32_t n)
{
    if (n < session->n) {
        session->n = n;
        session->hash = se_wire_hash(SE_WIRE_HASH_START, session->text, n);
    }
    if (n == 0 && session->cap > KEEP_IDS) {
        se_mem_free(session->text);
        session->text = NULL;
        session->cap = 0;
    }
}

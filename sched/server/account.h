/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/account.h - what each key may have, and what it has had.
 *
 *   ring ─► entry ─► account ◄── peers, sessions
 *
 * An account goes by the name in the ring. It is made when somebody of that name comes for the first
 * time, and stays until the end of the server, so that what it has had is never counted down. A new
 * ring changes what accounts may have; a name whose key is another now keeps its account.
 *
 * The server's thread changes accounts; any thread reads their names and counts. */
#ifndef SE_SCHED_SERVER_ACCOUNT_H
#define SE_SCHED_SERVER_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/map.h"
#include "sched/server/histogram.h"
#include "transport/keyring.h"

enum se_account_count {
    SE_ACCOUNT_SESSIONS, /* open now */
    SE_ACCOUNT_OPENED,
    SE_ACCOUNT_FULL,      /* told that it has as many sessions as it may */
    SE_ACCOUNT_THROTTLED, /* rounds told to come later, for it had its tokens */
    SE_ACCOUNT_ROUNDS,
    SE_ACCOUNT_TOKENS,
    SE_ACCOUNT_DRAFTED,
    SE_ACCOUNT_ACCEPTED,
    SE_ACCOUNT_VERIFY_SUM,
    SE_ACCOUNT_SHARE_SUM,
    SE_ACCOUNT_VERIFY_LE,
    SE_ACCOUNT_VERIFY_ABOVE = SE_ACCOUNT_VERIFY_LE + SE_BOUNDS_N(SE_BOUNDS_VERIFY),
    SE_ACCOUNT_SHARE_LE,
    SE_ACCOUNT_SHARE_ABOVE = SE_ACCOUNT_SHARE_LE + SE_BOUNDS_N(SE_BOUNDS_SHARE_PPM),
    SE_ACCOUNT_END
};

struct se_account {
    char name[SE_KEYRING_NAME_B];
    bool allowed;                        /* in the ring, and not revoked */
    uint32_t sessions_max, tokens_per_s; /* 0: no limit */
    uint32_t n_sessions, n_peers;        /* open; connected */
    double credit; /* tokens of text that it may have now; below 0: it had too many */
    uint64_t credited_ns;
    _Atomic uint64_t count[SE_ACCOUNT_END];
};

struct se_accounts {
    struct se_account **of; /* SE_KEYRING_MAX of them; what is there stays where it is */
    /* [accounts.n] release when one is added, acquire by who reads: the names are there. */
    _Atomic uint32_t n;
    struct se_map by_name;
};

int se_accounts_init(struct se_accounts *all, uint64_t secret);
void se_accounts_fini(struct se_accounts *all);

/* The account of an entry, with what the entry allows. NULL: no memory. */
struct se_account *se_account_of(struct se_accounts *all, const struct se_keyring_entry *entry);

/* Gives each account what a new ring allows it: nothing, where the ring does not have it. */
void se_accounts_renew(struct se_accounts *all, const struct se_keyring *ring);

/* Whether it may have another session. */
bool se_account_has_place(const struct se_account *account);
/* Whether one more may be connected with it: whoever has a key may not take all seats. */
enum { SE_ACCOUNT_PEERS_MAX = 256 };
bool se_account_has_seat(const struct se_account *account);
/* 0: it may have a round now; else it may in so many ms. A second's worth may be had at once. */
uint32_t se_account_wait_ms(struct se_account *account, uint64_t now_ns);
/* A round is taken: a token is paid for it whatever comes of it, the others when they are text. */
void se_account_take(struct se_account *account);
void se_account_session(struct se_account *account, int32_t more);
void se_account_add(struct se_account *account, enum se_account_count what, uint64_t amount);
/* One more value of a distribution, VERIFY or SHARE. */
void se_account_observe(struct se_account *account, enum se_histogram which, uint64_t value);
/* The tokens of a round that was taken become text. */
void se_account_spend(struct se_account *account, uint32_t tokens);

/* For readers of any thread. */
uint32_t se_accounts_n(const struct se_accounts *all);
uint64_t se_account_get(const struct se_account *account, enum se_account_count what);
/* Where the distribution's counts begin: sum, and the first of its buckets. */
enum se_account_count se_account_sum(enum se_histogram which);
enum se_account_count se_account_first(enum se_histogram which);

#endif

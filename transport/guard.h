/* SPDX-License-Identifier: Apache-2.0 */
/* transport/guard.h - what a link asks of who comes, and tells of itself: keys.
 *
 *   server: own pair, ring of those who may come      edge: own pair, the server that must be there
 *
 * ZeroMQ's links are encrypted with CURVE; the others have only their beginning signed
 * (transport/proof.h). Belongs to the link's thread; several links of one thread may share one. */
#ifndef SE_TRANSPORT_GUARD_H
#define SE_TRANSPORT_GUARD_H

#include "transport/keyring.h"

enum se_guard_refusal {
    SE_GUARD_UNKNOWN, /* not in the ring */
    SE_GUARD_REVOKED,
    SE_GUARD_FORGED, /* does not have the key that it names, or repeats what another has said */
    SE_GUARD_ADMIN,  /* only admins may, and it is none */
    SE_GUARD_REFUSALS
};
/* A few words: "not in the list of keys". */
const char *se_guard_refusal_text(enum se_guard_refusal refusal);

struct se_guard {
    struct se_key_pair own;

    /* edge */
    struct se_key server;

    /* server */
    const struct se_keyring *ring; /* may be replaced between two calls on the link */
    bool admins_only;
    uint64_t refused[SE_GUARD_REFUSALS]; /* since the beginning */
    /* (optional) key: the one that it named, or NULL; entry: NULL when it is not in the ring. */
    void (*tell)(void *context, enum se_guard_refusal refusal, const struct se_key *key,
                 const struct se_keyring_entry *entry);
    void *context;
};

/* What there is against the one of this entry, without a word to anybody; NULL: it has none.
 * SE_GUARD_REFUSALS: nothing. */
enum se_guard_refusal se_guard_judge(const struct se_guard *guard,
                                     const struct se_keyring_entry *entry);

/* Whether whoever has this key may come; counts and tells of it if not. NULL: it may not. */
const struct se_keyring_entry *se_guard_admit(struct se_guard *guard, const struct se_key *key);
const struct se_keyring_entry *se_guard_admit_curve(struct se_guard *guard,
                                                    const struct se_key *curve);
void se_guard_refuse(struct se_guard *guard, enum se_guard_refusal refusal,
                     const struct se_key *key, const struct se_keyring_entry *entry);

#endif

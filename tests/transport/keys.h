/* SPDX-License-Identifier: Apache-2.0 */
/* tests/transport/keys.h - guards for tests: a server's, and those of edges of all sorts. */
#ifndef SE_TESTS_TRANSPORT_KEYS_H
#define SE_TESTS_TRANSPORT_KEYS_H

#include "transport/guard.h"

/* Whose keys there are; the first three are in the list, the last of them revoked. */
enum keys_who { KEYS_SERVER, KEYS_ANN, KEYS_BOB, KEYS_STRANGER, KEYS_OTHER_SERVER, KEYS_N };

struct keys {
    struct se_key_pair pair[KEYS_N];
    struct se_keyring *ring;
    struct se_guard server;       /* KEYS_SERVER's, with the ring */
    struct se_guard edge[KEYS_N]; /* that each of them would have, for that server */
};

/* Made anew. Exits 77 with words when the build has no keys. */
void keys_init(struct keys *keys);
void keys_fini(struct keys *keys);

/* Another list: "server", "ann", "bob", "stranger" for the keys, and what follows, for instance
 * "ann a sessions=1\nbob b revoked\n". */
void keys_ring(struct keys *keys, const char *list);

/* A guard for both ends of a suite's links, there for ever; NULL in a build without keys. */
struct se_guard *keys_suite(void);

#endif

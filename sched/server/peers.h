/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/peers.h - who is connected, and how they behave. */
#ifndef SE_SCHED_SERVER_PEERS_H
#define SE_SCHED_SERVER_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/map.h"
#include "transport/link.h"

struct se_account;

#define SE_PEER_NONE UINT32_MAX

struct se_peer {
    se_link_peer handle;    /* 0: free */
    uint32_t first_session; /* of its sessions, or SE_SESSION_NONE */
    uint32_t n_sessions;
    struct se_account *account; /* of the key that it has shown; NULL: nobody asks for keys */
    uint32_t faults;
    uint32_t flooded; /* frames beyond its rate */
    float credit;     /* frames it may send now */
    uint64_t credited_ns;
    uint32_t next_free;
};

struct se_peers {
    struct se_peer *peer;
    size_t cap;
    uint32_t used, n, first_free;
    struct se_map by_handle;
};

void se_peers_init(struct se_peers *peers, uint64_t secret);
void se_peers_fini(struct se_peers *peers);

/* The peer's number; a new one if it is not known yet. SE_PEER_NONE: no memory. */
uint32_t se_peer_join(struct se_peers *peers, se_link_peer handle, uint64_t now_ns);
uint32_t se_peer_find(const struct se_peers *peers, se_link_peer handle);
void se_peer_leave(struct se_peers *peers, uint32_t at);

/* Whether one more frame is within the rate: two seconds' worth may come at once. */
bool se_peer_pays(struct se_peer *peer, uint32_t frames_per_s, uint64_t now_ns);

#endif

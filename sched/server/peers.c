/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/peers.h"

#include "runtime/base/mem.h"
#include "sched/server/session.h"

enum { BURST_S = 2 };

void se_peers_init(struct se_peers *peers, uint64_t secret)
{
    *peers = (struct se_peers){ .first_free = SE_PEER_NONE, .by_handle = { .secret = secret } };
}

void se_peers_fini(struct se_peers *peers)
{
    se_mem_free(peers->peer);
    se_map_fini(&peers->by_handle);
}

uint32_t se_peer_find(const struct se_peers *peers, se_link_peer handle)
{
    uint32_t at;
    return se_map_get(&peers->by_handle, handle, &at) ? at : SE_PEER_NONE;
}

uint32_t se_peer_join(struct se_peers *peers, se_link_peer handle, uint64_t now_ns)
{
    uint32_t at = se_peer_find(peers, handle);
    if (at != SE_PEER_NONE)
        return at;
    at = peers->first_free;
    if (at == SE_PEER_NONE) {
        at = peers->used;
        if (se_mem_grow(&peers->peer, &peers->cap, (size_t)at + 1, sizeof *peers->peer) < 0)
            return SE_PEER_NONE;
    }
    if (se_map_set(&peers->by_handle, handle, at) < 0)
        return SE_PEER_NONE;
    if (at == peers->used)
        peers->used++;
    else
        peers->first_free = peers->peer[at].next_free;
    peers->peer[at] = (struct se_peer){
        .handle = handle, .first_session = SE_SESSION_NONE, .credit = -1, .credited_ns = now_ns
    };
    peers->n++;
    return at;
}

void se_peer_leave(struct se_peers *peers, uint32_t at)
{
    se_map_remove(&peers->by_handle, peers->peer[at].handle);
    peers->peer[at].handle = 0;
    peers->peer[at].next_free = peers->first_free;
    peers->first_free = at;
    peers->n--;
}

bool se_peer_pays(struct se_peer *peer, uint32_t frames_per_s, uint64_t now_ns)
{
    float most = (float)frames_per_s * BURST_S;
    float passed_s = (float)(now_ns - peer->credited_ns) * 1e-9f;
    peer->credited_ns = now_ns;
    if (peer->credit < 0) /* it has just come */
        peer->credit = most;
    peer->credit += passed_s * (float)frames_per_s;
    if (peer->credit > most)
        peer->credit = most;
    if (peer->credit < 1)
        return false;
    peer->credit -= 1;
    return true;
}

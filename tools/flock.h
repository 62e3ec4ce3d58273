/* SPDX-License-Identifier: Apache-2.0 */
/* tools/flock.h - the sessions of one connection, as light as they can be: no drafting, one tree
 * for all, and every answer is held against what a hollow engine must say to it.
 *
 * Says what an honest edge says, frame for frame. One thread. */
#ifndef SE_TOOLS_FLOCK_H
#define SE_TOOLS_FLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/map.h"
#include "transport/link.h"
#include "transport/wire.h"

/* What every session sends, round after round: the shape is fixed, ids follow its text. */
struct se_flock_tree {
    uint32_t nodes; /* root included */
    uint32_t depth; /* of the node that is accepted, with all on the way to it: 4 if there is one */
    int32_t parent[SE_WIRE_NODES_MAX];
    uint32_t ahead[SE_WIRE_NODES_MAX]; /* a node's id is the root's and so much more */
};
/* Drawn by the seed: every node hangs below one that is not much older. */
void se_flock_tree_draw(struct se_flock_tree *tree, uint32_t nodes, uint64_t seed);

struct se_flock_session {
    uint64_t id; /* 0: no WELCOME yet */
    uint64_t hash;
    uint32_t round, base, root;
    bool waits;       /* for an answer */
    uint64_t sent_ns; /* its round */
};

struct se_flock {
    const struct se_flock_tree *tree;
    struct se_frames *frames;
    struct se_link *link;
    struct se_flock_session *session;
    uint32_t n, context;
    uint32_t welcomed, waiting; /* sessions */
    uint64_t nonce;             /* of the first session; each has the next number */
    bool joined;
    struct se_map by_id;
    uint64_t sent_ns;  /* when the last frame was handed to the link */
    uint64_t heard_ns; /* and when the last answer was taken from it */
    /* Called with each answer; may say the next round. Or NULL. */
    int (*answered)(struct se_flock *flock, uint32_t session);
    void *owner; /* for the callback */
};

/* tree outlives it. The caller's to fini, after this failed too. frames: of the connection's
 * pool. 0 or -errno. */
int se_flock_init(struct se_flock *flock, const char *url, const struct se_flock_tree *tree,
                  uint32_t sessions, uint32_t context, uint64_t nonce);
void se_flock_fini(struct se_flock *flock);

/* Reads what came. 1: something did, 0: nothing; < 0: an answer that is none, or the link. */
int se_flock_work(struct se_flock *flock);

/* ids of text before the root, in one PREFILL: at most 1024. Of a session that has none yet. */
int se_flock_prefill(struct se_flock *flock, uint32_t session, uint32_t ids);
/* The next round. Text that has come to its end is cut first, and begins anew. */
int se_flock_verify(struct se_flock *flock, uint32_t session);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/nodes.h - ranks of one model on several machines: how they find each other.
 *
 *   rank 0's machine                        another machine
 *   meeting.h: listens   ◄── join ────────  se_nodes_join()
 *                        ─── terms ──────►  loads the model
 *   a seat for each      ◄── sit ─────────  se_nodes_sit(), once in the process of each rank
 *   the group (collective.h)                the group
 *
 * Ranks are numbered machine by machine, rank 0's first, then in the order in which they came. What
 * passes is neither encrypted nor authenticated: it belongs on a network of one's own. */
#ifndef SE_RUNTIME_MODEL_NODES_H
#define SE_RUNTIME_MODEL_NODES_H

#include <stdint.h>

#include "runtime/model/collective.h"
#include "runtime/model/greeting.h"

/* Who waits says so, and asks whether to go on. Both may be NULL. */
struct se_nodes_watch {
    void (*say)(void *context, const char *text); /* a line of progress */
    int (*check)(void *context);                  /* < 0, with the sentence, ends the wait */
    void *context;
};

/* The options of rank 0 (step.h). */
struct se_nodes {
    const char *address; /* of this machine, HOST:PORT, to listen at until all are here */
    uint32_t machines;   /* this one included; they divide the ranks evenly */
    uint32_t weights;    /* enum se_weights: what the others are to load */
    uint64_t meet_ns;    /* they come within that; 0: ten minutes */
    struct se_nodes_watch watch;
};

/* Whether so many ranks on so many machines can be. 0 or -EINVAL. */
int se_nodes_check(const struct se_nodes *nodes, uint32_t size);

/* A machine comes to another's meeting: waits while nobody listens there. shape: of the model that
 * it has. On 0 the terms are there, and the descriptor holds its place: to be closed when its
 * ranks end. -EACCES: it was refused, with the reason. */
int se_nodes_join(int *fd, struct se_nodes_terms *terms, const char *address, uint64_t shape,
                  const struct se_nodes_watch *watch);

/* What a rank brings to its seat. */
struct se_nodes_seat {
    const char *address; /* of the meeting */
    const char *backend; /* what computes */
    uint64_t ticket;     /* of its machine */
    uint64_t identity;   /* of the model that it has */
    uint32_t rank, size;
};

/* The handle of that rank, once rank 0 has taken it in. On 0 *out is the caller's, to close. */
int se_nodes_sit(struct se_collective **out, const struct se_nodes_seat *seat,
                 const struct se_collective_options *options);

#endif

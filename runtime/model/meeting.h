/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/model/meeting.h - rank 0 waits for the machines and the ranks (nodes.h).
 *
 * Whoever knocks has a few seconds to say who he is, and few may stand at the door at once: a
 * stranger is turned away and disturbs nobody. A machine that goes before all are here leaves its
 * place to the next. One thread. */
#ifndef SE_RUNTIME_MODEL_MEETING_H
#define SE_RUNTIME_MODEL_MEETING_H

#include <stdint.h>

#include "runtime/model/nodes.h"

struct se_meeting_options {
    const struct se_nodes *nodes;
    struct se_nodes_terms terms; /* what all machines are told alike: size and below */
    uint64_t shape, identity;    /* of rank 0's model: the others' are the same */
    const char *backend;         /* of rank 0: the others' is the same */
    /* (optional) Asked while waiting: < 0, with the sentence, ends it. */
    int (*check)(void *context);
    void *context;
};

struct se_meeting;

/* Listens. What the options point at stays until the meeting is closed. */
int se_meeting_open(struct se_meeting **out, const struct se_meeting_options *options);
void se_meeting_close(struct se_meeting *meeting); /* NULL is fine */

/* Where, with the port that was bound; and what this machine's own ranks show. */
const char *se_meeting_address(const struct se_meeting *meeting);
uint64_t se_meeting_ticket(const struct se_meeting *meeting);

/* Waits until every rank has its seat. On 0 fd has the connections, size - 1 of them, rank 1's
 * first, and they are the caller's. -ETIMEDOUT: who did not come is named. */
int se_meeting_wait(struct se_meeting *meeting, int *fd);

#endif

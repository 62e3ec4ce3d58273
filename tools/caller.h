/* SPDX-License-Identifier: Apache-2.0 */
/* tools/caller.h - somebody who calls a server that runs, with neither model nor tokenizer.
 *
 *   connect ─► say, await ... ─► close
 *
 * What a HELLO lacks the server tells when it says no. Every call blocks, at most as long as
 * patience lasts, and a user who interrupts is heard. One thread. */
#ifndef SE_TOOLS_CALLER_H
#define SE_TOOLS_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/link.h"
#include "transport/wire.h"

struct se_caller {
    const char *url;
    struct se_frames *frames;
    struct se_link *link;
    bool joined;
    uint64_t session;               /* 0: none */
    struct se_wire_hello hello;     /* that was taken */
    struct se_wire_welcome welcome; /* and its answer */
    uint64_t welcome_ns;            /* from the one to the other */
};

/* Until the server lets the connection in. The caller's to close, after this failed too. 0,
 * -errno, or SE_OUTCOME_INTERRUPTED, as all that wait here. */
int se_caller_connect(struct se_caller *caller, const char *url, uint64_t spin_ns);
/* Ends the session too, if there is one. */
void se_caller_close(struct se_caller *caller);

/* One message; *len_b are its bytes, where len_b is not NULL. */
int se_caller_say(struct se_caller *caller, const struct se_wire *message, size_t *len_b);
/* Until there is one of this type; or an ERROR, where that is fine. Nothing of another type is
 * kept. */
int se_caller_await(struct se_caller *caller, enum se_wire_type type, bool no_is_fine,
                    struct se_wire *message);

/* A session for trees of so many nodes, root included: learns what tokenizer the server has. */
int se_caller_open(struct se_caller *caller, uint32_t max_nodes);
/* Ids that server and tokenizer both know are those below. */
uint32_t se_caller_ids(const struct se_caller *caller);

/* All that the server counts, by enum se_counter (sched/server/counter.h), over a connection of
 * its own. *known: whether it counts, and the same things as we. */
int se_caller_counters(const char *url, uint64_t value[], uint32_t n, bool *known);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* tests/transport/link_suite.h - what link.h promises, asked of any link. */
#ifndef SE_TESTS_TRANSPORT_LINK_SUITE_H
#define SE_TESTS_TRANSPORT_LINK_SUITE_H

#include <stdbool.h>

#include "transport/link.h"

struct link_suite {
    const char *name;
    const char *url; /* to listen on; the suite's links run one after the other. Of several
                      * URLs each edge takes the next */
    bool farewell;   /* an edge receives all that was sent, though the server has left */
    uint32_t room;   /* frames of 60,000 bytes that fit into a queue at least; 0: 16 */
    bool refuses;    /* an edge too many is not even JOINED */
    uint64_t spin_ns;
    struct se_guard *guard; /* of both ends, so with a server that is its own and in its ring */
    /* (optional) A link that stands before the given one, which becomes part of it. */
    struct se_link *(*wrap)(struct se_link *link);
};

/* Runs the tests; how many failed. */
int link_suite_run(const struct link_suite *suite);

/* The largest frame, and options that a test wants: short pauses, small queues. */
struct se_link_options link_suite_options(struct se_frames *frames);

/* The URL for the i-th edge of a server that listens on one or several; in a buffer of the
 * function's own. */
const char *link_suite_url(const struct se_link *server, uint32_t i);

/* Receives what comes next, however long it takes, but not longer than a test may. Fails the
 * test when it is not what is expected; the frame, where there is one, is the caller's. */
struct se_frame *link_suite_expect(struct se_link *link, int outcome, se_link_peer *peer);

/* The same for an edge's JOINED, with a server that lets in only while it is looked after; what
 * that one has to say it says later. */
void link_suite_await_joined(struct se_link *edge, struct se_link *server);

#endif

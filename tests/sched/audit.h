/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sched/audit.h - a server's books, added up from scratch. */
#ifndef SE_TESTS_SCHED_AUDIT_H
#define SE_TESTS_SCHED_AUDIT_H

#include "sched/server/server.h"

/* NULL: sessions, slots, pages, peers and queues all agree, and nothing is beyond its limit.
 * Otherwise what does not. Between two calls of se_server_work(), on its thread. */
const char *audit_server(const struct se_server *server);

/* Nothing is kept for anybody: no session, no round, no page. */
const char *audit_empty(const struct se_server *server);

#endif

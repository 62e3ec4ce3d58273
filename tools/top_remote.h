/* SPDX-License-Identifier: Apache-2.0 */
/* tools/top_remote.h - a server's pages from its admin endpoint (tools/admin.h), look after look.
 *
 * One thread. */
#ifndef SE_TOOLS_TOP_REMOTE_H
#define SE_TOOLS_TOP_REMOTE_H

#include "runtime/base/stat.h"
#include "sched/server/board.h"
#include "transport/guard.h"

struct se_top_remote;

/* guard: for a server that asks for keys, or NULL; outlives it. The server need not be there. 0 or
 * -errno. */
int se_top_remote_open(struct se_top_remote **out, const char *url, struct se_guard *guard);
void se_top_remote_close(struct se_top_remote *remote); /* NULL is fine */

/* Asks, and waits for ns at most. True: pages that are the caller's to free (*board may be NULL), and
 * what the server's clock said. */
bool se_top_remote_take(struct se_top_remote *remote, uint64_t ns, struct se_stat **stat,
                        struct se_board **board, uint64_t *now_ns);
/* Why there was no answer, in words; "" when nobody knows. */
const char *se_top_remote_trouble(struct se_top_remote *remote);

#endif

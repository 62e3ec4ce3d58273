/* SPDX-License-Identifier: Apache-2.0 */
/* tools/trace_log.h - the file of --trace: what a server or an edge did, and when, line by line.
 *
 * docs/trace.md has the lines; se-trace makes a timeline of them. Written by a scribe (scribe.h).
 * All calls come from one thread, that of the server or the edge. */
#ifndef SE_TOOLS_TRACE_LOG_H
#define SE_TOOLS_TRACE_LOG_H

#include <stdint.h>

#include "sched/edge/edge.h"
#include "sched/server/server.h"

struct se_trace_log;

enum se_trace_role { SE_TRACE_SERVER, SE_TRACE_EDGE };

/* A new file, or one that is emptied. 0 or -errno. */
int se_trace_log_open(struct se_trace_log **out, const char *path, enum se_trace_role role);

void se_trace_log_step(struct se_trace_log *log, const struct se_server_step *step);
void se_trace_log_server_round(struct se_trace_log *log, const struct se_server_round *round);
void se_trace_log_span(struct se_trace_log *log, const struct se_edge_span *span);
/* request: of the edge's records, for whoever looks for the prompt. */
void se_trace_log_edge_round(struct se_trace_log *log, const struct se_edge_round *round,
                             uint64_t request);

/* As se_scribe_check(). */
int se_trace_log_check(struct se_trace_log *log);
/* Returns how many events are not in the file. NULL is fine. */
uint64_t se_trace_log_close(struct se_trace_log *log);

#endif

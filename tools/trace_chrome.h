/* SPDX-License-Identifier: Apache-2.0 */
/* tools/trace_chrome.h - a merged trace in the JSON that Perfetto and chrome://tracing show.
 *
 * A process for each server, with its steps and the rounds that wait for one; a process for each
 * session, with its rounds and their parts, each part in a row of its own, and what its drafter did
 * meanwhile. One thread. */
#ifndef SE_TOOLS_TRACE_CHROME_H
#define SE_TOOLS_TRACE_CHROME_H

#include <stdio.h>

#include "tools/trace_merge.h"

/* "se-run 4711/00c0ffee00c0ffee (host)": how a session is called; its own text if that is NULL. */
enum { SE_TRACE_NAME_B = 256 };
const char *se_trace_session_name(const struct se_trace_merge *merge,
                                  const struct se_trace_session *session,
                                  char name[SE_TRACE_NAME_B]);

/* 0 or -ENOMEM; whether all was written the stream knows. */
int se_trace_chrome_write(const struct se_trace_merge *merge, FILE *to);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* tools/step_log.h - a file to which every step of a server adds a line, as JSON.
 *
 *   {"number": 1, "begun_ns": ..., ... }      the fields of struct se_server_step, by their names
 *
 * A line is written whole, at once, and is there for whoever reads along. One thread. */
#ifndef SE_TOOLS_STEP_LOG_H
#define SE_TOOLS_STEP_LOG_H

#include "sched/server/server.h"

struct se_step_log;

/* Goes on behind what the file holds. 0 or -errno. */
int se_step_log_open(struct se_step_log **out, const char *path);
/* 0 or -errno, the text names the file. After a failure it says nothing more, and 0. */
int se_step_log_add(struct se_step_log *log, const struct se_server_step *step);
void se_step_log_close(struct se_step_log *log); /* NULL is fine */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* tools/step_log.h - a file to which every step of a server adds a line, as JSON.
 *
 *   {"number": 1, "begun_ns": ..., ... }      the fields of struct se_server_step, by their names
 *
 * Written by a scribe (scribe.h): lines are whole, and there soon. */
#ifndef SE_TOOLS_STEP_LOG_H
#define SE_TOOLS_STEP_LOG_H

#include "tools/scribe.h"

struct se_server_step;

/* Goes on behind what the file holds. What is put are struct se_server_step. 0 or -errno. */
int se_step_log_open(struct se_scribe **out, const char *path);

#endif

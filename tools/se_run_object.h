/* SPDX-License-Identifier: Apache-2.0 */
/* tools/se_run_object.h - an answer of se-run as a JSON object on a line of its own.
 *
 *     {"text": "...", "tokens": 128, "stopped": false, "context_full": false, "seed": 0,
 *      "summary": {...}}
 */
#ifndef SE_TOOLS_SE_RUN_OBJECT_H
#define SE_TOOLS_SE_RUN_OBJECT_H

#include "tools/se_run.h"

/* The last answer, on standard output. about: what stands first, or NULL; error: why there is no
 * more of it, or NULL. 0, SE_OUTCOME_CLOSED or -errno. */
int se_run_object_print(const struct se_run *run, const json_t *about, const char *error);

#endif

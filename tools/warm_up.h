/* SPDX-License-Identifier: Apache-2.0 */
/* tools/warm_up.h - step times of an engine, measured before anybody waits for one. */
#ifndef SE_TOOLS_WARM_UP_H
#define SE_TOOLS_WARM_UP_H

#include <stdint.h>

#include "sched/pace.h"
#include "tools/rig.h"

/* Steps of 1, 4, 16, 64 and 256 rows, as far as max_rows (1 or more, of the engine) and a text of
 * `context` ids allow, and of max_rows. The best of a few of each; it ends soon after limit_ns,
 * but the smallest is always measured. Nobody else uses the engine meanwhile, and no page stays
 * taken. */
int se_warm_up(struct se_rig *rig, uint32_t max_rows, uint32_t context, uint64_t limit_ns,
               struct se_pace *pace);

#endif

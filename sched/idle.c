/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/idle.h"

#include <ck_pr.h>
#include <sched.h>

enum { PAUSES = 4 }; /* between two looks of the caller: some 100 ns */

void se_idle_init(struct se_idle *idle, struct se_idle_options options)
{
    *idle = (struct se_idle){ .options = options };
}

bool se_idle_pause(struct se_idle *idle, uint64_t now_ns)
{
    if (idle->since_ns == 0)
        idle->since_ns = now_ns > 0 ? now_ns : 1;
    const uint64_t ns = now_ns > idle->since_ns ? now_ns - idle->since_ns : 0;
    if (ns < idle->options.spin_ns) {
        for (int i = 0; i < PAUSES; i++)
            ck_pr_stall();
        return false;
    }
    if (ns - idle->options.spin_ns < idle->options.yield_ns) {
        sched_yield();
        return false;
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sched/idle.h - what an agent does while there is nothing to do: spin, yield, then park.
 *
 *   work ──none──► spin (spin_ns) ──► yield (yield_ns) ──► park until something wakes it
 *     ▲                                                      │
 *     └──────────────── some ────────────────────────────────┘
 *
 * Spinning answers in well under a microsecond and burns a core; waking a parked thread
 * takes tens of microseconds. One per agent, one thread. */
#ifndef SE_SCHED_IDLE_H
#define SE_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>

struct se_idle_options {
    uint64_t spin_ns, yield_ns; /* UINT64_MAX: for ever */
};
/* Parks soon: for machines with other things to do. */
#define SE_IDLE_PARK ((struct se_idle_options){ .spin_ns = 20000, .yield_ns = 0 })
/* Gives the processor to others, and comes back at once when there are none. */
#define SE_IDLE_YIELD ((struct se_idle_options){ .spin_ns = 20000, .yield_ns = UINT64_MAX })
/* Never parks: for machines with a core to spare for every agent. */
#define SE_IDLE_SPIN ((struct se_idle_options){ .spin_ns = UINT64_MAX, .yield_ns = 0 })

struct se_idle {
    struct se_idle_options options;
    uint64_t since_ns; /* idle since; 0: it worked a moment ago */
};

void se_idle_init(struct se_idle *idle, struct se_idle_options options);
/* There was work. */
static inline void se_idle_reset(struct se_idle *idle) { idle->since_ns = 0; }
/* There was none, now it is now_ns: spins or yields a little. True: it is time to park, now
 * and at every further call until there was work. */
bool se_idle_pause(struct se_idle *idle, uint64_t now_ns);

#endif

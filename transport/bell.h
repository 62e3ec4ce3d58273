/* SPDX-License-Identifier: Apache-2.0 */
/* transport/bell.h - one thread sleeps, any thread wakes it.
 *
 * A ring is never lost: one that comes before the wait ends the next wait. Several rings
 * before it count as one. Ringing costs one atomic exchange, and a system call only when
 * the sleeper sleeps. */
#ifndef SE_TRANSPORT_BELL_H
#define SE_TRANSPORT_BELL_H

#include <stdbool.h>
#include <stdint.h>

struct se_bell {
    _Atomic uint32_t state;
};

void se_bell_init(struct se_bell *bell);

/* Any thread. What it wrote before is seen by the thread that the ring awakes. */
void se_bell_ring(struct se_bell *bell);

/* The sleeper's look without a sleep: true when it was rung, and forgets the ring. */
bool se_bell_heard(struct se_bell *bell);

/* One thread, the sleeper. True: it was rung, or a signal came. False: ns passed. */
bool se_bell_wait(struct se_bell *bell, uint64_t ns);

#endif

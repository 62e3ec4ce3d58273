/* SPDX-License-Identifier: Apache-2.0 */
/* sched/ring.h - a queue of numbers from one thread to one other: Concurrency Kit's ring.
 *
 * Wait-free on both sides, bounded, no memory taken after new. The number hands over what it
 * stands for: whoever pops it sees what the pusher wrote before the push, and the pusher has
 * finished reading it. */
#ifndef SE_SCHED_RING_H
#define SE_SCHED_RING_H

#include <stdbool.h>
#include <stdint.h>

struct se_ring;

/* Room for at least n numbers, 1 <= n <= 2^20. 0 or -errno. */
int se_ring_new(struct se_ring **out, uint32_t n);
void se_ring_free(struct se_ring *ring); /* NULL is fine */

/* The pushing thread. False: it is full. */
bool se_ring_push(struct se_ring *ring, uint32_t number);
/* The popping thread. False: it is empty. */
bool se_ring_pop(struct se_ring *ring, uint32_t *number);
/* Either thread; the other may change it at any time. */
bool se_ring_empty(const struct se_ring *ring);

/* For tests, before the threads start: empties it and lets its counters, which go round at
 * 2^32, go on from here. */
void se_ring_place(struct se_ring *ring, uint32_t counter);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* transport/alarm.h - one thread sleeps on descriptors, any thread wakes it.
 *
 * A ring is never lost: one that comes before the wait ends the next wait. Several rings
 * before it count as one, and only the first of them costs a system call. */
#ifndef SE_TRANSPORT_ALARM_H
#define SE_TRANSPORT_ALARM_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

struct se_alarm {
    int fd; /* an eventfd; -1: there is none */
    _Atomic bool rung;
};

/* 0 or -errno; se_alarm_fini() is right after either, and on a zeroed one with fd -1. */
int se_alarm_init(struct se_alarm *alarm);
void se_alarm_fini(struct se_alarm *alarm);

/* Any thread. What it wrote before is seen by the thread that the ring awakes. */
void se_alarm_ring(struct se_alarm *alarm);

/* The sleeper's look without a sleep: true when it was rung, and forgets the ring. */
bool se_alarm_heard(struct se_alarm *alarm);

/* The sleeper. of[0] is filled here, of[1..n-1] are the caller's; n >= 1. 1: rung, or one of
 * the descriptors has something, or a signal came. 0: ns passed. -errno. */
int se_alarm_wait(struct se_alarm *alarm, struct pollfd *of, uint32_t n, uint64_t ns);

#endif

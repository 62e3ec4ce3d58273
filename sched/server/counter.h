/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/counter.h - what a server counts: fixed numbers and their labels. */
#ifndef SE_SCHED_SERVER_COUNTER_H
#define SE_SCHED_SERVER_COUNTER_H

#include <stdint.h>

#include "runtime/base/stat.h"

enum se_counter {
    SE_COUNT_FRAMES_IN,
    SE_COUNT_FRAMES_OUT,
    SE_COUNT_BYTES_IN,
    SE_COUNT_BYTES_OUT,
    SE_COUNT_SEND_WAITS, /* an answer found no room and was sent later */
    SE_COUNT_PEERS,
    SE_COUNT_SESSIONS,
    SE_COUNT_PARKED,
    SE_COUNT_AT_WORK,
    SE_COUNT_OPENED,
    SE_COUNT_RESUMED,
    SE_COUNT_CLOSED,
    SE_COUNT_EXPIRED,   /* parked for too long, or for others' sake */
    SE_COUNT_EVICTIONS, /* sessions that lost their keys and values */
    SE_COUNT_ROUNDS,
    SE_COUNT_PUSHES,
    SE_COUNT_REPEATS, /* answered from memory */
    SE_COUNT_STALE,   /* rounds dropped because they were over, or asked twice */
    SE_COUNT_TOKENS,  /* that became text */
    SE_COUNT_DRAFTED, /* nodes verified, roots apart */
    SE_COUNT_ACCEPTED,
    SE_COUNT_PREFILLED,
    SE_COUNT_STEPS,
    SE_COUNT_STEP_ROWS,
    SE_COUNT_STEP_NS,
    SE_COUNT_QUEUE_NS,
    SE_COUNT_PASSED_MAX, /* most steps that ever left without a round that was ready */
    SE_COUNT_STEP_FAULTS,
    SE_COUNT_PAGES,
    SE_COUNT_PAGES_FREE,
    SE_COUNT_REFUSED, /* HELLOs */
    SE_COUNT_BUSY,
    SE_COUNT_GAPS,
    SE_COUNT_HASH_FAULTS,
    SE_COUNT_MALFORMED,
    SE_COUNT_FOREIGN,      /* someone else's session, or a wrong token */
    SE_COUNT_FLOODED,      /* frames beyond an edge's rate, not looked at */
    SE_COUNT_CUT,          /* edges cut off */
    SE_COUNT_CYCLE_MAX_NS, /* longest round of duty */
    SE_COUNT_END
};

extern const struct se_stat_label se_counter_labels[SE_COUNT_END];

/* Identity of the table: who has another one may not read our numbers. */
uint64_t se_counter_schema(void);

#endif

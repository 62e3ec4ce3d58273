/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/counter.h - what a server counts: fixed numbers and their labels.
 *
 * A distribution (histogram.h) has a counter for each of its buckets, one for all above the last
 * of them, and one for the sum. The upper bounds of its buckets stand here, once. */
#ifndef SE_SCHED_SERVER_COUNTER_H
#define SE_SCHED_SERVER_COUNTER_H

#include <stdint.h>

#include "runtime/base/stat.h"

#define SE_BOUNDS_VERIFY(X) X(1) X(2) X(3) X(4) X(5) X(6) X(8) X(12) X(16) X(24) X(32)
#define SE_BOUNDS_SHARE_PPM(X) \
    X(0) X(50000) X(100000) X(150000) X(200000) X(300000) X(400000) X(500000) X(750000) X(1000000)
#define SE_BOUNDS_STEP_ROWS(X) X(1) X(2) X(4) X(8) X(16) X(32) X(64) X(128) X(256) X(512) X(1024)
/* clang-format off */
#define SE_BOUNDS_STEP_NS(X) \
    X(100000) X(200000) X(500000) \
    X(1000000) X(2000000) X(5000000) X(10000000) X(15000000) X(20000000) X(30000000) X(50000000) \
    X(75000000) X(100000000) X(200000000) X(500000000) \
    X(1000000000) X(2000000000) X(5000000000)
#define SE_BOUNDS_QUEUE_NS(X) \
    X(100000) X(200000) X(500000) \
    X(1000000) X(2000000) X(5000000) X(10000000) X(20000000) X(50000000) \
    X(100000000) X(200000000) X(500000000) \
    X(1000000000) X(2000000000) X(5000000000) X(10000000000)
/* clang-format on */
#define SE_BOUNDS_ONE(bound) +1
#define SE_BOUNDS_N(LIST) (0 LIST(SE_BOUNDS_ONE))

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
    SE_COUNT_STEP_ROWS, /* a sum, as the next two */
    SE_COUNT_STEP_NS,
    SE_COUNT_QUEUE_NS,   /* from the arrival of a round to its step; of those that were answered */
    SE_COUNT_PASSED_MAX, /* most steps that ever left without a round that was ready */
    SE_COUNT_STEP_FAULTS,
    SE_COUNT_PAGES,
    SE_COUNT_PAGES_FREE,
    SE_COUNT_REFUSED, /* HELLOs */
    SE_COUNT_BUSY,
    SE_COUNT_GAPS,
    SE_COUNT_HASH_FAULTS,
    SE_COUNT_MALFORMED,
    SE_COUNT_FOREIGN,     /* someone else's session, or a wrong token */
    SE_COUNT_FLOODED,     /* frames beyond an edge's rate, not looked at */
    SE_COUNT_CUT,         /* edges cut off */
    SE_COUNT_KEY_UNKNOWN, /* who came and was not let in, by enum se_guard_refusal */
    SE_COUNT_KEY_REVOKED,
    SE_COUNT_KEY_FORGED,
    SE_COUNT_KEY_ADMIN,
    SE_COUNT_KEY_FULL,     /* HELLOs of a key with as many sessions as it may have */
    SE_COUNT_THROTTLED,    /* rounds of a key that had as many tokens as it may */
    SE_COUNT_CYCLE_MAX_NS, /* longest round of duty */
    SE_COUNT_VERIFY_SUM,   /* tokens that became text, of rounds that an edge asked for */
    SE_COUNT_SHARE_SUM,    /* shares of drafted trees that were accepted, in millionths */
    SE_COUNT_VERIFY_LE,
    SE_COUNT_VERIFY_ABOVE = SE_COUNT_VERIFY_LE + SE_BOUNDS_N(SE_BOUNDS_VERIFY),
    SE_COUNT_SHARE_LE,
    SE_COUNT_SHARE_ABOVE = SE_COUNT_SHARE_LE + SE_BOUNDS_N(SE_BOUNDS_SHARE_PPM),
    SE_COUNT_STEP_ROWS_LE,
    SE_COUNT_STEP_ROWS_ABOVE = SE_COUNT_STEP_ROWS_LE + SE_BOUNDS_N(SE_BOUNDS_STEP_ROWS),
    SE_COUNT_STEP_NS_LE,
    SE_COUNT_STEP_NS_ABOVE = SE_COUNT_STEP_NS_LE + SE_BOUNDS_N(SE_BOUNDS_STEP_NS),
    SE_COUNT_QUEUE_NS_LE,
    SE_COUNT_QUEUE_NS_ABOVE = SE_COUNT_QUEUE_NS_LE + SE_BOUNDS_N(SE_BOUNDS_QUEUE_NS),
    SE_COUNT_END
};

extern const struct se_stat_label se_counter_labels[SE_COUNT_END];

/* Identity of the table: who has another one may not read our numbers. */
uint64_t se_counter_schema(void);

#endif

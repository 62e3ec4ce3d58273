/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/policy.h - when a step that could be launched is launched. Pure; any thread.
 *
 *   static    when `batch` rounds are ready, or the oldest has waited for wait_ns
 *   dynamic   as soon as anything is ready
 *   pipeline  now, or after the k-th of the rounds that are expected soon: whichever lets
 *             those who are ready and those who would come during the step wait least in all;
 *             the engine stands idle for no round's sake longer than wait_ns
 *
 * The pipeline policy weighs measured step times against expected arrivals. While the server
 * has idle time it sees waiting alone; the busier it is, the more it counts the time of the
 * server itself, which everybody at work waits for. policy.c has the formula.
 *
 * It is asked whenever a round gets ready, when a step has ended, and again at the moment that it
 * named. */
#ifndef SE_SCHED_SERVER_POLICY_H
#define SE_SCHED_SERVER_POLICY_H

#include <stdint.h>

#include "sched/pace.h"

enum se_policy { SE_POLICY_PIPELINE, SE_POLICY_DYNAMIC, SE_POLICY_STATIC };

struct se_arrival {
    uint64_t at_ns; /* when a round is likely to be ready */
    uint32_t rows;
};

enum { SE_POLICY_LOOK = 64 }; /* arrivals, so that an answer takes some 2 us at most */

struct se_policy_view {
    uint64_t start_ns;  /* when the step would begin: now, or when the engine will be free */
    uint32_t ready;     /* rounds that wait, at least 1 */
    uint32_t rows;      /* of the step that they would make */
    uint64_t oldest_ns; /* since when the oldest of them waits */
    uint64_t free_ns;   /* since when the engine has had nothing to do, or will have */
    /* Expected, the soonest first. Nobody waits for one that should have been here by start_ns;
     * of the others the first SE_POLICY_LOOK are looked at. */
    const struct se_arrival *next;
    uint32_t n_next;
    uint32_t at_work;  /* sessions that will ask again */
    float busy;        /* share of time in which the engine ran lately, 0 to 1 */
    uint32_t batch;    /* rounds of a step at most, 0: any number; static waits for so many */
    uint32_t max_rows; /* of a step */
    uint64_t wait_ns;  /* no round waits longer for others; pipeline: while the engine is free */
    const struct se_pace *pace;
};

/* The moment to launch: at or before view->start_ns it is now. */
uint64_t se_policy_when(enum se_policy policy, const struct se_policy_view *view);

#endif

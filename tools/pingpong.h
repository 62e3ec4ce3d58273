/* SPDX-License-Identifier: Apache-2.0 */
/* tools/pingpong.h - something goes there and comes back, over and over, and is timed:
 *
 *   first ─► warm-up, looked at, not counted ─► back to back ─► each after a silence ─► ...
 *
 * What goes where is a callback's. Every sample is kept, and is a round trip. One thread. */
#ifndef SE_TOOLS_PINGPONG_H
#define SE_TOOLS_PINGPONG_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/hist.h"

enum { SE_PINGPONG_GAPS_MAX = 4 };

struct se_pingpong_plan {
    uint64_t warm_up, rounds;
    uint64_t gap_rounds; /* after each silence */
    uint64_t gap_ns[SE_PINGPONG_GAPS_MAX];
    uint32_t n_gaps;
    bool spin;      /* through the silences */
    double unit_ns; /* of the samples */
};

struct se_pingpong_times { /* in the plan's unit */
    struct se_hist first, back_to_back, gap[SE_PINGPONG_GAPS_MAX];
};

/* There and back. check: the first ones, whose contents are worth a look. 0 or -errno. */
typedef int se_pingpong_trip(void *of, bool check);

/* Adds to times, whose samples are the caller's to give up. 0, -errno, or SE_OUTCOME_INTERRUPTED. */
int se_pingpong_run(se_pingpong_trip *trip, void *of, const struct se_pingpong_plan *plan,
                    struct se_pingpong_times *times);

/* "1ms,10ms" into the plan; "" is none. 0 or SE_OUTCOME_USAGE. */
int se_pingpong_gaps(struct se_pingpong_plan *plan, const char *text);

#endif

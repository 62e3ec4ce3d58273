/* SPDX-License-Identifier: Apache-2.0 */
/* sched/pace.h - how long a step of n rows takes, as measured so far.
 *
 * Steps are noted in buckets of rows, each a fifth or so wider than the last; what was not
 * measured is drawn as a straight line between its neighbours. A step of more rows is never
 * said to take less time: buckets that say so are counted as one.
 *
 *   ns                 .──'   beyond the last point: the line that the last octave of rows
 *    │           .──•─'       or more goes along, or in proportion when one point is all
 *    │      .─•─'
 *    │ ──•─'                  before the first point: as long as there
 *    └────────────── rows
 *
 * One thread at a time. */
#ifndef SE_SCHED_PACE_H
#define SE_SCHED_PACE_H

#include <stdint.h>

enum { SE_PACE_BUCKETS = 48 };

struct se_pace {
    float rows[SE_PACE_BUCKETS]; /* mean rows of the bucket's steps */
    float ns[SE_PACE_BUCKETS];   /* mean time, 0: nothing was noted */
    uint32_t count[SE_PACE_BUCKETS];
    /* The points of the line, both numbers ascending: what the three above come to. */
    struct {
        float rows, ns;
    } line[SE_PACE_BUCKETS];
    uint32_t n_line;
};
#define SE_PACE_NULL ((struct se_pace){ .rows = { 0 } })

/* A step of rows >= 1 took so long. The newest of steps weigh most. */
void se_pace_note(struct se_pace *pace, uint32_t rows, uint64_t ns);

/* What a step of so many rows is likely to take; 0 when no step was ever noted. */
uint64_t se_pace_ns(const struct se_pace *pace, uint32_t rows);

/* The most rows in [least, most] whose step is likely to take no longer than ns; at least
 * `least`, and `most` when no step was ever noted. */
uint32_t se_pace_rows(const struct se_pace *pace, uint64_t ns, uint32_t least, uint32_t most);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* tools/offset.h - by how much two machines' clocks differ, from frames that went between them.
 *
 *   server's minus edge's   . o         o  .      what went up bounds it from above
 *                            . ________o___.__    the line: offset, and drift
 *                           _x_--x--  .  x        what came down bounds it from below
 *
 * A frame that is sent at e by the edge's clock and read at s by the server's says that the offset
 * is at most s - e, for it took no time below zero; one that comes down says at least. Delays may be
 * as uneven and as different both ways as they like: the line lies where all of that is true, as far
 * from both sides as it can, and how far the true one may be from it is told. One thread. */
#ifndef SE_TOOLS_OFFSET_H
#define SE_TOOLS_OFFSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks drift apart by no more than this; those that a time service puts right, as well. */
#define SE_OFFSET_DRIFT_MAX 500e-6
/* Over less than this the drift is taken for none, unless that is impossible. */
#define SE_OFFSET_DRIFT_NS UINT64_C(10000000000)

struct se_offset_bound {
    double at, ns; /* since the first moment, over the first bound */
    bool out;      /* fits no line */
};

struct se_offset_bounds {
    struct se_offset_bound *bound;
    size_t n, cap;
};

struct se_offset {
    struct se_offset_bounds up, down;
    bool begun;
    int64_t at_ns, ns; /* what bounds are counted from */

    /* Of se_offset_fit(). */
    double shift, drift;   /* ns at at_ns, ns per ns */
    double uncertainty_ns; /* half of what it may be, at worst; infinite: bounds on one side only */
    size_t out;            /* bounds that were left out: the line does not hold for them */
};
#define SE_OFFSET_NULL ((struct se_offset){ .begun = false })

void se_offset_fini(struct se_offset *offset);

/* A frame from the edge, one to it: when the edge sent or heard it, when the server read or sent
 * it, each by its own clock. 0 or -ENOMEM. */
int se_offset_up(struct se_offset *offset, uint64_t edge_ns, uint64_t server_ns);
int se_offset_down(struct se_offset *offset, uint64_t edge_ns, uint64_t server_ns);

/* Draws the line. 0; -ENODATA when there were no frames, or all contradict each other; -ENOMEM. */
int se_offset_fit(struct se_offset *offset);

/* A moment of the edge, by the server's clock. */
int64_t se_offset_at(const struct se_offset *offset, uint64_t edge_ns);

#endif

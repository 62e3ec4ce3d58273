/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/attend_set.h - what the implementations of attention share: how they cut a job.
 *
 * Pairs (row, q head) are worked on in blocks, so that a value widened from f16 serves many
 * pairs while the scores of the block stay in the cache. The cut changes no bits. */
#ifndef SE_KERNELS_ATTEND_SET_H
#define SE_KERNELS_ATTEND_SET_H

#include "kernels/attend.h"

enum {
    SE_ATTEND_BLOCK = 48,     /* pairs in a block, at most */
    SE_ATTEND_TILE = 12,      /* ... and at least, however long the context */
    SE_ATTEND_SCORES = 65536, /* floats of scores that a block aims to stay below */
    SE_ATTEND_WIDE = 8192,    /* floats of widened pages */
    SE_ATTEND_MAX_DIM = 512
};

/* Floats from the scores of one pair to those of the next: whole pages, and one more for the
 * last whole vector of a tail that starts anywhere. */
static inline size_t se_attend_stride(uint32_t max_seen)
{
    return (((size_t)max_seen + SE_PAGE_SLOTS - 1) / SE_PAGE_SLOTS + 1) * SE_PAGE_SLOTS;
}

/* Grows with the stride, so that scratch made for a longer context serves a shorter one. */
static inline size_t se_attend_scores(size_t stride)
{
    size_t least = SE_ATTEND_TILE * stride, most = SE_ATTEND_BLOCK * stride;
    if (most <= SE_ATTEND_SCORES)
        return most;
    return least > SE_ATTEND_SCORES ? least : SE_ATTEND_SCORES;
}

#endif

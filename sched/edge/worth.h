/* SPDX-License-Identifier: Apache-2.0 */
/* sched/edge/worth.h - what a drafted token is worth: how likely the target picks it too.
 *
 * A draft says of a token how likely it thinks it. What that turns out to mean depends on the
 * draft, the temperature and the noise; so it is learnt, by counting: of the tokens of about
 * this log-probability whose parent was accepted, how many were? The answer never rises as the
 * log-probability falls. Until something was seen, the draft's own word counts for a little. */
#ifndef SE_SCHED_EDGE_WORTH_H
#define SE_SCHED_EDGE_WORTH_H

#include <stdbool.h>
#include <stdint.h>

enum { SE_WORTH_BUCKETS = 20 };

struct se_worth {
    float taken[SE_WORTH_BUCKETS], offered[SE_WORTH_BUCKETS]; /* old ones fade */
    float came, said;              /* in all: taken, and what the draft's word would have meant */
    float share[SE_WORTH_BUCKETS]; /* what follows from them */
    uint32_t seen;                 /* parents that were accepted */
};

void se_worth_init(struct se_worth *worth);

/* The bucket of a log-probability (at most 0; -INFINITY is the last one). */
uint32_t se_worth_bucket(float logprob);

/* A token of this bucket stood below an accepted one; was it taken? */
void se_worth_note(struct se_worth *worth, uint32_t bucket, bool taken);
/* All of a parent's were noted: what they are worth is worked out anew. */
void se_worth_settle(struct se_worth *worth);

/* The likelihood, above 0 and below 1, never rising with the bucket. */
static inline float se_worth_of(const struct se_worth *worth, uint32_t bucket)
{
    return worth->share[bucket];
}

#endif

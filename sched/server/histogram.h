/* SPDX-License-Identifier: Apache-2.0 */
/* sched/server/histogram.h - distributions, of counters.
 *
 * A value adds one to the counter of its bucket, the first whose upper bound it does not exceed,
 * and itself to the sum: two plain additions in the page that is there anyhow. Whoever reads adds
 * the buckets up. */
#ifndef SE_SCHED_SERVER_HISTOGRAM_H
#define SE_SCHED_SERVER_HISTOGRAM_H

#include <stdint.h>

#include "sched/server/counter.h"

enum se_histogram {
    SE_HISTOGRAM_VERIFY,    /* tokens that a round brought, of rounds that an edge asked for */
    SE_HISTOGRAM_SHARE,     /* share of a tree's drafted nodes that was accepted, in millionths */
    SE_HISTOGRAM_STEP_ROWS, /* of a step */
    SE_HISTOGRAM_STEP_NS,   /* that a step took */
    SE_HISTOGRAM_QUEUE_NS,  /* that a round waited for its step, from its arrival */
    SE_HISTOGRAM_END
};

struct se_histogram_shape {
    enum se_counter sum;
    enum se_counter first; /* of n + 1 counters: the last is of what is above all bounds */
    uint32_t n;
    const uint64_t *bound; /* rising */
};
extern const struct se_histogram_shape se_histograms[SE_HISTOGRAM_END];

/* The counter of the bucket that a value falls into. */
enum se_counter se_histogram_bucket(enum se_histogram which, uint64_t value);

#endif

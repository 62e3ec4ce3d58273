/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/server/histogram.h"

#define BOUND(bound) UINT64_C(bound),
static const uint64_t verify[] = { SE_BOUNDS_VERIFY(BOUND) };
static const uint64_t share_ppm[] = { SE_BOUNDS_SHARE_PPM(BOUND) };
static const uint64_t step_rows[] = { SE_BOUNDS_STEP_ROWS(BOUND) };
static const uint64_t step_ns[] = { SE_BOUNDS_STEP_NS(BOUND) };
static const uint64_t queue_ns[] = { SE_BOUNDS_QUEUE_NS(BOUND) };

#define N(list) (sizeof(list) / sizeof(list)[0])

const struct se_histogram_shape se_histograms[SE_HISTOGRAM_END] = {
    [SE_HISTOGRAM_VERIFY] = { SE_COUNT_VERIFY_SUM, SE_COUNT_VERIFY_LE, N(verify), verify },
    [SE_HISTOGRAM_SHARE] = { SE_COUNT_SHARE_SUM, SE_COUNT_SHARE_LE, N(share_ppm), share_ppm },
    [SE_HISTOGRAM_STEP_ROWS] = { SE_COUNT_STEP_ROWS, SE_COUNT_STEP_ROWS_LE, N(step_rows),
                                 step_rows },
    [SE_HISTOGRAM_STEP_NS] = { SE_COUNT_STEP_NS, SE_COUNT_STEP_NS_LE, N(step_ns), step_ns },
    [SE_HISTOGRAM_QUEUE_NS] = { SE_COUNT_QUEUE_NS, SE_COUNT_QUEUE_NS_LE, N(queue_ns), queue_ns },
};

/* A look at each of so few bounds costs less than anything cleverer. */
enum se_counter se_histogram_bucket(enum se_histogram which, uint64_t value)
{
    const struct se_histogram_shape *shape = &se_histograms[which];
    uint32_t i = 0;
    while (i < shape->n && value > shape->bound[i])
        i++;
    return (enum se_counter)(shape->first + i);
}

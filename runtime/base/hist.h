/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/hist.h - a set of samples, every one kept. One thread at a time. */
#ifndef SE_RUNTIME_BASE_HIST_H
#define SE_RUNTIME_BASE_HIST_H

#include <stdbool.h>
#include <stddef.h>

struct se_hist {
    double *sample;
    size_t n, cap;
    bool sorted;
};
#define SE_HIST_NULL ((struct se_hist){ 0 })

int se_hist_add(struct se_hist *hist, double sample);
void se_hist_fini(struct se_hist *hist);

/* The smallest sample that at least share (0..1] of all samples do not exceed; share 0 is
 * the minimum, 1 the true maximum. Sorts in place. NaN when there is none. */
double se_hist_at(struct se_hist *hist, double share);
double se_hist_mean(const struct se_hist *hist);
/* Standard deviation of the samples (n - 1), 0 below two of them. */
double se_hist_deviation(const struct se_hist *hist);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/hist.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/err.h"
#include "runtime/base/mem.h"

int se_hist_add(struct se_hist *hist, double sample)
{
    int r = se_mem_grow(&hist->sample, &hist->cap, hist->n + 1, sizeof *hist->sample);
    if (r < 0)
        return se_trace(r);
    hist->sample[hist->n++] = sample;
    hist->sorted = false;
    return 0;
}

void se_hist_fini(struct se_hist *hist)
{
    se_mem_free(hist->sample);
    *hist = (struct se_hist){ 0 };
}

/* A NaN goes to the end, so that the order is total and sorting well defined. */
static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

/* Samples of n that a share must cover, at least 1. share * n may lie a rounding above a whole
 * number that is meant (0.07 * 100 is 7.000000000000001), which must not cost a place. */
static size_t rank_of(double share, size_t n)
{
    double exact = share * (double)n;
    double rank = ceil(exact - exact * 1e-12);
    if (!(rank >= 1))
        return 1;
    return rank >= (double)n ? n : (size_t)rank;
}

double se_hist_at(struct se_hist *hist, double share)
{
    if (hist->n == 0)
        return NAN;
    if (!hist->sorted)
        qsort(hist->sample, hist->n, sizeof *hist->sample, by_value);
    hist->sorted = true;
    return hist->sample[rank_of(share, hist->n) - 1];
}

double se_hist_mean(const struct se_hist *hist)
{
    double mean = 0; /* kept running, so that no sum overflows or swamps the next sample */
    if (hist->n == 0)
        return NAN;
    for (size_t i = 0; i < hist->n; i++)
        mean += (hist->sample[i] - mean) / (double)(i + 1);
    return mean;
}

double se_hist_deviation(const struct se_hist *hist)
{
    if (hist->n < 2)
        return 0;
    double mean = se_hist_mean(hist), squares = 0;
    for (size_t i = 0; i < hist->n; i++)
        squares += (hist->sample[i] - mean) * (hist->sample[i] - mean);
    return sqrt(squares / (double)(hist->n - 1));
}

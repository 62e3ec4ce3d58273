/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/softmax_lanes.h - log-sum-exp over lanes.
 *
 * Exponentials are summed in float32 over runs of 32 vectors (four chains of eight), the
 * runs in float64: a vocabulary of a quarter million adds no error of its own. */
#ifndef SE_KERNELS_SOFTMAX_LANES_H
#define SE_KERNELS_SOFTMAX_LANES_H

#include <math.h>

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
enum { LSE_CHAINS = SE_EXP_CHAINS, LSE_RUN = 32 * SE_LANES };

/* Adds the exponentials of at most LSE_RUN elements. */
static inline void add_run(const float *x, uint32_t n, vf largest, vd sum[2])
{
    vf chain[LSE_CHAINS], e[LSE_CHAINS];
    for (uint32_t c = 0; c < LSE_CHAINS; c++)
        chain[c] = vf_zero();
    uint32_t i = 0;
    for (; n - i >= LSE_CHAINS * SE_LANES; i += LSE_CHAINS * SE_LANES) {
        for (uint32_t c = 0; c < LSE_CHAINS; c++)
            e[c] = vf_sub(vf_load(x + i + c * SE_LANES), largest);
        vf_exp_down(e, LSE_CHAINS);
        for (uint32_t c = 0; c < LSE_CHAINS; c++)
            chain[c] = vf_add(chain[c], e[c]);
    }
    for (; i < n; i += SE_LANES) {
        uint32_t left = n - i;
        vf last = left < SE_LANES ? vf_load_part(x + i, left, -INFINITY) : vf_load(x + i);
        e[0] = vf_sub(last, largest);
        vf_exp_down(e, 1);
        chain[0] = vf_add(chain[0], e[0]);
    }
    vf all = vf_add(vf_add(chain[0], chain[1]), vf_add(chain[2], chain[3]));
    sum[0] = vd_add(sum[0], vd_low(all));
    sum[1] = vd_add(sum[1], vd_high(all));
}

static inline float logsumexp_lanes(const float *x, uint32_t n)
{
    float largest = vf_largest_of(x, n);
    if (isinf(largest))
        return largest;
    vd sum[2] = { vd_zero(), vd_zero() };
    for (uint32_t i = 0; i < n; i += LSE_RUN)
        add_run(x + i, n - i < LSE_RUN ? n - i : LSE_RUN, vf_set(largest), sum);
    return (float)((double)largest + log(vd_sum(vd_add(sum[0], sum[1]))));
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/norm_lanes.h - the norm over lanes.
 *
 * Squares are summed in float64: what a norm costs is reading x, and no activation can
 * overflow the sum. Lane i of accumulator j takes the elements of that place in every group
 * of two vectors; the accumulators meet in one fixed tree. */
#ifndef SE_KERNELS_NORM_LANES_H
#define SE_KERNELS_NORM_LANES_H

#include <math.h>

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
static inline void add_squares(vf x, vd sum[2])
{
    sum[0] = vd_fma(vd_low(x), vd_low(x), sum[0]);
    sum[1] = vd_fma(vd_high(x), vd_high(x), sum[1]);
}

static inline double sum_of_squares(const float *x, uint32_t n)
{
    vd even[2] = { vd_zero(), vd_zero() }, odd[2] = { vd_zero(), vd_zero() };
    uint32_t i = 0;
    for (; n - i >= 2 * SE_LANES; i += 2 * SE_LANES) {
        add_squares(vf_load(x + i), even);
        add_squares(vf_load(x + i + SE_LANES), odd);
    }
    if (n - i >= SE_LANES) {
        add_squares(vf_load(x + i), even);
        i += SE_LANES;
    }
    if (i < n)
        add_squares(vf_load_part(x + i, n - i, 0), odd);
    return vd_sum(vd_add(vd_add(even[0], even[1]), vd_add(odd[0], odd[1])));
}

static inline void norm_lanes(const float *x, const float *weight, float eps, uint32_t n,
                              float *out)
{
    vf scale = vf_set((float)(1 / sqrt(sum_of_squares(x, n) / n + (double)eps)));
    uint32_t i = 0;
    for (; n - i >= SE_LANES; i += SE_LANES)
        vf_store(out + i, vf_mul(vf_mul(vf_load(x + i), scale), vf_load(weight + i)));
    if (i < n) {
        vf scaled = vf_mul(vf_load_part(x + i, n - i, 0), scale);
        vf_store_part(out + i, vf_mul(scaled, vf_load_part(weight + i, n - i, 0)), n - i);
    }
}
#endif

#endif

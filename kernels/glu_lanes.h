/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/glu_lanes.h - the gated unit over lanes. */
#ifndef SE_KERNELS_GLU_LANES_H
#define SE_KERNELS_GLU_LANES_H

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
static inline vf gated(vf gate, vf up)
{
    vf below = vf_add(vf_set(1.0f), vf_exp(vf_sub(vf_zero(), gate)));
    return vf_mul(vf_div(gate, below), up);
}

static inline void glu_lanes(const float *gate, const float *up, uint32_t n, float *out)
{
    uint32_t i = 0;
    for (; n - i >= SE_LANES; i += SE_LANES)
        vf_store(out + i, gated(vf_load(gate + i), vf_load(up + i)));
    if (i < n) {
        vf last = gated(vf_load_part(gate + i, n - i, 0), vf_load_part(up + i, n - i, 0));
        vf_store_part(out + i, last, n - i);
    }
}
#endif

#endif

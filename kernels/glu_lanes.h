/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/glu_lanes.h - the gated unit over lanes. */
#ifndef SE_KERNELS_GLU_LANES_H
#define SE_KERNELS_GLU_LANES_H

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
/* n <= SE_EXP_CHAINS vectors. */
SE_INLINE void gate_vectors(vf *gate, const vf *up, uint32_t n)
{
    vf below[SE_EXP_CHAINS];
    for (uint32_t i = 0; i < n; i++)
        below[i] = vf_sub(vf_zero(), gate[i]);
    vf_exp(below, n);
    for (uint32_t i = 0; i < n; i++)
        gate[i] = vf_mul(vf_div(gate[i], vf_add(vf_set(1.0f), below[i])), up[i]);
}

SE_INLINE void gate_whole(const float *gate, const float *up, uint32_t n, float *out)
{
    vf g[SE_EXP_CHAINS], u[SE_EXP_CHAINS];
    for (uint32_t i = 0; i < n; i++) {
        g[i] = vf_load(gate + i * SE_LANES);
        u[i] = vf_load(up + i * SE_LANES);
    }
    gate_vectors(g, u, n);
    for (uint32_t i = 0; i < n; i++)
        vf_store(out + i * SE_LANES, g[i]);
}

static inline void glu_lanes(const float *gate, const float *up, uint32_t n, float *out)
{
    uint32_t i = 0;
    for (; n - i >= SE_EXP_CHAINS * SE_LANES; i += SE_EXP_CHAINS * SE_LANES)
        gate_whole(gate + i, up + i, SE_EXP_CHAINS, out + i);
    for (; n - i >= SE_LANES; i += SE_LANES)
        gate_whole(gate + i, up + i, 1, out + i);
    if (i < n) {
        vf g = vf_load_part(gate + i, n - i, 0), u = vf_load_part(up + i, n - i, 0);
        gate_vectors(&g, &u, 1);
        vf_store_part(out + i, g, n - i);
    }
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/rope_lanes.h - the rotation over lanes.
 *
 * No fused operations: the same roundings as the C reference, hence the same bits. */
#ifndef SE_KERNELS_ROPE_LANES_H
#define SE_KERNELS_ROPE_LANES_H

#include "kernels/lanes.h"
#include "kernels/lanes_set.h"

#if SE_LANES
static inline void rope_lanes(float *x, uint32_t n_heads, uint32_t dim, const float *cos,
                              const float *sin)
{
    uint32_t half = dim / 2;
    for (uint32_t head = 0; head < n_heads; head++, x += dim) {
        float *y = x + half;
        uint32_t i = 0;
        for (; half - i >= SE_LANES; i += SE_LANES) {
            vf a = vf_load(x + i), b = vf_load(y + i);
            vf c = vf_load(cos + i), s = vf_load(sin + i);
            vf_store(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)));
            vf_store(y + i, vf_add(vf_mul(b, c), vf_mul(a, s)));
        }
        if (i < half) {
            uint32_t n = half - i;
            vf a = vf_load_part(x + i, n, 0), b = vf_load_part(y + i, n, 0);
            vf c = vf_load_part(cos + i, n, 0), s = vf_load_part(sin + i, n, 0);
            vf_store_part(x + i, vf_sub(vf_mul(a, c), vf_mul(b, s)), n);
            vf_store_part(y + i, vf_add(vf_mul(b, c), vf_mul(a, s)), n);
        }
    }
}
#endif

#endif

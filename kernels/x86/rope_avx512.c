/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope_lanes.h"

void se_rope_avx512(float *x, uint32_t n_heads, uint32_t dim, const float *cos, const float *sin)
{
    rope_lanes(x, n_heads, dim, cos, sin);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gumbel_lanes.h"

uint32_t se_gumbel_argmax_avx512(const float *x, uint32_t n, float inv_t, uint64_t seed,
                                 uint32_t position)
{
    return gumbel_argmax_lanes(x, n, inv_t, seed, position);
}

void se_gumbel_add_avx512(const float *x, uint32_t n, float inv_t, uint64_t seed, uint32_t position,
                          float *out)
{
    gumbel_add_lanes(x, n, inv_t, seed, position, out);
}

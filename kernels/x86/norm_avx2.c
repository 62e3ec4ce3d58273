/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm_lanes.h"

void se_norm_avx2(const float *x, const float *weight, float eps, uint32_t n, float *out)
{
    norm_lanes(x, weight, eps, n, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/topk_lanes.h"

uint32_t se_topk_neon(const float *x, uint32_t n, uint32_t k, uint32_t *index, float *value)
{
    return topk_lanes(x, n, k, index, value);
}

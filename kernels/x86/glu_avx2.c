/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/glu_lanes.h"

void se_glu_avx2(const float *gate, const float *up, uint32_t n, float *out)
{
    glu_lanes(gate, up, n, out);
}

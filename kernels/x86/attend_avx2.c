/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attend_lanes.h"

void se_attend_f32_avx2(const struct se_attend_job *job, float *scratch)
{
    attend_lanes(job, false, scratch);
}

void se_attend_f16_avx2(const struct se_attend_job *job, float *scratch)
{
    attend_lanes(job, true, scratch);
}

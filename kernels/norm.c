/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/norm.h"

#include <math.h>

#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

static void norm_c(const float *x, const float *weight, float eps, uint32_t n, float *out)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    float scale = (float)(1 / sqrt(sum / n + (double)eps));
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] * scale * weight[i];
}

const struct se_norm_impl se_norm_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_norm_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_norm_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_norm_neon },
#endif
    { "c", 0, norm_c },
};
const uint32_t se_norm_table_n = sizeof se_norm_table / sizeof *se_norm_table;

const struct se_norm_impl *se_norm_pick(void)
{
    const struct se_norm_impl *row = se_norm_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}

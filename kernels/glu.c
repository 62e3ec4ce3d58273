/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/glu.h"

#include <math.h>

#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

static void glu_c(const float *gate, const float *up, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        double g = gate[i];
        out[i] = (float)(g / (1 + exp(-g))) * up[i];
    }
}

const struct se_glu_impl se_glu_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_glu_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_glu_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_glu_neon },
#endif
    { "c", 0, glu_c },
};
const uint32_t se_glu_table_n = sizeof se_glu_table / sizeof *se_glu_table;

const struct se_glu_impl *se_glu_pick(void)
{
    const struct se_glu_impl *row = se_glu_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/rope.h"

#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

/* Two products rounded and one sum rounded, in float32 throughout: every implementation does
 * exactly this, so that all of them give the same bits. */
static void rope_c(float *x, uint32_t n_heads, uint32_t dim, const float *cos, const float *sin)
{
    uint32_t half = dim / 2;
    for (uint32_t head = 0; head < n_heads; head++, x += dim) {
        for (uint32_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];
            x[i] = a * cos[i] - b * sin[i];
            x[i + half] = b * cos[i] + a * sin[i];
        }
    }
}

const struct se_rope_impl se_rope_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_rope_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_rope_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_rope_neon },
#endif
    { "c", 0, rope_c },
};
const uint32_t se_rope_table_n = sizeof se_rope_table / sizeof *se_rope_table;

const struct se_rope_impl *se_rope_pick(void)
{
    const struct se_rope_impl *row = se_rope_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}

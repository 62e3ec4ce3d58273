/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/softmax.h"

#include <math.h>

#include "kernels/lanes_set.h"
#include "runtime/base/cpu.h"

static float logsumexp_c(const float *x, uint32_t n)
{
    float largest = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    if (isinf(largest))
        return largest;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)largest);
    return (float)((double)largest + log(sum));
}

const struct se_softmax_impl se_softmax_table[] = {
#if SE_HAVE_AVX512
    { "avx512", SE_CPU_AVX512, se_logsumexp_avx512 },
#endif
#if SE_HAVE_AVX2
    { "avx2", SE_CPU_AVX2, se_logsumexp_avx2 },
#endif
#if SE_HAVE_NEON
    { "neon", SE_CPU_NEON, se_logsumexp_neon },
#endif
    { "c", 0, logsumexp_c },
};
const uint32_t se_softmax_table_n = sizeof se_softmax_table / sizeof *se_softmax_table;

const struct se_softmax_impl *se_softmax_pick(void)
{
    const struct se_softmax_impl *row = se_softmax_table;
    while (row->cpu & ~se_cpu_flags())
        row++;
    return row;
}

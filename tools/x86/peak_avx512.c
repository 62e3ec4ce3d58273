/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tools/peak.h"

void se_peak_fma_avx512(uint64_t turns)
{
    __m512 x = _mm512_set1_ps(1e-9f), sum[SE_PEAK_CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < SE_PEAK_CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
        for (int i = 0; i < SE_PEAK_CHAINS; i++) {
            sum[i] = _mm512_fmadd_ps(x, x, sum[i]);
            SE_PEAK_HOLD(sum[i]);
        }
    }
}

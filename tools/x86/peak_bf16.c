/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tools/peak.h"

void se_peak_dpbf16_avx512(uint64_t turns)
{
    __m512 tiny = _mm512_set1_ps(1e-9f), sum[SE_PEAK_CHAINS];
    __m512bh x = _mm512_cvtne2ps_pbh(tiny, tiny);
#pragma GCC unroll 12
    for (int i = 0; i < SE_PEAK_CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)i);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
        for (int i = 0; i < SE_PEAK_CHAINS; i++) {
            sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
            SE_PEAK_HOLD(sum[i]);
        }
    }
}

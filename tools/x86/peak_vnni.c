/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tools/peak.h"

void se_peak_dpbusd_avx512(uint64_t turns)
{
    __m512i x = _mm512_set1_epi8(3), sum[SE_PEAK_CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < SE_PEAK_CHAINS; i++)
        sum[i] = _mm512_set1_epi32(i);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
        for (int i = 0; i < SE_PEAK_CHAINS; i++) {
            sum[i] = _mm512_dpbusd_epi32(sum[i], x, x);
            SE_PEAK_HOLD(sum[i]);
        }
    }
}

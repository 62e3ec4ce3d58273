/* SPDX-License-Identifier: Apache-2.0 */
#include <immintrin.h>

#include "tools/peak.h"

void se_peak_fma_avx2(uint64_t turns)
{
    __m256 x = _mm256_set1_ps(1e-9f), sum[SE_PEAK_CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < SE_PEAK_CHAINS; i++)
        sum[i] = _mm256_set1_ps((float)i);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
        for (int i = 0; i < SE_PEAK_CHAINS; i++) {
            sum[i] = _mm256_fmadd_ps(x, x, sum[i]);
            SE_PEAK_HOLD(sum[i]);
        }
    }
}

/* The way from bytes to 32-bit sums without VNNI: three instructions for 32 products. */
void se_peak_maddubs_avx2(uint64_t turns)
{
    __m256i x = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1), sum[SE_PEAK_CHAINS];
#pragma GCC unroll 12
    for (int i = 0; i < SE_PEAK_CHAINS; i++)
        sum[i] = _mm256_set1_epi32(i);
    for (uint64_t t = 0; t < turns; t++) {
#pragma GCC unroll 12
        for (int i = 0; i < SE_PEAK_CHAINS; i++) {
            __m256i half = _mm256_maddubs_epi16(x, x);
            SE_PEAK_HOLD(half);
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(half, one));
            SE_PEAK_HOLD(sum[i]);
        }
    }
}

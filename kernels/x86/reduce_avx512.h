/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/x86/reduce_avx512.h - the sums of eight registers at once.
 *
 * Each sum is folded in halves: lane l + lane l+8, then +4, +2, +1. Eight at a time share
 * the shuffles; what each one gets is the same as alone. */
#ifndef SE_KERNELS_X86_REDUCE_AVX512_H
#define SE_KERNELS_X86_REDUCE_AVX512_H

#include <immintrin.h>

/* The upper half of each added to its lower: sums of a in the low half, of b in the high. */
static inline __m512 fold_halves(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

/* Two results of fold_halves() to four quarters: a's two, then b's two. */
static inline __m512 fold_quarters(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

static inline void reduce8(const __m512 *sum, float *out)
{
    __m512 low = fold_quarters(fold_halves(sum[0], sum[1]), fold_halves(sum[2], sum[3]));
    __m512 high = fold_quarters(fold_halves(sum[4], sum[5]), fold_halves(sum[6], sum[7]));
    /* in quarter i: two lanes of sum i, two of sum i + 4 */
    __m512 pair = _mm512_add_ps(
        _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(low), _mm512_castps_pd(high))),
        _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(low), _mm512_castps_pd(high))));
    __m512 one = _mm512_add_ps(pair, _mm512_permute_ps(pair, 0xb1));
    __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, one)));
}

#endif

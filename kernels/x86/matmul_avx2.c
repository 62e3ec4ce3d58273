/* SPDX-License-Identifier: Apache-2.0 */
/* The three float types with AVX2 and FMA: every weight widened to float32, fused sums. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"

static inline __m256 widen_bf16(__m128i half)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* x to the nearest bf16, kept as float32; as se_f32_to_bf16(). */
static inline __m256 round_bf16(__m256 x)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i near = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256 kept = _mm256_blendv_ps(_mm256_castsi256_ps(near), _mm256_castsi256_ps(quiet),
                                   _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_and_ps(kept, _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u)));
}

/* The first n of eight, the rest zero: nothing past them is read. */
static inline __m256 load_floats(const void *p, uint32_t n)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane));
}

static inline __m128i load_halves(const void *p, uint32_t n)
{
    uint16_t eight[8] = { 0 };
    memcpy(eight, p, n * sizeof *eight);
    return _mm_loadu_si128((const void *)eight);
}

/* Four sums at once, each folded in halves: lane l + lane l+4, then +2, then +1. */
static inline void reduce4(const __m256 *sum, float *out)
{
    __m256 low = _mm256_add_ps(_mm256_permute2f128_ps(sum[0], sum[1], 0x20),
                               _mm256_permute2f128_ps(sum[0], sum[1], 0x31));
    __m256 high = _mm256_add_ps(_mm256_permute2f128_ps(sum[2], sum[3], 0x20),
                                _mm256_permute2f128_ps(sum[2], sum[3], 0x31));
    /* in half i: two lanes of sum i, two of sum i + 2 */
    __m256d a = _mm256_castps_pd(low), b = _mm256_castps_pd(high);
    __m256 pair = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                                _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    __m256 one = _mm256_add_ps(pair, _mm256_permute_ps(pair, 0xb1));
    __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 0, 0, 0, 0);
    _mm_storeu_ps(out, _mm256_castps256_ps128(_mm256_permutevar8x32_ps(one, order)));
}

#define TILE(name) se_matmul_##name##_f32_avx2
#define WEIGHT_B 4
#define LOAD_W(p) _mm256_loadu_ps((const void *)(p))
#define LOAD_W_TAIL(p, n) load_floats(p, n)
#define CONVERT_X(x, n, out) _mm256_store_ps((void *)(out), load_floats(x, n))
#include "kernels/x86/tile_avx2.h"

#define TILE(name) se_matmul_##name##_f16_avx2
#define WEIGHT_B 2
#define LOAD_W(p) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define LOAD_W_TAIL(p, n) _mm256_cvtph_ps(load_halves(p, n))
#define CONVERT_X(x, n, out) _mm256_store_ps((void *)(out), load_floats(x, n))
#include "kernels/x86/tile_avx2.h"

#define TILE(name) se_matmul_##name##_bf16_avx2
#define WEIGHT_B 2
#define LOAD_W(p) widen_bf16(_mm_loadu_si128((const void *)(p)))
#define LOAD_W_TAIL(p, n) widen_bf16(load_halves(p, n))
#define CONVERT_X(x, n, out) _mm256_store_ps((void *)(out), round_bf16(load_floats(x, n)))
#include "kernels/x86/tile_avx2.h"

/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/x86/lanes_avx2.h - the words of lanes.h in AVX2 (with FMA and F16C). */
#ifndef SE_KERNELS_X86_LANES_AVX2_H
#define SE_KERNELS_X86_LANES_AVX2_H

#ifdef __AVX2__
#include <immintrin.h>
#include <stdint.h>

#define SE_LANES 8

typedef __m256 vf;
typedef __m256i vu;
typedef __m256d vd;

static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_set(float x) { return _mm256_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }

static inline __m256i first_lanes(uint32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vf vf_load_part(const float *p, uint32_t n, float fill)
{
    __m256i mask = first_lanes(n);
    return _mm256_blendv_ps(vf_set(fill), _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask));
}

static inline void vf_store_part(float *p, vf x, uint32_t n)
{
    _mm256_maskstore_ps(p, first_lanes(n), x);
}

static inline vf vf_load_half(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline vf vf_load_half_part(const uint16_t *p, uint32_t n)
{
    uint16_t part[SE_LANES] = { 0 };
    for (uint32_t i = 0; i < n; i++)
        part[i] = p[i];
    return vf_load_half(part);
}

static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }

static inline uint32_t vf_mask_gt(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

static inline uint32_t vf_mask_ge(vf a, vf b)
{
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
}

static inline float vf_sum(vf x)
{
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

static inline float vf_largest(vf x)
{
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

static inline vf vf_whole(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* The instructions return their second operand when one is NaN. */
static inline vf vf_least(vf x, float low) { return _mm256_max_ps(vf_set(low), x); }
static inline vf vf_most(vf x, float high) { return _mm256_min_ps(vf_set(high), x); }

/* 2^n for whole n in [-126, 127]. */
static inline vf exponent_only(vu n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two steps, because 2^n alone may not be a float though the product is. */
static inline vf vf_pow2(vf p, vf n)
{
    vu whole = _mm256_cvtps_epi32(n);
    vu half = _mm256_srai_epi32(whole, 1);
    p = vf_mul(p, exponent_only(half));
    return vf_mul(p, exponent_only(_mm256_sub_epi32(whole, half)));
}

static inline vd vd_zero(void) { return _mm256_setzero_pd(); }
static inline vd vd_low(vf x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
static inline vd vd_high(vf x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
static inline vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }

static inline double vd_sum(vd x)
{
    __m128d z = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(z, _mm_unpackhi_pd(z, z)));
}

static inline vf vf_of_bits(vu x) { return _mm256_castsi256_ps(x); }
static inline vu vf_bits(vf x) { return _mm256_castps_si256(x); }
static inline vu vu_set(uint32_t x) { return _mm256_set1_epi32((int)x); }
static inline vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
static inline vu vu_sub(vu a, vu b) { return _mm256_sub_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm256_and_si256(a, b); }
static inline vu vu_xor(vu a, vu b) { return _mm256_xor_si256(a, b); }
static inline vu vu_xor3(vu a, vu b, vu c) { return vu_xor(vu_xor(a, b), c); }
static inline vu vu_half(vu x) { return _mm256_srli_epi32(x, 1); }
/* As signed numbers: shifted right by 23, by 31, to float. */
static inline vu vi_shift23(vu x) { return _mm256_srai_epi32(x, 23); }
static inline vu vi_sign(vu x) { return _mm256_srai_epi32(x, 31); }
static inline vf vi_to_float(vu x) { return _mm256_cvtepi32_ps(x); }

/* a where the word of when is 0, else b. */
static inline vf vf_where_zero(vu when, vf a, vf b)
{
    vu zero = _mm256_cmpeq_epi32(when, _mm256_setzero_si256());
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(zero));
}

/* a where the sign bit of when is set, else b. */
static inline vf vf_where_sign(vu when, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(when));
}

/* Philox: four counters at a time, a counter's words in the low halves of 64-bit lanes; what
 * stands in the high halves is never read. Counter i stands where the final interleaving
 * wants it. */
enum { SE_PHILOX_VECTORS = 2 };

static inline vu vu_counters(uint32_t first)
{
    return vu_add(vu_set(first), _mm256_setr_epi64x(0, 2, 1, 3));
}

static inline void vu_product(vu a, uint32_t by, vu *high, vu *low)
{
    *low = _mm256_mul_epu32(a, _mm256_set1_epi64x(by));
    *high = _mm256_srli_epi64(*low, 32);
}

static inline void vu_in_order(vu c0, vu c1, vu c2, vu c3, vu *out)
{
    vu front = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xAA);
    vu back = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xAA);
    out[0] = _mm256_unpacklo_epi64(front, back);
    out[1] = _mm256_unpackhi_epi64(front, back);
}
#else
#define SE_LANES 0
#endif

#endif

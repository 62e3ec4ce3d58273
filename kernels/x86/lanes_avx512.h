/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/x86/lanes_avx512.h - the words of lanes.h in AVX-512 (F, BW, DQ, VL). */
#ifndef SE_KERNELS_X86_LANES_AVX512_H
#define SE_KERNELS_X86_LANES_AVX512_H

#ifdef __AVX512F__
#include <immintrin.h>
#include <stdint.h>

#define SE_LANES 16

typedef __m512 vf;
typedef __m512i vu;
typedef __m512d vd;

static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vf vf_set(float x) { return _mm512_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }

static inline __mmask16 first_lanes(uint32_t n) { return (__mmask16)((1u << n) - 1); }

static inline vf vf_load_part(const float *p, uint32_t n, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(n), p);
}

static inline void vf_store_part(float *p, vf x, uint32_t n)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), x);
}

static inline vf vf_load_half(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline vf vf_load_half_part(const uint16_t *p, uint32_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}

static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }

static inline uint32_t vf_mask_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
static inline uint32_t vf_mask_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }

static inline float vf_sum(vf x)
{
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}

static inline float vf_largest(vf x)
{
    __m256 y = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}

static inline vf vf_whole(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* The instructions return their second operand when one is NaN. */
static inline vf vf_least(vf x, float low) { return _mm512_max_ps(vf_set(low), x); }
static inline vf vf_most(vf x, float high) { return _mm512_min_ps(vf_set(high), x); }

static inline vf vf_pow2(vf p, vf n) { return _mm512_scalef_ps(p, n); }

static inline vd vd_zero(void) { return _mm512_setzero_pd(); }
static inline vd vd_low(vf x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
static inline vd vd_high(vf x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
static inline vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }

static inline double vd_sum(vd x)
{
    __m256d y = _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1));
    __m128d z = _mm_add_pd(_mm256_castpd256_pd128(y), _mm256_extractf128_pd(y, 1));
    return _mm_cvtsd_f64(_mm_add_sd(z, _mm_unpackhi_pd(z, z)));
}

static inline vf vf_of_bits(vu x) { return _mm512_castsi512_ps(x); }
static inline vu vf_bits(vf x) { return _mm512_castps_si512(x); }
static inline vu vu_set(uint32_t x) { return _mm512_set1_epi32((int)x); }
static inline vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
static inline vu vu_sub(vu a, vu b) { return _mm512_sub_epi32(a, b); }
static inline vu vu_and(vu a, vu b) { return _mm512_and_si512(a, b); }
static inline vu vu_xor(vu a, vu b) { return _mm512_xor_si512(a, b); }
static inline vu vu_xor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
static inline vu vu_half(vu x) { return _mm512_srli_epi32(x, 1); }
/* As signed numbers: shifted right by 23, by 31, to float. */
static inline vu vi_shift23(vu x) { return _mm512_srai_epi32(x, 23); }
static inline vu vi_sign(vu x) { return _mm512_srai_epi32(x, 31); }
static inline vf vi_to_float(vu x) { return _mm512_cvtepi32_ps(x); }

/* a where the word of when is 0, else b. */
static inline vf vf_where_zero(vu when, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_testn_epi32_mask(when, when), b, a);
}

/* a where the sign bit of when is set, else b. */
static inline vf vf_where_sign(vu when, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_movepi32_mask(when), b, a);
}

/* Philox: eight counters at a time, a counter's words in the low halves of 64-bit lanes; what
 * stands in the high halves is never read. Counter i stands where the final interleaving
 * wants it. */
enum { SE_PHILOX_VECTORS = 2 };

static inline vu vu_counters(uint32_t first)
{
    return vu_add(vu_set(first), _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
}

static inline void vu_product(vu a, uint32_t by, vu *high, vu *low)
{
    *low = _mm512_mul_epu32(a, _mm512_set1_epi64(by));
    *high = _mm512_srli_epi64(*low, 32);
}

static inline void vu_in_order(vu c0, vu c1, vu c2, vu c3, vu *out)
{
    vu front = _mm512_mask_shuffle_epi32(c0, 0xAAAA, c1, _MM_PERM_CCAA);
    vu back = _mm512_mask_shuffle_epi32(c2, 0xAAAA, c3, _MM_PERM_CCAA);
    out[0] = _mm512_unpacklo_epi64(front, back);
    out[1] = _mm512_unpackhi_epi64(front, back);
}
#else
#define SE_LANES 0
#endif

#endif

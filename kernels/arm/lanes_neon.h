/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/arm/lanes_neon.h - the words of lanes.h in Advanced SIMD of AArch64. */
#ifndef SE_KERNELS_ARM_LANES_NEON_H
#define SE_KERNELS_ARM_LANES_NEON_H

#ifdef __ARM_NEON
#include <arm_neon.h>
#include <stdint.h>

#define SE_LANES 4

typedef float32x4_t vf;
typedef uint32x4_t vu;
typedef float64x2_t vd;

static inline vf vf_zero(void) { return vdupq_n_f32(0); }
static inline vf vf_set(float x) { return vdupq_n_f32(x); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf x) { vst1q_f32(p, x); }

static inline vf vf_load_part(const float *p, uint32_t n, float fill)
{
    float part[SE_LANES] = { fill, fill, fill, fill };
    for (uint32_t i = 0; i < n; i++)
        part[i] = p[i];
    return vf_load(part);
}

static inline void vf_store_part(float *p, vf x, uint32_t n)
{
    float part[SE_LANES];
    vf_store(part, x);
    for (uint32_t i = 0; i < n; i++)
        p[i] = part[i];
}

static inline vf vf_load_half(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vf vf_load_half_part(const uint16_t *p, uint32_t n)
{
    uint16_t part[SE_LANES] = { 0 };
    for (uint32_t i = 0; i < n; i++)
        part[i] = p[i];
    return vf_load_half(part);
}

static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_max(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }

static inline uint32_t lane_bits(uint32x4_t all_or_nothing)
{
    const uint32x4_t bit = { 1, 2, 4, 8 };
    return vaddvq_u32(vandq_u32(all_or_nothing, bit));
}

static inline uint32_t vf_mask_gt(vf a, vf b) { return lane_bits(vcgtq_f32(a, b)); }
static inline uint32_t vf_mask_ge(vf a, vf b) { return lane_bits(vcgeq_f32(a, b)); }

static inline float vf_sum(vf x)
{
    float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}

static inline float vf_largest(vf x) { return vmaxvq_f32(x); }

static inline vf vf_whole(vf x) { return vrndnq_f32(x); }

/* The instructions return NaN when an operand is NaN. */
static inline vf vf_least(vf x, float low) { return vmaxq_f32(x, vf_set(low)); }
static inline vf vf_most(vf x, float high) { return vminq_f32(x, vf_set(high)); }

/* 2^n for whole n in [-126, 127]. */
static inline vf exponent_only(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* In two steps, because 2^n alone may not be a float though the product is. */
static inline vf vf_pow2(vf p, vf n)
{
    int32x4_t whole = vcvtq_s32_f32(n);
    int32x4_t half = vshrq_n_s32(whole, 1);
    p = vf_mul(p, exponent_only(half));
    return vf_mul(p, exponent_only(vsubq_s32(whole, half)));
}

static inline vd vd_zero(void) { return vdupq_n_f64(0); }
static inline vd vd_low(vf x) { return vcvt_f64_f32(vget_low_f32(x)); }
static inline vd vd_high(vf x) { return vcvt_high_f64_f32(x); }
static inline vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
static inline double vd_sum(vd x) { return vaddvq_f64(x); }

static inline vf vf_of_bits(vu x) { return vreinterpretq_f32_u32(x); }
static inline vu vf_bits(vf x) { return vreinterpretq_u32_f32(x); }
static inline vu vu_set(uint32_t x) { return vdupq_n_u32(x); }
static inline vu vu_add(vu a, vu b) { return vaddq_u32(a, b); }
static inline vu vu_sub(vu a, vu b) { return vsubq_u32(a, b); }
static inline vu vu_and(vu a, vu b) { return vandq_u32(a, b); }
static inline vu vu_xor(vu a, vu b) { return veorq_u32(a, b); }
static inline vu vu_xor3(vu a, vu b, vu c) { return vu_xor(vu_xor(a, b), c); }
static inline vu vu_half(vu x) { return vshrq_n_u32(x, 1); }

/* As signed numbers: shifted right by 23, by 31, to float. */
static inline vu vi_shift23(vu x)
{
    return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(x), 23));
}

static inline vu vi_sign(vu x)
{
    return vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(x), 31));
}

static inline vf vi_to_float(vu x) { return vcvtq_f32_s32(vreinterpretq_s32_u32(x)); }

/* a where the word of when is 0, else b. */
static inline vf vf_where_zero(vu when, vf a, vf b) { return vbslq_f32(vceqzq_u32(when), a, b); }

/* a where the sign bit of when is set, else b. */
static inline vf vf_where_sign(vu when, vf a, vf b) { return vbslq_f32(vi_sign(when), a, b); }

/* Philox: four counters at a time; the words of a counter are four tokens in a row. */
enum { SE_PHILOX_VECTORS = 4 };

static inline vu vu_counters(uint32_t first)
{
    const vu ascending = { 0, 1, 2, 3 };
    return vu_add(vu_set(first), ascending);
}

static inline void vu_product(vu a, uint32_t by, vu *high, vu *low)
{
    vu front = vreinterpretq_u32_u64(vmull_n_u32(vget_low_u32(a), by));
    vu back = vreinterpretq_u32_u64(vmull_high_n_u32(a, by));
    *low = vuzp1q_u32(front, back);
    *high = vuzp2q_u32(front, back);
}

static inline void vu_in_order(vu c0, vu c1, vu c2, vu c3, vu *out)
{
    uint32_t word[16];
    vst4q_u32(word, ((uint32x4x4_t){ { c0, c1, c2, c3 } }));
    for (int i = 0; i < SE_PHILOX_VECTORS; i++)
        out[i] = vld1q_u32(word + 4 * i);
}
#else
#define SE_LANES 0
#endif

#endif

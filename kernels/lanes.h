/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/lanes.h - a small vocabulary of vectors, the same for every instruction set.
 *
 * A kernel that is the same idea on every processor is written once over these words, in
 * <noun>_lanes.h, and compiled once per set by the files of x86/ and arm/. SE_LANES is the
 * number of float32 lanes of a vector (16, 8 or 4), or 0 in a file compiled for no set, where
 * the bodies vanish.
 *
 *     vf, vu                          float32 lanes, the same lanes as 32-bit words
 *     vf_zero vf_set                  zeros; one value everywhere
 *     vf_load vf_store                any alignment
 *     vf_load_part(p, n, fill)        n < SE_LANES values, then fill; reads no further
 *     vf_store_part(p, v, n)          writes no further
 *     vf_load_half vf_load_half_part  the same from f16; the part's fill is 0
 *     vf_add vf_sub vf_mul vf_div vf_max vf_fma(a, b, c) = a * b + c, rounded once
 *     vf_mask_gt vf_mask_ge           lane i in bit i; false for NaN
 *     vf_sum vf_largest               across the lanes, in one fixed tree
 *     vf_pow2(p, n)                   p * 2^n for whole n in [-152, 130]
 *     vf_whole                        to the nearest whole
 *     vf_least(x, low) vf_most        x, but not below, not above; NaN passes
 *     vd_*                            SE_LANES / 2 lanes of float64, to sum in
 *     vu_* vi_* vf_of_bits vf_bits    integer work on the bits
 *     vu_counters vu_product vu_in_order  what philox_lanes.h is made of
 *     vf_exp vf_exp_down vf_largest_of    below */
#ifndef SE_KERNELS_LANES_H
#define SE_KERNELS_LANES_H

#if defined(__AVX512F__)
#include "kernels/x86/lanes_avx512.h"
#elif defined(__AVX2__)
#include "kernels/x86/lanes_avx2.h"
#elif defined(__ARM_NEON)
#include "kernels/arm/lanes_neon.h"
#else
#define SE_LANES 0
#endif

#if SE_LANES
#include <math.h>

/* Arguments that are constants stay constants inside. */
#define SE_INLINE static inline __attribute__((always_inline))

enum { SE_EXP_CHAINS = 4 };

/* exp() of each of n <= SE_EXP_CHAINS vectors, for -105 <= x <= 90. x = k ln 2 + r,
 * |r| <= ln 2 / 2; the polynomial is the minimax fit of (exp(r) - 1 - r) / r^2. Its last
 * term (1 +) comes last, so that small r cost nothing. One exponential is a long chain of
 * operations that wait for each other: the vectors go step by step together, because the
 * processor does not look far enough ahead to overlap them by itself. */
SE_INLINE void vf_exp_within(vf *x, uint32_t n)
{
    static const float term[] = { 0x1.1239e2p-7f, 0x1.5558f2p-5f, 0x1.555492p-3f, 0x1.fffffcp-2f };
    vf k[SE_EXP_CHAINS], p[SE_EXP_CHAINS];
    for (uint32_t i = 0; i < n; i++)
        k[i] = vf_mul(x[i], vf_set(0x1.715476p+0f));
    for (uint32_t i = 0; i < n; i++)
        k[i] = vf_whole(k[i]);
    for (uint32_t i = 0; i < n; i++)
        x[i] = vf_fma(k[i], vf_set(-0x1.62e430p-1f), x[i]);
    for (uint32_t i = 0; i < n; i++) /* what ln 2 has beyond its float */
        x[i] = vf_fma(k[i], vf_set(0x1.05c610p-29f), x[i]);
    for (uint32_t i = 0; i < n; i++)
        p[i] = vf_set(0x1.6a2434p-10f);
    for (uint32_t t = 0; t < sizeof term / sizeof *term; t++)
        for (uint32_t i = 0; i < n; i++)
            p[i] = vf_fma(p[i], x[i], vf_set(term[t]));
    for (uint32_t i = 0; i < n; i++)
        p[i] = vf_fma(vf_mul(x[i], x[i]), p[i], x[i]);
    for (uint32_t i = 0; i < n; i++)
        p[i] = vf_add(p[i], vf_set(1.0f));
    for (uint32_t i = 0; i < n; i++)
        x[i] = vf_pow2(p[i], k[i]);
}

/* exp(x) of each of n <= SE_EXP_CHAINS vectors, relative error below 1.2e-7 where the result
 * is normal; 0 below -104, infinity above 89; NaN stays NaN. The second is for x <= 0. */
SE_INLINE void vf_exp(vf *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = vf_most(vf_least(x[i], -105.0f), 90.0f);
    vf_exp_within(x, n);
}

SE_INLINE void vf_exp_down(vf *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        x[i] = vf_least(x[i], -105.0f);
    vf_exp_within(x, n);
}

/* The largest of n >= 1 values, none of them NaN. */
static inline float vf_largest_of(const float *x, uint32_t n)
{
    vf most[4];
    for (int c = 0; c < 4; c++)
        most[c] = vf_set(-INFINITY);
    uint32_t i = 0;
    for (; n - i >= 4 * SE_LANES; i += 4 * SE_LANES)
        for (int c = 0; c < 4; c++)
            most[c] = vf_max(most[c], vf_load(x + i + c * SE_LANES));
    for (; n - i >= SE_LANES; i += SE_LANES)
        most[0] = vf_max(most[0], vf_load(x + i));
    if (i < n)
        most[1] = vf_max(most[1], vf_load_part(x + i, n - i, -INFINITY));
    return vf_largest(vf_max(vf_max(most[0], most[1]), vf_max(most[2], most[3])));
}
#endif

#endif

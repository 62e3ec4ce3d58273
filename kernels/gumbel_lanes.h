/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/gumbel_lanes.h - Gumbel noise over lanes.
 *
 * The arithmetic of a noise value is that of gumbel_log.h, step by step. What makes the
 * winner cheap to find is knowing what cannot win, exactly:
 *   1. g never exceeds GUMBEL_MOST, so vectors with x * inv_t + GUMBEL_MOST below the best
 *      score so far need no random words. The search starts from the score of the largest x.
 *   2. g <= -log(1 - u), and 1 - u is the complement of the word. A float's bits, read as a
 *      whole number, are a straight-line lower bound of its logarithm: one conversion and one
 *      fused operation bound g from above, and hardly any token needs the logarithms.
 * Rounding is monotone, so a bound of g gives a bound of the rounded score; GUMBEL_SLACK is
 * far above the errors of g and of the bound. */
#ifndef SE_KERNELS_GUMBEL_LANES_H
#define SE_KERNELS_GUMBEL_LANES_H

#include <math.h>

#include "kernels/gumbel_log.h"
#include "kernels/lanes.h"
#include "kernels/lanes_set.h"
#include "kernels/philox_lanes.h"
#include "runtime/base/rng.h"

#if SE_LANES
enum { GUMBEL_GROUP = PHILOX_VECTORS * SE_LANES }; /* tokens of one vu_philox() */
#define GUMBEL_MOST 22.9f
#define GUMBEL_SLACK 1e-3f

static inline vf minus_log_of(vf exponent, vf f)
{
    vf p = vf_set(se_log_term[SE_LOG_TERMS - 1]);
    for (int i = SE_LOG_TERMS - 2; i >= 0; i--)
        p = vf_fma(p, f, vf_set(se_log_term[i]));
    vf near = vf_fma(vf_mul(f, f), p, f);
    return vf_sub(vf_zero(), vf_fma(exponent, vf_set(se_log_ln2), near));
}

/* The mantissa less 1, of a float's bits less those of the root. */
static inline vf mantissa_of(vu bits)
{
    bits = vu_add(vu_and(bits, vu_set(0x7fffffu)), vu_set(se_log_root));
    return vf_sub(vf_of_bits(bits), vf_set(1.0f));
}

static inline vf noise_of_words(vu word)
{
    vu low = vu_xor(word, vi_sign(word));
    vf a = vf_mul(vf_add(vi_to_float(low), vf_set(0.5f)), vf_set(0x1p-32f));
    vf y = vf_where_sign(word, vf_sub(vf_set(1.0f), a), a);
    vu bits = vu_sub(vf_bits(y), vu_set(se_log_root));
    vu exponent = vi_shift23(bits);
    vf f = vf_where_zero(exponent, vf_sub(vf_zero(), a), mantissa_of(bits));
    y = minus_log_of(vi_to_float(exponent), f);
    bits = vu_sub(vf_bits(y), vu_set(se_log_root));
    return minus_log_of(vi_to_float(vi_shift23(bits)), mantissa_of(bits));
}

/* At least as large as the noise of the words. */
static inline vf bound_of_words(vu word)
{
    vf rest = vi_to_float(vu_half(vu_xor(word, vu_set(0xffffffffu)))); /* 2^31 (1 - u) or less */
    vf log2_rest = vi_to_float(vf_bits(rest)); /* 2^23 (127 + log2 of it), or less */
    return vf_fma(log2_rest, vf_set(-0x1.62e430p-24f),
                  vf_set((127 + 31) * 0x1.62e430p-1f + GUMBEL_SLACK));
}

struct gumbel_search {
    const float *x;
    uint32_t n;
    float inv_t;
    uint32_t best;
    float best_score;
};

/* The logits of vector v of the group at i, with what cannot win beyond the row's end. */
static inline vf logits_at(const float *x, uint32_t n, uint32_t i)
{
    if (i >= n)
        return vf_set(-INFINITY);
    return n - i >= SE_LANES ? vf_load(x + i) : vf_load_part(x + i, n - i, -INFINITY);
}

/* Looks closely at a vector with a possible winner. */
static inline void search_vector(struct gumbel_search *search, uint32_t i, vf scaled, vu word)
{
    float score[SE_LANES];
    vf all = vf_add(scaled, noise_of_words(word));
    uint32_t mask = vf_mask_ge(all, vf_set(search->best_score));
    if (mask == 0)
        return;
    vf_store(score, all);
    for (; mask; mask &= mask - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(mask), token = i + lane;
        if (token >= search->n || (isinf(search->x[token]) && search->x[token] < 0))
            continue;
        if (score[lane] > search->best_score ||
            (score[lane] == search->best_score && token < search->best)) {
            search->best_score = score[lane];
            search->best = token;
        }
    }
}

static inline uint32_t gumbel_argmax_lanes(const float *x, uint32_t n, float inv_t, uint64_t seed,
                                           uint32_t position)
{
    struct gumbel_search search = { .x = x, .n = n, .inv_t = inv_t };
    float largest = vf_largest_of(x, n);
    while (x[search.best] != largest)
        search.best++;
    search.best_score = largest * inv_t + se_gumbel(seed, position, search.best);
    const struct philox mix = philox_of(seed, position, SE_RNG_SAMPLING);
    for (uint32_t i = 0; i < n; i += GUMBEL_GROUP) {
        vf scaled[PHILOX_VECTORS];
        vu word[PHILOX_VECTORS];
        uint32_t hope = 0;
        for (uint32_t v = 0; v < PHILOX_VECTORS; v++) {
            scaled[v] = vf_mul(logits_at(x, n, i + v * SE_LANES), vf_set(inv_t));
            hope |= vf_mask_ge(vf_add(scaled[v], vf_set(GUMBEL_MOST)), vf_set(search.best_score));
        }
        if (hope == 0)
            continue;
        vu_philox(&mix, i / 4, word);
        for (uint32_t v = 0; v < PHILOX_VECTORS; v++) {
            vf bound = vf_add(scaled[v], bound_of_words(word[v]));
            if (vf_mask_ge(bound, vf_set(search.best_score)))
                search_vector(&search, i + v * SE_LANES, scaled[v], word[v]);
        }
    }
    return search.best;
}

static inline void gumbel_add_lanes(const float *x, uint32_t n, float inv_t, uint64_t seed,
                                    uint32_t position, float *out)
{
    const struct philox mix = philox_of(seed, position, SE_RNG_SAMPLING);
    for (uint32_t i = 0; i < n; i += GUMBEL_GROUP) {
        vu word[PHILOX_VECTORS];
        vu_philox(&mix, i / 4, word);
        for (uint32_t v = 0; v < PHILOX_VECTORS; v++) {
            uint32_t at = i + v * SE_LANES;
            if (at >= n)
                break;
            vf scaled = vf_mul(logits_at(x, n, at), vf_set(inv_t));
            vf sum = vf_add(scaled, noise_of_words(word[v]));
            if (n - at >= SE_LANES)
                vf_store(out + at, sum);
            else
                vf_store_part(out + at, sum, n - at);
        }
    }
}
#endif

#endif

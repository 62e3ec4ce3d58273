/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/philox_lanes.h - Philox 4x32-10 (runtime/base/rng.h) over lanes.
 *
 * All counters of a search differ in their first word alone, and the third is zero. So the
 * first two rounds need one product each instead of two, and half of what is mixed in is
 * known beforehand. */
#ifndef SE_KERNELS_PHILOX_LANES_H
#define SE_KERNELS_PHILOX_LANES_H

#include "kernels/lanes.h"

#if SE_LANES
enum { PHILOX_ROUNDS = 10 };
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u

/* What each round mixes into the first and the third word. */
struct philox {
    uint32_t first[PHILOX_ROUNDS], third[PHILOX_ROUNDS];
};

/* For counters { any, second, 0, last }. */
static inline struct philox philox_of(uint64_t key, uint32_t second, uint32_t last)
{
    struct philox mix;
    for (uint32_t r = 0; r < PHILOX_ROUNDS; r++) {
        mix.first[r] = (uint32_t)key + r * 0x9E3779B9u;
        mix.third[r] = (uint32_t)(key >> 32) + r * 0xBB67AE85u;
    }
    /* The first word after round 0, hence its product in round 1, is the same for all. */
    uint64_t product = (uint64_t)PHILOX_M0 * (second ^ mix.first[0]);
    mix.third[0] ^= last;
    mix.third[1] ^= (uint32_t)(product >> 32);
    mix.third[2] ^= (uint32_t)product;
    return mix;
}

/* One round is a chain of slow products, so several chains run side by side. */
enum { PHILOX_CHAINS = 2, PHILOX_VECTORS = PHILOX_CHAINS * SE_PHILOX_VECTORS };

/* The words of PHILOX_VECTORS vectors of tokens, from counter on. */
static inline void vu_philox(const struct philox *mix, uint32_t counter, vu *out)
{
    vu c0[PHILOX_CHAINS], c1[PHILOX_CHAINS], c2[PHILOX_CHAINS], c3[PHILOX_CHAINS];
    for (uint32_t i = 0; i < PHILOX_CHAINS; i++) {
        vu high0, high1, low0;
        vu_product(vu_counters(counter + i * SE_PHILOX_VECTORS * SE_LANES / 4), PHILOX_M0, &high0,
                   &low0);
        vu_product(vu_xor(high0, vu_set(mix->third[0])), PHILOX_M1, &high1, &c1[i]);
        c0[i] = vu_xor(high1, vu_set(mix->first[1]));
        c2[i] = vu_xor(low0, vu_set(mix->third[1]));
        c3[i] = vu_set(0); /* its value is in third[2] */
    }
    for (uint32_t r = 2; r < PHILOX_ROUNDS; r++) {
        for (uint32_t i = 0; i < PHILOX_CHAINS; i++) {
            vu high0, high1, low0, low1;
            vu_product(c0[i], PHILOX_M0, &high0, &low0);
            vu_product(c2[i], PHILOX_M1, &high1, &low1);
            c0[i] = vu_xor3(high1, c1[i], vu_set(mix->first[r]));
            c2[i] = vu_xor3(high0, c3[i], vu_set(mix->third[r]));
            c1[i] = low1;
            c3[i] = low0;
        }
    }
    for (uint32_t i = 0; i < PHILOX_CHAINS; i++)
        vu_in_order(c0[i], c1[i], c2[i], c3[i], out + i * SE_PHILOX_VECTORS);
}
#endif

#endif

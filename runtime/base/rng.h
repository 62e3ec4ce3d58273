/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/base/rng.h - random numbers that belong to a place, not to a moment.
 *
 * Philox 4x32-10 (Salmon et al., SC'11): a counter and a key give four words, always the
 * same. There is no state, so nothing to lose, to replay or to share. Any thread. */
#ifndef SE_RUNTIME_BASE_RNG_H
#define SE_RUNTIME_BASE_RNG_H

#include <stdint.h>

struct se_rng_block {
    uint32_t word[4];
};

struct se_rng_block se_rng_philox(uint64_t key, const uint32_t counter[4]);

/* The word that belongs to a token at a position: counter { token / 4, position, 0,
 * SE_RNG_SAMPLING }, word token % 4. */
uint32_t se_rng_token_word(uint64_t seed, uint32_t position, uint32_t token);

/* Uses of the generator; each has counters of its own. */
enum { SE_RNG_SAMPLING = 0x53414d50, SE_RNG_WEIGHTS = 0x57474854, SE_RNG_TEST = 0x54455354 };

/* A sequence for tests and weight making: word number i of stream (key, use). */
struct se_rng {
    uint64_t key;
    uint32_t use;
    uint64_t next; /* index of the next word */
    struct se_rng_block block;
};
void se_rng_init(struct se_rng *rng, uint64_t key, uint32_t use);
uint32_t se_rng_u32(struct se_rng *rng);
/* Uniform in [0, n), n >= 1. */
uint32_t se_rng_below(struct se_rng *rng, uint32_t n);
/* Uniform in (0, 1). */
double se_rng_unit(struct se_rng *rng);
/* Normal, mean 0, deviation 1. */
double se_rng_normal(struct se_rng *rng);

#endif

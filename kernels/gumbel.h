/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/gumbel.h - noise that belongs to a token at a position, and the token that wins.
 *
 * g(seed, position, token) = -log(-log(u)), u = (word + 0.5) / 2^32, word from
 * se_rng_token_word(). The logarithms are a fixed sequence of IEEE float32 operations
 * (fused ones written out), the same in every implementation: the bits of g are the same on
 * every processor, so that an edge knows the server's noise exactly. The steps are written
 * down in gumbel_log.h; the error is below 5e-7 * max(1, |g|), at both ends of u as well.
 *
 * The winner is the index of the largest x[i] * inv_t + g(seed, position, i) (one product
 * rounded, one sum rounded, no fusing), the lowest index in a tie. An x of -infinity is a
 * token that was cut and never wins; at least one is finite, none is NaN. 0 <= inv_t, finite.
 * Pure; any thread. */
#ifndef SE_KERNELS_GUMBEL_H
#define SE_KERNELS_GUMBEL_H

#include <stdint.h>

/* The reference for one token, and for the word that it is made of. */
float se_gumbel(uint64_t seed, uint32_t position, uint32_t token);
float se_gumbel_of_word(uint32_t word);

struct se_gumbel_impl {
    const char *name;
    uint32_t cpu;
    uint32_t (*argmax)(const float *x, uint32_t n, float inv_t, uint64_t seed, uint32_t position);
    /* out[i] = x[i] * inv_t + g(seed, position, i); out may be x. */
    void (*add)(const float *x, uint32_t n, float inv_t, uint64_t seed, uint32_t position,
                float *out);
};
extern const struct se_gumbel_impl se_gumbel_table[];
extern const uint32_t se_gumbel_table_n;
const struct se_gumbel_impl *se_gumbel_pick(void);

#endif

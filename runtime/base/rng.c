/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/base/rng.h"

#include <math.h>

struct se_rng_block se_rng_philox(uint64_t key, const uint32_t counter[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (struct se_rng_block){ { c0, c1, c2, c3 } };
}

uint32_t se_rng_token_word(uint64_t seed, uint32_t position, uint32_t token)
{
    const uint32_t counter[4] = { token / 4, position, 0, SE_RNG_SAMPLING };
    return se_rng_philox(seed, counter).word[token % 4];
}

void se_rng_init(struct se_rng *rng, uint64_t key, uint32_t use)
{
    *rng = (struct se_rng){ .key = key, .use = use };
}

uint32_t se_rng_u32(struct se_rng *rng)
{
    uint32_t lane = (uint32_t)(rng->next % 4);
    if (lane == 0) {
        uint64_t number = rng->next / 4;
        const uint32_t counter[4] = { (uint32_t)number, (uint32_t)(number >> 32), 0, rng->use };
        rng->block = se_rng_philox(rng->key, counter);
    }
    rng->next++;
    return rng->block.word[lane];
}

uint32_t se_rng_below(struct se_rng *rng, uint32_t n)
{
    /* The high half of a product; the bias of at most n / 2^32 is of no account here. */
    return (uint32_t)((uint64_t)se_rng_u32(rng) * n >> 32);
}

double se_rng_unit(struct se_rng *rng) { return (se_rng_u32(rng) + 0.5) * 0x1p-32; }

double se_rng_normal(struct se_rng *rng)
{
    double radius = sqrt(-2 * log(se_rng_unit(rng)));
    return radius * cos(6.283185307179586 * se_rng_unit(rng));
}

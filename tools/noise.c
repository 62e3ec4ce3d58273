/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/noise.h"

#include <math.h>

#include "kernels/float16.h"
#include "runtime/base/rng.h"

void se_noise_init(struct se_noise *noise, uint64_t seed, uint32_t tensor, enum se_dtype dtype,
                   double mean, double deviation)
{
    noise->seed = seed;
    noise->tensor = tensor;
    noise->dtype = dtype;
    double scale = deviation / sqrt(4 * (256.0 * 256.0 - 1) / 12);
    for (int i = 0; i < SE_NOISE_LEVELS; i++) {
        float value = (float)(mean + scale * (i - 2 * 255));
        if (dtype == SE_DTYPE_F32)
            noise->level.f32[i] = value;
        else
            noise->level.half[i] =
                dtype == SE_DTYPE_F16 ? se_f32_to_f16(value) : se_f32_to_bf16(value);
    }
}

/* The sum of the bytes of each of the four words that belong to elements 4 * number ... */
static inline void levels(const struct se_noise *noise, uint64_t number, uint32_t level[4])
{
    const uint32_t counter[4] = { (uint32_t)number, (uint32_t)(number >> 32), noise->tensor,
                                  SE_RNG_WEIGHTS };
    struct se_rng_block block = se_rng_philox(noise->seed, counter);
    for (int i = 0; i < 4; i++) {
        uint32_t pairs = (block.word[i] & 0x00ff00ffu) + (block.word[i] >> 8 & 0x00ff00ffu);
        level[i] = (pairs & 0xffffu) + (pairs >> 16);
    }
}

void se_noise_fill(const struct se_noise *noise, uint64_t from, uint64_t n, void *out)
{
    float *wide = out;
    uint16_t *half = out;
    uint32_t level[4];
    for (uint64_t i = 0; i < n; i += 4) {
        levels(noise, (from + i) / 4, level);
        uint64_t here = n - i < 4 ? n - i : 4;
        if (noise->dtype == SE_DTYPE_F32)
            for (uint64_t k = 0; k < here; k++)
                wide[i + k] = noise->level.f32[level[k]];
        else
            for (uint64_t k = 0; k < here; k++)
                half[i + k] = noise->level.half[level[k]];
    }
}

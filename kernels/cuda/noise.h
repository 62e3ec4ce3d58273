/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/noise.h - the noise of kernels/gumbel.h on the device, bit for bit.
 *
 * Four tokens in a row share a block of words, which costs more than all else about them; the
 * logarithms are for the few tokens that a bound of their noise does not rule out. */
#ifndef SE_KERNELS_CUDA_NOISE_H
#define SE_KERNELS_CUDA_NOISE_H

#include "kernels/cuda/gpu.h"
#include "kernels/gumbel_log.h"
#include "runtime/base/rng.h"

#define SE_GPU_NOISE_MOST 22.9f /* no noise is above it */

struct se_gpu_words {
    uint32_t word[4];
};

/* The words of the tokens 4 * group .. 4 * group + 3: se_rng_token_word(). */
static __device__ inline struct se_gpu_words se_gpu_noise_words(uint64_t seed, uint32_t position,
                                                                uint32_t group)
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = group, c1 = position, c2 = 0, c3 = SE_RNG_SAMPLING;
    for (int round = 0; round < 10; round++) {
        uint32_t high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        uint32_t high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c2 = high0 ^ c3 ^ k1;
        c1 = low1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return { { c0, c1, c2, c3 } };
}

struct se_gpu_mantissa {
    float exponent, f;
};

static __device__ inline struct se_gpu_mantissa se_gpu_noise_split(float y)
{
    uint32_t bits = __float_as_uint(y) - se_log_root;
    int32_t exponent = (int32_t)((bits >> 23) ^ 0x100u) - 0x100;
    bits = (bits & 0x7fffffu) + se_log_root;
    return { (float)exponent, __uint_as_float(bits) - 1.0f };
}

static __device__ inline float se_gpu_noise_log(struct se_gpu_mantissa y)
{
    const float term[SE_LOG_TERMS] = { SE_LOG_TERM_LIST };
    float p = term[SE_LOG_TERMS - 1];
    for (int i = SE_LOG_TERMS - 2; i >= 0; i--)
        p = fmaf(p, y.f, term[i]);
    return 0.0f - fmaf(y.exponent, se_log_ln2, fmaf(y.f * y.f, p, y.f));
}

static __device__ inline float se_gpu_noise(uint32_t word)
{
    uint32_t low = word < 0x80000000u ? word : ~word;
    float a = ((float)low + 0.5f) * 0x1p-32f;
    struct se_gpu_mantissa y = se_gpu_noise_split(word < 0x80000000u ? a : 1.0f - a);
    if (y.exponent == 0)
        y.f = -a;
    return se_gpu_noise_log(se_gpu_noise_split(se_gpu_noise_log(y)));
}

/* At least the noise of the word: g <= -log(1 - u), and n leading ones leave 1 - u above
 * 2^-(n + 1). What is added is far above the errors of both. */
static __device__ inline float se_gpu_noise_bound(uint32_t word)
{
    return fmaf((float)(__clz((int)~word) + 1), se_log_ln2, 1e-3f);
}

static __device__ inline float se_gpu_noise_of(uint64_t seed, uint32_t position, uint32_t token)
{
    const struct se_gpu_words words = se_gpu_noise_words(seed, position, token / 4);
    uint32_t lane = token % 4;
    return se_gpu_noise(lane == 0   ? words.word[0]
                        : lane == 1 ? words.word[1]
                        : lane == 2 ? words.word[2]
                                    : words.word[3]);
}

#endif

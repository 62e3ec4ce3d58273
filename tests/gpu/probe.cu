/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/probe.h"

#include "kernels/cuda/noise.h"
#include "kernels/cuda/rank.h"

/* What checks go by. */
static_assert((int)PROBE_RANK_THREADS == (int)RANK_THREADS, "probe.h");
static_assert((int)PROBE_RANK_SHORT == (int)RANK_SHORT, "probe.h");
static_assert((int)PROBE_MASS_BITS == (int)RANK_MASS_BITS, "probe.h");
static_assert(PROBE_NOISE_MOST == SE_GPU_NOISE_MOST, "probe.h");

/* Few threads, as in an emulator each costs more than what it does here. */
enum { BLOCKS = 32, THREADS = 128 };

static __global__ void noise_of_words(const uint32_t *word, uint32_t n, float *noise, float *bound)
{
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < n; i += BLOCKS * THREADS) {
        noise[i] = se_gpu_noise(word[i]);
        bound[i] = se_gpu_noise_bound(word[i]);
    }
}

static __global__ void noise_of_tokens(uint64_t seed, uint32_t position, uint32_t n, float *noise)
{
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < n; i += BLOCKS * THREADS)
        noise[i] = se_gpu_noise_of(seed, position, i);
}

static __global__ void mass_of(const struct probe_entry *entry, uint32_t n, uint64_t *mass)
{
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < n; i += BLOCKS * THREADS) {
        struct rank_row row = {};
        row.best = entry[i].best;
        row.scale = entry[i].scale;
        row.scale_low = entry[i].scale_low;
        mass[i] = rank_mass(&row, entry[i].value);
    }
}

void probe_noise_of_words(se_gpu_stream stream, const uint32_t *word, uint32_t n, float *noise,
                          float *bound)
{
    SE_LAUNCH(stream, noise_of_words, BLOCKS, THREADS, word, n, noise, bound);
}

void probe_noise_of_tokens(se_gpu_stream stream, uint64_t seed, uint32_t position, uint32_t n,
                           float *noise)
{
    SE_LAUNCH(stream, noise_of_tokens, BLOCKS, THREADS, seed, position, n, noise);
}

void probe_mass(se_gpu_stream stream, const struct probe_entry *entry, uint32_t n, uint64_t *mass)
{
    SE_LAUNCH(stream, mass_of, BLOCKS, THREADS, entry, n, mass);
}

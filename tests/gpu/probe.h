/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/probe.h - what functions that only kernels can call give for many inputs.
 *
 * For host code that knows nothing of kernels; n outputs on the device for n inputs there. */
#ifndef SE_TESTS_GPU_PROBE_H
#define SE_TESTS_GPU_PROBE_H

#include <stdint.h>

#include "kernels/cuda/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of kernels/cuda/rank.h and noise.h, which are for kernels alone; probe.cu holds them to that. */
enum { PROBE_RANK_THREADS = 1024, PROBE_RANK_SHORT = 512, PROBE_MASS_BITS = 42 };
#define PROBE_NOISE_MOST 22.9f

/* The noise of a word, and the bound of it that is known before. */
void probe_noise_of_words(se_gpu_stream stream, const uint32_t *word, uint32_t n, float *noise,
                          float *bound);
/* Of the tokens 0 .. n - 1. */
void probe_noise_of_tokens(se_gpu_stream stream, uint64_t seed, uint32_t position, uint32_t n,
                           float *noise);

/* What an entry weighs in its row. */
struct probe_entry {
    float value, best;
    float scale, scale_low; /* log2(e) / temp, in two parts */
};
void probe_mass(se_gpu_stream stream, const struct probe_entry *entry, uint32_t n, uint64_t *mass);

#ifdef __cplusplus
}
#endif

#endif

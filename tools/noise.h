/* SPDX-License-Identifier: Apache-2.0 */
/* tools/noise.h - random weights: element i of tensor t is a function of the seed, t and i.
 *
 * So any thread may make any part, in any order, and the bytes are the same. The values are
 * sums of four random bytes: nearly normal, 1021 levels, cut at 3.45 deviations. */
#ifndef SE_TOOLS_NOISE_H
#define SE_TOOLS_NOISE_H

#include <stdint.h>

#include "kernels/matmul.h"

enum { SE_NOISE_LEVELS = 4 * 255 + 1 };

/* One tensor's: what each level is worth, ready to be stored. */
struct se_noise {
    uint64_t seed;
    uint32_t tensor;
    enum se_dtype dtype; /* F32, F16 or BF16 */
    union {
        float f32[SE_NOISE_LEVELS];
        uint16_t half[SE_NOISE_LEVELS]; /* either 16-bit kind, as bits */
    } level;
};

void se_noise_init(struct se_noise *noise, uint64_t seed, uint32_t tensor, enum se_dtype dtype,
                   double mean, double deviation);

/* Elements [from, from + n) to out; from is a multiple of 4. */
void se_noise_fill(const struct se_noise *noise, uint64_t from, uint64_t n, void *out);

#endif

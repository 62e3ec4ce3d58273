/* SPDX-License-Identifier: Apache-2.0 */
/* q8 with NEON alone: products in 16 bits, which pairs of them do not leave. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/matmul_set.h"
#include "kernels/quant.h"

static inline int32x4_t dot(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    int32x4_t high = vpaddlq_s16(vmull_high_s8(w, x));
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

#define TILE(name) se_matmul_##name##_q8_neon
#define DOT(sum, part, x) dot(sum, part, x)
#include "kernels/arm/tile_q8_neon.h"

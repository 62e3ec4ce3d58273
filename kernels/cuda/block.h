/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/block.h - what kernels over rows share: four values at a time, and a warp's sums.
 *
 * A row of n values is aligned to 16 bytes where n is a multiple of 4, as all models have it; any
 * other n is right too, only slower. */
#ifndef SE_KERNELS_CUDA_BLOCK_H
#define SE_KERNELS_CUDA_BLOCK_H

#include "kernels/cuda/gpu.h"

enum { SE_GPU_WARP = 32 };

/* row[at .. at + 3]; what lies beyond n is `rest`. at is a multiple of 4, and below n. */
static __device__ inline float4 se_gpu_load4(const float *row, uint32_t at, uint32_t n, float rest)
{
    if (n % 4 == 0)
        return *(const float4 *)(row + at);
    return make_float4(row[at], at + 1 < n ? row[at + 1] : rest, at + 2 < n ? row[at + 2] : rest,
                       at + 3 < n ? row[at + 3] : rest);
}

static __device__ inline void se_gpu_store4(float *row, uint32_t at, uint32_t n, float4 value)
{
    if (n % 4 == 0) {
        *(float4 *)(row + at) = value;
        return;
    }
    const float part[4] = { value.x, value.y, value.z, value.w };
    for (uint32_t i = 0; i < 4 && at + i < n; i++)
        row[at + i] = part[i];
}

static __device__ inline void se_gpu_store4_bf16(uint16_t *row, uint32_t at, uint32_t n,
                                                 float4 value)
{
    const uint32_t bits[4] = { se_gpu_f32_to_bf16(value.x), se_gpu_f32_to_bf16(value.y),
                               se_gpu_f32_to_bf16(value.z), se_gpu_f32_to_bf16(value.w) };
    if (n % 4 == 0) {
        *(uint2 *)(row + at) = make_uint2(bits[0] | bits[1] << 16, bits[2] | bits[3] << 16);
        return;
    }
    for (uint32_t i = 0; i < 4 && at + i < n; i++)
        row[at + i] = (uint16_t)bits[i];
}

/* In every lane the same sum, added in one order. */
static __device__ inline float se_gpu_warp_sum(float value)
{
    for (uint32_t lane = SE_GPU_WARP / 2; lane > 0; lane /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, lane);
    return value;
}

#endif

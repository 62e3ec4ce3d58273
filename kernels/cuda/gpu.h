/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/gpu.h - what a kernel is written against: nvcc's own words, or the emulator's.
 *
 * A GPU is rarely at hand, so each .cu also compiles as C++ against tests/simt/simt.h, where a
 * thread is a fiber, and runs there. What differs between the two stands here:
 *
 *   SE_LAUNCH(stream, kernel, grid, block, ...)   starts it
 *   SE_SHARED(type, name);                        one object in the block's shared memory
 *   SE_SHARED_ARRAY(type, name, n);               an array there, which the emulator watches:
 *                                                 its elements are read and assigned whole
 *   SE_SHARED_POINTER(type)                       the type of a pointer into one
 *   SE_UNROLL                                     before a loop whose counter picks registers
 *   se_gpu_mma_bf16, se_gpu_mma_f16               tensor cores, a whole warp at once
 *   se_gpu_f32_to_f16 and its like                16-bit floats, held as their bits
 *
 * Blocks are of whole warps, and masks of all 32 lanes. A fused operation is one that is written:
 * both compile without contraction. */
#ifndef SE_KERNELS_CUDA_GPU_H
#define SE_KERNELS_CUDA_GPU_H

#include <stdint.h>

#ifdef SE_SIMT
#include "tests/simt/simt.h"
#define SE_UNROLL
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

typedef cudaStream_t se_gpu_stream;

#define SE_LAUNCH(stream, kernel, grid, block, ...) kernel<<<grid, block, 0, stream>>>(__VA_ARGS__)
#define SE_SHARED(type, name) __shared__ type name
#define SE_SHARED_ARRAY(type, name, n) __shared__ type name[n]
#define SE_SHARED_POINTER(type) type *
#define SE_UNROLL _Pragma("unroll")

static __device__ inline float se_gpu_bf16_to_f32(uint16_t bits)
{
    return __uint_as_float((uint32_t)bits << 16);
}

static __device__ inline uint16_t se_gpu_f32_to_bf16(float value)
{
    return __bfloat16_as_ushort(__float2bfloat16_rn(value));
}

static __device__ inline float se_gpu_f16_to_f32(uint16_t bits)
{
    return __half2float(__ushort_as_half(bits));
}

/* What is too large becomes the largest: an infinity times a share of nothing would be no number,
 * in rows too that do not see it. */
static __device__ inline uint16_t se_gpu_f32_to_f16(float value)
{
    const float most = 65504.0f;
    value = value > most ? most : value < -most ? -most : value;
    return __half_as_ushort(__float2half_rn(value));
}

/* d += a * b: 16 x 16 times 16 x 8, fragments as mma.sync.m16n8k16 (row.col) has them. */
static __device__ inline void se_gpu_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ inline void se_gpu_mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

/* What one lane moves at a time: eight 16-bit floats, aligned. */
struct alignas(16) se_gpu_quad {
    uint32_t a, b, c, d;
};

#endif

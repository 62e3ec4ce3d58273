/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the embedding that tokens name. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { THREADS = 256 };

static __device__ inline float4 load4_bf16(const uint16_t *row, uint32_t at, uint32_t n)
{
    if (n % 4 == 0) {
        uint2 pair = *(const uint2 *)(row + at);
        return make_float4(
            se_gpu_bf16_to_f32((uint16_t)pair.x), se_gpu_bf16_to_f32((uint16_t)(pair.x >> 16)),
            se_gpu_bf16_to_f32((uint16_t)pair.y), se_gpu_bf16_to_f32((uint16_t)(pair.y >> 16)));
    }
    float part[4] = { 0, 0, 0, 0 };
    for (uint32_t i = 0; i < 4 && at + i < n; i++)
        part[i] = se_gpu_bf16_to_f32(row[at + i]);
    return make_float4(part[0], part[1], part[2], part[3]);
}

static __global__ void embed(const struct se_gpu_input *in, const uint16_t *table, uint32_t n,
                             float *x)
{
    uint32_t row = blockIdx.x;
    if (row >= in->n_rows)
        return;
    const uint16_t *from = table + (size_t)in->row[row].token * n;
    for (uint32_t i = 4 * threadIdx.x; i < n; i += 4 * THREADS)
        se_gpu_store4(x + (size_t)row * n, i, n, load4_bf16(from, i, n));
}

void se_gpu_embed(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                  const uint16_t *table, uint32_t n, float *x)
{
    SE_LAUNCH(stream, embed, bucket, THREADS, in, table, n, x);
}

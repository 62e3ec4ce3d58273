/* SPDX-License-Identifier: Apache-2.0 */
/* What several ranks have computed becomes one: sums from rank 0 upwards, and rows side by side. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { THREADS = 256 };

static __device__ inline float4 plus(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

static __global__ void sum_ranks(const struct se_gpu_input *in, uint32_t rows, const float *part,
                                 uint32_t ranks, const float *bias, uint32_t n, float *x)
{
    const uint32_t row = blockIdx.x, i = 4 * (blockIdx.y * THREADS + threadIdx.x);
    if (row >= in->n_rows || i >= n)
        return;
    float4 sum = se_gpu_load4(part + (size_t)row * n, i, n, 0);
    for (uint32_t rank = 1; rank < ranks; rank++)
        sum = plus(sum, se_gpu_load4(part + ((size_t)rank * rows + row) * n, i, n, 0));
    if (bias != NULL)
        sum = plus(sum, se_gpu_load4(bias, i, n, 0));
    float *to = x + (size_t)row * n;
    se_gpu_store4(to, i, n, plus(se_gpu_load4(to, i, n, 0), sum));
}

void se_gpu_sum_ranks(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                      const float *part, uint32_t ranks, const float *bias, uint32_t n, float *x)
{
    dim3 grid(bucket, (n + 4 * THREADS - 1) / (4 * THREADS));
    SE_LAUNCH(stream, sum_ranks, grid, THREADS, in, bucket, part, ranks, bias, n, x);
}

static __global__ void join_ranks(const struct se_gpu_input *in, uint32_t rows, const float *part,
                                  uint32_t tokens, uint32_t vocab, float *logits)
{
    const uint32_t row = blockIdx.x, token = blockIdx.y * THREADS + threadIdx.x;
    if (row >= in->n_wanted || token >= vocab)
        return;
    const uint32_t rank = token / tokens, first = rank * tokens, left = vocab - first;
    const uint32_t width = left < tokens ? left : tokens; /* of a row of this rank's */
    const float *from = part + (size_t)rank * rows * tokens + (size_t)row * width;
    logits[(size_t)row * vocab + token] = from[token - first];
}

void se_gpu_join_ranks(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                       const float *part, uint32_t tokens, uint32_t vocab, float *logits)
{
    dim3 grid(bucket, (vocab + THREADS - 1) / THREADS);
    SE_LAUNCH(stream, join_ranks, grid, THREADS, in, bucket, part, tokens, vocab, logits);
}

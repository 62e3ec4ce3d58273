/* SPDX-License-Identifier: Apache-2.0 */
/* The gated unit: every element from its own two inputs alone. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { THREADS = 256 };

/* Where exp(-g) overflows, g / infinity is the zero that the unit tends to. */
static __device__ inline float gated(float g, float up) { return g / (1.0f + expf(-g)) * up; }

static __global__ void glu(const struct se_gpu_input *in, const float *gate_up, uint32_t n,
                           uint16_t *out)
{
    uint32_t row = blockIdx.x, i = 4 * (blockIdx.y * THREADS + threadIdx.x);
    if (row >= in->n_rows || i >= n)
        return;
    const float *gate = gate_up + (size_t)row * 2 * n;
    float4 g = se_gpu_load4(gate, i, n, 0), up = se_gpu_load4(gate + n, i, n, 0);
    const float4 y =
        make_float4(gated(g.x, up.x), gated(g.y, up.y), gated(g.z, up.z), gated(g.w, up.w));
    se_gpu_store4_bf16(out + (size_t)row * n, i, n, y);
}

void se_gpu_glu(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                const float *gate_up, uint32_t n, uint16_t *out)
{
    dim3 grid(bucket, (n + 4 * THREADS - 1) / (4 * THREADS));
    SE_LAUNCH(stream, glu, grid, THREADS, in, gate_up, n, out);
}

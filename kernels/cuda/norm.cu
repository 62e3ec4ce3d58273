/* SPDX-License-Identifier: Apache-2.0 */
/* RMS norm, a block to a row. The sum is float32 in an order that n alone decides: every thread's
 * own values ascending, then lanes, then warps. The second reading of the row finds it in the
 * cache. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { THREADS = 256, WARPS = THREADS / SE_GPU_WARP };

struct rows {
    const float *x, *weight;
    float eps;
    uint32_t n;
    uint16_t *out;
    float *plain;
};

static __device__ inline float squares(const float *x, uint32_t n)
{
    float sum = 0;
    for (uint32_t i = 4 * threadIdx.x; i < n; i += 4 * THREADS) {
        float4 v = se_gpu_load4(x, i, n, 0);
        sum = fmaf(v.x, v.x, sum);
        sum = fmaf(v.y, v.y, sum);
        sum = fmaf(v.z, v.z, sum);
        sum = fmaf(v.w, v.w, sum);
    }
    return sum;
}

static __device__ inline float4 scaled(float4 x, float scale, float4 weight)
{
    return make_float4(x.x * scale * weight.x, x.y * scale * weight.y, x.z * scale * weight.z,
                       x.w * scale * weight.w);
}

/* Of all rows, or of those that wanted[] names: then to[i] is of row wanted[i]. */
static __global__ void norm(const struct se_gpu_input *in, bool wanted, struct rows rows)
{
    SE_SHARED_ARRAY(float, of_warp, WARPS);
    uint32_t to = blockIdx.x, n = rows.n;
    if (to >= (wanted ? in->n_wanted : in->n_rows))
        return;
    const float *x = rows.x + (size_t)(wanted ? in->wanted[to] : to) * n;
    float sum = se_gpu_warp_sum(squares(x, n));
    if (threadIdx.x % SE_GPU_WARP == 0)
        of_warp[threadIdx.x / SE_GPU_WARP] = sum;
    __syncthreads();
    sum = 0;
    for (uint32_t i = 0; i < WARPS; i++)
        sum += of_warp[i];
    float scale = 1.0f / sqrtf(sum / (float)n + rows.eps);
    for (uint32_t i = 4 * threadIdx.x; i < n; i += 4 * THREADS) {
        float4 y = scaled(se_gpu_load4(x, i, n, 0), scale, se_gpu_load4(rows.weight, i, n, 0));
        se_gpu_store4_bf16(rows.out + (size_t)to * n, i, n, y);
        if (rows.plain)
            se_gpu_store4(rows.plain + (size_t)to * n, i, n, y);
    }
}

void se_gpu_norm(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                 const float *x, const float *weight, float eps, uint32_t n, uint16_t *out)
{
    const struct rows rows = { x, weight, eps, n, out, NULL };
    SE_LAUNCH(stream, norm, bucket, THREADS, in, false, rows);
}

void se_gpu_norm_wanted(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                        const float *x, const float *weight, float eps, uint32_t n, uint16_t *out,
                        float *plain)
{
    const struct rows rows = { x, weight, eps, n, out, plain };
    SE_LAUNCH(stream, norm, bucket, THREADS, in, true, rows);
}

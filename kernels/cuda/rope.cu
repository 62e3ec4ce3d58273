/* SPDX-License-Identifier: Apache-2.0 */
/* From the product of Q, K and V to what attention reads, a warp to a head.
 *
 *   qkv of a row:  q q q q q q q q  k k  v v      heads + 2 kv_heads warps
 *                  │                │    └─ as it is   ─► the row's slot, behind the keys
 *                  │                └─ norm, rotation  ─► the row's slot of its page
 *                  └─ norm, rotation ─► q
 *
 * A lane holds both halves of the pairs that it rotates. The rotation is two products rounded and
 * one sum rounded, as kernels/rope.h has it: the same bits. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum {
    WARPS = 4, /* of a block */
    THREADS = WARPS * SE_GPU_WARP,
    DIM_MAX = 256,
    PAIRS = DIM_MAX / 2 / SE_GPU_WARP, /* of a lane, at most */
};

struct job {
    struct se_gpu_heads heads;
    const float *qkv, *norm_q, *norm_k;
    float eps;
    const float *cos, *sin;
    uint16_t *q, *pages;
};

struct pairs {
    float a[PAIRS], b[PAIRS];
};

static __device__ inline void load(struct pairs *x, const float *from, uint32_t half, uint32_t lane)
{
    for (uint32_t k = 0; k < PAIRS; k++) {
        uint32_t i = lane + k * SE_GPU_WARP;
        x->a[k] = i < half ? from[i] : 0;
        x->b[k] = i < half ? from[half + i] : 0;
    }
}

static __device__ inline void norm(struct pairs *x, const float *weight, float eps, uint32_t half,
                                   uint32_t lane)
{
    float sum = 0;
    for (uint32_t k = 0; k < PAIRS; k++)
        sum = fmaf(x->b[k], x->b[k], fmaf(x->a[k], x->a[k], sum));
    float scale = 1.0f / sqrtf(se_gpu_warp_sum(sum) / (float)(2 * half) + eps);
    for (uint32_t k = 0; k < PAIRS; k++) {
        uint32_t i = lane + k * SE_GPU_WARP;
        x->a[k] = i < half ? x->a[k] * scale * weight[i] : 0;
        x->b[k] = i < half ? x->b[k] * scale * weight[half + i] : 0;
    }
}

static __device__ inline void rotate(struct pairs *x, const float *cos, const float *sin,
                                     uint32_t half, uint32_t lane)
{
    for (uint32_t k = 0; k < PAIRS; k++) {
        uint32_t i = lane + k * SE_GPU_WARP;
        float c = i < half ? cos[i] : 0, s = i < half ? sin[i] : 0;
        float a = x->a[k], b = x->b[k];
        x->a[k] = a * c - b * s;
        x->b[k] = b * c + a * s;
    }
}

static __device__ inline void store(const struct pairs *x, uint16_t *to, uint32_t half,
                                    uint32_t lane)
{
    for (uint32_t k = 0; k < PAIRS; k++) {
        uint32_t i = lane + k * SE_GPU_WARP;
        if (i >= half)
            break;
        to[i] = se_gpu_f32_to_f16(x->a[k]);
        to[half + i] = se_gpu_f32_to_f16(x->b[k]);
    }
}

/* Where the row's key (of == 0) or value (1) of a kv head goes. */
static __device__ inline uint16_t *slot_of(const struct se_gpu_input *in, const struct job *job,
                                           const struct se_gpu_row *row, uint32_t head, uint32_t of)
{
    uint32_t first = in->part[row->part].first_page;
    size_t page = in->page[first + row->slot / SE_GPU_PAGE_SLOTS];
    size_t plane = (page * job->heads.kv_heads + head) * 2 + of;
    return job->pages +
           (plane * SE_GPU_PAGE_SLOTS + row->slot % SE_GPU_PAGE_SLOTS) * job->heads.dim;
}

static __global__ void rope(const struct se_gpu_input *in, struct job job)
{
    const struct se_gpu_heads *heads = &job.heads;
    uint32_t lane = threadIdx.x % SE_GPU_WARP, half = heads->dim / 2;
    uint32_t head = blockIdx.y * WARPS + threadIdx.x / SE_GPU_WARP;
    uint32_t row = blockIdx.x, all = heads->heads + 2 * heads->kv_heads;
    if (row >= in->n_rows || head >= all)
        return;
    const struct se_gpu_row at = in->row[row];
    bool is_q = head < heads->heads, is_k = !is_q && head < heads->heads + heads->kv_heads;
    const float *weight = is_q ? job.norm_q : is_k ? job.norm_k : NULL;
    struct pairs x;
    load(&x, job.qkv + ((size_t)row * all + head) * heads->dim, half, lane);
    if (weight)
        norm(&x, weight, job.eps, half, lane);
    if (is_q || is_k)
        rotate(&x, job.cos + (size_t)at.position * half, job.sin + (size_t)at.position * half, half,
               lane);
    uint32_t kv = (head - heads->heads) % heads->kv_heads;
    uint16_t *to = is_q ? job.q + ((size_t)row * heads->heads + head) * heads->dim
                        : slot_of(in, &job, &at, kv, is_k ? 0 : 1);
    store(&x, to, half, lane);
}

void se_gpu_rope(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                 const struct se_gpu_heads *heads, const float *qkv, const float *norm_q,
                 const float *norm_k, float eps, const float *cos, const float *sin, uint16_t *q,
                 uint16_t *layer_pages)
{
    const struct job job = { *heads, qkv, norm_q, norm_k, eps, cos, sin, q, layer_pages };
    dim3 grid(bucket, (heads->heads + 2 * heads->kv_heads + WARPS - 1) / WARPS);
    SE_LAUNCH(stream, rope, grid, THREADS, in, job);
}

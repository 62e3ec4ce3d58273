/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in and what goes out: the step's block, copies between slots, and the mark that all
 * is there. */
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { THREADS = 256, COPY_BLOCKS = 32 };

/* Words of 16 bytes: that is what crosses the bus in one piece, and no more of them than are in
 * use. */
static __global__ void ingest(const uint4 *from, uint4 *to, uint32_t most)
{
    const uint64_t used_b = ((const volatile struct se_gpu_input *)from)->size_b;
    const uint64_t n = used_b / sizeof(uint4) < most ? used_b / sizeof(uint4) : most;
    for (uint64_t i = blockIdx.x * THREADS + threadIdx.x; i < n; i += COPY_BLOCKS * THREADS)
        to[i] = from[i];
}

void se_gpu_ingest(se_gpu_stream stream, const struct se_gpu_input *host, struct se_gpu_input *in,
                   size_t most_b)
{
    SE_LAUNCH(stream, ingest, COPY_BLOCKS, THREADS, (const uint4 *)host, (uint4 *)in,
              (uint32_t)(most_b / sizeof(uint4)));
}

/* A thread has the same element of every slot, so one copy after the other is in order by itself. */
static __global__ void move(const uint32_t *of, uint32_t n, struct se_gpu_heads heads,
                            unsigned char *pages, size_t layer_b)
{
    uint16_t *layer = (uint16_t *)(pages + blockIdx.y * layer_b);
    const uint32_t slot = heads.dim, half = SE_GPU_PAGE_SLOTS * slot;
    const uint32_t at = blockIdx.x * THREADS + threadIdx.x; /* head, key or value, element */
    if (at >= heads.kv_heads * 2 * slot)
        return;
    const size_t within = (size_t)(at / slot) * half + at % slot;
    const size_t page = (size_t)heads.kv_heads * 2 * half;
    for (uint32_t i = 0; i < n; i++, of += 4)
        layer[of[2] * page + within + of[3] * slot] = layer[of[0] * page + within + of[1] * slot];
}

void se_gpu_move(se_gpu_stream stream, const uint32_t *of, uint32_t n,
                 const struct se_gpu_heads *heads, unsigned char *pages, size_t layer_b,
                 uint32_t layers)
{
    const uint32_t elements = heads->kv_heads * 2 * heads->dim;
    SE_LAUNCH(stream, move, dim3((elements + THREADS - 1) / THREADS, layers), THREADS, of, n,
              *heads, pages, layer_b);
}

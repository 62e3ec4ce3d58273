/* SPDX-License-Identifier: Apache-2.0 */
/* From sampled tokens to text: the walk of runtime/tree/accept.h, the moves that a commit makes
 * (runtime/model/kv.h), and what the host is told. */
#include "kernels/cuda/block.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"

enum { WALKS = 4 /* parts of a block, a warp each */ };

/* A child stands behind its parent, so one pass finds the whole way: 32 nodes at a time, all of
 * them asked at once whether they go on from the node where the walk stands. */
static __device__ void walk_part(const struct se_gpu_input *in, uint32_t part, uint32_t lane,
                                 struct se_gpu_output *out)
{
    uint32_t first = in->part[part].first_row, n = in->part[part].n_rows;
    uint32_t wanted = out->sampled[first], n_path = 1;
    int32_t at = 0;
    if (lane == 0)
        out->path[first] = 0;
    for (uint32_t base = 0; base < n; base += SE_GPU_WARP) {
        uint32_t i = base + lane, sampled = i < n ? out->sampled[first + i] : 0;
        int32_t parent = i > 0 && i < n ? in->row[first + i].parent : -1;
        uint32_t token = i < n ? in->row[first + i].token : 0;
        for (;;) {
            uint32_t next = __ballot_sync(0xffffffffu, parent == at && token == wanted);
            if (next == 0)
                break;
            uint32_t taken = (uint32_t)__ffs((int)next) - 1;
            at = (int32_t)(base + taken);
            wanted = __shfl_sync(0xffffffffu, sampled, (int)taken);
            if (lane == 0)
                out->path[first + n_path] = (uint32_t)at;
            n_path++;
        }
    }
    if (lane == 0) {
        out->n_path[part] = n_path;
        out->bonus[part] = wanted;
    }
}

static __global__ void walk(const struct se_gpu_input *in, struct se_gpu_output *out)
{
    uint32_t part = blockIdx.x * WALKS + threadIdx.x / SE_GPU_WARP;
    if (part < in->n_parts && out->fault == 0 && in->part[part].want == SE_GPU_VERDICT)
        walk_part(in, part, threadIdx.x % SE_GPU_WARP, out);
}

/* ---- moves */

enum { MOVE_THREADS = 128, MOVE_BLOCKS = 8 /* of a layer */, MOVES = 8 /* read before written */ };

struct slots {
    const uint32_t *page, *path; /* of the part */
    uint32_t len, n_path;
    size_t page_n, slot_n; /* words from a page, and a slot, to the next */
};

/* Where a word of the slot of node number `node` lies. */
static __device__ inline size_t place(const struct slots *slots, uint32_t node)
{
    uint32_t slot = slots->len + node;
    return slots->page[slot / SE_GPU_PAGE_SLOTS] * slots->page_n +
           slot % SE_GPU_PAGE_SLOTS * slots->slot_n;
}

/* One word of every slot of the path. A thread moves it from node to node alone, so no other one
 * can come in between. All copies go down, and none lands where a later one still has to read:
 * therefore some may be read before any of them is written. */
template <typename Word>
static __device__ void move_word(const struct slots *slots, Word *column)
{
    for (uint32_t from = 1; from < slots->n_path; from += MOVES) {
        Word kept[MOVES];
        for (uint32_t k = 0; k < MOVES; k++) {
            uint32_t i = from + k;
            if (i < slots->n_path && slots->path[i] != i)
                kept[k] = column[place(slots, slots->path[i])];
        }
        for (uint32_t k = 0; k < MOVES; k++) {
            uint32_t i = from + k;
            if (i < slots->n_path && slots->path[i] != i)
                column[place(slots, i)] = kept[k];
        }
    }
}

/* blockIdx.y: the layer. A slot has `planes` runs of words: keys and values of each kv head. */
template <typename Word>
static __global__ void move(const struct se_gpu_input *in, uint32_t planes, uint32_t words,
                            unsigned char *pages, size_t layer_b, const struct se_gpu_output *out)
{
    if (out->fault != 0)
        return;
    Word *layer = (Word *)(pages + blockIdx.y * layer_b);
    for (uint32_t p = blockIdx.x; p < in->n_parts; p += gridDim.x) {
        const struct se_gpu_part *part = &in->part[p];
        if (part->want != SE_GPU_VERDICT)
            continue;
        struct slots slots = {
            in->page + part->first_page,
            out->path + part->first_row,
            part->len,
            out->n_path[p],
            (size_t)planes * SE_GPU_PAGE_SLOTS * words,
            words,
        };
        for (uint32_t i = threadIdx.x; i < planes * words; i += MOVE_THREADS)
            move_word(&slots, layer + (size_t)(i / words) * SE_GPU_PAGE_SLOTS * words + i % words);
    }
}

void se_gpu_accept(se_gpu_stream stream, const struct se_gpu_input *in, uint32_t bucket,
                   const struct se_gpu_heads *heads, unsigned char *pages, size_t layer_b,
                   uint32_t layers, struct se_gpu_output *out)
{
    uint32_t planes = 2 * heads->kv_heads, dim = heads->dim;
    dim3 grid(bucket < MOVE_BLOCKS ? bucket : (uint32_t)MOVE_BLOCKS, layers);
    SE_LAUNCH(stream, walk, (bucket + WALKS - 1) / WALKS, WALKS * SE_GPU_WARP, in, out);
    if (dim % 8 == 0)
        SE_LAUNCH(stream, move<uint4>, grid, MOVE_THREADS, in, planes, dim / 8, pages, layer_b,
                  out);
    else
        SE_LAUNCH(stream, move<uint32_t>, grid, MOVE_THREADS, in, planes, dim / 2, pages, layer_b,
                  out);
}

/* ---- what the host sees */

enum { TELL_THREADS = 1024 };

/* The same place in the memory that the host sees. */
template <typename Value>
static __device__ inline Value *seen_at(const struct se_gpu_output *out, struct se_gpu_output *seen,
                                        const Value *at)
{
    return (Value *)((unsigned char *)seen +
                     ((const unsigned char *)at - (const unsigned char *)out));
}

static __device__ void tell_verdicts(const struct se_gpu_input *in, const struct se_gpu_output *out,
                                     struct se_gpu_output *seen)
{
    uint32_t *sampled = seen_at(out, seen, out->sampled), *path = seen_at(out, seen, out->path);
    uint32_t *n_path = seen_at(out, seen, out->n_path), *bonus = seen_at(out, seen, out->bonus);
    for (uint32_t i = threadIdx.x; i < in->n_rows; i += TELL_THREADS) {
        uint32_t part = in->row[i].part;
        if (in->part[part].want != SE_GPU_VERDICT)
            continue;
        sampled[i] = out->sampled[i];
        if (i - in->part[part].first_row < out->n_path[part])
            path[i] = out->path[i];
    }
    for (uint32_t i = threadIdx.x; i < in->n_parts; i += TELL_THREADS) {
        if (in->part[i].want != SE_GPU_VERDICT)
            continue;
        n_path[i] = out->n_path[i];
        bonus[i] = out->bonus[i];
    }
}

/* A warp to a row. */
static __device__ void tell_best(const struct se_gpu_input *in, const struct se_gpu_output *out,
                                 struct se_gpu_output *seen)
{
    uint32_t *id = seen_at(out, seen, out->topk_id);
    float *logprob = seen_at(out, seen, out->topk_logprob);
    uint32_t lane = threadIdx.x % SE_GPU_WARP, warp = threadIdx.x / SE_GPU_WARP;
    for (uint32_t i = warp; i < in->n_rows; i += TELL_THREADS / SE_GPU_WARP) {
        const struct se_gpu_part *part = &in->part[in->row[i].part];
        size_t at = (size_t)i * SE_GPU_TOPK_MAX;
        for (uint32_t k = lane; part->want == SE_GPU_TOPK && k < part->k; k += SE_GPU_WARP) {
            id[at + k] = out->topk_id[at + k];
            logprob[at + k] = out->topk_logprob[at + k];
        }
    }
}

static __global__ void publish(const struct se_gpu_input *in, struct se_gpu_output *out,
                               struct se_gpu_output *seen)
{
    uint32_t fault = out->fault;
    if (fault == 0) {
        tell_verdicts(in, out, seen);
        tell_best(in, out, seen);
    }
    /* [gpu.done] What every thread has written is with the host before `done` is. */
    __threadfence_system();
    __syncthreads();
    if (threadIdx.x > 0)
        return;
    out->fault = 0; /* for the next step */
    seen->fault = fault == 0 ? 0 : ~fault + 1;
    __threadfence_system();
    *(volatile uint64_t *)&seen->done = in->number;
}

void se_gpu_publish(se_gpu_stream stream, const struct se_gpu_input *in, struct se_gpu_output *out,
                    struct se_gpu_output *seen)
{
    SE_LAUNCH(stream, publish, 1, TELL_THREADS, in, out, seen);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/batch.h - the input and output of a step, built up by a check. */
#ifndef SE_TESTS_GPU_BATCH_H
#define SE_TESTS_GPU_BATCH_H

#include <vector>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/input.h"

struct batch {
    std::vector<struct se_gpu_row> row;
    std::vector<struct se_gpu_part> part;
    std::vector<struct se_gpu_tile> tile;
    std::vector<uint32_t> wanted, page, tail;
    uint64_t number = 1;
};

/* What lies on the device; every array ends where its memory does. */
static inline struct se_gpu_input *batch_upload(const struct batch &batch)
{
    struct se_gpu_input input = {};
    input.number = batch.number;
    input.n_rows = (uint32_t)batch.row.size();
    input.n_parts = (uint32_t)batch.part.size();
    input.n_tiles = (uint32_t)batch.tile.size();
    input.n_wanted = (uint32_t)batch.wanted.size();
    input.row = simt_copy(batch.row.data(), batch.row.size());
    input.part = simt_copy(batch.part.data(), batch.part.size());
    input.tile = simt_copy(batch.tile.data(), batch.tile.size());
    input.wanted = simt_copy(batch.wanted.data(), batch.wanted.size());
    input.page = simt_copy(batch.page.data(), batch.page.size());
    input.tail = simt_copy(batch.tail.data(), batch.tail.size());
    return simt_copy(&input, 1);
}

static inline void batch_free(struct se_gpu_input *input)
{
    simt_free((void *)input->row);
    simt_free((void *)input->part);
    simt_free((void *)input->tile);
    simt_free((void *)input->wanted);
    simt_free((void *)input->page);
    simt_free((void *)input->tail);
    simt_free(input);
}

/* The arrays in one block behind the struct, as publishing wants it; everything else is 0xff. */
static inline struct se_gpu_output *batch_output(uint32_t rows)
{
    size_t head = (sizeof(struct se_gpu_output) + 15) / 16 * 16, n = rows;
    size_t words = n * (4 + 2 * SE_GPU_TOPK_MAX);
    unsigned char *block = simt_array<unsigned char>(head + words * 4);
    struct se_gpu_output *out = (struct se_gpu_output *)block;
    uint32_t *array = (uint32_t *)(block + head);
    out->fault = 0;
    out->sampled = array;
    out->path = array + n;
    out->n_path = array + 2 * n;
    out->bonus = array + 3 * n;
    out->topk_id = array + 4 * n;
    out->topk_logprob = (float *)(array + (4 + SE_GPU_TOPK_MAX) * n);
    return out;
}

#endif

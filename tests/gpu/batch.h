/* SPDX-License-Identifier: Apache-2.0 */
/* tests/gpu/batch.h - the input and output of a step, built up by a check. */
#ifndef SE_TESTS_GPU_BATCH_H
#define SE_TESTS_GPU_BATCH_H

#include <string.h>

#include <vector>

#include "kernels/cuda/input.h"
#include "tests/gpu/array.h"

struct batch {
    std::vector<struct se_gpu_row> row;
    std::vector<struct se_gpu_part> part;
    std::vector<struct se_gpu_tile> tile;
    std::vector<uint32_t> wanted, page, tail;
    uint64_t number = 1;
};

/* What lies on the device; every array ends where its memory does. */
struct batch_there {
    device_array<struct se_gpu_row> row;
    device_array<struct se_gpu_part> part;
    device_array<struct se_gpu_tile> tile;
    device_array<uint32_t> wanted, page, tail;
    device_array<struct se_gpu_input> input;

    explicit batch_there(const struct batch &batch)
        : row(batch.row), part(batch.part), tile(batch.tile), wanted(batch.wanted),
          page(batch.page), tail(batch.tail), input(1)
    {
        struct se_gpu_input all = {};
        all.number = batch.number;
        all.n_rows = (uint32_t)row.n;
        all.n_parts = (uint32_t)part.n;
        all.n_tiles = (uint32_t)tile.n;
        all.n_wanted = (uint32_t)wanted.n;
        all.row = row.at;
        all.part = part.at;
        all.tile = tile.at;
        all.wanted = wanted.at;
        all.page = page.at;
        all.tail = tail.at;
        input.write(0, &all, 1);
    }
    const struct se_gpu_input *at(void) const { return input.at; }
};

/* What a step has answered. At first there is no fault, and everything else is 0xff. */
struct answers {
    uint64_t done = UINT64_MAX;
    uint32_t fault = 0;
    std::vector<uint32_t> sampled, path, n_path, bonus, topk_id;
    std::vector<float> topk_logprob;

    explicit answers(uint32_t rows)
        : sampled(rows, UINT32_MAX), path(sampled), n_path(sampled), bonus(sampled),
          topk_id((size_t)rows * SE_GPU_TOPK_MAX, UINT32_MAX), topk_logprob(topk_id.size())
    {
        memset(topk_logprob.data(), 0xff, topk_logprob.size() * sizeof(float));
    }
};

/* The same on the device: the arrays in one block behind the struct, as publishing wants it. */
struct answers_there {
    const uint32_t rows;
    device_array<unsigned char> block;

    explicit answers_there(const struct answers &answers)
        : rows((uint32_t)answers.sampled.size()), block(HEAD_B + array_at(6))
    {
        struct se_gpu_output out;
        memset(&out, 0xff, sizeof out);
        out.fault = answers.fault;
        out.sampled = (uint32_t *)(block.at + HEAD_B + array_at(0));
        out.path = (uint32_t *)(block.at + HEAD_B + array_at(1));
        out.n_path = (uint32_t *)(block.at + HEAD_B + array_at(2));
        out.bonus = (uint32_t *)(block.at + HEAD_B + array_at(3));
        out.topk_id = (uint32_t *)(block.at + HEAD_B + array_at(4));
        out.topk_logprob = (float *)(block.at + HEAD_B + array_at(5));
        block.write(0, (const unsigned char *)&out, sizeof out);
        put(0, answers.sampled);
        put(1, answers.path);
        put(2, answers.n_path);
        put(3, answers.bonus);
        put(4, answers.topk_id);
        put(5, answers.topk_logprob);
    }

    struct se_gpu_output *at(void) const { return (struct se_gpu_output *)block.at; }

    struct answers read(void) const
    {
        const std::vector<unsigned char> bytes = block.read();
        struct se_gpu_output out;
        struct answers answers(rows);
        memcpy(&out, bytes.data(), sizeof out);
        answers.done = out.done;
        answers.fault = out.fault;
        get(bytes, 0, &answers.sampled);
        get(bytes, 1, &answers.path);
        get(bytes, 2, &answers.n_path);
        get(bytes, 3, &answers.bonus);
        get(bytes, 4, &answers.topk_id);
        get(bytes, 5, &answers.topk_logprob);
        return answers;
    }

  private:
    static const size_t HEAD_B = (sizeof(struct se_gpu_output) + 15) / 16 * 16;

    /* Where array number i begins behind the head. */
    size_t array_at(unsigned i) const
    {
        const size_t words = i <= 4 ? i : 4 + (i - 4) * (size_t)SE_GPU_TOPK_MAX;
        return words * rows * sizeof(uint32_t);
    }
    template <typename T>
    void put(unsigned i, const std::vector<T> &from)
    {
        block.write(HEAD_B + array_at(i), (const unsigned char *)from.data(),
                    from.size() * sizeof(T));
    }
    template <typename T>
    void get(const std::vector<unsigned char> &bytes, unsigned i, std::vector<T> *to) const
    {
        memcpy(to->data(), bytes.data() + HEAD_B + array_at(i), to->size() * sizeof(T));
    }
};

#endif

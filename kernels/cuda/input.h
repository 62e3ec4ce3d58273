/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/input.h - what a step is told and what it tells: plain C, for host and device.
 *
 *   host:  struct se_gpu_input ─ ingest ─►  device: the same bytes  ─►  every kernel reads them
 *   device: struct se_gpu_output  ─ publish ─►  the same in memory that the host sees, which
 *                                               polls output.done there
 *
 * Both have a fixed size and place for as long as the module's engine is open, so that a captured
 * graph stays right: kernels take pointers to buffers and shapes of the model, and nothing else
 * that changes from step to step is an argument of a launch. A launch is made for a bucket of rows
 * and does nothing for those beyond n_rows. */
#ifndef SE_KERNELS_CUDA_INPUT_H
#define SE_KERNELS_CUDA_INPUT_H

#include <stdint.h>

enum {
    SE_GPU_PAGE_SLOTS = 16,
    SE_GPU_DIM_MAX = 256, /* of a head */
    SE_GPU_TILE = 64,     /* query vectors of one kv head that attend together */
    SE_GPU_SPLIT = 256,   /* positions that are summed as one; a multiple of the page */
    SE_GPU_TOPK_MAX = 64, /* best tokens of a row that the device finds */
};

/* What is wanted of the rows of a part. */
enum se_gpu_want { SE_GPU_NOTHING, SE_GPU_TOPK, SE_GPU_LOGITS, SE_GPU_VERDICT };

struct se_gpu_row {
    uint32_t token, position; /* it sees 0 .. position */
    uint32_t slot;            /* where its key and value go */
    uint32_t plain;           /* a position below plain lies in the slot of the same number; */
    uint32_t tail;            /* the others' slots begin at tail[tail] */
    uint32_t part;
    int32_t parent; /* within its part; < 0: none */
};

struct se_gpu_part {
    uint32_t first_row, n_rows;
    uint32_t first_page; /* in page[] */
    uint32_t len;        /* text before the tree: its node i lies in slot len + i */
    uint32_t want;       /* enum se_gpu_want */
    uint32_t k;          /* TOPK */
    float sharpen;       /* TOPK: 0: without noise */
    uint32_t cuts;       /* 1: there are sampling settings, with a temperature above 0 */
    double temp;
    uint32_t top_k; /* 0: all */
    double top_p, min_p;
    uint64_t seed;
};

/* Rows of one part that attend together: (n_rows * query heads to a kv head) <= SE_GPU_TILE. */
struct se_gpu_tile {
    uint32_t first_row, n_rows;
};

/* The arrays lie behind it, in the same block; pointers are of the device's copy. */
struct se_gpu_input {
    uint64_t number; /* of the step, from 1 on */
    uint64_t size_b; /* of the whole block, a multiple of 16 */
    uint32_t n_rows, n_parts, n_tiles;
    uint32_t n_wanted; /* rows that go through the output projection: wanted[] */
    const struct se_gpu_row *row;
    const struct se_gpu_part *part;
    const struct se_gpu_tile *tile;
    const uint32_t *wanted; /* row numbers, ascending */
    const uint32_t *page;   /* numbers of the parts' pages */
    const uint32_t *tail;
};

/* Written by the device. Of a row: by its number in the batch; of a part: its rows' places. */
struct se_gpu_output {
    uint64_t done;     /* number of the step, written last */
    uint32_t fault;    /* the smallest row with one + 1 (on the device ~row); 0: none */
    uint32_t *sampled; /* per row, of parts that want a verdict */
    uint32_t *path;    /* per row: path[first_row + i], accepted nodes of the part */
    uint32_t *n_path;  /* per part */
    uint32_t *bonus;   /* per part */
    uint32_t *topk_id; /* per row SE_GPU_TOPK_MAX */
    float *topk_logprob;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* kernels/cuda/ranks.h - GPUs that compute one model: bytes that go from one to another, on streams.
 *
 * Nothing is added on the way: sums are kernels' (kernels.h, se_gpu_sum_ranks), so that their order,
 * and with it their bits, are the project's own, whatever the library that moves the bytes does.
 *
 * nccl.cu is the real one, nccl_absent.cu stands where its header was not; for the emulator there is
 * tests/simt/ranks_simt.cc. Each rank is a process of its own. All put the same operations on their
 * streams in the same order, with the same sizes. Such an operation waits for the other ranks, on the
 * device: who waits for the stream has to look for them meanwhile, and to close what would never
 * end. */
#ifndef SE_KERNELS_CUDA_RANKS_H
#define SE_KERNELS_CUDA_RANKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/cuda/device.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SE_GPU_RANKS_ID_B = 128 };

struct se_gpu_ranks;

/* Rank 0 makes an id, and tells it to the others. -ENODEV: without the library nobody meets. */
int se_gpu_ranks_id(unsigned char id[SE_GPU_RANKS_ID_B]);

/* Begins to meet; the device is opened before. On 0 *out is the caller's, to close. */
int se_gpu_ranks_open(struct se_gpu_ranks **out, const unsigned char id[SE_GPU_RANKS_ID_B],
                      uint32_t rank, uint32_t size);
/* 0: all have met. 1: not yet. < 0: they will not. */
int se_gpu_ranks_ready(struct se_gpu_ranks *ranks);

/* Ends what is under way as well, with whatever there is in the buffers; graphs with operations of
 * theirs are freed before. NULL is fine. dead: the device has failed, and nothing on it can be
 * ended but by the process's end. */
void se_gpu_ranks_close(struct se_gpu_ranks *ranks, bool dead);

/* ---- on a stream, or into a graph. Of a rank each_b bytes, which lie at all + rank * each_b */

void se_gpu_ranks_all_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all,
                             size_t each_b);
/* Rank 0 gets all; the others' bytes lie at the beginning. */
void se_gpu_ranks_gather(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *all,
                         size_t each_b);
/* From rank 0 to all. */
void se_gpu_ranks_broadcast(struct se_gpu_ranks *ranks, se_gpu_stream stream, void *bytes,
                            size_t n_b);

/* After some of these: whether all of them could be started. */
int se_gpu_ranks_started(struct se_gpu_ranks *ranks);

/* While a stream is waited for: -EIO when the library knows that it will not end. */
int se_gpu_ranks_check(struct se_gpu_ranks *ranks);

#ifdef __cplusplus
}
#endif
#endif

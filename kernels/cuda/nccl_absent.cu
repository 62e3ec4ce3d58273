/* SPDX-License-Identifier: Apache-2.0 */
/* In place of nccl.cu where the module was built without NCCL's header: nobody meets. */
#include <errno.h>

#include "kernels/cuda/fail.h"
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/ranks.h"

static int absent(void)
{
    return se_gpu_fail(-ENODEV, "GPU: ranks meet by NCCL, and the module was built without it");
}

int se_gpu_ranks_id(unsigned char[SE_GPU_RANKS_ID_B]) { return absent(); }

int se_gpu_ranks_open(struct se_gpu_ranks **, const unsigned char[SE_GPU_RANKS_ID_B], uint32_t,
                      uint32_t)
{
    return absent();
}

int se_gpu_ranks_ready(struct se_gpu_ranks *) { return absent(); }
void se_gpu_ranks_close(struct se_gpu_ranks *, bool) {}
void se_gpu_ranks_all_gather(struct se_gpu_ranks *, se_gpu_stream, void *, size_t) {}
void se_gpu_ranks_gather(struct se_gpu_ranks *, se_gpu_stream, void *, size_t) {}
void se_gpu_ranks_broadcast(struct se_gpu_ranks *, se_gpu_stream, void *, size_t) {}
int se_gpu_ranks_started(struct se_gpu_ranks *) { return absent(); }
int se_gpu_ranks_check(struct se_gpu_ranks *) { return absent(); }

/* SPDX-License-Identifier: Apache-2.0 */
/* tools/shards.h - random tensors into safetensors files, without ever holding the model. */
#ifndef SE_TOOLS_SHARDS_H
#define SE_TOOLS_SHARDS_H

#include "kernels/matmul.h"
#include "runtime/base/thread.h"
#include "tools/folder.h"
#include "tools/tensors.h"

struct se_shards {
    struct se_folder *folder;
    const struct se_tensor *tensor;
    size_t n_tensors;
    enum se_dtype dtype;
    uint64_t seed;
    uint64_t shard_b; /* no file gets larger unless one tensor alone is */
    struct se_pool *pool;
};

/* Writes model.safetensors, or model-00001-of-0000N.safetensors and the index. 0, -errno, or
 * SE_OUTCOME_INTERRUPTED. */
int se_shards_write(const struct se_shards *shards);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gpu/checks.h"

#define ROPE \
    { \
        .kind = SE_ROPE_DEFAULT, .theta = 1e4 \
    }
#define COMMON .norm_eps = 1e-5f, .rope = ROPE, .bos = UINT32_MAX

static const struct check_shape tiny[] = {
    { "2 to 1, dim 16",
      { COMMON, .vocab = 120, .hidden = 40, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16,
        .mlp = 50, .context = 512, .tied = true } },
    { "4 to 1, dim 12, norms of heads",
      { COMMON, .vocab = 97, .hidden = 64, .layers = 1, .heads = 4, .kv_heads = 1, .head_dim = 12,
        .mlp = 72, .context = 512, .qk_norm = true } },
    { "1 to 1, dim 32, biases",
      { COMMON, .vocab = 75, .hidden = 48, .layers = 1, .heads = 2, .kv_heads = 2, .head_dim = 32,
        .mlp = 36, .context = 512, .qkv_bias = true, .out_bias = true, .mlp_bias = true } },
};

/* Sizes as models have them, and sizes that no tile divides. */
static const struct check_shape all[] = {
    { "2 to 1, dim 16",
      { COMMON, .vocab = 120, .hidden = 40, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 16,
        .mlp = 50, .context = 2048, .tied = true } },
    { "4 to 1, dim 12, norms of heads",
      { COMMON, .vocab = 97, .hidden = 64, .layers = 3, .heads = 4, .kv_heads = 1, .head_dim = 12,
        .mlp = 72, .context = 2048, .qk_norm = true } },
    { "1 to 1, dim 32, biases",
      { COMMON, .vocab = 75, .hidden = 48, .layers = 2, .heads = 2, .kv_heads = 2, .head_dim = 32,
        .mlp = 36, .context = 2048, .qkv_bias = true, .out_bias = true, .mlp_bias = true } },
    { "8 to 1, dim 64",
      { COMMON, .vocab = 4001, .hidden = 512, .layers = 4, .heads = 16, .kv_heads = 2,
        .head_dim = 64, .mlp = 1400, .context = 4096 } },
    { "5 to 1, dim 128, norms of heads",
      { COMMON, .vocab = 6000, .hidden = 640, .layers = 3, .heads = 10, .kv_heads = 2,
        .head_dim = 128, .mlp = 2176, .context = 40960, .qk_norm = true } },
    { "7 to 1, dim 80, biases of q, k, v",
      { COMMON, .vocab = 3000, .hidden = 344, .layers = 2, .heads = 7, .kv_heads = 1,
        .head_dim = 80, .mlp = 1000, .context = 4096, .qkv_bias = true } },
    { "2 to 1, dim 256",
      { COMMON, .vocab = 1000, .hidden = 256, .layers = 2, .heads = 4, .kv_heads = 2,
        .head_dim = 256, .mlp = 520, .context = 4096, .tied = true } },
    { "12 to 1, dim 48",
      { COMMON, .vocab = 1000, .hidden = 200, .layers = 2, .heads = 12, .kv_heads = 1,
        .head_dim = 48, .mlp = 333, .context = 4096 } },
};

uint32_t check_shapes(const struct check_size *size, const struct check_shape **shapes)
{
    *shapes = size->tiny ? tiny : all;
    return size->tiny ? sizeof tiny / sizeof *tiny : sizeof all / sizeof *all;
}
